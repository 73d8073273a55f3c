"""What the calendar servers remember: calendars, events with their change sequence, and watches, in SQLite.

One counter numbers every change, so it orders the changes of each calendar, too. An event's `seq` is its latest
change; a reader that goes on after a number it has seen misses nothing. Deleted events stay as tombstones.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

Document = dict[str, Any]
Provider = Literal["google", "microsoft"]
Kind = Literal["created", "updated", "deleted"]

_SCHEMA: Final = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS counter (value INTEGER NOT NULL);
INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);
CREATE TABLE IF NOT EXISTS calendars (key INTEGER PRIMARY KEY, provider TEXT NOT NULL, account TEXT NOT NULL,
  calendar_id TEXT NOT NULL, title TEXT NOT NULL, zone TEXT NOT NULL, is_primary INTEGER NOT NULL,
  made_by_app INTEGER NOT NULL, generation INTEGER NOT NULL DEFAULT 0, expired_as TEXT NOT NULL DEFAULT '',
  UNIQUE (provider, account, calendar_id));
CREATE TABLE IF NOT EXISTS events (calendar INTEGER NOT NULL, event_id TEXT NOT NULL, body TEXT NOT NULL, master TEXT,
  original TEXT, uid TEXT NOT NULL, alive INTEGER NOT NULL, seq INTEGER NOT NULL, etag INTEGER NOT NULL, previous TEXT,
  PRIMARY KEY (calendar, event_id)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS events_by_seq ON events (calendar, seq);
CREATE INDEX IF NOT EXISTS events_by_master ON events (calendar, master) WHERE master IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_by_uid ON events (calendar, uid);
CREATE TABLE IF NOT EXISTS documents (kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (kind, name));
"""
_TABLES: Final = ("calendars", "events", "documents")
_COLUMNS: Final = "calendar, event_id, body, master, original, uid, alive, seq, etag, previous"


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar of an account. Cursors of an older `generation` have expired, in the form `expired_as`."""

    key: int
    provider: Provider
    account: str
    calendar_id: str
    title: str
    zone: str
    is_primary: bool
    made_by_app: bool
    generation: int
    expired_as: str


@dataclass(frozen=True, slots=True)
class Row:
    """An event, or an exception of the series `master` whose occurrence at `original` it replaces."""

    calendar: int
    event_id: str
    body: Document
    uid: str
    master: str | None = None
    original: str | None = None
    alive: bool = True
    seq: int = 0
    etag: int = 0
    previous: Document | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What a committed request did to an event."""

    calendar: Calendar
    row: Row
    kind: Kind


@dataclass(slots=True)
class _Open:
    depth: int = 0
    changes: list[Changed] = field(default_factory=list)


