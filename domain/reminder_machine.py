"""The state machine of reminders (recurrence.md §4.6): the series, an action, the database's clock in; the change out.

Called under the row lock; the caller saves the answer in the same transaction. Refusals change nothing.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain import dose_guard, recurrence, reminder_planning, reminder_steps
from domain.recurrence import Schedule
from domain.reminder_actions import (
    Acknowledge,
    Action,
    Complete,
    Configure,
    End,
    HandOver,
    NotDue,
    Pause,
    Reschedule,
    Resume,
    SeriesEnded,
    Skip,
    Snooze,
    SnoozeLimit,
    SnoozePastNext,
    Undo,
    UndoWindowClosed,
)
from domain.reminder_series import (
    EXPIRES_AFTER,
    MAX_SNOOZES,
    Change,
    Occurrence,
    OccurrenceState,
    ReminderState,
    Series,
    Warned,
    is_repeating,
)
from domain.schedule_fields import LAST_YEAR

BEFORE_NOTICE: Final = "before_notice"
"""Reason of an occurrence that somebody closed ahead of its notice; undoing it plans it again."""
COMPLETIONS: Final = frozenset({"completed", "skipped", "missed"})
"""Ends that came by themselves: an edit or an undo brings such a series back."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a phone's clock may be ahead of ours before "done now" counts as the future."""
NOTHING_AHEAD: Final = Warned("nothing_ahead", "The schedule has no occurrence after now.")


def create(series: Series, now: datetime) -> Change:
    """A new series with its first occurrence."""
    begun = ended_if_over(reminder_steps.armed(series, reminder_planning.started(series, now), now))
    return Change(begun, warnings=() if begun.pending else (NOTHING_AHEAD,))


def apply(series: Series, action: Action, now: datetime) -> Change:
    """The series after the action. Raises one of the refusals above, or `Invalid` for a time that makes no sense."""
    change = _changed(in_force(series), action, now)
    return replace(change, series=reminder_steps.armed(series, change.series, now))


def _changed(series: Series, action: Action, now: datetime) -> Change:
    match action:
        case Reschedule(schedule):
            return _reschedule(series, schedule, now)
        case Complete():
            completed = _complete(series, action, now)
            return Change(completed, given=dose_guard.given(series, action, now))
        case Undo(key):
            undone = _undo(series, series.find(key))
            return Change(undone, taken_back=key if undone != series else None)
        case _:
            return Change(_applied(series, action, now))


def _applied(series: Series, action: Action, now: datetime) -> Series:
    match action:
        case Skip(key, by):
            return _skip(series, series.find(key), by, now)
        case Snooze(key, until):
            return _snooze(series, series.find(key), until, now)
        case Acknowledge(key, by):
            return _acknowledge(series, series.find(key), by, now)
        case Configure():
            return _configure(series, action, now)
        case HandOver():
            return _hand_over(series, now)
        case Pause():
            return replace(_going_on(series), state=ReminderState.PAUSED)
        case Resume():
            return _resume(_going_on(series), now)
        case End(reason):
            return _end(series, reason, now)
        case _:
            return series


def in_force(series: Series) -> Series:
    """The series on the clock that counts today: pending nominals stay what they are and move to their new instant.

    What has fired stays as it was and never fires again: the next one is looked for by nominal (recurrence.md §4.7).
    """
    schedule = recurrence.with_zone(series.schedule, series.zone)
    pending = series.pending
    series = replace(series, schedule=schedule)
    return series.put((reminder_planning.placed(series, pending),)) if pending else series


def _complete(series: Series, action: Complete, now: datetime) -> Series:
    occurrence = series.find(action.key)
    if action.completed_at is not None and action.completed_at > now + CLOCK_SKEW:
        raise Invalid(
            "It cannot be done in the future.",
            errors=(FieldProblem("/completed_at", "completed_in_future", "later than now"),),
        )
    corrects = occurrence.state is OccurrenceState.MISSED and action.completed_at is not None
    if not occurrence.is_open and not corrects:
        raise dose_guard.already_closed(series, occurrence)
    at = min(action.completed_at or now, now)
    done = replace(_closed(occurrence, OccurrenceState.DONE, action.by, now), completed_at=at)
    if corrects:
        return series.put((replace(done, late=True, reason=occurrence.reason),))
    return _go_on(series, occurrence, done, now)


def _skip(series: Series, occurrence: Occurrence, by: UUID, now: datetime) -> Series:
    if not occurrence.is_open:
        raise dose_guard.already_closed(series, occurrence)
    return _go_on(series, occurrence, _closed(occurrence, OccurrenceState.SKIPPED, by, now), now)


