"""A mixed load: people create, edit and delete the same events at several places at once, and account for it."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tests.calendar.edits import FIELDS, Edits, Texts, Verdict, keys_in, words_in

_OWNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "title": ("here",),
    "location": ("google",),
    "notes": ("microsoft", "caldav"),
}

_LOSER: Final[Mapping[str, str]] = {"local": "remote", "remote": "local"}


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it is seen somewhere."""

    id: str
    etag: str
    texts: Texts


class Place(Protocol):
    """Where somebody edits. Changes are made under the condition that the event is still as it was seen, so that it is
    known what they overwrite."""

    async def events(self) -> Sequence[Found]:
        """All that are there now."""

    async def create(self, title: str) -> None:
        """A new event."""

    async def edit(self, seen: Found, name: str, text: str) -> bool:
        """Another text in one field. False: somebody was quicker, and nothing was changed."""

    async def delete(self, seen: Found) -> bool:
        """Without it. False as above."""


@dataclass
class Load:
    """See the module. `most`: with so many events at a place nobody makes another there; `deletions`: how many each
    place may still do."""

    places: Mapping[str, Place]
    dice: random.Random
    most: int
    deletions: int
    edits: Edits = field(default_factory=Edits)

    def __post_init__(self) -> None:
        self._left = dict.fromkeys(self.places, self.deletions)

    async def something(self, where: str) -> None:
        """Somebody does something there."""
        events = await self.places[where].events()
        if len(events) < self.most and (not events or self.dice.random() < 0.3):
            return await self._create(where)
        seen = self.dice.choice(events)
        (key,) = keys_in(seen.texts)
        if self._left[where] and not is_peaceful(key) and self.dice.random() < 0.15:
            return await self._delete(where, key, seen)
        names = [name for name in FIELDS if not is_peaceful(key) or _owner(key, name) == where]
        if names:
            await self._edit(where, key, seen, self.dice.choice(names))
        return None

    async def anywhere(self) -> None:
        """The same, wherever."""
        await self.something(self.dice.choice(list(self.places)))

    async def _create(self, where: str) -> None:
        word = self.edits.word(self.edits.new_event())
        await self.places[where].create(word)
        self.edits.wrote(word)

    async def _edit(self, where: str, key: str, seen: Found, name: str) -> None:
        word = self.edits.word(key)
        if await self.places[where].edit(seen, name, word):
            self.edits.wrote(word, over=seen.texts[name])

    async def _delete(self, where: str, key: str, seen: Found) -> None:
        if await self.places[where].delete(seen):
            self._left[where] -= 1
            self.edits.removed(key, seen.texts)

    async def verdict(self, logged: Collection[str]) -> Verdict:
        """Once everything has come to rest; with the words of the conflict log."""
        found = {name: [each.texts for each in await place.events()] for name, place in self.places.items()}
        return self.edits.verdict(found, logged)


def logged_words(log: Sequence[Mapping[str, object]]) -> set[str]:
    """The words that lost, as entries of the conflict log keep them."""
    return words_in(str(each[_LOSER[str(each["winner"])]]) for each in log if each["winner"] in _LOSER)


def is_peaceful(key: str) -> bool:
    """Every third event is edited at all places, but each field at one alone; and is never deleted."""
    return int(key[1:]) % 3 == 0


def fought_for(logged: Collection[str]) -> set[str]:
    """The peaceful events among these words: there should be none."""
    return {key for key in (word.partition("-")[0] for word in logged) if is_peaceful(key)}


def _owner(key: str, name: str) -> str:
    """Who edits this field of a peaceful event."""
    owners = _OWNERS[name]
    return owners[int(key[1:]) % len(owners)]
