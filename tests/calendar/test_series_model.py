"""Series edited on both sides, by an occurrence and as a whole, with a sync that dies anywhere: the sides agree, no
exception is doubled or left behind, and no edit is lost (calendar-sync.md §4.10)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.calendar import Event, Override, Point
from domain.calendar_form import canonical, order
from domain.calendar_merge import follow
from tests.calendar.model import World, an_event
from tests.conftest import EXPLORE

EXAMPLES = 3_000 if EXPLORE else 150
WEEK = timedelta(weeks=1)
Script = list[tuple[Any, ...]]
Edit = Callable[[Event], Event]


def a_series() -> Event:
    event = an_event("Training")
    return replace(event, when=replace(event.when, rrule="FREQ=WEEKLY;COUNT=12"))


def nth(event: Event, number: int) -> datetime:
    """Where the rule puts an occurrence."""
    assert isinstance(event.when.start, datetime)
    return event.when.start + number * WEEK


def known(event: Event, number: int) -> Override:
    """The occurrence as it is."""
    at = nth(event, number)
    length = order(event.when.end) - order(event.when.start)
    plain = Override(at, at, at + length, event.title, event.notes, event.location)
    return next((each for each in event.overrides if each.original == at), plain)


def changed(event: Event, number: int, **fields: Any) -> Event:
    """One occurrence is otherwise, also if it was left out before."""
    one = replace(known(event, number), **fields)
    others = [each for each in event.overrides if each.original != one.original]
    left = tuple(each for each in event.exdates if each != one.original)
    return canonical(replace(event, overrides=(*others, one), exdates=left))


def reword_one(event: Event, number: int, title: str) -> Event:
    return changed(event, number, title=title)


def move_one(event: Event, number: int, title: str) -> Event:
    """To a time that no series of these tests has."""
    start = nth(a_series(), number) + timedelta(hours=len(title), minutes=30)
    return changed(event, number, start=start, end=start + timedelta(hours=1))


def leave_out(event: Event, number: int, title: str) -> Event:
    return canonical(replace(event, exdates=(*event.exdates, nth(event, number))))


def as_before(event: Event, number: int, title: str) -> Event:
    others = tuple(each for each in event.overrides if each.original != nth(event, number))
    return replace(event, overrides=others)


def move_all(event: Event, number: int, title: str) -> Event:
    by = timedelta(hours=number + 1)
    when = replace(event.when, start=event.when.start + by, end=event.when.end + by)
    return replace(follow(event, when), when=when)


def reword_all(event: Event, number: int, title: str) -> Event:
    return replace(event, title=title)


EDITS = {each.__name__: each for each in (reword_one, move_one, leave_out, as_before, move_all, reword_all)}
CRASH = st.none() | st.integers(1, 6)
STEPS = st.tuples(
    st.sampled_from(["here", "there", "raced"]),
    CRASH,
    st.sampled_from(sorted(EDITS)),
    st.integers(0, 3),
    st.sampled_from(["a", "bb", "ccc"]),
)


async def play(world: World, script: Script) -> None:
    local_id = world.create(a_series())
    await world.sync()

    def there(edit: Edit) -> None:
        for remote_id, event in world.there.items():
            world.server.edit(world.calendar_id, remote_id, edit(event))

    for where, crash_at, name, number, title in script:

        def edit(event: Event, name: str = name, number: int = number, title: str = title) -> Event:
            return EDITS[name](event, number, title)

        if where == "here":
            world.store.put(local_id, edit(world.here[local_id]))
        elif where == "there":
            there(edit)
        await world.sync(crash_at=crash_at, race=(lambda edit=edit: there(edit)) if where == "raced" else None)  # type: ignore[misc]
    await world.sync()
    await world.sync()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(STEPS, max_size=8))
def test_both_sides_have_the_same_exceptions_each_once_and_where_the_rule_is(script: Script) -> None:
    world = World()
    asyncio.run(play(world, script))
    world.check()
    (event,) = world.here.values()
    starts = {nth(event, number) for number in range(12)}
    originals = [each.original for each in event.overrides]
    assert len(originals) == len(set(originals))
    assert not set(originals) & set(event.exdates)
    assert {*originals, *event.exdates} <= starts
    writes = world.server.writes
    asyncio.run(world.sync())
    assert world.server.writes == writes


REWORD, AS_BEFORE, LEAVE_OUT, MOVE_ALL = ("reword_one", 0), ("as_before", 0), ("leave_out", 2), ("move_all", 0)
OURS = st.sampled_from([REWORD, ("move_one", 1), LEAVE_OUT, AS_BEFORE])
THEIRS = st.sampled_from([("reword_one", 4), ("move_one", 5), ("leave_out", 6), MOVE_ALL])
DISJOINT = st.lists(
    st.tuples(st.sampled_from(["here", "there"]), CRASH, OURS, THEIRS, st.sampled_from(["a", "bb", "ccc"])), max_size=6
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(DISJOINT)
@example(
    [("here", 3, REWORD, MOVE_ALL, "a"), ("there", 1, REWORD, MOVE_ALL, "a"), ("here", None, AS_BEFORE, MOVE_ALL, "a")]
)
@example(
    [("here", 3, LEAVE_OUT, MOVE_ALL, "a"), ("there", 1, REWORD, MOVE_ALL, "a"), ("here", None, REWORD, MOVE_ALL, "a")]
)
def test_edits_of_different_occurrences_all_survive_and_are_no_conflict(script: Script) -> None:
    """Also while the other side moves the series: what was edited here is then named by where it is now."""
    world = World()
    wanted = a_series()

    async def run() -> None:
        nonlocal wanted
        local_id = world.create(wanted)
        await world.sync()
        for where, crash_at, ours, theirs, title in script:
            name, number = ours if where == "here" else theirs
            wanted = EDITS[name](wanted, number, title)
            if where == "here":
                world.store.put(local_id, EDITS[name](world.here[local_id], number, title))
            else:
                for remote_id, event in world.there.items():
                    world.server.edit(world.calendar_id, remote_id, EDITS[name](event, number, title))
            await world.sync(crash_at=crash_at)
        await world.sync()
        await world.sync()

    asyncio.run(run())
    world.check()
    (event,) = world.here.values()
    assert event == wanted
    assert world.store.conflicts == []


@pytest.mark.parametrize("hours", [-3, 2, 24])
def test_an_exception_follows_its_series_and_is_found_again(hours: int) -> None:
    event = leave_out(reword_one(a_series(), 1, "a"), 2, "")
    by = timedelta(hours=hours)
    when = replace(event.when, start=event.when.start + by, end=event.when.end + by)
    moved = replace(follow(event, when), when=when)
    points: list[Point] = [moved.overrides[0].original, *moved.exdates]
    assert points == [nth(moved, 1), nth(moved, 2)]
    back = replace(follow(moved, event.when), when=event.when)
    assert back == event
