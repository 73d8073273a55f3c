"""Three-way merge of an event that both sides may have changed (calendar-sync.md §4.3).

Field by field: what only one side changed is taken from it; what both changed to different values is a conflict, which
the later one wins, the local one on a tie. The value that loses is in the conflicts. Sets (alarms, occurrences that
are left out) and notes are merged inside. What does not take place stays so, unless the other side moved it to the
future.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from core.errors import Invalid
from domain.appointment import named
from domain.calendar import Event, Field, Override, Point, Status, When
from domain.calendar_form import order, rule_parts, shifted
from domain.line_merge import merge_lines

RULE_LINE: Final = "\n---\n"
"""Between two versions of notes that could not be merged."""


class Side(StrEnum):
    """Whose value it is."""

    LOCAL = "local"
    REMOTE = "remote"
    BOTH = "both"
    """Both texts are kept in the result."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that both sides changed. For an override `original` says which occurrence; then the values are
    `Override`s or None."""

    field: Field
    base: Any
    local: Any
    remote: Any
    winner: Side
    original: Point | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The event both sides are to have, and what was lost on the way."""

    event: Event
    conflicts: tuple[Conflict, ...] = ()


def merge(base: Event | None, local: Event, remote: Event, *, later: Side, now: datetime) -> Merged:
    """One event of two. Without a base every field that differs is a conflict. `remote` is lifted over the base (or
    over the local one); `later` is the side that was written last; `now` is on the event's clock, naive."""
    return _Merge(base, local, remote, later, now).run()


class _Merge:
    def __init__(self, base: Event | None, local: Event, remote: Event, later: Side, now: datetime) -> None:
        self.base, self.local, self.remote, self.later, self.now = base, local, remote, later, now
        self.conflicts: list[Conflict] = []

    def run(self) -> Merged:
        when = self._pick(Field.WHEN)
        kept = self.local.when == self.remote.when
        self._follow(when)
        overrides, edited = self._overrides(), self._edited()
        exdates = frozenset(self._exdates()) - edited
        if not kept:  # what one side changed of an occurrence that the other side's rule does not have
            there = _named(when, exdates.union(overrides))
            overrides, exdates = {key: overrides[key] for key in overrides if key in there}, exdates & there
        left_out = tuple(sorted(exdates, key=order))
        event = Event(
            title=self._pick(Field.TITLE),
            when=when,
            notes=self._notes(),
            location=self._pick(Field.LOCATION),
            alarms=self._alarms(),
            exdates=left_out if when.rrule else (),
            overrides=tuple(
                overrides[key] for key in sorted(overrides, key=order) if when.rrule and key not in left_out
            ),
            status=self._status(when),
        )
        return Merged(event, tuple(self.conflicts))

    def _pick(self, name: Field) -> Any:
        """The value of one side."""
        local, remote = getattr(self.local, name), getattr(self.remote, name)
        if local == remote:
            return local
        if self.base is not None:
            before = getattr(self.base, name)
            if local == before:
                return remote
            if remote == before:
                return local
        return self._settle(name, local, remote)

    def _settle(self, name: Field, local: Any, remote: Any, winner: Side | None = None) -> Any:
        winner = winner or self.later
        before = getattr(self.base, name) if self.base else None
        self.conflicts.append(Conflict(name, before, local, remote, winner))
        return remote if winner is Side.REMOTE else local

    def _notes(self) -> str:
        base, local, remote = self.base, self.local.notes, self.remote.notes
        before = base.notes if base else ""
        if local == remote or (base and remote == before):
            return local
        if (base and local == before) or remote.startswith(local + RULE_LINE):
            return remote
        clean = merge_lines(before, local, remote) if base else None
        if clean is not None:
            return clean
        self._settle(Field.NOTES, local, remote, Side.BOTH)
        return RULE_LINE.join(each for each in (local, remote) if each)

    def _status(self, when: When) -> Status:
        local, remote = self.local.status, self.remote.status
        base = self.base
        if local == remote or base is None or base.status in (local, remote) or Status.CANCELLED not in (local, remote):
            chosen: Status = self._pick(Field.STATUS)
        else:
            chosen = self._settle(Field.STATUS, local, remote, Side.LOCAL if local is Status.CANCELLED else Side.REMOTE)
        if chosen is Status.CANCELLED and local is not remote:
            other = self.remote if local is Status.CANCELLED else self.local
            moved = base is not None and other.when != base.when
            if moved and order(other.when.start) > self.now:
                return other.status
        return chosen

    def _alarms(self) -> tuple[int, ...]:
        """In the local order; but an alarm that was put first in the calendar stays the one that counts there."""
        if self.base is None:
            alarms: tuple[int, ...] = self._pick(Field.ALARMS)
            return alarms
        before, local, remote = self.base.alarms, self.local.alarms, self.remote.alarms
        first, second = (remote, local) if local[:1] == before[:1] != remote[:1] else (local, remote)
        return _members(before, first, second)

    def _exdates(self) -> tuple[Point, ...]:
        return _members(self.base.exdates if self.base else (), self.local.exdates, self.remote.exdates)

    def _follow(self, when: When) -> None:
        """Where the series was moved, exceptions are named by where it puts them now: those of the side that did not
        move it, and of the base, follow; those of another rule are dropped (calendar-sync.md §4.10)."""
        self.local, self.remote = (follow(each, when) for each in (self.local, self.remote))
        self.base = self.base and follow(self.base, when)

    def _overrides(self) -> dict[Point, Override]:
        base, local, remote = (_by_original(each) for each in (self.base, self.local, self.remote))
        merged: dict[Point, Override] = {}
        for original in dict.fromkeys((*local, *remote)):
            chosen = self._override(original, base.get(original), local.get(original), remote.get(original))
            if chosen is not None:
                merged[original] = chosen
        return merged

    def _override(
        self, original: Point, before: Override | None, local: Override | None, remote: Override | None
    ) -> Override | None:
        if local == remote or (self.base and remote == before):
            return local
        if self.base and local == before:
            return remote
        if local is None or remote is None:  # an edit beats a restoration to what the rule says
            return local or remote
        self.conflicts.append(Conflict(Field.OVERRIDES, before, local, remote, self.later, original))
        return remote if self.later is Side.REMOTE else local

    def _edited(self) -> frozenset[Point]:
        """Occurrences that one side edited while the other left them out: the edit stays."""
        base, found = _by_original(self.base), set()
        for ours, theirs in ((self.local, self.remote), (self.remote, self.local)):
            for each in ours.overrides:
                if each.original in theirs.exdates and each != base.get(each.original):
                    found.add(each.original)
        return frozenset(found)


