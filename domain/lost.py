"""A lost pet: what its public page may show, when its people are asked again, when the search ends by itself, and how
long what was written is kept (product.md §4.5)."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from core.errors import Conflict
from domain import recurrence

ASKED_AT: Final = time(9)
"""On the clock of the pet's home."""
PAUSE: Final = timedelta(hours=12)
"""Whoever has just said that it is lost is not asked in the same morning."""
UNANSWERED: Final = timedelta(days=30)
"""A search that nobody has confirmed for so long is over."""
KEPT: Final = timedelta(days=30)
"""After its end, what was written for it and what finders wrote stays this long. Reports outside a search: as long."""


class Shown(StrEnum):
    """What a public page can show. Each is chosen one by one; what nobody chose is not there."""

    SPECIES = "species"
    NAME = "name"
    BREED = "breed"
    SEX = "sex"
    MICROCHIPPED = "microchipped"
    NOTE = "note"
    CARE_NOTE = "care_note"
    FIRST_NAME = "first_name"
    PHONE = "phone"


DEFAULT: Final = (Shown.SPECIES,)
CONTACT: Final = frozenset({Shown.FIRST_NAME, Shown.PHONE})
"""Of a person, who chooses it for nobody but themselves."""


class Ending(StrEnum):
    """Why a search ended. The first three are for people to say."""

    FOUND = "found"
    FALSE_ALARM = "false_alarm"
    GIVEN_UP = "given_up"
    NO_ANSWER = "no_answer"
    PET_GONE = "pet_gone"


class SearchStep(StrEnum):
    """What a search does by itself."""

    ASK = "ask"
    CLOSE = "close"
    WIPE = "wipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where a search stands. `tzid` is the pet's home; `pet_is_here` says that it is still one of this household."""

    opened_at: datetime
    answered_at: datetime
    asked_at: datetime | None
    closed_at: datetime | None
    wiped_at: datetime | None
    tzid: str
    pet_is_here: bool


@dataclass(frozen=True, slots=True)
class Next:
    """The next step, and when it is due."""

    step: SearchStep
    at: datetime


class AlreadyLost(Conflict):
    """409: somebody has opened the search before. `case_id` names it."""

    code = "already_lost"


class NotLost(Conflict):
    """409: nobody is looking for this pet now."""

    code = "not_lost"


class NotSearchable(Conflict):
    """409: a pet that died, was archived or given away cannot be lost."""

    code = "not_searchable"


def next_step(search: Search) -> Next | None:
    """What comes next; None: all is done and forgotten."""
    if search.closed_at is not None:
        return None if search.wiped_at is not None else Next(SearchStep.WIPE, search.closed_at + KEPT)
    if not search.pet_is_here:
        return Next(SearchStep.CLOSE, search.opened_at)
    question = Next(SearchStep.ASK, _morning(max(search.answered_at, search.asked_at or search.opened_at), search.tzid))
    end = Next(SearchStep.CLOSE, search.answered_at + UNANSWERED)
    return min(question, end, key=lambda step: step.at)


def ending(search: Search) -> Ending:
    """Why it ends by itself."""
    return Ending.NO_ANSWER if search.pet_is_here else Ending.PET_GONE


def _morning(last: datetime, tzid: str) -> datetime:
    """When to ask once somebody has said something, or was asked, at `last`."""
    rested = (last + PAUSE).astimezone(ZoneInfo(tzid))
    day = rested.date() if rested.time() < ASKED_AT else rested.date() + timedelta(days=1)
    return recurrence.resolve(datetime.combine(day, ASKED_AT), tzid)
