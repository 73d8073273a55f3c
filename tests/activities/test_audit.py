"""The audit log is sealed as it was written, and whoever touches it later is found."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from temporalio.testing import ActivityEnvironment

from activities.audit import AuditActivities
from core.db import Database
from core.ids import new_id
from temporal.contracts.audit import ChainVerified, EntriesSealed, SealEntries, VerifyChain
from tests.services import PostgresServer

KEY = b"k" * 32
LONG_AGO = timedelta(days=3)


@pytest.fixture
async def admin(postgres_server: PostgresServer, database_name: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody with every right on the database, and a log without entries."""
    connection = await asyncpg.connect(postgres_server.admin_url(database_name))
    for table in ("audit_log", "audit_seals", "audit_verifications"):
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER; DELETE FROM {table}")
    yield connection
    for table in ("audit_log", "audit_seals", "audit_verifications"):
        await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    await connection.close()


@pytest.fixture
def activities(db: Database) -> AuditActivities:
    return AuditActivities(db.sessions, KEY)


async def write(db: Database, entries: int, *, ago: timedelta = LONG_AGO) -> None:
    await db.reads.execute(
        """INSERT INTO audit_log (id, ts, actor, action, outcome)
           SELECT id, clock_timestamp() - $2::interval, 'anonymous', 'auth.login', 'refused'
             FROM unnest($1::uuid[]) AS id""",
        [new_id() for _ in range(entries)],
        ago,
    )


async def seal(activities: AuditActivities) -> EntriesSealed:
    return await ActivityEnvironment().run(activities.seal_entries, SealEntries())


async def verify(activities: AuditActivities) -> ChainVerified:
    return await ActivityEnvironment().run(activities.verify_chain, VerifyChain())


async def test_every_settled_entry_is_sealed_once_and_found_as_it_was(
    activities: AuditActivities, admin: asyncpg.Connection, db: Database
) -> None:
    await write(db, 7)
    await write(db, 5, ago=timedelta(days=1))
    assert await seal(activities) == EntriesSealed(seals=2, entries=12), "a stretch is of one day"
    assert await seal(activities) == EntriesSealed(seals=0, entries=0)
    assert await verify(activities) == ChainVerified(seals=2, entries=12, broken_seq=None)


async def test_what_may_still_be_uncommitted_beside_it_is_not_sealed(
    activities: AuditActivities, admin: asyncpg.Connection, db: Database
) -> None:
    await write(db, 3, ago=timedelta(minutes=1))
    assert await seal(activities) == EntriesSealed(seals=0, entries=0)


async def test_two_runs_at_once_make_one_chain(
    activities: AuditActivities, admin: asyncpg.Connection, db: Database
) -> None:
    for days in range(1, 6):
        await write(db, 4, ago=timedelta(days=days))
    runs = await asyncio.gather(*(seal(activities) for _ in range(6)))
    assert sum(run.entries for run in runs) == 20
    assert await verify(activities) == ChainVerified(seals=5, entries=20, broken_seq=None)


TOUCHED = {
    "changed": "UPDATE audit_log SET outcome = 'ok' WHERE id = $1",
    "taken out": "DELETE FROM audit_log WHERE id = $1",
    "slipped in": """INSERT INTO audit_log (id, ts, actor, action, outcome)
                     SELECT gen_random_uuid(), ts, actor, action, outcome FROM audit_log WHERE id = $1""",
}


@pytest.mark.parametrize("statement", TOUCHED.values(), ids=list(TOUCHED))
async def test_an_entry_that_somebody_touched_is_found(
    activities: AuditActivities, admin: asyncpg.Connection, db: Database, statement: str
) -> None:
    for days in (3, 2, 1):
        await write(db, 4, ago=timedelta(days=days))
        await seal(activities)
    victim = await db.reads.fetchval("SELECT id FROM audit_log ORDER BY ts, id OFFSET 5 LIMIT 1")
    await admin.execute(statement, victim)
    found = await verify(activities)
    assert (found.broken_seq, found.entries) == (2, 4)
    assert await db.reads.fetchval("SELECT broken_seq FROM audit_verifications ORDER BY id DESC LIMIT 1") == 2


async def test_a_chain_whose_end_was_cut_off_is_found(
    activities: AuditActivities, admin: asyncpg.Connection, db: Database
) -> None:
    for days in (3, 2):
        await write(db, 2, ago=timedelta(days=days))
    await seal(activities)
    await verify(activities)
    await admin.execute("DELETE FROM audit_seals WHERE seq = 2")
    assert (await verify(activities)).broken_seq == 2


async def test_the_application_may_not_rewrite_log_nor_seals(db: Database, activities: AuditActivities) -> None:
    for statement in ("UPDATE audit_log SET outcome = 'ok'", "DELETE FROM audit_seals", "DELETE FROM audit_log"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.reads.execute(statement)
