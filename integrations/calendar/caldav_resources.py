"""The resources of CalDAV calendars, read: one, many, by UID, and whether one is still what it was."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import unquote, urlsplit

from caldav.elements import cdav, dav

from domain.calendar import Capabilities
from domain.calendar_projection import project
from integrations.calendar.caldav_mapping import Resource, read_resource
from integrations.calendar.caldav_replies import GONE, refusal
from integrations.calendar.caldav_requests import id_in, multiget, url_of, with_uid
from integrations.calendar.dav import MULTISTATUS, AccountDav, multistatus
from integrations.calendar.protocol import (
    CalendarMissing,
    EtagMismatch,
    EventGone,
    EventRejected,
    Misunderstood,
    RemoteEvent,
)
from integrations.outbound import Reply

_OK = 200
_WEAK = "W/"


def is_strong(etag: str | None) -> bool:
    """Whether If-Match with it means anything: weak etags match nothing there (RFC 9110 §13.1.1)."""
    return bool(etag) and not str(etag).startswith(_WEAK)


class Resources:
    """Those of one account. `zone` is the person's, on whose clock times without a zone are."""

    def __init__(
        self, connection: AccountDav, zone: str, capabilities: Capabilities, clock: Callable[[], datetime]
    ) -> None:
        self._dav, self._zone, self._capabilities, self._clock = connection, zone, capabilities, clock

    async def fetch(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        """The event; None where there is nothing. Raises `EventRejected` for what is no event."""
        reply = await self._get(calendar_id, remote_id)
        return self.made_of(remote_id, reply.headers.get("etag"), _text(reply.body)) if reply else None

    async def fetch_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """Those of them that the server gives and that are events, in one request."""
        paths = [urlsplit(url_of(calendar_id, each)).path for each in remote_ids]
        reply = await self._dav.request("REPORT", calendar_id, multiget(paths), {"Depth": "1"})
        if reply.status in GONE:
            raise CalendarMissing("the calendar is gone")
        if reply.status != MULTISTATUS:
            raise refusal(reply, self._clock())
        asked = {unquote(each): each for each in remote_ids}  # an answer may spell a name in another way
        found: dict[str, RemoteEvent] = {}
        for answer in multistatus(reply).answers:
            remote_id = asked.get(unquote(id_in(calendar_id, answer.href)))
            stream = answer.text(cdav.CalendarData.tag)
            if remote_id and stream and (event := self._if_event(remote_id, answer.text(dav.GetEtag.tag), stream)):
                found[remote_id] = event
        return found

    async def with_uid(self, calendar_id: str, uid: str) -> str | None:
        """The name of the resource that holds this UID. None, too, where the server cannot be asked so."""
        reply = await self._dav.request("REPORT", calendar_id, with_uid(uid), {"Depth": "1"})
        if reply.status != MULTISTATUS:
            return None
        names = [id_in(calendar_id, each.href) for each in multistatus(reply).answers if each.status == _OK]
        return names[0] if len(names) == 1 else None

    async def require_unchanged(self, calendar_id: str, known: RemoteEvent) -> None:
        """Look whether it is still what was read, for servers whose etags cannot be a condition. Raises `EtagMismatch`
        and `EventGone`."""
        reply = await self._get(calendar_id, known.remote_id)
        if reply is None:
            raise EventGone("the event is gone")
        etag = reply.headers.get("etag")
        same = etag == known.etag if etag and known.etag else _lines(_text(reply.body)) == _lines(stream_of(known.raw))
        if not same:
            raise EtagMismatch("the event has changed")

    async def why_refused(self, calendar_id: str, remote_id: str) -> EtagMismatch | EventGone:
        """What a failed If-Match means: servers answer the same for what has changed and for what is gone."""
        if await self._get(calendar_id, remote_id) is None:
            return EventGone("the event is gone")
        return EtagMismatch("the event has changed")

    def made_of(self, remote_id: str, etag: str | None, stream: str) -> RemoteEvent:
        """The event of a resource. Raises `EventRejected`."""
        raw = json.dumps({"id": remote_id, "etag": etag or None, "ics": stream})
        resource = self.resource(stream)
        event = project(resource.event, self._capabilities)
        marker, ident = resource.marker, resource.ident
        return RemoteEvent(remote_id, etag or None, event, resource.updated_at, marker, ident, raw)

    def read(self, raw: str) -> RemoteEvent:
        """The event that `made_of` remembered. Raises `Misunderstood` for what is no such text, `EventRejected`."""
        try:
            document = json.loads(raw)
            remote_id, etag, stream = document["id"], document["etag"], document["ics"]
        except (ValueError, LookupError, TypeError):
            raise Misunderstood("not what was remembered of a resource") from None
        if not (isinstance(remote_id, str) and isinstance(stream, str) and isinstance(etag, str | None)):
            raise Misunderstood("not what was remembered of a resource")
        return self.made_of(remote_id, etag, stream)

    def resource(self, stream: str) -> Resource:
        """A resource to be changed. Raises `EventRejected`."""
        return read_resource(stream, self._zone)

    async def _get(self, calendar_id: str, remote_id: str) -> Reply | None:
        reply = await self._dav.request("GET", url_of(calendar_id, remote_id), None, {"Accept": "text/calendar"})
        if reply.status in GONE:
            return None
        if reply.status != _OK:
            raise refusal(reply, self._clock())
        return reply

    def _if_event(self, remote_id: str, etag: str, stream: str) -> RemoteEvent | None:
        try:
            return self.made_of(remote_id, etag, stream)
        except EventRejected:
            return None


def stream_of(raw: str) -> str:
    """The iCalendar text that was remembered."""
    stream: str = json.loads(raw)["ics"]
    return stream


def _lines(stream: str) -> list[str]:
    return stream.splitlines()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise EventRejected("not iCalendar") from None