class Store:
    """See the module. Everything happens in `transaction`, one at a time."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._lock = threading.RLock()
        self._open = _Open()
        self.on_commit: Callable[[Sequence[Changed]], None] = lambda _: None
        """Told of what has changed, in order, while nobody else can change anything."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; may be nested, the outermost one counts."""
        with self._lock:
            if self._open.depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._open.depth += 1
            try:
                yield
            except BaseException:
                self._leave("ROLLBACK")
                raise
            self._leave("COMMIT")

    def _leave(self, how: str) -> None:
        self._open.depth -= 1
        if self._open.depth:
            return
        changes, self._open.changes = self._open.changes, []
        self._db.execute(how)
        if how == "COMMIT" and changes:
            self.on_commit(changes)

    def clear(self) -> None:
        """Forget everything but the counter: what was numbered once is never numbered again."""
        with self.transaction():
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - three words of ours

    def close(self) -> None:
        """Nothing may follow."""
        with self._lock:
            self._db.close()

    def tick(self) -> int:
        """The next number."""
        row = self._db.execute("UPDATE counter SET value = value + 1 RETURNING value").fetchall()[0]
        return int(row[0])

    def now(self) -> int:
        """The last number that was given."""
        return int(self._db.execute("SELECT value FROM counter").fetchone()[0])

    # Calendars

    def calendars(self, provider: Provider | None = None, account: str | None = None) -> list[Calendar]:
        """All, or those of somebody, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM calendars WHERE (?1 IS NULL OR provider = ?1) AND (?2 IS NULL OR account = ?2) ORDER BY key",
            [provider, account],
        )
        return [_calendar(row) for row in rows]

    def calendar(self, provider: Provider, account: str, calendar_id: str) -> Calendar | None:
        """One by its id."""
        row = self._db.execute(
            "SELECT * FROM calendars WHERE provider = ? AND account = ? AND calendar_id = ?",
            [provider, account, calendar_id],
        ).fetchone()
        return _calendar(row) if row else None

    def add_calendar(
        self, provider: Provider, account: str, calendar_id: str, title: str, zone: str, *, is_primary: bool, app: bool
    ) -> Calendar:
        """A new, empty one."""
        row = self._db.execute(
            "INSERT INTO calendars (provider, account, calendar_id, title, zone, is_primary, made_by_app)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
            [provider, account, calendar_id, title, zone, is_primary, app],
        ).fetchall()[0]
        return _calendar(row)

    def drop_calendar(self, calendar: Calendar) -> None:
        """With everything in it."""
        self._db.execute("DELETE FROM events WHERE calendar = ?", [calendar.key])
        self._db.execute("DELETE FROM calendars WHERE key = ?", [calendar.key])

    def expire(self, calendar: Calendar, form: str) -> None:
        """Every cursor that was given out for it is refused from now on, in this form."""
        self._db.execute(
            "UPDATE calendars SET generation = generation + 1, expired_as = ? WHERE key = ?", [form, calendar.key]
        )

    # Events

    def event(self, calendar: Calendar, event_id: str) -> Row | None:
        """One by its id, a tombstone included."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM events WHERE calendar = ? AND event_id = ?",  # noqa: S608
            [calendar.key, event_id],
        ).fetchone()
        return _row(row) if row else None

    def put(self, calendar: Calendar, row: Row) -> Row:
        """Write it as the calendar's latest change, under a new etag."""
        before, number = self.event(calendar, row.event_id), self.tick()
        previous = before.body if before else None
        fresh = replace(row, calendar=calendar.key, seq=number, etag=number, previous=previous)
        self._write(fresh)
        existed = before is not None and before.alive
        kind: Kind = "deleted" if not row.alive else "updated" if existed else "created"
        self._open.changes.append(Changed(calendar, fresh, kind))
        return fresh

    def retag(self, calendar: Calendar, row: Row) -> Row:
        """Another etag, though nothing has changed."""
        fresh = replace(row, etag=self.tick())
        self._write(fresh)
        return fresh

    def exceptions(self, calendar: Calendar, master: str) -> list[Row]:
        """Of a series, tombstones included, by original start."""
        return self._events("calendar = ? AND master = ? ORDER BY original", calendar.key, master)

    def by_uid(self, calendar: Calendar, uid: str) -> list[Row]:
        """Everything under a UID, masters first."""
        return self._events("calendar = ? AND uid = ? ORDER BY master IS NOT NULL, seq", calendar.key, uid)

    def between(self, calendar: Calendar, after: int, upto: int, limit: int) -> list[Row]:
        """The events whose latest change is numbered above `after` and not above `upto`, oldest change first."""
        where = "calendar = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        return self._events(where, calendar.key, after, upto, limit)

    def all_events(self, calendar: Calendar) -> list[Row]:
        """Everything, tombstones included, oldest change first."""
        return self.between(calendar, 0, self.now(), -1)

    def _events(self, where: str, *values: object) -> list[Row]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM events WHERE {where}", values)  # noqa: S608 - conditions of ours
        return [_row(row) for row in rows]

    def _write(self, row: Row) -> None:
        previous = json.dumps(row.previous) if row.previous is not None else None
        body = json.dumps(row.body)
        self._db.execute(
            f"INSERT OR REPLACE INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [
                *(row.calendar, row.event_id, body, row.master, row.original),
                *(row.uid, row.alive, row.seq, row.etag, previous),
            ],
        )

    # Everything else: grants, channels, subscriptions

    def document(self, kind: str, name: str) -> Document | None:
        """One by its name."""
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND name = ?", [kind, name]).fetchone()
        return json.loads(row[0]) if row else None

    def documents(self, kind: str) -> dict[str, Document]:
        """All of a kind, by name."""
        rows = self._db.execute("SELECT name, body FROM documents WHERE kind = ? ORDER BY rowid", [kind])
        return {name: json.loads(body) for name, body in rows}

    def keep(self, kind: str, name: str, body: Document) -> None:
        """Write or replace one."""
        self._db.execute(
            "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
            [kind, name, json.dumps(body)],
        )

    def forget(self, kind: str, name: str) -> None:
        """Remove one; one that is not there is fine."""
        self._db.execute("DELETE FROM documents WHERE kind = ? AND name = ?", [kind, name])


def _calendar(row: Sequence[Any]) -> Calendar:
    key, provider, account, calendar_id, title, zone, is_primary, made_by_app, generation, expired_as = row
    return Calendar(
        key, provider, account, calendar_id, title, zone, bool(is_primary), bool(made_by_app), generation, expired_as
    )


def _row(row: Sequence[Any]) -> Row:
    calendar, event_id, body, master, original, uid, alive, seq, etag, previous = row
    before = json.loads(previous) if previous else None
    return Row(calendar, event_id, json.loads(body), uid, master, original, bool(alive), seq, etag, before)
