"""Outlook's calendars behind the port (calendar-sync.md §5.2), through Microsoft's SDK.

A series is the master and its exceptions, which are reached by the ids of their occurrences. Graph is not known to
honour If-Match on events, so what was written is read again, and what is deleted is compared before.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_urlsafe
from typing import Any, Final
from uuid import UUID

from kiota_abstractions.method import Method
from msgraph.generated.users.item.calendars.item.calendar_item_request_builder import CalendarItemRequestBuilder
from msgraph.generated.users.item.calendars.item.events.item.event_item_request_builder import EventItemRequestBuilder

from domain.calendar import Event, Point
from domain.calendar_form import order
from domain.calendar_projection import project
from domain.recurrence import resolve
from integrations.calendar import microsoft_mapping as mapping
from integrations.calendar.errors import Asked, identifier
from integrations.calendar.fetching import each_of
from integrations.calendar.graph_delta import GraphDelta
from integrations.calendar.graph_recurrence import said_otherwise
from integrations.calendar.microsoft_client import GraphClient
from integrations.calendar.microsoft_mapping import MICROSOFT, Document, etag_of
from integrations.calendar.oauth import TokenSource
from integrations.calendar.occurrences import as_the_rule_has_it, in_canonical_form
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarMissing,
    Channel,
    CursorExpired,
    EtagMismatch,
    EventGone,
    EventRejected,
    Marker,
    Misunderstood,
    Page,
    RemoteCalendar,
    RemoteEvent,
)

PAGE_SIZE: Final = 100
_MOST_PAGES: Final = 40
_CHANNEL_LASTS: Final = timedelta(days=6, hours=23)
_WITH_OURS: Final = f"{mapping.PROPERTIES}($filter=id eq '{mapping.NAME}' or id eq '{mapping.MARKER}')"
_WHOLE: Final = {"$select": ",".join(mapping.FIELDS), "$expand": f"{_WITH_OURS},{mapping.EXCEPTIONS}"}
_DAY: Final = timedelta(days=1)
CANNOT_RETURN: Final = "occurrence_cannot_return"
"""The code of an `EventRejected`: what was left out of a series comes back only with a new rule."""


class MicrosoftCalendars:
    """See the module."""

    capabilities = MICROSOFT

    def __init__(
        self,
        api_url: str,
        tokens: TokenSource,
        *,
        page_size: int = PAGE_SIZE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = GraphClient(api_url, tokens)
        self._delta = GraphDelta(self._client, page_size, now)
        self._now = now

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """See the port."""
        answer = await self._client.send(self._client.me.calendars, Asked.ACCOUNT)
        found = list(answer.get("value", ()))
        for _ in range(_MOST_PAGES):
            if not (link := answer.get("@odata.nextLink")):
                break
            answer = await self._client.follow(link, Asked.ACCOUNT)
            found += answer.get("value", ())
        return [_remote_calendar(each) for each in found if each.get("canEdit", True)]

    async def create_calendar(self, title: str) -> RemoteCalendar:
        """See the port. A mailbox has a title once: where it is taken, by an attempt whose answer was lost, it is
        that calendar."""
        asked, body = self._client.me.calendars, {"name": title}
        try:
            return _remote_calendar(await self._client.send(asked, Asked.ACCOUNT, Method.POST, body=body))
        except AlreadyExists:
            named = [each for each in await self.calendars() if each.title == title]
            if not named:
                raise
            return named[0]

    async def delete_calendar(self, calendar_id: str) -> None:
        """See the port."""
        try:
            await self._client.send(self._calendar(calendar_id), Asked.ACCOUNT, Method.DELETE)
        except CalendarMissing:
            return

    async def list_changes(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        """See the port. Each entry is to be fetched: what a delta has of an event is not all of it."""
        return await self._delta.page(calendar_id, cursor, page)

    async def get(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        """See the port. That an event is missing may be because all of them are."""
        try:
            found = await self._client.send(self._event(calendar_id, remote_id), Asked.READ, query=_WHOLE)
        except EventGone:
            await self._client.send(self._calendar(calendar_id), Asked.ACCOUNT)
            return None
        if found.get("seriesMasterId"):
            return await self.get(calendar_id, str(found["seriesMasterId"]))
        return None if found.get("isCancelled") else mapping.read(mapping.document(found))

    async def get_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """See the port. A batch counts as many requests as it has."""
        return await each_of(partial(self.get, calendar_id), remote_ids)

    def read(self, raw: str) -> RemoteEvent:
        """See the port."""
        return mapping.read(raw)

    def remote_id_of(self, calendar_id: str, name: UUID) -> str | None:
        """See the port."""
        return None

    async def find(self, calendar_id: str, name: UUID) -> RemoteEvent | None:
        """See the port. A copy has the property and not the transaction."""
        ours = f"{mapping.PROPERTIES}/Any(ep: ep/id eq '{mapping.NAME}' and ep/value eq '{name}')"
        found = await self._named(calendar_id, name, ours)
        if found is None:
            try:
                found = await self._named(calendar_id, name, f"transactionId eq '{name}'")
            except CursorExpired:  # 400: a filter that not every tenant knows; the first one has answered
                return None
        return None if found is None else await self.get(calendar_id, found)

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        """See the port. Graph answers a repetition with the event as if it were new, or refuses it, and may say which
        one there is. So each attempt leaves a word on what it makes."""
        attempt, event = token_urlsafe(9), project(event, MICROSOFT)
        body = mapping.new(name, marker, event, attempt)
        try:
            made = await self._client.send(self._calendar(calendar_id).events, Asked.CREATE, Method.POST, body=body)
        except AlreadyExists as taken:
            found = await self.find(calendar_id, name)
            raise AlreadyExists(taken.detail, found.remote_id if found else None) from None
        current = await self._again(calendar_id, identifier(made, Asked.CREATE))
        if mapping.attempt_of(current.raw) != attempt:
            raise AlreadyExists("It exists already.", current.remote_id)
        return await self._settled(calendar_id, current, event)

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        """See the port. The series first: a new schedule forgets its exceptions, other changes they take over."""
        item, event = mapping.parsed(known.raw), project(event, MICROSOFT)
        body = mapping.patch(known, event, marker=marker)
        if "recurrence" not in body and set(known.event.exdates) - set(event.exdates):
            body["recurrence"] = said_otherwise(item["recurrence"])
        if known.event.when.rrule and await self._unchanged(calendar_id, known) is None:
            raise EventGone("The event is gone.")
        if body:
            await self._patch(calendar_id, known.remote_id, body, etag_of(item))
            return await self._settled(calendar_id, await self._again(calendar_id, known.remote_id), event)
        await self._settle(calendar_id, known, event)
        return await self._again(calendar_id, known.remote_id)

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        """See the port."""
        current = await self._unchanged(calendar_id, known)
        if current is None:
            return
        etag = etag_of(mapping.parsed(current.raw))
        try:
            event = self._event(calendar_id, known.remote_id)
            await self._client.send(event, Asked.CHANGE, Method.DELETE, etag=etag)
        except EventGone:
            return

    async def watch(self, calendar_id: str, address: str, channel_id: str, secret: str) -> Channel:
        """See the port. The channel gets its id from Graph; how long it lasts is for Graph to say."""
        wish = {
            "changeType": "created,updated,deleted",
            "resource": f"me/calendars/{calendar_id}/events",
            "notificationUrl": address,
            "lifecycleNotificationUrl": f"{address}/lifecycle",
            "clientState": secret,
            "expirationDateTime": self._wished_end(),
        }
        made = await self._client.send(self._client.subscriptions, Asked.ACCOUNT, Method.POST, body=wish)
        return _channel(made, secret)

    async def renew(self, calendar_id: str, channel: Channel, address: str, channel_id: str, secret: str) -> Channel:
        """See the port: the same one extended; another where it is gone."""
        subscription = self._client.subscriptions.by_subscription_id(channel.channel_id)
        wish = {"expirationDateTime": self._wished_end()}
        try:
            made = await self._client.send(subscription, Asked.ACCOUNT, Method.PATCH, body=wish)
        except CalendarMissing:
            return await self.watch(calendar_id, address, channel_id, secret)
        return _channel(made, channel.secret)

    async def unwatch(self, channel: Channel) -> None:
        """See the port."""
        subscription = self._client.subscriptions.by_subscription_id(channel.channel_id)
        try:
            await self._client.send(subscription, Asked.ACCOUNT, Method.DELETE)
        except CalendarMissing:
            return

    async def close(self) -> None:
        """See the port."""
        await self._client.close()

    async def _settled(self, calendar_id: str, current: RemoteEvent, event: Event) -> RemoteEvent:
        """The series after its exceptions were made those of the event."""
        if await self._settle(calendar_id, current, event):
            current = await self._again(calendar_id, current.remote_id)
        if set(current.event.exdates) - set(event.exdates):
            raise EventRejected("An occurrence that was left out cannot come back.", code=CANNOT_RETURN)
        return current

    async def _settle(self, calendar_id: str, current: RemoteEvent, event: Event) -> bool:
        """Make the exceptions those of the event; answers whether something had to be done."""
        if not event.when.rrule:
            return False
        known = mapping.exceptions(mapping.parsed(current.raw), event.when)
        seen = in_canonical_form(event, (mapping.override(each, event.when) for each in known.values()))
        wanted = {each.original: each for each in event.overrides}
        gone = [each for each in event.exdates if each not in current.event.exdates]
        differing = [
            each
            for each in (known.keys() | wanted.keys()) - set(event.exdates)
            if seen.get(each, as_the_rule_has_it(event, each)) != wanted.get(each, as_the_rule_has_it(event, each))
        ]
        for start in sorted(differing, key=order):
            plain = as_the_rule_has_it(event, start)
            body = mapping.occurrence(seen.get(start, plain), wanted.get(start, plain), event.when.tzid)
            if found := await self._occurrence(calendar_id, current.remote_id, event, start, known):
                await self._patch(calendar_id, str(found["id"]), body, etag_of(known.get(start, {})))
        for start in gone:
            if found := await self._occurrence(calendar_id, current.remote_id, event, start, known):
                await self._leave_out(calendar_id, str(found["id"]), etag_of(known.get(start, {})))
        return bool(differing or gone)

    async def _occurrence(
        self, calendar_id: str, series_id: str, event: Event, start: Point, known: Mapping[Point, Document]
    ) -> Mapping[str, Any] | None:
        """The exception there, or the occurrence that nobody has changed; None where the series has none."""
        if start in known:
            return known[start]
        at = resolve(order(start), event.when.tzid or "UTC")
        window = {
            name: f"{at + by:%Y-%m-%dT%H:%M:%SZ}" for name, by in (("startDateTime", -_DAY), ("endDateTime", _DAY))
        }
        instances = self._event(calendar_id, series_id).instances
        answer = await self._client.send(instances, Asked.READ, query={**window, "$top": "50"})
        listed = (each for each in answer.get("value", ()) if mapping.original(each, event.when) == start)
        return next(listed, None)

    async def _leave_out(self, calendar_id: str, occurrence_id: str, etag: str | None) -> None:
        try:
            await self._client.send(self._event(calendar_id, occurrence_id), Asked.CHANGE, Method.DELETE, etag=etag)
        except EventGone:
            return

    async def _unchanged(self, calendar_id: str, known: RemoteEvent) -> RemoteEvent | None:
        """The event, which is as it was read, exceptions included; None when it is gone. Raises `EtagMismatch`."""
        current = await self.get(calendar_id, known.remote_id)
        if current is not None and current.etag != known.etag:
            raise EtagMismatch("The event was changed in between.")
        return current

    async def _again(self, calendar_id: str, remote_id: str) -> RemoteEvent:
        found = await self.get(calendar_id, remote_id)
        if found is None:
            raise EventGone("The event is gone.")
        return found

    async def _named(self, calendar_id: str, name: UUID, condition: str) -> str | None:
        """The id of the event of this transaction, among those that a filter finds."""
        query = {"$filter": condition, "$select": "id,transactionId"}
        answer = await self._client.send(self._calendar(calendar_id).events, Asked.LIST, query=query)
        named = (each for each in answer.get("value", ()) if each.get("transactionId") == str(name))
        return next((str(each["id"]) for each in named), None)

    async def _patch(self, calendar_id: str, event_id: str, body: Mapping[str, Any], etag: str | None) -> None:
        event = self._event(calendar_id, event_id)
        await self._client.send(event, Asked.CHANGE, Method.PATCH, body=body, etag=etag)

    def _calendar(self, calendar_id: str) -> CalendarItemRequestBuilder:
        return self._client.me.calendars.by_calendar_id(calendar_id)

    def _event(self, calendar_id: str, event_id: str) -> EventItemRequestBuilder:
        return self._calendar(calendar_id).events.by_event_id(event_id)

    def _wished_end(self) -> str:
        return f"{self._now() + _CHANNEL_LASTS:%Y-%m-%dT%H:%M:%SZ}"


def _remote_calendar(answer: Mapping[str, Any]) -> RemoteCalendar:
    return RemoteCalendar(identifier(answer, Asked.ACCOUNT), str(answer.get("name") or ""))


def _channel(made: Document, secret: str) -> Channel:
    try:
        return Channel(str(made["id"]), None, datetime.fromisoformat(made["expirationDateTime"]), secret)
    except (KeyError, ValueError, TypeError):
        raise Misunderstood("A channel without an end.") from None
