"""The guard against a double dose (product.md §4.1): decided under the row lock, before anything is written.

What it refuses can be given all the same by saying why; the reason stays on record with the dose.
"""

from datetime import datetime, timedelta

from domain.reminder_actions import AlreadyClosed, AlreadyGiven, Complete, TooEarly, TooSoon
from domain.reminder_series import Given, Occurrence, OccurrenceState, ReminderClass, Series


def given(series: Series, action: Complete, now: datetime) -> Given | None:
    """The dose that completing this gives; None where it is no dose, or the occurrence is closed already.

    Raises `TooEarly` and `TooSoon`.
    """
    if series.klass is not ReminderClass.DOSE:
        return None
    occurrence = series.find(action.key)
    at = min(action.completed_at or now, now)
    if not action.overrides:
        _check(series, occurrence, at)
    return Given(occurrence.key, at, action.by, overridden=action.overrides)


def _check(series: Series, occurrence: Occurrence, at: datetime) -> None:
    allowed_from = occurrence.instant - series.guard.early_window
    if occurrence.is_open and at < allowed_from:
        raise TooEarly(
            f"This dose is due at {_text(occurrence.instant)} and may be given from {_text(allowed_from)} on; earlier "
            "only with an override_reason.",
            extra={"due_at": _text(occurrence.instant), "allowed_from": _text(allowed_from)},
        )
    last, gap = series.last_given, series.guard.min_gap
    if last is None or gap is None or last.key == occurrence.key or abs(at - last.at) >= gap:
        return
    raise TooSoon(
        f"The dose before was given at {_text(last.at)}; {_spoken(gap)} must lie between two. An "
        "override_reason records why it was given sooner.",
        extra={"given_at": _text(last.at), "given_by": str(last.by), "next_allowed_at": _text(last.at + gap)},
    )


def already_closed(series: Series, occurrence: Occurrence) -> AlreadyClosed:
    """What whoever came second is told: by whom it was closed, and when."""
    at = _text(occurrence.closed_at) if occurrence.closed_at else None
    by = str(occurrence.closed_by) if occurrence.closed_by else None
    extra: dict[str, object] = {"state": occurrence.state.value, "closed_at": at, "closed_by": by}
    if series.klass is ReminderClass.DOSE and occurrence.state is OccurrenceState.DONE:
        done_at = occurrence.completed_at or occurrence.closed_at
        told = extra | {"given_by": by, "given_at": _text(done_at) if done_at else None}
        return AlreadyGiven("This dose was given already.", extra=told)
    return AlreadyClosed(f"It is already {occurrence.state.value}.", extra=extra)


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _spoken(gap: timedelta) -> str:
    minutes = int(gap.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
