"""Google's adapter on the local Google calendar server, as a backend of the calendar contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from domain.calendar import Event, Point
from domain.recurrence import resolve
from integrations.calendar.google import GoogleCalendars
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_backends import Backend, Can
from tests.contracts.calendar_vendors import PAGE_SIZE, Vendor, tokens


class GoogleBackend(Vendor):
    """See `Backend`."""

    can = frozenset(Can)

    async def add(self, event: Event) -> str:
        remote_id = self.control.remote_create(self.calendar_id, body=by_hand(event))
        self._exceptions(remote_id, event)
        return remote_id

    async def edit(self, remote_id: str, event: Event) -> None:
        self.control.remote_edit(remote_id, self.calendar_id, body=by_hand(event))
        self._exceptions(remote_id, event)

    def _exceptions(self, remote_id: str, event: Event) -> None:
        tzid = event.when.tzid
        for each in event.exdates:
            self.leave_out(remote_id, occurrence_name(each, tzid))
        for one in event.overrides:
            body = {"summary": one.title, "description": one.notes, "location": one.location}
            body |= {"start": _time(one.start, tzid), "end": _time(one.end, tzid)}
            self.control.remote_edit(
                remote_id, self.calendar_id, body=body, occurrence=occurrence_name(one.original, tzid)
            )


def by_hand(event: Event) -> dict[str, Any]:
    """What Google's own pages make of an event: each exception is one by itself."""
    when = event.when
    return {
        "summary": event.title,
        "description": event.notes,
        "location": event.location,
        "status": str(event.status),
        "start": _time(when.start, when.tzid),
        "end": _time(when.end, when.tzid),
        "recurrence": [f"RRULE:{when.rrule}"] if when.rrule else None,
        "reminders": {
            "useDefault": False,
            "overrides": [{"method": "popup", "minutes": each} for each in event.alarms],
        },
    }


def occurrence_name(original: Point, tzid: str | None) -> str:
    """How the control of the servers names an occurrence."""
    if not isinstance(original, datetime):
        return f"{original:%Y%m%d}"
    return f"{resolve(original, tzid or 'UTC'):%Y%m%dT%H%M%SZ}"


def _time(point: Point, tzid: str | None) -> dict[str, Any]:
    if isinstance(point, datetime):
        return {"dateTime": point.isoformat(), "timeZone": tzid}
    return {"date": point.isoformat()}


@asynccontextmanager
async def open_backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """A new account."""
    control: ControlClient = request.getfixturevalue("google_calendar_server")
    async with tokens(control) as access:
        provider = GoogleCalendars(control.url, access, page_size=PAGE_SIZE)
        yield GoogleBackend(provider, control)
        await provider.close()
    assert not control.unhandled()
