"""Outlook's adapter on the local Graph server, as backends of the calendar contract: with and without events/delta."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.calendar import Event, Point, Status
from integrations.calendar.graph_recurrence import recurrence
from integrations.calendar.microsoft import MicrosoftCalendars
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_backend_google import occurrence_name
from tests.contracts.calendar_backends import Backend, Can
from tests.contracts.calendar_vendors import PAGE_SIZE, Vendor, tokens

_NOW = datetime(2027, 1, 1, tzinfo=UTC)
"""Windows are opened around the samples."""


class MicrosoftBackend(Vendor):
    """See `Backend`."""

    can = frozenset(Can) - {Can.ALARMS, Can.LIST_ETAGS}

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
            body = {"subject": one.title, "body": _text(one.notes), "location": {"displayName": one.location}}
            body |= {"start": _time(one.start, tzid), "end": _time(one.end, tzid)}
            self.control.remote_edit(
                remote_id, self.calendar_id, body=body, occurrence=occurrence_name(one.original, tzid)
            )


def by_hand(event: Event) -> dict[str, Any]:
    """What Outlook makes of an event: each exception is one by itself."""
    when = event.when
    return {
        "subject": event.title,
        "body": _text(event.notes),
        "location": {"displayName": event.location},
        "showAs": "tentative" if event.status is Status.TENTATIVE else "busy",
        "start": _time(when.start, when.tzid),
        "end": _time(when.end, when.tzid),
        "isAllDay": when.all_day,
        "recurrence": recurrence(when) if when.rrule else None,
        "isReminderOn": bool(event.alarms),
        **({"reminderMinutesBeforeStart": event.alarms[0]} if event.alarms else {}),
    }


def _text(notes: str) -> dict[str, str]:
    return {"contentType": "text", "content": notes}


def _time(point: Point, tzid: str | None) -> dict[str, str]:
    if isinstance(point, datetime):
        return {"dateTime": point.isoformat(), "timeZone": tzid or "UTC"}
    return {"dateTime": f"{point.isoformat()}T00:00:00", "timeZone": "UTC"}


@asynccontextmanager
async def open_backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """A mailbox that tells what changed of its events."""
    async with _opened(request.getfixturevalue("graph_server")) as backend:
        yield backend


@asynccontextmanager
async def open_window_backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """A mailbox that tells what changed within a window."""
    async with _opened(request.getfixturevalue("graph_server")) as backend:
        backend.control.shape("no_events_delta", calendar=backend.calendar_id, times=None)
        yield backend


@asynccontextmanager
async def _opened(control: ControlClient) -> AsyncIterator[MicrosoftBackend]:
    async with tokens(control) as access:
        provider = MicrosoftCalendars(control.url, access, page_size=PAGE_SIZE, now=lambda: _NOW)
        yield MicrosoftBackend(provider, control)
        await provider.close()
    assert not control.unhandled()
