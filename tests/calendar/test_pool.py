"""A worker of calendars has fewer connections than slots for activities, and that is enough."""

import asyncio
from dataclasses import replace

from core.crypto import FieldCipher
from core.db import CALENDAR_POOL, Database, connect
from core.settings import Settings
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.keys.store import KeyStore
from tests.calendar import home as calendar_home
from tests.calendar.home import an_event


async def test_every_slot_at_work_at_once_gets_its_connections(
    settings: Settings, db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    """Harder than it gets: these accounts answer at once, so each activity asks the database all of the time. An
    activity that held two connections at once would wait here for somebody who waits for it."""
    slots, server = settings.worker.max_concurrent_activities, MemoryServer()
    assert CALENDAR_POOL.total < slots
    first = await calendar_home.connect(db, keys, cipher, MemoryCalendars(server), server.add_calendar("Petfolio"))
    for number in range(5):
        await first.create(an_event(f"Visit {number}"))
    async with connect(settings, CALENDAR_POOL) as narrow:
        home = replace(first.home, db=narrow)
        calendars = [
            await calendar_home.connect(
                narrow, keys, cipher, MemoryCalendars(server), server.add_calendar("Petfolio"), home=home
            )
            for _ in range(slots)
        ]
        await asyncio.gather(*(calendar.sync() for calendar in calendars))
    assert [len(server.events(calendar.calendar_id)) for calendar in calendars] == [5] * slots
