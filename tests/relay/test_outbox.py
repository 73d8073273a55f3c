"""The outbox as the code that writes rows sees it."""

import asyncio
from uuid import uuid4

import asyncpg
from sqlalchemy import text

from core.db import Database
from core.settings import Settings
from temporal import outbox


async def rows(db: Database) -> list[asyncpg.Record]:
    return list(await db.reads.fetch("SELECT * FROM outbox ORDER BY seq"))


async def push(db: Database, workflow: str = "system/a", *, once: bool = False, **args: object) -> None:
    write = outbox.enqueue if once else outbox.ring
    async with db.sessions.begin() as session:
        await write(session, aggregate="thing/1", kind="thing", workflow_id=workflow, args=args, user_id=None)


async def test_many_bells_of_one_workflow_are_one_row_with_the_last_seq(db: Database) -> None:
    await push(db, n=1)
    first = (await rows(db))[0]["seq"]
    await push(db, n=2)
    (row,) = await rows(db)
    assert row["seq"] > first
    assert row["args"] == {"n": 2}


async def test_a_bell_rung_after_the_row_was_sent_is_a_new_row(db: Database) -> None:
    await push(db)
    await db.reads.execute("UPDATE outbox SET done_at = clock_timestamp()")
    await push(db)
    assert [row["done_at"] is None for row in await rows(db)] == [False, True]


async def test_a_parked_row_is_tried_anew_when_somebody_rings(db: Database) -> None:
    await push(db)
    await db.reads.execute("UPDATE outbox SET attempts = 10")
    await push(db)
    assert [row["attempts"] for row in await rows(db)] == [0]


async def test_one_shots_are_rows_of_their_own_and_ids_become_text(db: Database) -> None:
    delivery = uuid4()
    await push(db, once=True, delivery_id=delivery)
    await push(db, once=True, delivery_id=delivery)
    assert [row["args"] for row in await rows(db)] == [{"delivery_id": str(delivery)}] * 2
    assert not any(row["coalescing"] for row in await rows(db))


async def test_nothing_is_left_of_a_transaction_that_rolled_back(db: Database) -> None:
    async with db.sessions() as session:
        await outbox.ring(session, aggregate="thing/1", kind="thing", workflow_id="system/a", args={})
        await session.rollback()
    assert await rows(db) == []


async def test_the_listener_is_woken_by_the_commit_and_not_before(db: Database, settings: Settings) -> None:
    woken = asyncio.Event()
    listener = await asyncpg.connect(settings.direct_url, ssl=False)
    await listener.add_listener(outbox.CHANNEL, lambda *_: woken.set())
    async with db.sessions.begin() as session:
        await outbox.ring(session, aggregate="thing/1", kind="thing", workflow_id="system/a", args={})
        await session.execute(text("SELECT 1"))
        assert not woken.is_set()
    await asyncio.wait_for(woken.wait(), 5)
    await listener.close()


async def test_a_bell_rung_while_its_row_is_being_marked_done_is_not_lost(db: Database) -> None:
    """The relay's UPDATE holds the row; the bell waits for it, finds it done, and becomes a new row."""
    await push(db)
    async with db.reads.acquire() as relay:
        marking = relay.transaction()
        await marking.start()
        await relay.execute("UPDATE outbox SET done_at = clock_timestamp() WHERE done_at IS NULL")
        ringing = asyncio.create_task(push(db, late=True))
        while not await db.reads.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            await asyncio.sleep(0.01)
        await marking.commit()
    await ringing
    assert [row["args"] for row in await rows(db) if row["done_at"] is None] == [{"late": True}]
