"""An upload through its workflow. Time is skipped."""

from collections.abc import AsyncIterator

import pytest

from domain.media.reasons import Reason
from domain.media.state import AssetState
from integrations.scanning.protocol import ScannerUnavailable
from integrations.storage.protocol import StorageUnavailable
from temporal.contracts.media import Finding, MediaTask
from tests.workflows.media_world import MediaWorld, media_world
from workflows.media import AGAIN_AFTER

ALL = ["verify", "scan", "render", "publish"]


@pytest.fixture
async def world() -> AsyncIterator[MediaWorld]:
    """An upload that has just been completed, and one worker."""
    async with media_world() as opened:
        yield opened


async def test_it_is_verified_scanned_rendered_and_published(world: MediaWorld) -> None:
    await (await world.ring()).result()
    assert (world.row.done, world.row.state) == (ALL, AssetState.READY)


@pytest.mark.parametrize(
    ("step", "reason", "done"),
    [
        ("verify", Reason.HASH_MISMATCH, ["verify"]),
        ("scan", Reason.THREAT, ["verify", "scan"]),
        ("render", Reason.DAMAGED, ["verify", "scan", "render"]),
    ],
)
async def test_the_first_step_that_refuses_it_is_the_last_one(
    world: MediaWorld, step: str, reason: Reason, done: list[str]
) -> None:
    world.row.findings = {step: Finding(reason)}
    await (await world.ring()).result()
    assert world.row.done == [*done, f"refuse {reason}"]


async def test_what_the_household_has_already_is_neither_scanned_nor_kept(world: MediaWorld) -> None:
    world.row.findings = {"verify": Finding(is_known=True)}
    await (await world.ring()).result()
    assert world.row.done == ["verify", "remove"]


async def test_without_scanner_and_storage_it_waits(world: MediaWorld) -> None:
    world.row.faults = {
        "verify": [StorageUnavailable("away")] * 30,
        "scan": [ScannerUnavailable("away")] * 40,
        "publish": [StorageUnavailable("away")] * 3,
    }
    await (await world.ring()).result()
    assert world.row.done == ALL


async def test_a_worker_that_dies_at_any_step_leaves_a_step_to_be_done_again(world: MediaWorld) -> None:
    world.row.faults = {step: [RuntimeError("the worker died")] for step in ALL}
    await (await world.ring()).result()
    assert world.row.done == ALL


async def test_what_was_to_no_avail_is_done_again_after_pauses_that_grow(world: MediaWorld) -> None:
    world.row.vain = 4
    handle = await world.ring()
    await handle.result()
    assert world.row.done == ALL * 5
    history = await handle.fetch_history()
    pauses = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in history.events
        if event.HasField("timer_started_event_attributes")
    ]
    assert pauses == [AGAIN_AFTER * factor for factor in (1, 2, 4, 8)]


async def test_what_is_given_up_while_it_is_scanned_is_cancelled_and_removed(world: MediaWorld) -> None:
    world.row.hangs = True
    handle = await world.ring()
    await world.row.scanning.wait()
    world.row.task = MediaTask.REMOVE
    await world.ring()
    await handle.result()
    assert world.row.done == ["verify", "remove"]


async def test_a_bell_that_changes_nothing_does_not_disturb_the_work(world: MediaWorld) -> None:
    world.row.hangs = True
    handle = await world.ring()
    await world.row.scanning.wait()
    await world.ring()
    world.row.hangs = False
    await handle.result()
    assert world.row.done == ALL


async def test_what_is_published_is_removed_by_a_later_bell(world: MediaWorld) -> None:
    await (await world.ring()).result()
    world.row.task = MediaTask.REMOVE
    await (await world.ring()).result()
    assert world.row.done == [*ALL, "remove"]


async def test_renditions_of_a_former_release_are_made_anew_without_a_scan(world: MediaWorld) -> None:
    world.row.task, world.row.state = MediaTask.RENDER, AssetState.READY
    await (await world.ring()).result()
    assert world.row.done == ["render", "publish"]


async def test_new_rules_withdraw_what_the_former_ones_let_through(world: MediaWorld) -> None:
    world.row.task, world.row.state = MediaTask.RESCAN, AssetState.READY
    world.row.findings = {"scan": Finding(Reason.THREAT)}
    await (await world.ring()).result()
    assert (world.row.done, world.row.state) == (["scan", "refuse threat"], AssetState.QUARANTINED)


async def test_new_rules_that_find_nothing_change_nothing_that_is_shown(world: MediaWorld) -> None:
    world.row.task, world.row.state = MediaTask.RESCAN, AssetState.READY
    await (await world.ring()).result()
    assert world.row.done == ["scan"]


async def test_a_bell_to_what_is_over_does_nothing(world: MediaWorld) -> None:
    world.row.task, world.row.state = MediaTask.NOTHING, None
    await (await world.ring()).result()
    assert world.row.done == []
