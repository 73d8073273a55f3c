"""What can be done to an event at Graph, by an application or by a person in Outlook.

A series is one item: its exceptions hold only what differs, and a change to one is a change of the master, too. A
changed time or pattern of the master drops all exceptions. An event has an id that stays and one that goes with its
calendar; an occurrence's id is made of its series and its original start.
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from infra.local.emulators.calendar import graph_documents as documents
from infra.local.emulators.calendar.clock import Clock, stamp
from infra.local.emulators.calendar.errors import Refused, graph
from infra.local.emulators.calendar.graph_recurrence import series_of
from infra.local.emulators.calendar.knobs import Knobs
from infra.local.emulators.calendar.store import Calendar, Document, Row, Store

_SCHEDULE = ("start", "end", "recurrence", "isAllDay")
NOT_FOUND = graph(404, "ErrorItemNotFound", "The specified object was not found in the store.")


@dataclass(frozen=True, slots=True)
class Found:
    """An event or an occurrence, with the whole document that it shows; `wall`: where the rule puts an occurrence."""

    calendar: Calendar
    row: Row
    body: Document
    master: Row | None = None
    wall: datetime | None = None

    @property
    def kind(self) -> str:
        """Graph's `type`."""
        if self.master is not None:
            return "exception" if self.row.seq else "occurrence"
        return "seriesMaster" if "recurrence" in self.row.body else "singleInstance"

    @property
    def etag(self) -> int:
        """An occurrence that nobody has changed has its master's."""
        return self.row.etag


