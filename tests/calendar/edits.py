"""What people did to the same events at several places, and what has become of it.

Every value that somebody writes is a word that nobody else writes, `e7-41`: a word about the event `e7`. Whoever
overwrites or deletes has seen certain words, and those may go. Every other word must be there in the end, or stand in
the conflict log. Nobody asks the sync what it believes: this is only about what people did, and what they find.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

WORD = re.compile(r"\be\d+-\d+\b")
FIELDS = ("title", "location", "notes")

Texts = Mapping[str, str]
"""An event as somebody finds it: the text of each of `FIELDS`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lost`: words that nobody overwrote knowingly, and that are nowhere. `risen`: events that are there although
    whoever deleted them had seen all of it. `doubled`: events that are somewhere more than once. `differing`: places
    that do not hold the same as the first one."""

    lost: frozenset[str] = frozenset()
    risen: frozenset[str] = frozenset()
    doubled: frozenset[str] = frozenset()
    differing: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass
class Edits:
    """The account of one load."""

    written: list[str] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    events: int = 0
    words: int = 0

    def new_event(self) -> str:
        """The key of an event that is not there yet."""
        self.events += 1
        return f"e{self.events}"

    def word(self, key: str) -> str:
        """A new word about an event, to be written now."""
        self.words += 1
        return f"{key}-{self.words}"

    def wrote(self, word: str, over: str = "") -> None:
        """Somebody has written it, in the place of a text that they saw."""
        self.written.append(word)
        self.replaced |= words_in([over])

    def removed(self, key: str, seen: Texts) -> None:
        """Somebody has deleted the event that they saw so."""
        self.deleted.add(key)
        self.replaced |= words_in(seen.values())

    def verdict(self, places: Mapping[str, Sequence[Texts]], logged: Collection[str]) -> Verdict:
        """Of what the places hold in the end; `logged` are the words that lost a conflict, as its log says."""
        first = next(iter(places.values()))
        found = words_in(text for event in first for text in event.values())
        owed = {word for word in self.written if word not in self.replaced and word not in logged}
        there = {key for event in first for key in keys_in(event)}
        differences = {name: _difference(first, events) for name, events in places.items()}
        return Verdict(
            lost=frozenset(owed - found),
            risen=frozenset((self.deleted - {_key(word) for word in owed}) & there),
            doubled=frozenset(key for events in places.values() for key in _doubled(events)),
            differing={name: events for name, events in differences.items() if events},
        )


def words_in(texts: Iterable[str]) -> set[str]:
    """All words of these texts."""
    return {word for text in texts for word in WORD.findall(text)}


def keys_in(event: Texts) -> set[str]:
    """Which event it is; more than one where texts got mixed."""
    return {_key(word) for word in words_in(event.values())}


def _key(word: str) -> str:
    return word.partition("-")[0]


def _doubled(events: Sequence[Texts]) -> list[str]:
    seen = Counter(key for event in events for key in keys_in(event))
    return [key for key, times in seen.items() if times > 1]


def _difference(first: Sequence[Texts], other: Sequence[Texts]) -> list[str]:
    mine, theirs = (Counter(repr([event[name] for name in FIELDS]) for event in each) for each in (first, other))
    return sorted(((mine - theirs) + (theirs - mine)).elements())
