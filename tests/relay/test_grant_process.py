"""A sitter's grant through outbox, relay, Temporal and a worker process that is killed while the grant is in force."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core.crypto import FieldCipher
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from integrations.keys.store import KeyStore
from models.household import Grant, GrantKind
from temporal import outbox
from tests.activities.reminder_home import move_in
from tests.relay.kit import until
from tests.relay.test_worker_process import core_worker, free_port, temporal
from tests.services import TemporalServer

__all__ = ["temporal"]
SITS = timedelta(seconds=8)
REACHED = "SELECT count(*) FROM pet_access WHERE user_id = $1 AND role = 'sitter'"


async def test_a_grant_that_ends_while_the_worker_is_down_opens_nothing_and_is_taken_back_on_return(
    settings: Settings, db: Database, keys: KeyStore, cipher: FieldCipher, temporal: TemporalServer
) -> None:
    await temporal.start()
    settings = settings.model_copy(update={"temporal_address": temporal.address})
    home, sitter = await move_in(db, keys, cipher), (await move_in(db, keys, cipher)).user_id
    schedule = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
    reminder, grant = await home.remind(schedule), new_id()

    async def column(name: str) -> Any:
        return await db.reads.fetchval(f"SELECT {name} FROM grants WHERE id = $1", grant)

    async def is_started() -> bool:
        return await column("started_at") is not None

    async def is_over() -> bool:
        return bool(await column("valid_until <= clock_timestamp()"))

    async def is_taken_back() -> bool:
        return await column("ended_at") is not None

    async with core_worker(settings, free_port()) as worker:
        # The process is up before the clock of the grant runs.
        async with db.sessions.begin() as session:
            await outbox.ring_reminder(session, home.household_id, reminder)
        await until(lambda: _sent(db), alive=worker)
        begins = datetime.now(UTC)
        async with db.sessions.begin() as session:
            session.add(
                Grant(
                    id=grant,
                    household_id=home.household_id,
                    kind=GrantKind.SITTER,
                    granted_by=home.user_id,
                    user_id=sitter,
                    mailed=True,
                    pet_ids=[home.pet_id],
                    actions=["act"],
                    valid_from=begins,
                    valid_until=begins + SITS,
                )
            )
            await session.flush()
            await outbox.GRANT.ring(session, home.household_id, grant)
        await until(is_started, alive=worker)
        assert await db.reads.fetchval(REACHED, sitter) == 1
        worker.kill()
        await worker.wait()
    await until(is_over)
    assert await db.reads.fetchval(REACHED, sitter) == 0
    assert not await is_taken_back()
    async with core_worker(settings, free_port()) as worker:
        await until(is_taken_back, alive=worker)


async def _sent(db: Database) -> bool:
    return not await db.reads.fetchval("SELECT count(*) FROM outbox WHERE done_at IS NULL")
