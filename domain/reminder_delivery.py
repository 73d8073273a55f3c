"""What falls due: which notices go out, what is missed, what comes next (recurrence.md §4.6, §4.9).

`deliver` is asked under the row lock by the activity that sends; it trusts no earlier plan. After an outage of any
length a series calls for one notice at most.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from domain import reminder_planning, reminder_steps
from domain.absence import AWAY
from domain.escalation import DIGEST, Who
from domain.reminder import Plan, PlanState
from domain.reminder_machine import ended_if_over, in_force
from domain.reminder_planning import Ahead
from domain.reminder_series import (
    EXPIRES_AFTER,
    LATE_AFTER,
    OVERDUE_MARKS,
    Change,
    Notice,
    Occurrence,
    OccurrenceState,
    ReminderClass,
    ReminderState,
    Series,
)
from domain.reminder_steps import ESCALATION, LEAD, MISSED, WITHDRAWN

QUIET_HOURS: Final = "quiet_hours"
TOO_LATE: Final = "too_late"
RESEND: Final = "resend"
"""The plan's step when claimed notices wait that have not left."""


def deliver(series: Series, now: datetime) -> Change:
    """The series with everything that fell due by `now`, and the notices to send. Repeating it changes nothing.

    Whoever asks also sends what an earlier run claimed and left behind, so the answer is unsent no more.
    """
    before = series = replace(series, unsent_at=None)
    if series.state is not ReminderState.ACTIVE:
        return Change(series)
    series = _expire(_fall_due(in_force(series), now), now)
    series, notices = _announce(series, now)
    series, ahead = _announce_ahead(reminder_steps.armed(before, series, now), now)
    return Change(ended_if_over(series), notices + ahead)


def _fall_due(series: Series, now: datetime) -> Series:
    """What nobody was there for is skipped. The latest other nominal that has passed becomes due; older ones, and what
    was still open, are missed. One that does not come again by itself becomes due all the same, and waits."""
    pending = series.pending
    if pending is None or pending.instant > now:
        return series
    ahead = reminder_planning.after(series, pending, now)
    came = (pending, *ahead.passed)
    asked = [o for o in came if not _is_passed_over(series, o)]
    skipped = [o.closed(OccurrenceState.SKIPPED, now, reason=AWAY) for o in came if _is_passed_over(series, o)]
    series = replace(series.put(skipped), finished=series.finished + len(skipped))
    if asked:
        series = _overtake(series, asked, ahead, now)
    return reminder_planning.enlisted(series, replace(ahead, passed=()))


def _nobody_is_there(series: Series, moment: datetime) -> bool:
    return series.asked_at(moment) > moment


def _is_passed_over(series: Series, occurrence: Occurrence) -> bool:
    return series.repeats and _nobody_is_there(series, occurrence.instant)


def _overtake(series: Series, asked: Sequence[Occurrence], ahead: Ahead, now: datetime) -> Series:
    *overtaken, latest = asked
    if ahead.pending is not None and ahead.pending.instant <= now:  # an outage beyond one batch: no notice yet
        overtaken.append(latest)
    else:
        latest = replace(latest, state=OccurrenceState.DUE, notice_at=latest.notice_at or latest.instant, lead_at=None)
        series = series.put((latest,))
    overtaken += [o for o in series.occurrences if o.state is OccurrenceState.DUE and o.key != latest.key]
    return series.put(o.closed(OccurrenceState.MISSED, now, reason="overtaken") for o in overtaken)


def _expire(series: Series, now: datetime) -> Series:
    """The last occurrence of a counted series closes after a month; `once` and `after_completion` never do."""
    due = series.due
    if due is None or not series.repeats or series.pending or now < due.instant + EXPIRES_AFTER:
        return series
    return series.put((due.closed(OccurrenceState.MISSED, now, reason="expired"),))


def _announce(series: Series, now: datetime) -> tuple[Series, tuple[Notice, ...]]:
    """The notice of what is due: every step that has come, as one; after its grace, that it was missed."""
    due = series.due
    planned_at = due.notice_at if due else None
    if due is None or planned_at is None or (asked_at := series.asked_at(planned_at)) > now:
        return series, ()
    first = due.notified_at is None
    if first and asked_at > planned_at:  # nobody has heard of it: its round begins on the return
        planned_at, due = asked_at, replace(due, notice_at=asked_at, round_at=asked_at)
    if series.expired(planned_at, now):
        if not first:
            return series.put((reminder_steps.skipped_ahead(series, due, now),)), ()
        missed = Notice(due.key, MISSED, _told_of_a_miss(series))
        return series.put((due.closed(OccurrenceState.MISSED, now, reason=TOO_LATE),)), (missed,)
    steps = reminder_steps.passed(series, due, now)
    name = reminder_steps.named(due, steps[-1]) if steps else reminder_steps.step_name(series, due)
    told = replace(
        due,
        late=due.late or (first and now - planned_at > LATE_AFTER),
        notified_at=now,
        rung=due.rung + len(steps),
    )
    told = replace(told, notice_at=reminder_steps.next_notice(series, told, now))
    return series.put((told,)), (Notice(due.key, name, reminder_steps.targets(steps or series.policy[:1])),)


