"""The event that a request asks for: what its fields say, and what follows where they say nothing."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from api.reminders import invalid
from api.schemas.appointments import AppointmentIn, AppointmentUpdate
from domain import appointment_series as series
from domain.appointment import State, as_time
from domain.calendar import Event, Point, When
from domain.schedule_fields import Refused
from domain.schedule_fields import start as read_start

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


def new_event(body: AppointmentIn, home: str) -> Event:
    """A new event, on the clock of `home` unless it names another. Raises `Invalid`; it is not checked whole."""
    start = point("starts_at", body.starts_at)
    tzid = body.tzid or (home if isinstance(start, datetime) else None)
    return Event(
        title=body.title,
        when=When(start, end_of(body.ends_at, start), tzid, body.rrule),
        notes=body.notes or "",
        location=body.location or "",
        alarms=tuple(dict.fromkeys(body.alarms or ())),
        status=State(body.status or State.PLANNED).status,
    )


def changed_event(before: Event, body: AppointmentUpdate, home: str) -> Event:
    """The event with what the body says of it, its exceptions where they belong then. Raises `Invalid`."""
    given = body.model_fields_set
    if body.title == "" and before.title:
        raise invalid("title", "missing", "an appointment has a title")
    event = series.reschedule(before, _changed_when(before.when, body, home))
    return replace(
        series.reword(
            event,
            event.title if body.title is None else body.title,
            (body.notes or "") if "notes" in given else event.notes,
            (body.location or "") if "location" in given else event.location,
        ),
        alarms=event.alarms if body.alarms is None else tuple(dict.fromkeys(body.alarms)),
    )


def _changed_when(before: When, body: AppointmentUpdate, home: str) -> When:
    start = before.start if body.starts_at is None else point("starts_at", body.starts_at)
    has_times = isinstance(start, datetime)
    length = as_time(before.end) - as_time(before.start) if has_times != before.all_day else None
    return When(
        start=start,
        end=end_of(body.ends_at, start, length),
        tzid=(body.tzid or before.tzid or home) if has_times else body.tzid,
        rrule=body.rrule if "rrule" in body.model_fields_set else before.rrule,
    )


def point(field: str, text: str) -> Point:
    """A wall time or a date of a request. Raises `Invalid`."""
    try:
        at, all_day = read_start(text)
    except Refused as refused:
        raise invalid(field, "must_be_local", refused.detail) from None
    return at.date() if all_day else at


def end_of(text: str | None, start: Point, length: timedelta | None = None) -> Point:
    """The end a request gives, or the one that follows from its start. Raises `Invalid`."""
    if text is not None:
        return point("ends_at", text)
    if isinstance(start, datetime):
        return start + (HOUR if length is None else length)
    return start + (DAY if length is None else length)
