"""The tests of the sync notice when a precaution is missing: each mutant breaks a law on a short script that the sync
itself plays by that law (calendar-sync.md §4.4). The scripts were found by searching, and are told here."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.calendar import mutants
from tests.calendar.model import World
from tests.calendar.mutants import Mutant
from tests.calendar.test_sync_model import converges, disjoint, play

Script = list[tuple[Any, ...]]
VET: dict[str, Any] = {}
"""Of an event that is as they all are."""


async def agrees(script: Script) -> None:
    """INV1 to INV4."""
    await converges(World(), script)


async def is_named_last(script: Script) -> None:
    """The only event has the title that somebody gave it last; it was not lost to an earlier one."""
    world = World()
    await play(world, script)
    await world.sync()
    await world.sync()
    titles = [args["title"] for _, *given in script for args in given if isinstance(args, dict) and "title" in args]
    assert [event.title for event in world.here.values()] == titles[-1:]
    assert [event.title for event in world.there.values()] == titles[-1:]


def titled(title: str) -> dict[str, str]:
    """An edit."""
    return {"title": title}


@dataclass(frozen=True)
class Case:
    """`law` holds for the script, but not under the mutant."""

    mutant: Mutant
    law: Callable[[Script], Awaitable[None]]
    script: Script


CASES = [
    # Dies after the event was made: nobody knows its name any more, and it is taken for a copy.
    Case(mutants.random_id, agrees, [("create", VET), ("sync", 4)]),
    # Dies between the cursor and the entries.
    Case(mutants.cursor_first, agrees, [("remote_create", VET), ("sync", 2)]),
    # An edit of one side alone looks like two.
    Case(mutants.no_base, disjoint, [("here", None, titled("Groomer"), {"notes": "sober"})]),
    Case(
        mutants.whole_event,
        disjoint,
        [("raced", None, titled("Groomer"), {"notes": "sober"})],
    ),
    # Somebody edits between our look and our write.
    Case(mutants.unconditional_update, disjoint, [("raced", None, titled("Groomer"), {"notes": "sober"})]),
    # S11.
    Case(
        mutants.unconditional_delete,
        is_named_last,
        [("create", VET), ("sync", None), ("delete", 0), ("sync_raced", None, 0, titled("Theirs"))],
    ),
    # B1: dies after its write; the next edit of the same field is no conflict.
    Case(
        mutants.no_intent,
        disjoint,
        [("here", 3, titled("Groomer"), {"notes": "sober"}), ("here", None, titled("Vaccination"), {"notes": "sober"})],
    ),
    # B3: a revert there is misread as our own echo.
    Case(
        mutants.intent_stays,
        is_named_last,
        [
            ("create", titled("Vet")),
            ("sync", None),
            ("edit", 0, titled("Groomer")),
            ("sync", None),
            ("remote_edit", 0, titled("Vaccination")),
            ("sync", None),
            ("remote_edit", 0, titled("Groomer")),
            ("sync", None),
        ],
    ),
    # B2: dies between the local row and the link; a revert there is overwritten.
    Case(
        mutants.torn_settlement,
        is_named_last,
        [
            ("create", titled("Vet")),
            ("sync", None),
            ("remote_edit", 0, titled("Groomer")),
            ("sync", 2),
            ("remote_edit", 0, titled("Vet")),
        ],
    ),
    Case(mutants.no_dead_links, agrees, [("create", VET), ("sync", None), ("delete", 0)]),
    # §4.6: a whole list has no tombstones.
    Case(mutants.absence_ignored, agrees, [("create", VET), ("sync", None), ("remote_delete", 0), ("expire",)]),
    # B5: dies after it made the event again; then it is deleted here.
    Case(
        mutants.own_event_adopted,
        agrees,
        [("create", VET), ("sync", None), ("remote_delete", 0), ("edit", 0, titled("Groomer")), ("sync", 3)],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.mutant.__name__)
def test_a_sync_without_this_precaution_breaks_its_law(case: Case) -> None:
    asyncio.run(case.law(case.script))
    with pytest.MonkeyPatch.context() as patch:
        case.mutant(patch)
        with pytest.raises(AssertionError):
            asyncio.run(case.law(case.script))
