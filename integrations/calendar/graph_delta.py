"""What changed in an Outlook calendar, page by page (calendar-sync.md §5.2).

Some mailboxes tell it of events (`events/delta`), all tell it of what happens within a window
(`calendarView/delta`). Either is a hint: a series is fetched as a whole, and `@removed` may only mean that something
left the window. A cursor says of which kind it is and where its window ends.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kiota_abstractions.base_request_builder import BaseRequestBuilder

from integrations.calendar.errors import Asked
from integrations.calendar.microsoft_client import Document, GraphClient
from integrations.calendar.protocol import (
    CalendarError,
    Change,
    CursorExpired,
    EventGone,
    Misunderstood,
    NeedsReauth,
    Page,
    RateLimited,
    UnknownOutcome,
)

_BACK: Final = timedelta(days=90)
_AHEAD: Final = timedelta(days=550)
_LEAST_AHEAD: Final = timedelta(days=366)
"""A window that ends sooner is opened anew: what people plan for next year must be seen."""
_WHOLE: Final = frozenset({"singleInstance", "seriesMaster"})
_PARTS: Final = frozenset({"occurrence", "exception"})
_REASONS: Final = frozenset({"deleted", "changed"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a round goes on. `ends`: of the window; None where there is none."""

    link: str
    ends: str | None

    def text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


class GraphDelta:
    """See the module."""

    def __init__(self, client: GraphClient, page_size: int, now: Callable[[], datetime]) -> None:
        self._client, self._now = client, now
        self._prefer = f"odata.maxpagesize={page_size}"

    async def page(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        """As `CalendarProvider.list_changes`."""
        if page is not None or cursor is not None:
            place = _place(page or cursor or "")
            if page is None and place.ends and datetime.fromisoformat(place.ends) - self._now() < _LEAST_AHEAD:
                raise CursorExpired("The window has to move on.")
            answer = await self._client.follow(place.link, Asked.LIST, prefer=self._prefer)
            return await self._page(calendar_id, answer, place.ends)
        answer, ends = await self._first(calendar_id)
        return await self._page(calendar_id, answer, ends)

    async def _first(self, calendar_id: str) -> tuple[Document, str | None]:
        """The beginning of a round, and the end of its window where it has one. Not every mailbox tells of its events;
        a calendar that is gone is gone for the window, too."""
        try:
            return await self._of_events(calendar_id), None
        except (NeedsReauth, RateLimited, UnknownOutcome):
            raise
        except CalendarError:
            begins, ends = self._now() - _BACK, self._now() + _AHEAD
            return await self._of_window(calendar_id, begins, ends), ends.isoformat()

    async def _of_events(self, calendar_id: str) -> Document:
        """The SDK's template has a window that this function takes and does not need."""
        delta = self._client.me.calendars.by_calendar_id(calendar_id).events.delta
        bare = BaseRequestBuilder(delta.request_adapter, delta.url_template.partition("?")[0], delta.path_parameters)
        return await self._client.send(bare, Asked.LIST, prefer=self._prefer)

    async def _of_window(self, calendar_id: str, begins: datetime, ends: datetime) -> Document:
        delta = self._client.me.calendars.by_calendar_id(calendar_id).calendar_view.delta
        window = {"startDateTime": f"{begins:%Y-%m-%dT%H:%M:%SZ}", "endDateTime": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
        return await self._client.send(delta, Asked.LIST, query=window, prefer=self._prefer)

    async def _page(self, calendar_id: str, answer: Document, ends: str | None) -> Page:
        following, ended, items = answer.get("@odata.nextLink"), answer.get("@odata.deltaLink"), answer.get("value")
        if not isinstance(items, list) or (following is None) is (ended is None):
            raise Misunderstood("A list is of no known shape.")
        found = [await self._change(calendar_id, each) for each in items]
        changes = {each.remote_id: each for each in found if each is not None}  # the last mention counts
        next_page = _Place(following, ends).text() if following else None
        cursor = _Place(ended, ends).text() if ended else None
        return Page(list(changes.values()), next_page, cursor, tuple(each["id"] for each in items))

    async def _change(self, calendar_id: str, item: Any) -> Change | None:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise Misunderstood("A list has an entry of no known shape.")
        if "@removed" in item:
            return _removed(item)
        if item.get("type") in _WHOLE:
            return Change(item["id"])
        if item.get("type") not in _PARTS:
            raise Misunderstood("A list has an entry of an unknown type.")
        series_id = item.get("seriesMasterId") or await self._series_of(calendar_id, item["id"])
        return Change(str(series_id)) if series_id else None

    async def _series_of(self, calendar_id: str, event_id: str) -> str | None:
        """Of an exception that was listed by its id alone; None when it is gone again."""
        event = self._client.me.calendars.by_calendar_id(calendar_id).events.by_event_id(event_id)
        try:
            found = await self._client.send(event, Asked.READ, query={"$select": "id,seriesMasterId"})
        except EventGone:
            return None
        return found.get("seriesMasterId")


def _removed(item: Mapping[str, Any]) -> Change:
    about = item["@removed"]
    if not isinstance(about, dict) or about.get("reason") not in _REASONS:
        raise Misunderstood("A list has a removal of no known shape.")
    return Change(str(item["id"]), removed=True)


def _place(text: str) -> _Place:
    """Raises `CursorExpired` for a cursor of another shape."""
    try:
        found = json.loads(text)
        return _Place(str(found["link"]), found["ends"])
    except (ValueError, KeyError, TypeError):
        raise CursorExpired("The cursor is of another shape.") from None
