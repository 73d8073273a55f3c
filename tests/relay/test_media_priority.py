"""Whose uploads are worked on first when there are more than the workers can do."""

from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from core.ids import new_id
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import media
from temporal.contracts.media import Finding, MediaStanding, MediaTask, WorkOnMedia
from tests.relay.kit import until
from workers import registry
from workers.outbox_table import OutboxRow
from workers.sender import Sender
from workflows.media import MediaWorkflow


class Looked:
    """Notes whose contents were looked at. All of them are known already, and nothing is left to do then."""

    def __init__(self) -> None:
        self.order: list[UUID] = []

    @activity.defn
    async def review_media(self, request: WorkOnMedia) -> MediaStanding:
        is_done = request.asset_id in self.order
        return MediaStanding(MediaTask.NOTHING if is_done else MediaTask.PUBLISH)

    @activity.defn
    async def verify_media(self, request: WorkOnMedia) -> Finding:
        self.order.append(request.asset_id)
        return Finding(is_known=True)


def bell(household_id: UUID, asset_id: UUID, *, is_urgent: bool = True) -> OutboxRow:
    """As `outbox.ring_media` writes it."""
    args = media.bell_args(asset_id, is_urgent=is_urgent)
    return OutboxRow(uuid4(), 1, media.KIND, ids.media(household_id, asset_id), args)


async def test_households_take_turns_and_what_the_night_does_anew_comes_last(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await Client.connect(temporal_address, namespace="petfolio", data_converter=pydantic_data_converter)
    queue = f"media-{uuid4().hex[:8]}"
    monkeypatch.setattr("temporal.queues.MEDIA", queue)
    many, few, outdated = new_id(), new_id(), new_id()
    rows = [bell(outdated, new_id(), is_urgent=False) for _ in range(3)]
    rows += [bell(many, new_id()) for _ in range(12)] + [bell(few, new_id()) for _ in range(2)]
    whose = {UUID(str(row.args["asset_id"])): ids.parse(row.workflow_id).subject.id for row in rows}
    looked, sender = Looked(), Sender(client, registry.OUTBOX)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[MediaWorkflow],
        activities=[looked.review_media],
        no_remote_activities=True,
        workflow_runner=workflow_runner(),
    ):
        for row in rows:
            await sender.send(row)

        async def all_are_queued() -> bool:
            seen = [await client.get_workflow_handle(row.workflow_id).describe() for row in rows]
            return all(each.raw_description.pending_activities for each in seen)

        await until(all_are_queued)
        async with Worker(client, task_queue=queue, activities=[looked.verify_media], max_concurrent_activities=1):

            async def all_are_looked_at() -> bool:
                return len(looked.order) == len(rows)

            await until(all_are_looked_at)
    order = [whose[asset_id] for asset_id in looked.order]
    assert order[-3:] == [outdated] * 3
    assert {few} == set(order[:8]) - {many}, "who sent two files does not wait for another one's twelve"
    assert order[:8].count(few) == 2
