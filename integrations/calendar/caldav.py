"""Calendars over CalDAV: iCloud, Fastmail, Nextcloud and whoever else speaks it (calendar-sync.md §5.3).

A calendar's id is its URL, a remote id the name of a resource in it. A list gives etags alone. Texts of errors are
constant: what a server says may hold what somebody wrote.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from caldav.elements import cdav, dav

from domain.calendar import Capabilities, Event
from domain.calendar_projection import project
from integrations.calendar.caldav_listing import changes, require_calendar
from integrations.calendar.caldav_mapping import UID_PREFIX
from integrations.calendar.caldav_replies import (
    CONFLICT,
    GONE,
    UID_CONFLICT,
    precondition_failed,
    refusal,
    succeeded,
    write_refusal,
)
from integrations.calendar.caldav_requests import (
    calendar_named,
    collection,
    id_in,
    is_calendar,
    properties,
    url_in,
    url_of,
)
from integrations.calendar.caldav_resources import Resources, is_strong, stream_of
from integrations.calendar.caldav_writing import changed_resource, new_resource
from integrations.calendar.dav import MULTISTATUS, AccountDav, Answer, conflicting_href, multistatus, preconditions
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarError,
    CalendarMissing,
    Channel,
    EventGone,
    Marker,
    Page,
    RemoteCalendar,
    RemoteEvent,
    UnknownOutcome,
)
from integrations.outbound import Outbound, Reply

_BATCH: Final = 50
_CAPABILITIES: Final = Capabilities(writes_at_once=2)
"""Radicale, Xandikos and others write one event of a calendar after the other: a second one on its way fills the pause
between two, and more of them only hold each other up (measured: 4 % of the server's time)."""


class CalDavCalendars:
    """One account. `home` is what `discover` found; `zone` the person's, on whose clock times without a zone are."""

    def __init__(
        self,
        outbound: Outbound,
        home: str,
        user: str,
        password: str,
        *,
        zone: str = "UTC",
        capabilities: Capabilities | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.capabilities = capabilities or _CAPABILITIES
        self._dav, self._home, self._clock = AccountDav(outbound, user, password), collection(home), clock
        self._resources = Resources(self._dav, zone, self.capabilities, clock)

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """See the port."""
        wanted = properties(
            dav.ResourceType(),
            dav.DisplayName(),
            cdav.SupportedCalendarComponentSet(),
            dav.CurrentUserPrivilegeSet(),
        )
        reply = await self._dav.request("PROPFIND", self._home, wanted, {"Depth": "1"})
        if reply.status != MULTISTATUS:
            raise refusal(reply, self._clock())
        found = [each for each in multistatus(reply).answers if is_calendar(each)]
        return [each for each in map(self._calendar, found) if each is not None]

    async def create_calendar(self, title: str) -> RemoteCalendar:
        """See the port. After a lost answer the server is asked whether it is there."""
        calendar = RemoteCalendar(f"{self._home}petfolio-{uuid4()}/", title)
        try:
            reply = await self._dav.request("MKCALENDAR", calendar.calendar_id, calendar_named(title))
        except UnknownOutcome:
            await self._require_made(calendar)
            return calendar
        if not succeeded(reply):
            raise refusal(reply, self._clock())
        return calendar

    async def delete_calendar(self, calendar_id: str) -> None:
        """See the port."""
        reply = await self._dav.request("DELETE", calendar_id)
        if not succeeded(reply) and reply.status not in GONE:
            raise refusal(reply, self._clock())

    async def list_changes(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        """See the port."""
        return await changes(self._dav, calendar_id, cursor, page)

    async def get(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        """See the port. Raises `EventRejected`, too, for what is there and cannot be an event of ours."""
        found = await self._resources.fetch(calendar_id, remote_id)
        if found is None:
            await require_calendar(self._dav, calendar_id)
        return found

    async def get_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """See the port. Also left out is what the server said nothing of, or nothing that is an event: `get` says of
        one which it is."""
        found: dict[str, RemoteEvent] = {}
        for start in range(0, len(remote_ids), _BATCH):
            found |= await self._resources.fetch_many(calendar_id, remote_ids[start : start + _BATCH])
        return found

    def read(self, raw: str) -> RemoteEvent:
        """See the port."""
        return self._resources.read(raw)

    def remote_id_of(self, calendar_id: str, name: UUID) -> str | None:
        """See the port."""
        return f"{UID_PREFIX}{name}.ics"

    async def find(self, calendar_id: str, name: UUID) -> RemoteEvent | None:
        """See the port. Where its own name has nothing, by its UID: programs move and rename resources."""
        uid = f"{UID_PREFIX}{name}"
        if found := await self._resources.fetch(calendar_id, f"{uid}.ics"):
            return found
        elsewhere = await self._resources.with_uid(calendar_id, uid)
        return await self._resources.fetch(calendar_id, elsewhere) if elsewhere else None

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        """See the port."""
        uid = f"{UID_PREFIX}{name}"
        stream = new_resource(name, marker, project(event, self.capabilities), self._clock())
        reply = await self._put(calendar_id, f"{uid}.ics", stream, {"If-None-Match": "*"})
        if succeeded(reply):
            return await self._written(calendar_id, f"{uid}.ics", stream, reply)
        if UID_CONFLICT in preconditions(reply):
            href = conflicting_href(reply)
            elsewhere = id_in(calendar_id, href) if href else await self._resources.with_uid(calendar_id, uid)
            raise AlreadyExists("the calendar has this event", elsewhere)
        if precondition_failed(reply):
            raise AlreadyExists("the name is taken")
        raise await self._refused(calendar_id, reply)

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        """See the port."""
        resource = self._resources.resource(stream_of(known.raw))
        stream = changed_resource(resource, project(event, self.capabilities), self._clock(), marker=marker)
        condition = await self._condition(calendar_id, known)
        reply = await self._put(calendar_id, known.remote_id, stream, condition)
        if succeeded(reply):
            return await self._written(calendar_id, known.remote_id, stream, reply)
        if precondition_failed(reply):
            raise await self._resources.why_refused(calendar_id, known.remote_id)
        if reply.status in GONE:
            await require_calendar(self._dav, calendar_id)
            raise EventGone("the event is gone")
        raise await self._refused(calendar_id, reply)

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        """See the port."""
        try:
            condition = await self._condition(calendar_id, known)
            reply = await self._dav.request("DELETE", url_of(calendar_id, known.remote_id), None, condition)
            if precondition_failed(reply):
                raise await self._resources.why_refused(calendar_id, known.remote_id)
        except EventGone:
            return
        if not succeeded(reply) and reply.status not in GONE:
            raise write_refusal(reply, self._clock())

    async def watch(self, calendar_id: str, address: str, channel_id: str, secret: str) -> Channel:
        """See the port."""
        raise CalendarError("these servers tell nobody of changes")

    async def renew(self, calendar_id: str, channel: Channel, address: str, channel_id: str, secret: str) -> Channel:
        """See the port."""
        raise CalendarError("these servers tell nobody of changes")

    async def unwatch(self, channel: Channel) -> None:
        """See the port. There is none."""

    async def close(self) -> None:
        """See the port."""
        await self._dav.close()

    async def _put(self, calendar_id: str, remote_id: str, stream: str, condition: Mapping[str, str]) -> Reply:
        headers = {"Content-Type": "text/calendar; charset=utf-8", **condition}
        return await self._dav.request("PUT", url_of(calendar_id, remote_id), stream, headers)

    async def _condition(self, calendar_id: str, known: RemoteEvent) -> Mapping[str, str]:
        """What makes a write conditional; where the server's etags cannot, a look right before it."""
        if known.etag is not None and is_strong(known.etag):
            return {"If-Match": known.etag}
        await self._resources.require_unchanged(calendar_id, known)
        return {}

    async def _written(self, calendar_id: str, remote_id: str, stream: str, reply: Reply) -> RemoteEvent:
        """What is there now: what was sent, if the server says so by its etag (RFC 4791 §5.3.4), else what it has."""
        etag = reply.headers.get("etag")
        if is_strong(etag):
            return self._resources.made_of(remote_id, etag, stream)
        found = await self._resources.fetch(calendar_id, remote_id)
        if found is None:
            raise UnknownOutcome("it was written, and is not there")
        return found

    async def _refused(self, calendar_id: str, reply: Reply) -> CalendarError:
        """Why a write was not done. 404 and 409 are said of a calendar that is gone and of a disliked event."""
        if reply.status in (*GONE, CONFLICT):
            await require_calendar(self._dav, calendar_id)
        return write_refusal(reply, self._clock())

    async def _require_made(self, calendar: RemoteCalendar) -> None:
        try:
            await require_calendar(self._dav, calendar.calendar_id)
        except CalendarMissing:
            raise UnknownOutcome("the server does not answer") from None

    def _calendar(self, answer: Answer) -> RemoteCalendar | None:
        url = url_in(self._home, answer.href)
        if url is None:
            return None
        name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
        return RemoteCalendar(collection(url), answer.text(dav.DisplayName.tag) or name)
