"""What uploads live through, recorded for `test_histories.py`."""

from collections.abc import Awaitable, Callable
from typing import Final

from temporalio.client import WorkflowHistory

from domain.media.reasons import Reason
from domain.media.state import AssetState
from integrations.scanning.protocol import ScannerUnavailable
from temporal.contracts.media import Finding, MediaTask
from tests.workflows.media_world import MediaWorld

MediaScenario = Callable[[MediaWorld], Awaitable[list[WorkflowHistory]]]


async def published_after_an_outage(world: MediaWorld) -> list[WorkflowHistory]:
    """The scanner is away at two attempts."""
    world.row.faults = {"scan": [ScannerUnavailable("away"), ScannerUnavailable("away")]}
    await (await world.ring()).result()
    return await world.histories()


async def refused_by_the_decoder(world: MediaWorld) -> list[WorkflowHistory]:
    """Verified and scanned, and damaged."""
    world.row.findings = {"render": Finding(Reason.DAMAGED)}
    await (await world.ring()).result()
    return await world.histories()


async def known_already(world: MediaWorld) -> list[WorkflowHistory]:
    """The household has it: its places use that one, and it is removed."""
    world.row.findings = {"verify": Finding(is_known=True)}
    await (await world.ring()).result()
    return await world.histories()


async def given_up_while_scanned(world: MediaWorld) -> list[WorkflowHistory]:
    """Deleted in between: the scan is cancelled, and everything removed."""
    world.row.hangs = True
    handle = await world.ring()
    await world.row.scanning.wait()
    world.row.task = MediaTask.REMOVE
    await world.ring()
    await handle.result()
    return await world.histories()


async def renewed(world: MediaWorld) -> list[WorkflowHistory]:
    """Published, rendered anew, then withdrawn by new rules: the run that does that."""
    await (await world.ring()).result()
    world.row.task, world.row.state = MediaTask.RENDER, AssetState.READY
    await (await world.ring()).result()
    world.row.task, world.row.findings = MediaTask.RESCAN, {"scan": Finding(Reason.THREAT)}
    await (await world.ring()).result()
    return await world.histories()


UPLOADS: Final[tuple[MediaScenario, ...]] = (
    published_after_an_outage,
    refused_by_the_decoder,
    known_already,
    given_up_while_scanned,
    renewed,
)
