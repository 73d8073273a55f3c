"""Whatever people do on both sides, and wherever the sync dies, the sides agree in the end and no edit is lost
(calendar-sync.md §4.4)."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.calendar import Capabilities, Event, Status, When
from domain.calendar_projection import lift, project
from tests.calendar.model import NARROW, NOW, World, an_event
from tests.conftest import EXPLORE

pytestmark = pytest.mark.timeout(900)  # a law takes half a minute of a core, more where others work beside it
EXAMPLES = 4_000 if EXPLORE else 2_000
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "title": st.sampled_from(["Vet", "Vaccination", "Groomer"]),
    "notes": st.sampled_from(["", "bring the card", "bring the card\nsober", "no breakfast"]),
    "location": st.sampled_from(["", "Main Street 1", "Side Street 2"]),
    "alarms": st.sampled_from([(), (10,), (10, 60), (1440,)]),
    "status": st.sampled_from([Status.CONFIRMED, Status.CANCELLED]),
    "when": st.integers(0, 3).map(
        lambda n: When(NOW + timedelta(hours=n), NOW + timedelta(hours=n + 1), "Europe/Berlin")
    ),
}
REMOTE_FIELDS = {name: values for name, values in FIELDS.items() if name != "status"}
OURS = {name: FIELDS[name] for name in ("title", "location")}
THEIRS = {name: FIELDS[name] for name in ("when", "alarms", "notes")}


def edits(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(sorted(fields)).flatmap(lambda name: fields[name].map(lambda value: {name: value}))


NUMBER = st.integers(0, 5)
CRASH = st.none() | st.integers(1, 12)
STEPS = st.one_of(
    st.tuples(st.just("create"), edits(FIELDS)),
    st.tuples(st.just("edit"), NUMBER, edits(FIELDS)),
    st.tuples(st.just("delete"), NUMBER),
    st.tuples(st.just("remote_create"), edits(REMOTE_FIELDS)),
    st.tuples(st.just("remote_edit"), NUMBER, edits(REMOTE_FIELDS)),
    st.tuples(st.just("remote_delete"), NUMBER),
    st.tuples(st.just("remote_copy"), NUMBER),
    st.tuples(st.just("expire")),
    st.tuples(st.just("sync"), CRASH),
    st.tuples(st.just("sync_raced"), CRASH, NUMBER, edits(REMOTE_FIELDS)),
    st.tuples(st.just("sync_overtaken"), CRASH, NUMBER, edits(FIELDS)),
)


async def play(world: World, script: list[tuple[Any, ...]]) -> None:
    for name, *args in script:
        await ACTIONS[name](world, *args)


async def _create(world: World, fields: dict[str, Any]) -> None:
    world.create(an_event(**{"title": "Vet", **fields}))


async def _remote_create(world: World, fields: dict[str, Any]) -> None:
    world.remote_create(an_event(**{"title": "Theirs", **fields}))


async def _edit(world: World, number: int, fields: dict[str, Any]) -> None:
    if world.here:
        world.edit(list(world.here)[number % len(world.here)], **fields)


async def _delete(world: World, number: int) -> None:
    if world.here:
        world.delete(list(world.here)[number % len(world.here)])


async def _remote_edit(world: World, number: int, fields: dict[str, Any]) -> None:
    if world.there:
        world.remote_edit(list(world.there)[number % len(world.there)], **fields)


async def _remote_delete(world: World, number: int) -> None:
    if world.there:
        world.remote_delete(list(world.there)[number % len(world.there)])


async def _remote_copy(world: World, number: int) -> None:
    if world.there:
        world.remote_copy(list(world.there)[number % len(world.there)])


async def _expire(world: World) -> None:
    world.server.expire()


async def _sync(world: World, crash_at: int | None) -> None:
    await world.sync(crash_at=crash_at)


async def _sync_raced(world: World, crash_at: int | None, number: int, fields: dict[str, Any]) -> None:
    """Somebody edits there between our look and our write."""
    there = list(world.there)
    race: Callable[[], object] | None = None
    if there:
        remote_id = there[number % len(there)]
        race = lambda: remote_id in world.there and world.remote_edit(remote_id, **fields)  # noqa: E731
    await world.sync(crash_at=crash_at, race=race)


async def _sync_overtaken(world: World, crash_at: int | None, number: int, fields: dict[str, Any]) -> None:
    """Somebody edits here between our intent and what settles it."""

    def edit() -> None:
        if world.here:
            world.edit(list(world.here)[number % len(world.here)], **fields)

    world.store.between = edit
    await world.sync(crash_at=crash_at)
    world.store.between = None


ACTIONS: dict[str, Callable[..., Any]] = {
    "create": _create,
    "edit": _edit,
    "delete": _delete,
    "remote_create": _remote_create,
    "remote_edit": _remote_edit,
    "remote_delete": _remote_delete,
    "remote_copy": _remote_copy,
    "expire": _expire,
    "sync": _sync,
    "sync_raced": _sync_raced,
    "sync_overtaken": _sync_overtaken,
}


async def converges(world: World, script: list[tuple[Any, ...]]) -> None:
    await play(world, script)
    await world.sync()
    await world.sync()
    world.check()
    writes = world.server.writes
    for _ in range(2):
        await world.sync()
    assert world.server.writes == writes
    world.check()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(STEPS, max_size=14), st.booleans())
@example([("sync", None), ("remote_create", {}), ("sync", 1), ("remote_delete", 0), ("expire",)], False)
def test_both_sides_agree_without_duplicates_and_then_nothing_is_written(
    script: list[tuple[Any, ...]], shallow: bool
) -> None:
    asyncio.run(converges(World(shallow=shallow), script))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_a_calendar_that_holds_less_agrees_as_far_as_it_can(script: list[tuple[Any, ...]]) -> None:
    asyncio.run(converges(World(side=NARROW), script))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["here", "there", "raced"]), CRASH, edits(OURS), edits(THEIRS)), max_size=8))
def test_edits_of_different_fields_all_survive_and_are_no_conflict(
    script: list[tuple[str, int | None, dict[str, Any], dict[str, Any]]],
) -> None:
    asyncio.run(disjoint(script))


async def disjoint(script: list[tuple[str, int | None, dict[str, Any], dict[str, Any]]]) -> None:
    """Here title and place are edited, there the rest, also in the moment before we write; with a sync that dies
    between any two edits."""
    world = World()
    local_id = world.create(an_event())
    await world.sync()
    wanted: dict[str, Any] = {}
    for where, crash_at, ours, theirs in script:

        def edit_there(theirs: dict[str, Any] = theirs, wanted: dict[str, Any] = wanted) -> None:
            world.remote_edit(next(iter(world.there)), **theirs)
            wanted.update(theirs)

        if where != "there":
            world.edit(local_id, **ours)
            wanted |= ours
        if where == "there":
            edit_there()
        await world.sync(crash_at=crash_at, race=edit_there if where == "raced" else None)
    await world.sync()
    await world.sync()
    world.check()
    event = world.here[local_id]
    assert {name: getattr(event, name) for name in wanted} == wanted
    assert not world.store.conflicts


def events() -> st.SearchStrategy[Event]:
    return st.builds(an_event, **{name: values for name, values in FIELDS.items()})


@settings(max_examples=EXAMPLES, deadline=None)
@given(events(), events(), st.sampled_from([Capabilities(), NARROW, Capabilities(alarms=2)]))
def test_what_a_side_says_is_read_back_over_what_it_cannot_hold(base: Event, other: Event, side: Capabilities) -> None:
    assert lift(project(base, side), base, side) == base
    said = project(other, side)
    assert project(lift(said, base, side), side) == said