class GraphEvents:
    """The events of Graph's calendars. Methods run in a transaction of the store."""

    def __init__(self, store: Store, clock: Clock, knobs: Knobs) -> None:
        self._store, self._clock, self._knobs = store, clock, knobs

    def insert(self, calendar: Calendar, body: Mapping[str, Any]) -> tuple[Found, bool]:
        """(event, whether it is new): the transactionId of an earlier one makes no second."""
        transaction = body.get("transactionId")
        if transaction and (earlier := self._earlier(calendar.account, transaction)):
            return self._repeated(*earlier), False
        event_id = f"AAkALg{secrets.token_urlsafe(24)}"
        now = stamp(self._clock.now())
        made = documents.created(body) | {
            "createdDateTime": now,
            "lastModifiedDateTime": now,
            "iCalUId": secrets.token_hex(28).upper(),
        }
        uid = f"transaction:{transaction}" if transaction else event_id
        return self._as_found(calendar, self._store.put(calendar, Row(calendar.key, event_id, made, uid))), True

    def find(self, calendars: list[Calendar], event_id: str) -> Found:
        """By either of its ids, in one of these calendars. Raises the refusal 404."""
        for calendar in calendars:
            if (found := self._find(calendar, event_id)) is not None:
                return found
        raise NOT_FOUND

    def patch(self, found: Found, change: Mapping[str, Any]) -> Found:
        """PATCH of an event, or of an occurrence, which becomes an exception."""
        now = {"lastModifiedDateTime": stamp(self._clock.now())}
        if found.master is not None:
            return self._patch_occurrence(found, change, now)
        fixed = {name: found.row.body[name] for name in ("createdDateTime", "iCalUId")}
        body = documents.normal(documents.patched(found.row.body, change)) | fixed | now
        saved = self._store.put(found.calendar, replace(found.row, body=body))
        if any(body.get(name) != found.row.body.get(name) for name in _SCHEDULE):
            self._drop_exceptions(found.calendar, saved)
        return self._as_found(found.calendar, saved)

    def delete(self, found: Found) -> None:
        """A whole event, or one occurrence of a series, which stays cancelled."""
        if found.master is not None:
            row = replace(found.row, body={"isCancelled": True})
            self._store.put(found.calendar, row)
            self._touch(found)
            return
        self._drop_exceptions(found.calendar, found.row)
        self._store.put(found.calendar, replace(found.row, alive=False))

    def move(self, found: Found, to: Calendar) -> Found:
        """Into another calendar, as people do it in Outlook: the id that stays, stays."""
        exceptions = [each for each in self._store.exceptions(found.calendar, found.row.event_id) if each.alive]
        self._drop_exceptions(found.calendar, found.row)
        self._store.put(found.calendar, replace(found.row, alive=False))
        for each in exceptions:
            self._store.put(to, each)
        return self._as_found(to, self._store.put(to, found.row))

    def retag(self, found: Found) -> Found:
        """Another change key, though nothing has changed."""
        return self._as_found(found.calendar, self._store.retag(found.calendar, found.row))

    def occurrences(self, calendar: Calendar, master: Row) -> Iterator[Found]:
        """Those of a series that take place, exceptions in their places."""
        exceptions = {each.original: each for each in self._exceptions(calendar, master)}
        series = series_of(master.body)
        for wall in series.occurrences():
            row = exceptions.get(series.name(wall))
            if row is None or not row.body.get("isCancelled"):
                yield self._occurrence(calendar, master, wall, row)

    def exceptions(self, calendar: Calendar, master: Row) -> tuple[list[Found], list[str]]:
        """(exceptions, occurrence ids of the cancelled ones) of a series."""
        series, changed, cancelled = series_of(master.body), [], []
        for row in self._exceptions(calendar, master):
            wall = series.at(row.original or "")
            if wall is not None and row.body.get("isCancelled"):
                cancelled.append(occurrence_name(master, wall))
            elif wall is not None:
                changed.append(self._occurrence(calendar, master, wall, row))
        return changed, cancelled

    def as_found(self, calendar: Calendar, row: Row) -> Found | None:
        """A row as it is shown; None for an occurrence that is not there any more."""
        if row.master is None:
            return self._as_found(calendar, row) if row.alive else None
        master = self._store.event(calendar, row.master)
        if not row.alive or row.body.get("isCancelled") or master is None or not master.alive:
            return None
        wall = series_of(master.body).at(row.original or "")
        return self._occurrence(calendar, master, wall, row) if wall is not None else None

    def _find(self, calendar: Calendar, event_id: str) -> Found | None:
        immutable = immutable_id(calendar, event_id)
        if immutable is None:
            return None
        if (row := self._store.event(calendar, immutable)) is not None and row.master is None:
            return self.as_found(calendar, row)
        master_id, _, name = immutable.rpartition("~")
        master = self._store.event(calendar, master_id) if master_id else None
        if master is None or not master.alive or "recurrence" not in master.body:
            return None
        wall = series_of(master.body).at(name)
        if row is not None and row.body.get("isCancelled") and row.alive:
            return None
        living = row if row is not None and row.alive else None
        return self._occurrence(calendar, master, wall, living) if wall is not None else None

    def _occurrence(self, calendar: Calendar, master: Row, wall: datetime, row: Row | None) -> Found:
        series = series_of(master.body)
        name = series.name(wall)
        event_id = f"{master.event_id}~{name}"
        own = row or Row(calendar.key, event_id, {}, event_id, master.event_id, name, etag=master.etag)
        inherited = {key: value for key, value in master.body.items() if key != "recurrence"}
        begins = series.instant(wall)
        body = {
            **inherited,
            **documents.timed(wall, master.body),
            **own.body,
            "originalStart": begins.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "occurrenceId": occurrence_name(master, wall),
            "iCalUId": hashlib.sha256(event_id.encode()).hexdigest()[:56].upper(),
        }
        return Found(calendar, own, body, master, wall)

    def _patch_occurrence(self, found: Found, change: Mapping[str, Any], now: Document) -> Found:
        if found.master is None or found.wall is None or change.get("recurrence"):
            raise graph(400, "ErrorInvalidRequest", "An occurrence has no recurrence of its own.")
        whole = documents.normal(documents.patched(found.body, change))
        own = {name: value for name, value in whole.items() if name in change or name in found.row.body}
        for name in ("start", "end"):
            if whole[name] != found.body[name]:
                own[name] = whole[name]
        row = self._store.put(found.calendar, replace(found.row, body=own | now))
        master = self._touch(found)
        return self._occurrence(found.calendar, master, found.wall, row)

    def _touch(self, found: Found) -> Row:
        """The master's change key moves with its exceptions."""
        assert found.master is not None  # noqa: S101 - only called for occurrences
        now = {"lastModifiedDateTime": stamp(self._clock.now())}
        return self._store.put(found.calendar, replace(found.master, body=found.master.body | now))

    def _drop_exceptions(self, calendar: Calendar, master: Row) -> None:
        for each in self._exceptions(calendar, master):
            self._store.put(calendar, replace(each, alive=False))

    def _exceptions(self, calendar: Calendar, master: Row) -> list[Row]:
        return [each for each in self._store.exceptions(calendar, master.event_id) if each.alive]

    def _as_found(self, calendar: Calendar, row: Row) -> Found:
        return Found(calendar, row, row.body)

    def _earlier(self, account: str, transaction: str) -> tuple[Calendar, Row] | None:
        """The event of a transactionId in the mailbox, a living one first."""
        made = [
            (calendar, row)
            for calendar in self._store.calendars("microsoft", account)
            for row in self._store.by_uid(calendar, f"transaction:{transaction}")
        ]
        return max(made, key=lambda each: each[1].alive, default=None)

    def _repeated(self, calendar: Calendar, earlier: Row) -> Found:
        shape = self._knobs.shape("transaction_repeat", calendar.calendar_id)
        form = shape.form if shape else "existing"
        if form == "existing" and earlier.alive:
            return self._as_found(calendar, earlier)
        raise _duplicate(400 if form == "bad_request" else 409, mutable_id(calendar, earlier.event_id))


def _duplicate(status: int, existing: str) -> Refused:
    text = "Your request can't be completed. The TransactionId was used by another event."
    more = {"@event.existingEventId": existing} if status == 400 else None
    return graph(status, "ErrorDuplicateTransactionId", text, more)


def occurrence_name(master: Row, wall: datetime) -> str:
    """`occurrenceId`: the series and the day."""
    return f"OID.{master.event_id}.{wall:%Y-%m-%d}"


def mutable_id(calendar: Calendar, event_id: str) -> str:
    """The id that goes with the calendar."""
    return "AAMkAG" + urlsafe_b64encode(f"{calendar.key}|{event_id}".encode()).rstrip(b"=").decode()


def immutable_id(calendar: Calendar, event_id: str) -> str | None:
    """The id that stays, from either; None where the one that goes with its calendar is of another."""
    if not event_id.startswith("AAMkAG"):
        return event_id
    raw = event_id.removeprefix("AAMkAG")
    try:
        key, _, immutable = urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode().partition("|")
    except ValueError:
        return None
    return immutable if key == str(calendar.key) else None
