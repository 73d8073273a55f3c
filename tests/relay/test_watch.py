"""The alarm that rings when everything is silent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import Gauge
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from core.crypto import FieldCipher
from core.db import Database
from core.settings import Settings
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderUnavailable
from models.queries import overdue
from temporal import ids
from temporal.client import connect, plugin
from temporal.contracts.reconcile import EndOrphans, MissingRung, OrphansEnded, Reconcile, RingMissing
from temporal.gateway import Gateway
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import Home, move_in
from tests.relay.kit import until
from workers.watch import LOOKED, RECONCILED, UNCLAIMED, Watch
from workflows.reconcile import ReconcileWorkflow

DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}


@pytest.fixture
async def client(settings: Settings, keys: KeyStore, temporal_address: str) -> Client:
    return await connect(settings, plugin(keys), lazy=False, runtime=None)


@pytest.fixture
def gateway(client: Client) -> Gateway:
    return Gateway(client)


async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    found = await move_in(db, keys, cipher)
    await found.execute("UPDATE occurrences SET state = 'cancelled' WHERE state = 'scheduled'")  # of other tests
    await found.execute("UPDATE deliveries SET state = 'withdrawn' WHERE state IN ('planned', 'deferred')")
    return found


async def test_operators_see_how_many_files_wait(
    db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path
) -> None:
    milo = MediaHome(await move_in(db, keys, cipher), tmp_path)
    waiting = [await milo.upload(photo(64, 64, (0, 0, number))) for number in range(3)]
    for change in ("state = 'pending'", "state = 'ready', doomed_at = clock_timestamp()"):
        await db.reads.execute(f"UPDATE media_assets SET {change} WHERE id = $1", waiting.pop())
    assert await overdue.media_queue(db) == {"pending": 1, "scanning": 1, "doomed": 1}
    await db.reads.execute("UPDATE media_assets SET created_at = created_at - interval '20 hours'")
    assert (await overdue.oldest(db)).media < 60, "the parts of an upload may take a day; it waits since they are there"


async def test_something_fell_due_and_nobody_looked(db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
    here = await home(db, keys, cipher)
    assert (await overdue.oldest(db)).unclaimed == 0
    reminder = await here.remind(DAILY)
    assert (await overdue.oldest(db)).unclaimed == 0
    await here.execute("UPDATE occurrences SET instant = now() - interval '90 s' WHERE reminder_id = :id", id=reminder)
    assert 89 < (await overdue.oldest(db)).unclaimed < 120
    await here.execute("UPDATE reminders SET state = 'paused' WHERE id = :id", id=reminder)
    assert (await overdue.oldest(db)).unclaimed == 0


async def test_a_message_waits_for_its_provider_however_often_it_is_tried(
    db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    here = await home(db, keys, cipher)
    reminder = await here.remind(DAILY, methods=("email",))
    here.notifier.faults = [ProviderUnavailable("away"), ProviderUnavailable("away")]
    await here.deliver(reminder, DUE)
    long_ago = "created_at = now() - interval '400 s', at = now() - interval '400 s'"
    await here.execute(f"UPDATE deliveries SET {long_ago} WHERE state = 'planned'")
    assert 399 < (await overdue.oldest(db)).undelivered < 430
    await here.deliver(reminder, DUE + timedelta(minutes=1))
    assert len(here.notifier.calls) == 2
    assert 399 < (await overdue.oldest(db)).undelivered < 430


async def test_what_waits_for_the_morning_is_late_from_the_morning_on(
    db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    here = await home(db, keys, cipher)
    await here.execute(
        "INSERT INTO quiet_hours (user_id, starts, ends) VALUES (:id, '08:00', '12:00')", id=here.user_id
    )
    reminder = await here.remind(DAILY, methods=("email",))
    await here.deliver(reminder, DUE)
    assert await here.ledger(reminder) == [("due", "email", "deferred")]
    assert (await overdue.oldest(db)).undelivered == 0  # quiet hours are no fault
    await here.execute("DELETE FROM quiet_hours WHERE user_id = :id", id=here.user_id)
    await here.execute("UPDATE deliveries SET not_before = now() - interval '400 s' WHERE state = 'deferred'")
    assert 399 < (await overdue.oldest(db)).undelivered < 430
    here.notifier.faults = [ProviderUnavailable("away")] * 2
    await here.deliver(reminder, DUE)
    await here.execute("UPDATE delivery_events SET created_at = now() - interval '300 s'")
    await here.deliver(reminder, DUE + timedelta(minutes=1))
    assert len(here.notifier.calls) == 2
    assert 299 < (await overdue.oldest(db)).undelivered < 330


async def test_the_gauges_are_set_beside_everything_else(
    db: Database, keys: KeyStore, cipher: FieldCipher, gateway: Gateway
) -> None:
    began = time.time()
    here = await home(db, keys, cipher)
    reminder = await here.remind(DAILY)
    await here.execute("UPDATE occurrences SET instant = now() - interval '90 s' WHERE reminder_id = :id", id=reminder)
    async with watching(db, gateway):
        await until(lambda: reads(LOOKED, began))
    assert await reads(UNCLAIMED, 89)


async def test_the_last_comparison_of_reminders_and_workflows_is_known_to_every_worker(
    db: Database, client: Client, gateway: Gateway
) -> None:
    began, queue = time.time(), f"watch-{uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[ReconcileWorkflow], activities=[ring_missing, end_orphans]):
        await client.execute_workflow(ReconcileWorkflow.run, Reconcile(), id=ids.job(queue), task_queue=queue)
        failing = client.execute_workflow(
            ReconcileWorkflow.run, Reconcile(0), id=ids.job(f"{queue}-0"), task_queue=queue
        )
        with pytest.raises(WorkflowFailureError):
            await failing
    ended = time.time()
    async with watching(db, gateway):
        await until(lambda: reads(RECONCILED, began))
    assert not await reads(RECONCILED, ended)


@activity.defn
async def ring_missing(request: RingMissing) -> MissingRung:
    if not request.page_size:
        raise ApplicationError("no pages", non_retryable=True)
    return MissingRung(0, 0)


@activity.defn
async def end_orphans(request: EndOrphans) -> OrphansEnded:
    return OrphansEnded(0, 0, 0)


@asynccontextmanager
async def watching(db: Database, gateway: Gateway) -> AsyncIterator[None]:
    """Somebody looks."""
    watch = Watch(db, gateway)
    running = asyncio.create_task(watch.run())
    yield
    watch.stop()
    await running


async def reads(gauge: Gauge, least: float) -> bool:
    """Whether the gauge shows at least that."""
    (family,) = gauge.collect()
    return family.samples[0].value >= least
