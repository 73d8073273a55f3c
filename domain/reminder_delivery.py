"""What falls due: which notices go out, what is missed, what comes next (recurrence.md §4.6, §4.9).

`deliver` is asked under the row lock by the activity that sends; it trusts no earlier plan. After an outage of any
length a series calls for one notice at most.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain import reminder_planning
from domain.reminder import Plan, PlanState
from domain.reminder_machine import ended_if_over, in_force
from domain.reminder_series import (
    EXPIRES_AFTER,
    LATE_AFTER,
    OVERDUE_MARKS,
    Change,
    Notice,
    Occurrence,
    OccurrenceState,
    ReminderState,
    Series,
    next_mark,
)


def deliver(series: Series, now: datetime) -> Change:
    """The series with everything that fell due by `now`, and the notices to send. Repeating it changes nothing.

    Whoever asks also sends what an earlier run claimed and left behind, so the answer is `unsent` no more.
    """
    series = replace(series, unsent=False)
    if series.state is not ReminderState.ACTIVE:
        return Change(series)
    series = _expire(_fall_due(in_force(series), now), now)
    series, notices = _notify(series, now)
    return Change(ended_if_over(series), notices)


def _fall_due(series: Series, now: datetime) -> Series:
    """The latest nominal that has passed becomes due; older ones, and what was still open, are missed."""
    pending = series.pending
    if pending is None or pending.instant > now:
        return series
    ahead = reminder_planning.after(series, pending, now)
    *overtaken, latest = (pending, *ahead.passed)
    if ahead.pending is not None and ahead.pending.instant <= now:  # an outage beyond one batch: no notice yet
        overtaken.append(latest)
    else:
        latest = replace(latest, state=OccurrenceState.DUE, notice_at=latest.notice_at or latest.instant)
        series = series.put((latest,))
    overtaken += [o for o in series.occurrences if o.state is OccurrenceState.DUE and o.key != latest.key]
    missed = tuple(o.closed(OccurrenceState.MISSED, now, reason="overtaken") for o in overtaken)
    series = series.put(missed)
    return reminder_planning.enlisted(series, replace(ahead, passed=()))


def _expire(series: Series, now: datetime) -> Series:
    """The last occurrence of a counted series closes after a month; `once` and `after_completion` never do."""
    due = series.due
    if due is None or not series.repeats or series.pending or now < due.instant + EXPIRES_AFTER:
        return series
    return series.put((due.closed(OccurrenceState.MISSED, now, reason="expired"),))


def _notify(series: Series, now: datetime) -> tuple[Series, tuple[Notice, ...]]:
    due = series.due
    if due is None or due.notice_at is None or due.notice_at > now:
        return series, ()
    first = due.notified_at is None
    if series.expired(due.notice_at, now):
        if first:
            return series.put((due.closed(OccurrenceState.MISSED, now, reason="too_late"),)), ()
        return series.put((replace(due, notice_at=next_mark(series, due, now)),)), ()
    told = replace(
        due,
        late=due.late or (first and now - due.notice_at > LATE_AFTER),
        notified_at=now,
        notice_at=next_mark(series, due, now),
    )
    return series.put((told,)), (Notice(due.key, step(due)),)


def step(occurrence: Occurrence) -> str:
    """Which notice of an occurrence `notice_at` stands for: part of the ledger's key, so each goes out once."""
    if occurrence.notice_at is None:
        raise ValueError("no notice is planned")
    for number, mark in enumerate(OVERDUE_MARKS, start=1):
        if occurrence.notified_at and occurrence.notice_at == occurrence.instant + mark:
            return f"overdue-{number}"
    return f"snooze-{occurrence.snooze_count}" if occurrence.snooze_count else "due"


def unwanted(occurrence: Occurrence, step: str, grace: timedelta | None, now: datetime) -> str | None:
    """Why a claimed notice that has not left yet must not leave any more; None: it may.

    Asked right before the provider is: the occurrence was closed, somebody asked for a later notice, or the provider
    was away for so long that the notice has become useless.
    """
    if occurrence.state is not OccurrenceState.DUE:
        return occurrence.state.value
    if not _is_latest(occurrence, step):
        return "snoozed"
    claimed_at = occurrence.notified_at
    return "too_late" if grace is not None and claimed_at is not None and now - claimed_at > grace else None


def _is_latest(occurrence: Occurrence, step: str) -> bool:
    if step == "due":
        return occurrence.snooze_count == 0
    if step.startswith("snooze-"):
        return step == f"snooze-{occurrence.snooze_count}"
    marks = {occurrence.instant + mark for mark in OVERDUE_MARKS}
    return occurrence.notice_at is None or occurrence.notice_at in marks


def plan(series: Series) -> Plan:
    """What to do next and when: the earliest of the open notice, the next instant and the closing of a last one."""
    if series.state is ReminderState.ENDED:
        return Plan.over()
    if series.state is ReminderState.PAUSED:
        return Plan(state=PlanState.PAUSED, pet_id=series.pet_id)
    steps = sorted(_steps(series), key=lambda item: item[0])
    at, key, name = steps[0] if steps else (None, None, None)
    return Plan(at, key, name, _state(series), series.pet_id)


def _steps(series: Series) -> list[tuple[datetime, str, str]]:
    steps = []
    if (pending := series.pending) is not None:
        steps.append((pending.instant, pending.key, "due"))
    if (due := series.due) is not None:
        if series.unsent and due.notified_at:
            steps.append((due.notified_at, due.key, "resend"))
        if due.notice_at is not None:
            steps.append((due.notice_at, due.key, step(due)))
        if series.repeats and pending is None:
            steps.append((due.instant + EXPIRES_AFTER, due.key, "expire"))
    return steps


def _state(series: Series) -> PlanState:
    """`overdue` once the first overdue notice went out: an ordinary fire changes no search attribute."""
    due = series.due
    overdue = due is not None and due.notified_at is not None and due.notified_at >= due.instant + OVERDUE_MARKS[0]
    return PlanState.OVERDUE if overdue else PlanState.ACTIVE
