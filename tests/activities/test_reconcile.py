"""Rows and workflows are brought together again, whichever of them was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.reconcile import ReconcileActivities
from core.crypto import FieldCipher, Subject
from core.db import Database, connect_directly
from core.ids import new_id
from core.settings import Settings
from domain.access import Role
from domain.reminder_actions import End, Pause
from integrations.keys.store import KeyStore
from models.household import Invitation, InvitationState, PetTransfer, TransferState
from models.pet import Pet
from temporal import ids
from temporal.client import connect, plugin
from temporal.contracts.reconcile import EndOrphans, MissingRung, OrphansEnded, Reconcile, Reconciled, RingMissing
from tests.activities.reminder_home import Home, move_in
from tests.services import TemporalServer
from workers.outbox_table import OutboxTable
from workers.registry import OUTBOX
from workers.relay import Relay
from workflows.reconcile import ReconcileWorkflow
from workflows.reminder import ReminderWorkflow

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    """A household in a database without bells, and without anything else that could be rung."""
    for table in ("outbox", "invitations", "pet_transfers", "grants"):
        await db.reads.execute(f"DELETE FROM {table}")
    await db.reads.execute("UPDATE reminders SET state = 'ended'")
    return await move_in(db, keys, cipher)


@asynccontextmanager
async def temporal_server(folder: Path) -> AsyncIterator[TemporalServer]:
    """A server without any workflow of another test."""
    await asyncio.to_thread(folder.mkdir)
    server = TemporalServer(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def client(settings: Settings, keys: KeyStore, tmp_path: Path) -> AsyncIterator[Client]:
    async with temporal_server(tmp_path / "temporal") as server:
        own = settings.model_copy(update={"temporal_address": server.address})
        yield await connect(own, plugin(keys), lazy=True, runtime=None)


@pytest.fixture
def activities(db: Database, client: Client, keys: KeyStore) -> ReconcileActivities:
    return ReconcileActivities(db.sessions, client, keys)


async def look_after(client: Client, *workflow_ids: str) -> None:
    """Running reminder workflows, visible as such. Without arguments, so that no key is needed."""
    for workflow_id in workflow_ids:
        await client.start_workflow("ReminderWorkflow", id=workflow_id, task_queue="nobody")
    await visible(client, len(workflow_ids))


async def visible(client: Client, count: int) -> None:
    running = "WorkflowType = 'ReminderWorkflow' AND ExecutionStatus = 'Running'"
    async with asyncio.timeout(30):
        while (await client.count_workflows(running)).count != count:
            await asyncio.sleep(0.05)


async def rung(db: Database) -> set[str]:
    return {row["workflow_id"] for row in await db.reads.fetch("SELECT workflow_id FROM outbox WHERE done_at IS NULL")}


async def test_every_active_reminder_without_a_workflow_is_rung_and_no_other(
    db: Database, home: Home, activities: ReconcileActivities, client: Client
) -> None:
    reminders = [await home.remind(DAILY) for _ in range(5)]
    await home.act(await home.remind(DAILY), lambda _: Pause())
    await home.act(await home.remind(DAILY), lambda _: End("deleted"))
    await home.execute("DELETE FROM outbox")
    workflows = [ids.reminder(home.household_id, reminder_id) for reminder_id in reminders]
    await look_after(client, workflows[1], workflows[4])
    result = await ActivityEnvironment().run(activities.ring_missing, RingMissing(page_size=2))
    assert result == MissingRung(rows=5, rung=3)
    assert await rung(db) == {workflows[0], workflows[2], workflows[3]}


async def test_a_reminder_is_rung_for_its_household_while_its_maker_is_being_erased(
    settings: Settings, home: Home, activities: ReconcileActivities
) -> None:
    """Nobody could move it any more: the relay passes by the rows of somebody who is being erased."""
    workflow_id = ids.reminder(home.household_id, await home.remind(DAILY))
    await home.execute("DELETE FROM outbox")
    await home.execute("UPDATE users SET state = 'erasing' WHERE id = :id", id=home.user_id)
    await ActivityEnvironment().run(activities.ring_missing, RingMissing(page_size=2))
    connection = await connect_directly(settings)
    claimed = await OutboxTable(connection).claim(limit=10, lease_seconds=1)
    await connection.close()
    assert workflow_id in {row.workflow_id for row in claimed}


async def test_a_retry_goes_on_after_the_last_page_it_told_of(
    db: Database, home: Home, activities: ReconcileActivities
) -> None:
    reminders = [await home.remind(DAILY) for _ in range(3)]
    environment = ActivityEnvironment()
    environment.info = replace(ActivityEnvironment.default_info(), heartbeat_details=[str(reminders[1]), 2, 2])
    beats: list[tuple[object, ...]] = []
    environment.on_heartbeat = lambda *details: beats.append(details)
    assert await environment.run(activities.ring_missing, RingMissing(page_size=10)) == MissingRung(rows=3, rung=3)
    assert await rung(db) == {ids.reminder(home.household_id, reminders[2])}
    assert beats == [(str(reminders[2]), 3, 3)]


async def test_whatever_is_shared_and_not_finished_is_rung(
    db: Database, home: Home, activities: ReconcileActivities
) -> None:
    """After a loss of Temporal's database an accepted pet never moved, and an invitation was never mailed."""
    pets = [home.pet_id] + [new_id() for _ in range(3)]
    common = {"email_ct": "sealed", "expires_at": datetime.now(UTC)}
    async with db.sessions.begin() as session:
        for pet_id in pets[1:]:
            session.add(Pet(id=pet_id, household_id=home.household_id, name_ct="sealed"))
        await session.flush()
        offered = {"from_household_id": home.household_id, "offered_by": home.user_id, "email_bidx": b"b"} | common
        moving = [
            PetTransfer(pet_id=pet_id, state=state, moved_at=moved_at, **offered)
            for pet_id, state, moved_at in zip(
                pets,
                (TransferState.OFFERED, TransferState.ACCEPTED, TransferState.ACCEPTED, TransferState.CANCELLED),
                (None, None, datetime.now(UTC), None),
                strict=True,
            )
        ]
        invited = [
            Invitation(
                household_id=home.household_id,
                invited_by=home.user_id,
                email_bidx=bytes([n]),
                role=Role.CARETAKER,
                state=state,
                **common,
            )
            for n, state in enumerate([*[InvitationState.OPEN] * 3, InvitationState.EXPIRED])
        ]
        session.add_all([*moving, *invited])
    await ActivityEnvironment().run(activities.ring_missing, RingMissing(page_size=2))
    assert await rung(db) == {
        *(ids.transfer(home.household_id, transfer.id) for transfer in moving[:2]),
        *(ids.invitation(home.household_id, invitation.id) for invitation in invited[:3]),
    }


