"""What can be done to an event at Google, by an application or by a person in Google's own pages."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from infra.local.emulators.calendar import google_documents as documents
from infra.local.emulators.calendar.clock import Clock, stamp
from infra.local.emulators.calendar.errors import google
from infra.local.emulators.calendar.google_documents import occurrence, series_of
from infra.local.emulators.calendar.store import Calendar, Document, Row, Store

NOT_FOUND = google(404, "notFound", "Not Found")


class GoogleEvents:
    """The events of Google's calendars. Methods run in a transaction of the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def insert(self, calendar: Calendar, body: Mapping[str, Any]) -> Row:
        """A new event. 409 `duplicate` where the id is taken, by a tombstone too."""
        event_id = body.get("id") or documents.fresh_id()
        documents.check_id(event_id)
        if self._store.event(calendar, event_id):
            raise google(409, "duplicate", "The requested identifier already exists.")
        now = stamp(self._clock.now())
        uid = body.get("iCalUID") or f"{event_id}@google.com"
        person = {"email": calendar.account if calendar.is_primary else calendar.calendar_id, "self": True}
        made = documents.normal({**body, "id": event_id, "iCalUID": uid}, calendar)
        made |= {"created": now, "updated": now, "sequence": 0, "creator": {"email": calendar.account}}
        made["organizer"] = person
        return self._store.put(calendar, Row(calendar.key, event_id, made, uid))

    def find(self, calendar: Calendar, event_id: str) -> Row:
        """An event, a tombstone, an exception, or an occurrence that nobody has changed (its `seq` is 0)."""
        row = self._store.event(calendar, event_id)
        if row and (row.alive or row.master is None):
            return row
        if untouched := self._occurrence(calendar, event_id):
            return untouched
        if row is None:
            raise NOT_FOUND
        return row

    def patch(self, calendar: Calendar, row: Row, change: Mapping[str, Any]) -> Row:
        """PATCH, under the conditions that were checked before."""
        self._require_alive(row, change)
        return self._save(calendar, row, documents.patched(row.body, change))

    def put(self, calendar: Calendar, row: Row, body: Mapping[str, Any]) -> Row:
        """PUT; its status is `confirmed` unless it says otherwise, which revives a deleted event."""
        change = {"status": "confirmed", **body}
        self._require_alive(row, change)
        return self._save(calendar, row, documents.replaced(row.body, change))

    def delete(self, calendar: Calendar, row: Row) -> Row:
        """The event, with its exceptions; of a series' occurrence a cancelled exception stays."""
        if not row.alive or row.body.get("status") == "cancelled":
            raise google(410, "deleted", "Resource has been deleted")
        now = stamp(self._clock.now())
        if row.master is None:
            for exception in self._store.exceptions(calendar, row.event_id):
                if exception.alive:
                    self._store.put(calendar, replace(exception, body=exception.body | _cancelled(now), alive=False))
        return self._store.put(calendar, replace(row, body=row.body | _cancelled(now), alive=row.master is not None))

    def move(self, calendar: Calendar, row: Row, to: Calendar) -> Row:
        """To another calendar under the same id; a tombstone stays behind."""
        if row.master is not None or not row.alive:
            raise google(400, "cannotChangeOrganizerOfInstance", "Cannot move an instance of a recurring event.")
        taken = self._store.event(to, row.event_id)
        if taken and taken.alive:
            raise google(409, "duplicate", "The requested identifier already exists.")
        exceptions = [each for each in self._store.exceptions(calendar, row.event_id) if each.alive]
        self.delete(calendar, row)
        for exception in exceptions:
            self._store.put(to, exception)
        return self._store.put(to, replace(row, body=row.body | {"updated": stamp(self._clock.now())}))

    def occurrences(self, calendar: Calendar, master: Row) -> Iterator[tuple[datetime, Row]]:
        """All of a series with their wall times by the rule, exceptions in their places, cancelled ones included."""
        exceptions = {each.original: each for each in self._store.exceptions(calendar, master.event_id) if each.alive}
        series = series_of(master.body)
        for wall in series.occurrences():
            yield wall, exceptions.get(series.name(wall)) or self._virtual(calendar, master, wall)

    def _occurrence(self, calendar: Calendar, event_id: str) -> Row | None:
        master_id, _, name = event_id.rpartition("_")
        master = self._store.event(calendar, master_id) if master_id else None
        if master is None or not master.alive or not master.body.get("recurrence"):
            return None
        wall = series_of(master.body).at(name)
        return self._virtual(calendar, master, wall) if wall is not None else None

    def _virtual(self, calendar: Calendar, master: Row, wall: datetime) -> Row:
        name = series_of(master.body).name(wall)
        body = occurrence(master.body, wall)
        return Row(calendar.key, body["id"], body, master.uid, master.event_id, name, etag=master.etag)

    def _save(self, calendar: Calendar, row: Row, document: Document) -> Row:
        if document.get("status") == "cancelled":
            return self.delete(calendar, row)
        body = documents.normal(document, calendar)
        for name in ("creator", "organizer"):
            body[name] = row.body[name]
        moved = any(body.get(name) != row.body.get(name) for name in ("start", "end", "recurrence"))
        body["sequence"] = row.body.get("sequence", 0) + moved
        same = documents.without_reminders(body) == documents.without_reminders(row.body)
        body["updated"] = row.body["updated"] if same and row.seq else stamp(self._clock.now())
        saved = self._store.put(calendar, replace(row, body=body, alive=True))
        if moved and row.master is None and row.seq:
            self._drop_strays(calendar, saved)
        return saved

    def _drop_strays(self, calendar: Calendar, master: Row) -> None:
        """Exceptions of occurrences that the changed series does not have any more."""
        living = [each for each in self._store.exceptions(calendar, master.event_id) if each.alive]
        series = series_of(master.body) if living and "recurrence" in master.body else None
        names = {series.name(wall) for wall in series.occurrences()} if series else set()
        now = stamp(self._clock.now())
        for exception in living:
            if exception.original not in names:
                self._store.put(calendar, replace(exception, body=exception.body | _cancelled(now), alive=False))

    def _require_alive(self, row: Row, change: Mapping[str, Any]) -> None:
        gone = not row.alive or row.body.get("status") == "cancelled"
        if gone and change.get("status") not in ("confirmed", "tentative"):
            raise NOT_FOUND


def _cancelled(now: str) -> Document:
    return {"status": "cancelled", "updated": now}