def follow(event: Event, when: When) -> Event:
    """The event with its exceptions named as a series of `when` names them; of another rule it has none. An occurrence
    that differs in its words alone stays where the rule is."""
    was = event.when
    if was == when or not (event.exdates or event.overrides):
        return event
    if was.all_day != when.all_day or _rule(was) != _rule(when):
        return replace(event, exdates=(), overrides=())
    by = order(when.start) - order(was.start)
    return replace(
        event,
        exdates=tuple(shifted(each, by) for each in event.exdates),
        overrides=tuple(_followed(each, by) for each in event.overrides),
    )


def _followed(override: Override, by: timedelta) -> Override:
    original, start, end = (shifted(each, by) for each in (override.original, override.start, override.end))
    if override.start != override.original:
        return replace(override, original=original)
    return replace(override, original=original, start=start, end=end)


def _rule(when: When) -> Mapping[str, str]:
    """What decides which days a series names, but not how many of them. Days move along with the start."""
    parts = rule_parts(when.rrule) if when.rrule else {}
    return {name: value for name, value in parts.items() if name in ("FREQ", "INTERVAL", "BYSETPOS")}


def _by_original(event: Event | None) -> dict[Point, Override]:
    return {each.original: each for each in event.overrides} if event else {}


def _named(when: When, points: frozenset[Point]) -> frozenset[Point]:
    """Those of the points at which the rule has an occurrence; all of them for a rule that appointments cannot have."""
    try:
        return named(when, points)
    except Invalid:
        return points


def _members(before: tuple[Any, ...], first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those that either side added, without those that either side took away."""
    gone = {each for each in before if each not in first or each not in second}
    return tuple(each for each in _union(first, second) if each not in gone)


def _union(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*first, *second)))