def _told_of_a_miss(series: Series) -> reminder_steps.Targets:
    """A missed dose is told at once, anything else in the next digest (recurrence.md §4.9)."""
    if series.klass is ReminderClass.DOSE:
        return reminder_steps.targets(series.policy[:1])
    return ((Who.ASSIGNEE, DIGEST),)


def _announce_ahead(series: Series, now: datetime) -> tuple[Series, tuple[Notice, ...]]:
    """The pre-due notice of the coming occurrence whose time has come."""
    pending = series.pending
    if pending is None or pending.lead_at is None or pending.lead_at > now:
        return series, ()
    told = series.put((replace(pending, lead_at=reminder_steps.next_lead(series, pending, now)),))
    quiet = _is_passed_over(series, pending) or _nobody_is_there(series, pending.lead_at)
    if quiet or not reminder_steps.lead_is_useful(pending, pending.lead_at, now):
        return told, ()
    name = reminder_steps.lead_name(pending, pending.lead_at)
    return told, (Notice(pending.key, name, reminder_steps.targets(series.policy[:1])),)


def unwanted(occurrence: Occurrence, step: str, grace: timedelta | None, now: datetime) -> str | None:
    """Why a claimed notice that has not left yet must not leave any more; None: it may.

    Asked right before the provider is: the occurrence was closed or seen, somebody asked for a later notice, or the
    provider was away for so long that the notice has become useless.
    """
    state = occurrence.state
    if step.startswith(WITHDRAWN):
        return "reopened" if occurrence.is_open else None
    if step == MISSED:
        return None if state is OccurrenceState.MISSED else state.value
    if step.startswith(LEAD):
        if state is not OccurrenceState.SCHEDULED:
            return state.value
        return None if now < occurrence.instant else OccurrenceState.DUE.value
    if state is not OccurrenceState.DUE:
        return state.value
    if not _is_of_this_round(occurrence, step):
        return "snoozed"
    seen = occurrence.acknowledged_at
    if ESCALATION in step and seen is not None and seen >= reminder_steps.round_began(occurrence):
        return "acknowledged"
    claimed_at = occurrence.notified_at
    return TOO_LATE if grace is not None and claimed_at is not None and now - claimed_at > grace else None


def _is_of_this_round(occurrence: Occurrence, step: str) -> bool:
    if step.startswith("overdue-"):
        marks = {occurrence.instant + mark for mark in OVERDUE_MARKS}
        return occurrence.notice_at is None or occurrence.notice_at in marks
    return step.partition(ESCALATION)[0] == reminder_steps.round_name(occurrence)


def plan(series: Series) -> Plan:
    """What to do next and when: the earliest of the open notice, the next instant, a pre-due notice, the closing of a
    last one, and what was claimed and has not left, which outlives the series itself."""
    unsent = [] if series.unsent_at is None else [(series.unsent_at, "", RESEND)]
    live = series.state is ReminderState.ACTIVE
    if series.state is ReminderState.ENDED and not unsent:
        return Plan.over()
    steps = sorted(unsent + (_steps(series) if live else []), key=lambda item: item[0])
    at, key, name = steps[0] if steps else (None, None, None)
    return Plan(at, key or None, name, _state(series), series.pet_id)


def _steps(series: Series) -> list[tuple[datetime, str, str]]:
    steps = []
    if (pending := series.pending) is not None:
        steps.append((pending.instant, pending.key, "due"))
        if pending.lead_at is not None:
            steps.append((pending.lead_at, pending.key, reminder_steps.lead_name(pending, pending.lead_at)))
    if (due := series.due) is not None:
        if due.notice_at is not None:
            steps.append((series.asked_at(due.notice_at), due.key, reminder_steps.step_name(series, due)))
        if series.repeats and pending is None:
            steps.append((due.instant + EXPIRES_AFTER, due.key, "expire"))
    return steps


def _state(series: Series) -> PlanState:
    """`overdue` once the first overdue notice went out: an ordinary fire changes no search attribute."""
    if series.state is ReminderState.PAUSED:
        return PlanState.PAUSED
    due = series.due
    overdue = due is not None and due.notified_at is not None and due.notified_at >= due.instant + OVERDUE_MARKS[0]
    return PlanState.OVERDUE if overdue else PlanState.ACTIVE
