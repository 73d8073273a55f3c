"""When the people of a lost pet are asked, when a search ends by itself, and when all of it is forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.lost import Ending, Next, Search, SearchStep, ending, next_step

BERLIN = ZoneInfo("Europe/Berlin")


def at(day: int, hour: int, minute: int = 0, *, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


SEARCH = Search(
    opened_at=at(23, 18),
    answered_at=at(23, 18),
    asked_at=None,
    closed_at=None,
    wiped_at=None,
    tzid="Europe/Berlin",
    pet_is_here=True,
)


@pytest.mark.parametrize(
    ("answered", "asked", "question"),
    [
        (at(23, 18), None, at(24, 9)),
        (at(23, 8, 50), None, at(24, 9)),
        (at(23, 21), None, at(25, 9)),
        (at(23, 18), at(24, 9), at(25, 9)),
        (at(24, 9, 5), at(24, 9), at(25, 9)),
        (at(24, 23), at(24, 9), at(26, 9)),
    ],
)
def test_people_are_asked_in_the_morning_but_not_right_after_an_answer(
    answered: datetime, asked: datetime | None, question: datetime
) -> None:
    search = replace(SEARCH, answered_at=answered, asked_at=asked)
    assert next_step(search) == Next(SearchStep.ASK, question)


@pytest.mark.parametrize(
    ("tzid", "question"),
    [
        ("America/New_York", datetime(2026, 11, 24, 14, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2026, 11, 24, 19, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 25, 3, 15, tzinfo=UTC)),
    ],
)
def test_morning_is_where_the_pet_lives(tzid: str, question: datetime) -> None:
    assert next_step(replace(SEARCH, tzid=tzid)) == Next(SearchStep.ASK, question)


def test_the_question_stays_at_nine_when_the_clocks_change() -> None:
    asked = datetime(2026, 10, 24, 9, tzinfo=BERLIN)
    search = replace(SEARCH, opened_at=asked, answered_at=asked, asked_at=asked)
    found = next_step(search)
    assert found is not None
    assert found.at.astimezone(BERLIN).isoformat() == "2026-10-25T09:00:00+01:00"


def test_a_search_that_nobody_answers_for_ends_after_thirty_days() -> None:
    search = replace(SEARCH, asked_at=SEARCH.answered_at + timedelta(days=29, hours=15))
    assert next_step(search) == Next(SearchStep.CLOSE, SEARCH.answered_at + timedelta(days=30))
    assert ending(search) is Ending.NO_ANSWER


def test_a_search_ends_at_once_when_the_pet_is_not_of_the_household_any_more() -> None:
    gone = replace(SEARCH, pet_is_here=False)
    assert next_step(gone) == Next(SearchStep.CLOSE, SEARCH.opened_at)
    assert ending(gone) is Ending.PET_GONE


def test_what_is_over_is_forgotten_after_thirty_days_and_then_left_alone() -> None:
    closed = replace(SEARCH, closed_at=at(25, 12))
    assert next_step(closed) == Next(SearchStep.WIPE, at(25, 12) + timedelta(days=30))
    assert next_step(replace(closed, wiped_at=at(26, 12, month=12))) is None
