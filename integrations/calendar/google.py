"""Google Calendar behind the port (calendar-sync.md §5.1), through Google's own client.

A series is the event and its exceptions. Every call can be made again: inserts have an id of ours, patches say what
they make of the event and under which etag.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from domain.calendar import Event, Override, Point
from domain.calendar_projection import project
from integrations.calendar import google_mapping as mapping
from integrations.calendar.errors import SCOPE_MISSING, Asked, identifier
from integrations.calendar.fetching import each_of
from integrations.calendar.google_client import GoogleClient, service
from integrations.calendar.google_mapping import GOOGLE, Document, is_cancelled, original
from integrations.calendar.oauth import TokenSource
from integrations.calendar.occurrences import among, as_the_rule_has_it, in_canonical_form
from integrations.calendar.protocol import (
    CalendarMissing,
    Change,
    Channel,
    EtagMismatch,
    EventGone,
    EventRejected,
    Marker,
    Misunderstood,
    NeedsReauth,
    Page,
    RemoteCalendar,
    RemoteEvent,
)

PAGE_SIZE: Final = 250
_MOST_PAGES: Final = 40
"""Of one series' exceptions, or of somebody's calendars."""
_TYPE: Final = "default"
_OTHER_TYPES: Final = frozenset({"birthday", "focusTime", "fromGmail", "outOfOffice", "workingLocation"})
_CHANNEL_SECONDS: Final = 7 * 86_400


class GoogleCalendars:
    """See the module."""

    capabilities = GOOGLE

    def __init__(self, api_url: str, tokens: TokenSource, *, page_size: int = PAGE_SIZE) -> None:
        self._api = service(api_url)
        self._client = GoogleClient(tokens)
        self._page_size = page_size

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """See the port. Who consented to calendars of the app alone shows none: Google lists all or nothing."""
        found: list[RemoteCalendar] = []
        try:
            async for each in self._all(self._api.calendarList(), Asked.ACCOUNT, minAccessRole="writer"):
                found.append(RemoteCalendar(identifier(each, Asked.ACCOUNT), str(each.get("summary", ""))))
        except NeedsReauth as refused:
            if refused.problem_code != SCOPE_MISSING:
                raise
        return found

    async def create_calendar(self, title: str) -> RemoteCalendar:
        """See the port."""
        made = await self._client.send(self._api.calendars().insert(body={"summary": title}), Asked.ACCOUNT)
        return RemoteCalendar(identifier(made, Asked.CREATE), title)

    async def delete_calendar(self, calendar_id: str) -> None:
        """See the port."""
        try:
            await self._client.send(self._api.calendars().delete(calendarId=calendar_id), Asked.ACCOUNT)
        except CalendarMissing:
            return

    async def list_changes(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        """See the port. The parameters never vary: a token belongs to the ones it was given for."""
        tokens = {} if cursor is None else {"syncToken": cursor}
        if page:
            tokens["pageToken"] = page
        asked = self._api.events().list(
            calendarId=calendar_id, eventTypes=_TYPE, singleEvents=False, maxResults=self._page_size, **tokens
        )
        answer = await self._client.send(asked, Asked.LIST)
        following, ended = answer.get("nextPageToken"), answer.get("nextSyncToken")
        if not isinstance(answer.get("items"), list) or (following is None) is (ended is None):
            raise Misunderstood("A list is of no known shape.")
        changes = _changes(answer["items"])
        return Page(changes, following, ended, tuple(each["id"] for each in answer["items"]))

    async def get(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        """See the port. That an event is missing may be because all of them are."""
        try:
            found = await self._client.send(
                self._api.events().get(calendarId=calendar_id, eventId=remote_id), Asked.READ
            )
        except EventGone:
            await self._client.send(self._api.calendars().get(calendarId=calendar_id), Asked.ACCOUNT)
            return None
        if series_id := found.get("recurringEventId"):
            return await self.get(calendar_id, str(series_id))
        return None if is_cancelled(found) else await self._whole(calendar_id, found)

    async def get_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """See the port. Google has no call for several."""
        return await each_of(partial(self.get, calendar_id), remote_ids)

    def read(self, raw: str) -> RemoteEvent:
        """See the port."""
        return mapping.read(raw)

    def remote_id_of(self, calendar_id: str, name: UUID) -> str | None:
        """See the port."""
        return mapping.event_id(name)

    async def find(self, calendar_id: str, name: UUID) -> RemoteEvent | None:
        """See the port."""
        return await self.get(calendar_id, mapping.event_id(name))

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        """See the port."""
        event = project(event, GOOGLE)
        asked = self._api.events().insert(calendarId=calendar_id, body=mapping.new(name, marker, event))
        made = await self._client.send(asked, Asked.CREATE)
        if not event.overrides:
            return _read(made)
        remote_id = identifier(made, Asked.CREATE)
        for each in event.overrides:
            await self._differ(calendar_id, remote_id, each, event.when.tzid)
        return await self._again(calendar_id, remote_id)

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        """See the port. The series first: it says which occurrences there are."""
        event = project(event, GOOGLE)
        body = mapping.patch(known, event) | ({} if marker else mapping.without_marker())
        old, exceptions = mapping.parts(known.raw)
        if event.when != known.event.when:
            await self._require_unchanged(calendar_id, known)
        made = await self._patch_known(calendar_id, known.remote_id, body, old.get("etag")) if body else old
        if not event.when.rrule or not (exceptions or event.overrides):
            return _read(made) if body else await self._again(calendar_id, known.remote_id)
        if event.when != known.event.when:
            exceptions = mapping.parts((await self._whole(calendar_id, made)).raw)[1]
        await self._settle(calendar_id, known.remote_id, event, exceptions)
        return await self._again(calendar_id, known.remote_id)

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        """See the port. An exception has an etag of its own, so that of a series is compared first."""
        item, _ = mapping.parts(known.raw)
        await self._require_unchanged(calendar_id, known)
        asked = self._api.events().delete(calendarId=calendar_id, eventId=known.remote_id)
        try:
            await self._client.send(_if_match(asked, item.get("etag")), Asked.CHANGE)
        except EventGone:
            return
        except EtagMismatch:
            if await self.get(calendar_id, known.remote_id) is not None:
                raise

    async def watch(self, calendar_id: str, address: str, channel_id: str, secret: str) -> Channel:
        """See the port. How long it lasts is for Google to say."""
        wish = {
            "id": channel_id,
            "type": "web_hook",
            "address": address,
            "token": secret,
            "params": {"ttl": str(_CHANNEL_SECONDS)},
        }
        made = await self._client.send(self._api.events().watch(calendarId=calendar_id, body=wish), Asked.ACCOUNT)
        try:
            ends = datetime.fromtimestamp(int(made["expiration"]) / 1_000, UTC)
        except (KeyError, ValueError, TypeError, OverflowError):
            raise Misunderstood("A channel without an end.") from None
        return Channel(channel_id, str(made.get("resourceId", "")), ends, secret)

    async def renew(self, calendar_id: str, channel: Channel, address: str, channel_id: str, secret: str) -> Channel:
        """See the port: a new one beside it, because Google extends none."""
        return await self.watch(calendar_id, address, channel_id, secret)

    async def unwatch(self, channel: Channel) -> None:
        """See the port."""
        body = {"id": channel.channel_id, "resourceId": channel.resource_id}
        try:
            await self._client.send(self._api.channels().stop(body=body), Asked.ACCOUNT)
        except CalendarMissing:
            return

    async def close(self) -> None:
        """See the port."""
        await self._client.close()

    async def _require_unchanged(self, calendar_id: str, known: RemoteEvent) -> None:
        """Of a series that is about to go, or to move with its exceptions, which have etags of their own. Raises
        `EtagMismatch`."""
        if known.event.when.rrule:
            current = await self.get(calendar_id, known.remote_id)
            if current is not None and current.etag != known.etag:
                raise EtagMismatch("The event was changed in between.")

    async def _whole(self, calendar_id: str, item: Document) -> RemoteEvent:
        """The event with the exceptions of its series."""
        if not item.get("recurrence"):
            return _read(item)
        return _read(item, [each async for each in self._exceptions(calendar_id, item)])

    async def _again(self, calendar_id: str, remote_id: str) -> RemoteEvent:
        found = await self.get(calendar_id, remote_id)
        if found is None:
            raise EventGone("The event is gone.")
        return found

    async def _exceptions(self, calendar_id: str, item: Document) -> AsyncIterator[Document]:
        """Of a series, cancelled ones included."""
        if not item.get("iCalUID"):
            raise Misunderstood("A series without a UID.")
        asked = {"calendarId": calendar_id, "iCalUID": item["iCalUID"], "showDeleted": True}
        async for each in self._all(self._api.events(), Asked.LIST, **asked):
            if each.get("recurringEventId") == item["id"]:
                yield each

    async def _all(self, resource: Any, asked: Asked, **parameters: Any) -> AsyncIterator[Document]:
        """The items of all pages of a list."""
        page: str | None = None
        for _ in range(_MOST_PAGES):
            answer = await self._client.send(resource.list(maxResults=PAGE_SIZE, pageToken=page, **parameters), asked)
            for each in answer.get("items", ()):
                yield each
            if not (page := answer.get("nextPageToken")):
                return
        raise Misunderstood("A list without an end.")

    async def _settle(self, calendar_id: str, series_id: str, event: Event, exceptions: Sequence[Document]) -> None:
        """Make the exceptions those of the event. One that was changed since it was read is left to the next run."""
        tzid = event.when.tzid
        known = {original(each, tzid): each for each in exceptions}
        alive = (mapping.override(each, event.when) for each in exceptions if not is_cancelled(each))
        said = in_canonical_form(event, alive)
        wanted: dict[Point, Override] = {each.original: each for each in event.overrides}
        there = frozenset(among(known, event.when)) - frozenset(event.exdates)
        for start, each in known.items():
            target = wanted.pop(start, None) or as_the_rule_has_it(event, start)
            if start not in there:
                await self._leave_out(calendar_id, each)
            elif said.get(start) != target:
                await self._differ(calendar_id, series_id, target, tzid, each)
        for missing in wanted.values():
            await self._differ(calendar_id, series_id, missing, tzid)

    async def _differ(
        self, calendar_id: str, series_id: str, target: Override, tzid: str | None, known: Document | None = None
    ) -> None:
        """Make one occurrence what it should be. What the series does not have cannot differ."""
        item_id = mapping.instance_id(series_id, target.original, tzid) if known is None else str(known["id"])
        etag = None if known is None else known.get("etag")
        try:
            await self._patch(calendar_id, item_id, mapping.occurrence(target, tzid), etag)
        except EventGone:
            return

    async def _leave_out(self, calendar_id: str, exception: Document) -> None:
        if is_cancelled(exception):
            return
        asked = self._api.events().delete(calendarId=calendar_id, eventId=exception["id"])
        try:
            await self._client.send(_if_match(asked, exception.get("etag")), Asked.CHANGE)
        except EventGone:
            return

    async def _patch_known(self, calendar_id: str, item_id: str, body: Document, etag: str | None) -> Document:
        """A deleted event has another etag, too."""
        try:
            return await self._patch(calendar_id, item_id, body, etag)
        except EtagMismatch:
            if await self.get(calendar_id, item_id) is None:
                raise EventGone("The event is gone.") from None
            raise

    async def _patch(self, calendar_id: str, item_id: str, body: Mapping[str, Any], etag: str | None) -> Document:
        asked = self._api.events().patch(calendarId=calendar_id, eventId=item_id, body=body)
        return await self._client.send(_if_match(asked, etag), Asked.CHANGE)


def _if_match(request: Any, etag: str | None) -> Any:
    if etag:
        request.headers["If-Match"] = etag
    return request


def _read(item: Document, exceptions: Iterable[Document] = ()) -> RemoteEvent:
    return mapping.read(mapping.document(item, exceptions))


def _changes(items: Iterable[Any]) -> Sequence[Change]:
    """By event, the last mention counts."""
    found = (_change(each) for each in items)
    return list({each.remote_id: each for each in found if each is not None}.values())


def _change(item: Any) -> Change | None:
    """None for what is no event of anybody's plans: birthdays, focus time."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise Misunderstood("A list has an entry of no known shape.")
    if series_id := item.get("recurringEventId"):
        return Change(str(series_id))
    if is_cancelled(item):
        return Change(item["id"], etag=item.get("etag"), removed=True)
    if item.get("eventType", _TYPE) in _OTHER_TYPES:
        return None
    if item.get("eventType", _TYPE) != _TYPE:
        raise Misunderstood("A list has an entry of an unknown type.")
    if item.get("recurrence"):
        return Change(item["id"])
    try:
        found = _read(item)
    except EventRejected:  # told again when it is fetched, alone
        return Change(item["id"])
    return Change(item["id"], found, found.etag)
