"""Nothing a workflow says is readable to who has Temporal's database and not our keys."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from core.crypto import Subject
from core.settings import Settings
from integrations.keys.store import KeyStore
from temporal import ids
from temporal.client import connect, plugin
from temporal.interceptors import interceptors
from tests.workflows.canary import CANARY, CanaryWorkflow, Secret, echo, linger, refuse, whisper

_MARKERS = EventType.EVENT_TYPE_MARKER_RECORDED


@pytest.fixture
async def client(settings: Settings, keys: KeyStore) -> Client:
    shared = plugin(keys, strict=True, interceptors=interceptors(traced=False))
    return await connect(settings, shared, lazy=False, runtime=None)


@pytest.fixture
async def queue(client: Client) -> AsyncIterator[str]:
    """A queue that a worker in the stock sandbox serves."""
    name = f"canary-{uuid4()}"
    async with Worker(client, task_queue=name, workflows=[CanaryWorkflow], activities=[whisper, echo, refuse, linger]):
        yield name


@pytest.fixture
async def stranger(settings: Settings) -> Client:
    """Somebody with access to Temporal and without our keys."""
    return await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace)


async def told_everything(client: Client, keys: KeyStore, queue: str) -> WorkflowHandle[CanaryWorkflow, None]:
    household_id = uuid4()
    await keys.create(Subject.household(household_id))
    handle = await client.start_workflow(
        CanaryWorkflow.run,
        Secret(),
        id=ids.reminder(household_id, uuid4()),
        task_queue=queue,
        memo={"said": CANARY},
        static_summary=CANARY,
        static_details=CANARY,
        start_signal="told",
        start_signal_args=[Secret()],
    )
    await handle.signal(CanaryWorkflow.told, Secret())
    return handle


async def test_nothing_said_is_readable_while_it_runs_or_after_it_failed(
    client: Client, stranger: Client, keys: KeyStore, queue: str
) -> None:
    handle = await told_everything(client, keys, queue)
    seen = stranger.get_workflow_handle(handle.id)
    ask = DescribeWorkflowExecutionRequest(
        namespace=stranger.namespace, execution=WorkflowExecution(workflow_id=handle.id)
    )
    async with asyncio.timeout(30):
        while b"binary/encrypted" not in (running := await heartbeats(stranger, ask)):
            await asyncio.sleep(0.05)
    assert CANARY.encode() not in running

    assert await handle.execute_update(CanaryWorkflow.ended, Secret()) == Secret()
    heard = await handle.query(CanaryWorkflow.repeated, Secret())
    assert [secret.text for secret in heard] == [CANARY, CANARY, f"conflict: {CANARY} is taken", CANARY]
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert CANARY in str(failed.value.cause)

    history = await seen.fetch_history()
    readable = [event for event in history.events if CANARY.encode() in event.SerializeToString()]
    assert readable == []
    plain = [event.event_type for event in history.events if b"json/plain" in event.SerializeToString()]
    assert set(plain) <= {_MARKERS}  # the SDK's own marker of a local activity: its number and its name
    kinds = {EventType.Name(event.event_type) for event in history.events}
    assert {"EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "EVENT_TYPE_ACTIVITY_TASK_FAILED"} <= kinds
    described = (await stranger.workflow_service.describe_workflow_execution(ask)).SerializeToString()
    assert CANARY.encode() not in described
    assert (await (await client.get_workflow_handle(handle.id).describe()).memo()) == {"said": CANARY}


async def test_ids_and_search_attributes_of_a_listing_hold_no_word_of_it(
    client: Client, stranger: Client, keys: KeyStore, queue: str
) -> None:
    handle = await told_everything(client, keys, queue)
    async with asyncio.timeout(30):
        while not (found := [run async for run in stranger.list_workflows(f"WorkflowId = '{handle.id}'")]):
            await asyncio.sleep(0.05)
    assert CANARY.encode() not in found[0].raw_info.SerializeToString()
    await handle.terminate()


async def heartbeats(stranger: Client, ask: DescribeWorkflowExecutionRequest) -> bytes:
    """Of the activity that lingers, as the server keeps them."""
    described = await stranger.workflow_service.describe_workflow_execution(ask)
    details = [pending.heartbeat_details for pending in described.pending_activities]
    return b"".join(payloads.SerializeToString() for payloads in details)
