"""events.list at Google: full and incremental rounds, pages, and the tokens that bind them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from werkzeug.datastructures import MultiDict

from infra.local.emulators.calendar import cursors
from infra.local.emulators.calendar.clock import Clock, stamp
from infra.local.emulators.calendar.cursors import Cursor
from infra.local.emulators.calendar.errors import google
from infra.local.emulators.calendar.google_documents import point, quoted, shown
from infra.local.emulators.calendar.knobs import Knobs
from infra.local.emulators.calendar.store import Calendar, Document, Row, Store

Query = MultiDict[str, str]
_DEFAULT, _MOST = 250, 2_500
_FORBIDDEN: Final = (
    *("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty"),
    *("timeMin", "timeMax", "updatedMin"),
)
"""Not beside a syncToken."""
_FREE: Final = frozenset({"syncToken", "pageToken", "maxResults", "alt", "prettyPrint", "key", "quotaUser", "fields"})
"""What may differ between the requests of a round."""
_SERVED: Final = frozenset(
    {*_FREE, "showDeleted", "singleEvents", "eventTypes", "iCalUID", "privateExtendedProperty", "timeMin", "timeMax"}
    | {"updatedMin", "timeZone", "maxAttendees", "showHiddenInvitations", "alwaysIncludeEmail"}
)
_BATCH = 500


class GoogleList:
    """See the module. Methods run in a transaction of the store."""

    def __init__(self, store: Store, clock: Clock, knobs: Knobs) -> None:
        self._store, self._clock, self._knobs = store, clock, knobs

    def page(self, calendar: Calendar, query: Query) -> Document:
        """One page."""
        self._check(query)
        cursor = self._begin(calendar, query)
        size = min(int(query.get("maxResults", _DEFAULT)), _MOST)
        items, after, more = self._page(calendar, query, cursor, size)
        about = {
            "kind": "calendar#events",
            "etag": quoted(cursor.upto),
            "summary": calendar.title,
            "updated": stamp(self._clock.now()),
            "timeZone": calendar.zone,
            "accessRole": "owner",
            "defaultReminders": [{"method": "popup", "minutes": 30}],
            "items": items,
        }
        if more:
            return about | {"nextPageToken": replace(cursor, after=after, is_page=True).text()}
        ended = replace(cursor, since=cursor.upto, after=cursor.upto, is_page=False, full=False)
        return about | {"nextSyncToken": ended.text()}

    def _check(self, query: Query) -> None:
        if "syncToken" in query and (wrong := [name for name in _FORBIDDEN if name in query]):
            raise google(400, "invalid", f"Sync token cannot be combined with: {', '.join(wrong)}.")
        if "syncToken" in query and query.get("showDeleted") == "false":
            raise google(400, "invalid", "showDeleted cannot be false beside a sync token.")
        if unserved := sorted(set(query) - _SERVED):
            raise google(400, "notEmulated", f"The emulator does not know: {', '.join(unserved)}.")
        if query.get("singleEvents", "false") != "false":
            raise google(400, "notEmulated", "The emulator lists series, not their occurrences.")
        if not int(query.get("maxResults", "1")) >= 1:
            raise google(400, "invalid", "Invalid value for maxResults.")

    def _begin(self, calendar: Calendar, query: Query) -> Cursor:
        shape = cursors.shape_of({name: query.getlist(name) for name in query if name not in _FREE})
        now, at = self._store.now(), self._clock.seconds()
        token = query.get("pageToken") or query.get("syncToken")
        if token is None:
            return Cursor(calendar.key, calendar.generation, shape, 0, now, 0, full=True, at=at)
        known = cursors.read(token)
        if known is None or known.calendar != calendar.key or known.is_page != ("pageToken" in query):
            raise google(400, "invalid", "Invalid sync token value.")
        if known.shape != shape:
            raise google(400, "invalid", "The token belongs to other parameters.")
        if known.generation != calendar.generation or at - known.at > cursors.SECONDS:
            reason = calendar.expired_as or "fullSyncRequired"
            raise google(410, reason, "Sync token is no longer valid, a full sync is required.", "calendar")
        if known.is_page:
            return known
        after = 0 if self._knobs.takes("replay", calendar.calendar_id) else known.since
        return replace(known, since=after, after=after, upto=now, at=at)

    def _page(self, calendar: Calendar, query: Query, cursor: Cursor, size: int) -> tuple[list[Document], int, bool]:
        """(items, number of the last change that was looked at, whether more may follow)"""
        if self._knobs.takes("empty_list", calendar.calendar_id):
            return [], cursor.upto, False
        if self._knobs.takes("empty_page", calendar.calendar_id):
            return [], cursor.after, True
        if self._knobs.takes("short_page", calendar.calendar_id):
            size = max(1, size // 2)
        endless = self._knobs.takes("endless", calendar.calendar_id)
        items: list[Document] = []
        after = cursor.after
        for row in self._rows(calendar, cursor, query.get("iCalUID")):
            if len(items) >= size:
                return items, cursor.after if endless else after, True
            after = row.seq
            if self._is_listed(calendar, row, query, full=cursor.full):
                items += self._twice(calendar, row) or [shown(row, query.get("timeZone", calendar.zone))]
        return items, cursor.after, endless

    def _rows(self, calendar: Calendar, cursor: Cursor, uid: str | None) -> Iterator[Row]:
        """What is left of the round, by number; of one UID without looking at everything."""
        if uid is not None:
            found = (row for row in self._store.by_uid(calendar, uid) if cursor.after < row.seq <= cursor.upto)
            yield from sorted(found, key=lambda row: row.seq)
            return
        after = cursor.after
        while rows := self._store.between(calendar, after, cursor.upto, _BATCH):
            yield from rows
            after = rows[-1].seq

    def _twice(self, calendar: Calendar, row: Row) -> list[Document]:
        """The event as it was and as it is, where that is asked for."""
        if row.previous is None or not self._knobs.takes("twice", calendar.calendar_id):
            return []
        return [shown(replace(row, body=row.previous, etag=row.etag - 1), calendar.zone), shown(row, calendar.zone)]

    def _is_listed(self, calendar: Calendar, row: Row, query: Query, *, full: bool) -> bool:
        deleted = query.get("showDeleted") == "true" or not full
        if not row.alive and not deleted:
            return False
        types = query.getlist("eventTypes")
        if types and row.body.get("eventType", "default") not in types:
            return False
        return _fits(row.body, query)


def _fits(body: Mapping[str, object], query: Query) -> bool:
    """Whether the filters let it pass."""
    private = (body.get("extendedProperties") or {}).get("private", {})  # type: ignore[attr-defined]
    pairs = (each.partition("=")[::2] for each in query.getlist("privateExtendedProperty"))
    if any(private.get(key) != value for key, value in pairs):
        return False
    if "updatedMin" in query and _instant(str(body["updated"])) < _instant(query["updatedMin"]):
        return False
    recurs = "recurrence" in body  # a series is listed whatever the window: its end is not looked for
    begins, ends = point(body["start"]), point(body["end"])  # type: ignore[arg-type]
    if "timeMax" in query and begins >= _instant(query["timeMax"]):
        return False
    return recurs or "timeMin" not in query or ends > _instant(query["timeMin"])


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise google(400, "badRequest", "Bad Request")
    return moment