def _closed(occurrence: Occurrence, state: OccurrenceState, by: UUID, now: datetime) -> Occurrence:
    # `notice_at` stays: a closed occurrence has no notices, and undo finds the snooze it had.
    reason = BEFORE_NOTICE if occurrence.state is OccurrenceState.SCHEDULED else None
    return replace(occurrence, state=state, closed_at=now, closed_by=by, reason=reason)


def _go_on(series: Series, was: Occurrence, closed: Occurrence, now: datetime) -> Series:
    """The series with `closed`, and with the next occurrence where there is none yet."""
    series = replace(series.put((closed,)), finished=series.finished + 1)
    if was.state is OccurrenceState.SCHEDULED or not series.repeats:
        ahead = reminder_planning.following(series, closed, now)
        missed = tuple(o.closed(OccurrenceState.MISSED, now, reason="overtaken") for o in ahead.passed)
        series = reminder_planning.enlisted(series, replace(ahead, passed=missed))
    return ended_if_over(series)


def ended_if_over(series: Series) -> Series:
    """A series without any open occurrence has ended by itself; the last close says how."""
    if series.state is ReminderState.ENDED or any(o.is_open for o in series.occurrences):
        return series
    last = series.occurrences[-1].state if series.occurrences else OccurrenceState.MISSED
    reasons = {OccurrenceState.DONE: "completed", OccurrenceState.SKIPPED: "skipped"}
    return replace(series, state=ReminderState.ENDED, ended_reason=reasons.get(last, "missed"))


def _undo(series: Series, occurrence: Occurrence) -> Series:
    if occurrence.is_open:
        return series
    if occurrence.state not in (OccurrenceState.DONE, OccurrenceState.SKIPPED):
        raise UndoWindowClosed("Only what was done or skipped can be undone.")
    if series.state is ReminderState.ENDED and series.ended_reason not in COMPLETIONS:
        raise SeriesEnded("This reminder has ended.")
    pending = series.pending
    # The only thing that may have happened since is that the next one was planned.
    followed_by = pending.seq if pending and pending.seq == occurrence.seq + 1 else occurrence.seq
    if series.top != followed_by or occurrence.schedule_version != series.schedule.version:
        raise UndoWindowClosed("The next occurrence has come, or the schedule was changed.")
    early = occurrence.reason == BEFORE_NOTICE
    if pending and (early or not series.repeats):
        series = replace(series.without(pending.key), top=occurrence.seq)
    reopened = replace(
        occurrence,
        state=OccurrenceState.SCHEDULED if early else OccurrenceState.DUE,
        closed_at=None,
        closed_by=None,
        completed_at=None,
        reason=None,
    )
    if series.state is ReminderState.ENDED:
        series = replace(series, state=ReminderState.ACTIVE, ended_reason=None)
    series = replace(series.put((reopened,)), finished=series.finished - 1)
    return in_force(series) if early else series  # the clock may have changed while it was done


def _snooze(series: Series, occurrence: Occurrence, until: datetime | timedelta, now: datetime) -> Series:
    if not occurrence.is_open:
        raise dose_guard.already_closed(series, occurrence)
    # Before it is due, "in ten minutes" means ten minutes after.
    earliest = max(now, occurrence.instant) if occurrence.state is OccurrenceState.SCHEDULED else now
    notice_at = until if isinstance(until, datetime) else earliest + until
    if notice_at <= earliest:
        raise Invalid(
            "A snooze ends in the future, and after the occurrence itself.",
            errors=(FieldProblem("/until", "snooze_in_past", "does not end in the future"),),
        )
    if notice_at.year > LAST_YEAR:
        raise Invalid(
            "A snooze ends while calendars go on.",
            errors=(FieldProblem("/until", "snooze_too_far", f"not after the year {LAST_YEAR}"),),
        )
    if occurrence.snooze_count >= MAX_SNOOZES:
        raise SnoozeLimit(f"An occurrence can be snoozed {MAX_SNOOZES} times.")
    latest = _latest_notice(series, occurrence, now)
    if latest is not None and notice_at > latest:
        raise SnoozePastNext(
            "The next occurrence comes before that.", extra={"max_until": latest.isoformat().replace("+00:00", "Z")}
        )
    snoozed = replace(
        occurrence, notice_at=notice_at, round_at=notice_at, rung=0, snooze_count=occurrence.snooze_count + 1
    )
    return series.put((snoozed,))


