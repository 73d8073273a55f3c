"""What happens to workflows when the key database is away, and when a key is gone for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker

from core.crypto import DataKey, Subject, SubjectErased
from core.db import Database
from core.settings import Settings
from integrations.keys.store import KeyStore
from temporal import ids
from temporal.client import connect, plugin
from temporal.codec import PayloadsErased
from tests.workflows.echo import EchoWorkflow, Words


class FragileKeys:
    """The real key store, behind a key database that can be taken away. Nothing is remembered."""

    def __init__(self, keys: KeyStore) -> None:
        self.keys, self.away, self.refused = keys, False, 0

    async def current(self, subject: Subject) -> DataKey:
        self.keys.forget(subject)
        return await self._ask(lambda: self.keys.current(subject))

    async def by_kid(self, kid: str) -> DataKey:
        self.keys.forget(Subject.parse(kid.rpartition(":")[0]))
        return await self._ask(lambda: self.keys.by_kid(kid))

    async def _ask(self, ask: Callable[[], Awaitable[DataKey]]) -> DataKey:
        if self.away:
            self.refused += 1
            raise ConnectionResetError("the key database is away")
        return await ask()


@pytest.fixture
def fragile(keys: KeyStore) -> FragileKeys:
    return FragileKeys(keys)


@pytest.fixture
async def client(settings: Settings, keys: KeyStore) -> Client:
    """The api's: it reads on where a key is gone."""
    return await connect(settings, plugin(keys, readable=True), lazy=False, runtime=None)


@pytest.fixture
async def queue(settings: Settings, fragile: FragileKeys) -> AsyncIterator[str]:
    """Served by a worker with fragile keys."""
    name = f"echo-{uuid4()}"
    client = await connect(settings, plugin(fragile, strict=True), lazy=False, runtime=None)
    async with Worker(client, task_queue=name, workflows=[EchoWorkflow]):
        yield name


@pytest.fixture
async def user_id(keys: KeyStore) -> UUID:
    """Somebody with a key."""
    user_id = uuid4()
    await keys.create(Subject.user(user_id))
    return user_id


async def erase(db: Database, keys: KeyStore, user_id: UUID) -> None:
    await db.reads.execute("UPDATE user_keys SET destroyed_at = now(), wrapped_dek = NULL WHERE owner_id = $1", user_id)
    keys.forget(Subject.user(user_id))


async def test_no_workflow_fails_while_the_key_database_is_away(
    client: Client, queue: str, fragile: FragileKeys, user_id: UUID
) -> None:
    fragile.away = True
    handle = await client.start_workflow(
        EchoWorkflow.run, Words("still here"), id=ids.mail(user_id, uuid4()), task_queue=queue
    )
    async with asyncio.timeout(60):
        while not await has_event(client, handle.id, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED):
            await asyncio.sleep(0.1)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        assert fragile.refused
        fragile.away = False
        await handle.signal(EchoWorkflow.end)
        assert await handle.result() == Words("still here")


async def test_what_was_said_by_somebody_erased_reads_as_erased_and_nothing_new_can_be_said(
    client: Client, queue: str, db: Database, keys: KeyStore, user_id: UUID
) -> None:
    workflow_id = ids.mail(user_id, uuid4())
    handle = await client.start_workflow(EchoWorkflow.run, Words("secret"), id=workflow_id, task_queue=queue)
    await handle.signal(EchoWorkflow.end)
    assert await handle.result() == Words("secret")
    await erase(db, keys, user_id)
    assert await client.get_workflow_handle(workflow_id, result_type=str).result() == "erased"
    with pytest.raises(PayloadsErased):
        await client.start_workflow(EchoWorkflow.run, Words("x"), id=workflow_id, task_queue=queue)


async def test_a_workflow_of_somebody_erased_sleeps_on_and_can_be_terminated_without_the_key(
    client: Client, queue: str, db: Database, keys: KeyStore, user_id: UUID
) -> None:
    handle = await client.start_workflow(
        EchoWorkflow.run, Words("secret"), id=ids.mail(user_id, uuid4()), task_queue=queue
    )
    async with asyncio.timeout(30):
        while not await has_event(client, handle.id, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED):
            await asyncio.sleep(0.05)
    await erase(db, keys, user_id)
    with pytest.raises(PayloadsErased):
        await handle.signal(EchoWorkflow.told, Words("more"))
    with pytest.raises(SubjectErased):
        await keys.current(Subject.user(user_id))
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await handle.terminate()
    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED


async def has_event(client: Client, workflow_id: str, kind: "EventType.ValueType") -> bool:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return any(event.event_type == kind for event in history.events)
