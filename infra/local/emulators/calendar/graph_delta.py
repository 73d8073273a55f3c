"""Delta rounds at Graph: a calendar's window (`calendarView/delta`) or its events (`events/delta`)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from infra.local.emulators.calendar import cursors
from infra.local.emulators.calendar.call import Call, World
from infra.local.emulators.calendar.cursors import Cursor
from infra.local.emulators.calendar.errors import graph
from infra.local.emulators.calendar.graph_documents import in_zone, point
from infra.local.emulators.calendar.graph_events import Found, GraphEvents
from infra.local.emulators.calendar.graph_recurrence import series_of
from infra.local.emulators.calendar.graph_view import View
from infra.local.emulators.calendar.store import Calendar, Document, Row

_DEFAULT: Final = 10
_MOST: Final = 1_000
_BATCH: Final = 200
OPTIONS: Final = frozenset({"startDateTime", "endDateTime", "$deltatoken", "$skiptoken"})
"""Nothing else can be asked for together with change tracking."""


@dataclass(frozen=True, slots=True)
class _Round:
    """What one request of a round works on."""

    calendar: Calendar
    cursor: Cursor
    call: Call
    stubs: bool

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """The instants of the round; None where it has no window."""
        begin, end = self.cursor.window
        return (_instant(begin), _instant(end)) if begin else None


class GraphDelta:
    """See the module. Methods run in a transaction of the store."""

    def __init__(self, world: World, events: GraphEvents, view: View) -> None:
        self._store, self._clock, self._knobs = world.store, world.clock, world.knobs
        self._events, self._view = events, view

    def page(self, call: Call, calendar: Calendar, *, stubs: bool) -> Document:
        """One page; with `stubs`, of events without occurrences, told by id, type and times alone."""
        cursor = self._begin(call, calendar, "events" if stubs else "view")
        size = min(int(call.prefers("odata.maxpagesize") or _DEFAULT), _MOST)
        items, after, more = self._page(_Round(calendar, cursor, call, stubs), max(size, 1))
        if more:
            link = {"@odata.nextLink": self._link(call, "$skiptoken", replace(after, is_page=True))}
        else:
            ended = replace(cursor, since=cursor.upto, after=cursor.upto, is_page=False, full=False, inside=0, shown=0)
            link = {"@odata.deltaLink": self._link(call, "$deltatoken", ended)}
        return {"@odata.context": f"{call.request.host_url}v1.0/$metadata#Collection(event)", "value": items, **link}

    def _link(self, call: Call, name: str, cursor: Cursor) -> str:
        return f"{call.request.base_url}?{urlencode({name: cursor.text()}, safe='$')}"

    def _begin(self, call: Call, calendar: Calendar, shape: str) -> Cursor:
        query = call.request.args
        token = query.get("$skiptoken") or query.get("$deltatoken")
        now, at = self._store.now(), self._clock.seconds()
        if token is None:
            window = query.get("startDateTime", ""), query.get("endDateTime", "")
            self._check_window(window, shape)
            return Cursor(calendar.key, calendar.generation, shape, 0, now, 0, full=True, at=at, window=window)
        known = cursors.read(token)
        if known is None or known.calendar != calendar.key or known.shape != shape:
            raise graph(400, "syncStateInvalid", "The sync state is not valid.")
        if known.generation != calendar.generation or at - known.at > cursors.SECONDS:
            raise self._expired(call, calendar)
        if known.is_page:
            return known
        since = 0 if self._knobs.takes("replay", calendar.calendar_id) else known.since
        return replace(known, since=since, after=since, upto=now, at=at)

    def _check_window(self, window: tuple[str, str], shape: str) -> None:
        if shape == "view" and not all(window):
            raise graph(400, "ErrorInvalidParameter", "This request requires a time window.")
        if any(window) and (not all(window) or _instant(window[0]) >= _instant(window[1])):
            raise graph(400, "ErrorInvalidParameter", "The time window is not valid.")

    def _expired(self, call: Call, calendar: Calendar) -> Exception:
        form = calendar.expired_as or "syncStateNotFound"
        text = "The sync state generation is not found; do a full synchronisation."
        if form == "syncStateNotFound":
            return graph(410, form, text, headers={"Location": call.request.base_url})
        return graph(400, form.removeprefix("400 "), text)

    def _page(self, about: _Round, size: int) -> tuple[list[Document], Cursor, bool]:
        """(items, where the next page goes on, whether there is one)"""
        cursor, name = about.cursor, about.calendar.calendar_id
        if self._knobs.takes("empty_list", name):
            return [], cursor, False
        if self._knobs.takes("empty_page", name):
            return [], cursor, True
        if self._knobs.takes("short_page", name):
            size = max(1, size // 2)
        endless = self._knobs.takes("endless", name)
        items: list[Document] = []
        at = cursor
        for seq, number, item in self._items(about):
            if len(items) == size:
                return items, cursor if endless else at, True
            items.append(item)
            at = replace(cursor, after=seq - 1, inside=seq, shown=number + 1)
        return items, cursor, endless

    def _items(self, about: _Round) -> Iterator[tuple[int, int, Document]]:
        """(number of the change, which of its items, item) from where the page begins."""
        cursor, after = about.cursor, about.cursor.after
        while rows := self._store.between(about.calendar, after, cursor.upto, _BATCH):
            for row in rows:
                for number, item in enumerate(self._of(about, row)):
                    if row.seq != cursor.inside or number >= cursor.shown:
                        yield row.seq, number, item
            after = rows[-1].seq

    def _of(self, about: _Round, row: Row) -> Iterator[Document]:
        """What a change looks like in this round."""
        found = self._events.as_found(about.calendar, row)
        if found is None:
            if not about.cursor.full and (row.master is None or not row.alive or row.body.get("isCancelled")):
                yield self._removed(about, row.event_id)
            return
        if row.master is not None and not about.stubs:
            return  # its master has changed with it, and shows it
        items = list(self._shown(about, found))
        if not items and not about.cursor.full:
            yield self._removed(about, row.event_id)
        if items and row.previous and row.master is None and self._knobs.takes("twice", about.calendar.calendar_id):
            yield self._view.item(about.call, replace(found, body=row.previous, row=replace(row, etag=row.etag - 1)))
        yield from items

    def _shown(self, about: _Round, found: Found) -> Iterator[Document]:
        window = about.window
        if "recurrence" not in found.row.body:
            if window is None or (point(found.body, "start") < window[1] and point(found.body, "end") > window[0]):
                yield self._stub(about, found) if about.stubs else self._view.item(about.call, found)
            return
        if about.stubs:
            yield self._stub(about, found)
            return
        begin, end = window or (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
        inside = list(self.inside(found, begin, end))
        if inside:
            yield self._view.item(about.call, found)
        for each in inside:
            yield self._view.item(about.call, each) if each.row.seq else self._stub(about, each)

    def inside(self, found: Found, begin: datetime, end: datetime) -> Iterator[Found]:
        """The occurrences of a series between two instants; one that was moved counts where it is now."""
        series, moved = series_of(found.row.body), self._events.exceptions(found.calendar, found.row)[0]
        last = max((each.wall for each in moved if each.wall is not None), default=None)
        for each in self._events.occurrences(found.calendar, found.row):
            wall = each.wall or series.start
            if series.instant(wall) >= end and (last is None or wall > last):
                return
            if point(each.body, "start") < end and point(each.body, "end") > begin:
                yield each

    def _stub(self, about: _Round, found: Found) -> Document:
        zone = about.call.prefers("outlook.timezone") or "UTC"
        short: dict[str, Any] = {
            "@odata.type": "#microsoft.graph.event",
            "id": self._view.id_of(about.call, found.calendar, found.row.event_id),
            "type": found.kind,
        }
        if found.master is not None:
            short["seriesMasterId"] = self._view.id_of(about.call, found.calendar, found.master.event_id)
        return {**short, **{which: in_zone(found.body, which, zone) for which in ("start", "end")}}

    def _removed(self, about: _Round, event_id: str) -> Document:
        name = self._view.id_of(about.call, about.calendar, event_id)
        if self._knobs.takes("untyped_removed", about.calendar.calendar_id):
            return {"id": name, "@removed": {}}
        return {"@odata.type": "#microsoft.graph.event", "id": name, "@removed": {"reason": "deleted"}}


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise graph(400, "ErrorInvalidParameter", "The time window is not valid.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
