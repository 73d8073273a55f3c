"""The alarm that rings when everything is silent."""

import asyncio
from datetime import UTC, datetime, timedelta

from core.crypto import FieldCipher
from core.db import Database
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderUnavailable
from models.queries import overdue
from tests.activities.reminder_home import Home, move_in
from workers.watch import UNCLAIMED, Watch

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}


async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    found = await move_in(db, keys, cipher)
    await found.execute("UPDATE occurrences SET state = 'cancelled' WHERE state = 'scheduled'")  # of other tests
    await found.execute("UPDATE deliveries SET state = 'withdrawn' WHERE state IN ('planned', 'deferred')")
    return found


async def test_something_fell_due_and_nobody_looked(db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
    here = await home(db, keys, cipher)
    assert (await overdue.oldest(db)).unclaimed == 0
    reminder = await here.remind(DAILY)
    assert (await overdue.oldest(db)).unclaimed == 0
    await here.execute("UPDATE occurrences SET instant = now() - interval '90 s' WHERE reminder_id = :id", id=reminder)
    assert 89 < (await overdue.oldest(db)).unclaimed < 120
    await here.execute("UPDATE reminders SET state = 'paused' WHERE id = :id", id=reminder)
    assert (await overdue.oldest(db)).unclaimed == 0


async def test_a_message_waits_for_its_provider(db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
    here = await home(db, keys, cipher)
    reminder = await here.remind(DAILY, methods=("email",))
    here.notifier.faults = [ProviderUnavailable("away", retry_after=0)]
    await here.deliver(reminder, datetime.fromisoformat("2036-06-01T08:00+00:00"))
    await here.execute(
        "UPDATE deliveries SET created_at = now() - interval '400 s', not_before = NULL WHERE state = 'planned'"
    )
    assert 399 < (await overdue.oldest(db)).undelivered < 430
    until = datetime.now(UTC) + timedelta(hours=1)
    await here.execute("UPDATE deliveries SET not_before = :until WHERE state = 'planned'", until=until)
    assert (await overdue.oldest(db)).undelivered == 0  # quiet hours are no fault


async def test_the_gauges_are_set_beside_everything_else(db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
    here = await home(db, keys, cipher)
    reminder = await here.remind(DAILY)
    await here.execute("UPDATE occurrences SET instant = now() - interval '90 s' WHERE reminder_id = :id", id=reminder)
    watch = Watch(db)
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(10):
        while UNCLAIMED._value.get() < 89:
            await asyncio.sleep(0.01)
    watch.stop()
    await running