def _latest_notice(series: Series, occurrence: Occurrence, now: datetime) -> datetime | None:
    if not series.repeats:
        return None
    if occurrence.state is OccurrenceState.SCHEDULED:
        following = reminder_planning.following(series, occurrence, now).pending
    else:
        following = series.pending
    return following.instant if following else occurrence.instant + EXPIRES_AFTER


def _acknowledge(series: Series, occurrence: Occurrence, by: UUID, now: datetime) -> Series:
    if not occurrence.is_open:
        raise dose_guard.already_closed(series, occurrence)
    if occurrence.state is OccurrenceState.SCHEDULED:
        raise NotDue("It is not due yet.")
    if occurrence.acknowledged_at is not None:
        return series
    seen = replace(occurrence, acknowledged_at=now, acknowledged_by=by)
    return series.put((replace(seen, notice_at=reminder_steps.next_notice(series, seen, now)),))


def _configure(series: Series, action: Configure, now: datetime) -> Series:
    """The steps that come after now are those of the new policy; nothing that was said is said again."""
    asked = replace(series, klass=action.klass, policy=action.policy, leads=action.leads, guard=action.guard)
    due = asked.due
    if asked.policy == series.policy or due is None or reminder_steps.round_began(due) > now:
        return asked
    return asked.put((reminder_steps.skipped_ahead(asked, replace(due, rung=0), now),))


def _hand_over(series: Series, now: datetime) -> Series:
    """The steps of this round are taken anew, unless it is too late for a notice. Whoever heard one hears it no second
    time: the ledger has one row per person, channel and step."""
    due = series.due
    if due is None or not due.rung or series.expired(reminder_steps.round_began(due), now):
        return series
    return series.put((replace(due, rung=0, notice_at=now),))


def _reschedule(series: Series, schedule: Schedule, now: datetime) -> Change:
    version = series.schedule.version
    if recurrence.with_version(schedule, version) == series.schedule:
        return Change(series)
    if series.state is ReminderState.ENDED and series.ended_reason not in COMPLETIONS:
        raise SeriesEnded("This reminder has ended.")
    # What is due in a series that goes on by itself stays due until the next one overtakes it.
    keeps_due = series.repeats and is_repeating(schedule)
    dropped = tuple(
        o.closed(OccurrenceState.CANCELLED, now, reason="edited")
        for o in series.occurrences
        if o.is_open and not (keeps_due and o.state is OccurrenceState.DUE)
    )
    anew = replace(
        series.put(dropped),
        state=ReminderState.ACTIVE if series.state is ReminderState.ENDED else series.state,
        ended_reason=None,
        schedule=recurrence.with_version(schedule, version + 1),
        zone=getattr(schedule, "tzid", series.zone),
        finished=0,
        handled=frozenset(),
    )
    anew = ended_if_over(reminder_planning.started(anew, now))
    return Change(anew, warnings=_warnings(dropped, anew, now))


def _warnings(dropped: tuple[Occurrence, ...], anew: Series, now: datetime) -> tuple[Warned, ...]:
    if anew.pending is None:
        return (NOTHING_AHEAD,)
    today = _local_date(now, anew.zone)
    if _local_date(anew.pending.instant, anew.zone) == today:
        return ()
    return tuple(
        Warned("occurrence_dropped", f"Today's occurrence, {o.nominal}, is cancelled.")
        for o in dropped
        if _local_date(o.instant, anew.zone) == today
    )


def _local_date(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def _going_on(series: Series) -> Series:
    if series.state is ReminderState.ENDED:
        raise SeriesEnded("This reminder has ended.")
    return series


def _resume(series: Series, now: datetime) -> Series:
    if series.state is ReminderState.ACTIVE:
        return series
    series = replace(series, state=ReminderState.ACTIVE)
    due = series.due
    if due and due.notice_at and due.notice_at <= now:
        series = series.put((reminder_steps.skipped_ahead(series, due, now),))
    pending = series.pending
    if pending is None or pending.instant > now:
        return series
    if not series.repeats:  # still to be done, and listed as such; only its notice was paused away
        return series.put((reminder_steps.skipped_ahead(series, replace(pending, state=OccurrenceState.DUE), now),))
    series = series.put((pending.closed(OccurrenceState.CANCELLED, now, reason="paused"),))
    return ended_if_over(reminder_planning.started(series, now))


def _end(series: Series, reason: str, now: datetime) -> Series:
    cancelled = [o.closed(OccurrenceState.CANCELLED, now, reason=reason) for o in series.occurrences if o.is_open]
    return replace(series.put(cancelled), state=ReminderState.ENDED, ended_reason=reason)