async def test_what_is_left_over_is_told_to_look_again_or_ended(
    db: Database, home: Home, activities: ReconcileActivities, client: Client, keys: KeyStore
) -> None:
    alive, paused, ended = [await home.remind(DAILY) for _ in range(3)]
    await home.act(paused, lambda _: Pause())
    await home.act(ended, lambda _: End("deleted"))
    await home.execute("DELETE FROM outbox")
    of_nobody = UUID(int=home.household_id.int ^ 1)
    await keys.create(Subject.household(of_nobody))
    await db.reads.execute(
        "UPDATE user_keys SET destroyed_at = now(), wrapped_dek = NULL WHERE owner_id = $1", of_nobody
    )
    here = home.household_id
    normal = [ids.reminder(here, alive), ids.reminder(here, paused)]
    orphans = [ids.reminder(here, ended), ids.reminder(here, uuid4()), ids.reminder(uuid4(), uuid4())]
    unreachable = [ids.reminder(of_nobody, uuid4()), ids.reminder(uuid4(), alive)]
    await look_after(client, *normal, *orphans, *unreachable)
    result = await ActivityEnvironment().run(activities.end_orphans, EndOrphans(page_size=4))
    assert result == OrphansEnded(workflows=7, rung=3, terminated=2)
    assert await rung(db) == set(orphans)
    for workflow_id in unreachable:
        described = await client.get_workflow_handle(workflow_id).describe()
        assert described.status is WorkflowExecutionStatus.TERMINATED


async def test_after_temporal_lost_everything_all_reminders_are_back_and_none_fires_twice(
    settings: Settings, keys: KeyStore, home: Home, tmp_path: Path
) -> None:
    """One reminder fires before the loss, one falls due while nothing runs, one sleeps."""
    later = await home.remind(DAILY)
    fired = await home.remind(daily_from(datetime.now(UTC) + timedelta(seconds=3)))
    async with platform(settings, keys, home, tmp_path / "first") as client:
        assert (await reconcile(client)).missing_rung == 2
        await visible(client, 2)
        await calls(home, 1)
    during = await home.remind(daily_from(datetime.now(UTC) + timedelta(seconds=1)))
    async with platform(settings, keys, home, tmp_path / "second") as client:
        result = await reconcile(client)
        assert (result.rows, result.missing_rung, result.orphans_rung) == (3, 3, 0)
        await visible(client, 3)
        await calls(home, 2)
        assert (await reconcile(client)).missing_rung == 0
    assert len(set(home.notifier.calls)) == len(home.notifier.calls) == 2
    assert [len(await home.ledger(it)) for it in (fired, during, later)] == [2, 2, 0]


def daily_from(due: datetime) -> dict[str, str]:
    return DAILY | {"dtstart_local": f"{due:%Y-%m-%dT%H:%M:%S}"}


@asynccontextmanager
async def platform(settings: Settings, keys: KeyStore, home: Home, folder: Path) -> AsyncIterator[Client]:
    """A new Temporal, with a relay and a worker on the household's database."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(temporal_server(folder))
        own = settings.model_copy(update={"temporal_address": server.address})
        client = await connect(own, plugin(keys), lazy=False, runtime=None)
        sweeper = ReconcileActivities(home.db.sessions, client, keys)
        worker = Worker(
            client,
            task_queue="core",
            workflows=[ReminderWorkflow, ReconcileWorkflow],
            activities=[
                home.activities.plan_reminder,
                home.activities.deliver_occurrence,
                sweeper.ring_missing,
                sweeper.end_orphans,
            ],
        )
        await stack.enter_async_context(worker)
        relay = Relay(own, client, OUTBOX)
        relaying = asyncio.create_task(relay.run())
        try:
            yield client
        finally:
            relay.stop()
            await relaying


async def reconcile(client: Client) -> Reconciled:
    return await client.execute_workflow(
        ReconcileWorkflow.run, Reconcile(page_size=2), id=ids.job(f"reconcile-{uuid4()}"), task_queue="core"
    )


async def calls(home: Home, count: int) -> None:
    async with asyncio.timeout(60):
        while len(home.notifier.calls) < count:
            await asyncio.sleep(0.05)
