"""Keys are rotated under people's data, and nobody notices."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.data_keys import DataKeyActivities
from core.crypto import FieldCipher, Subject, SubjectErased
from core.db import Database
from core.ids import new_id
from integrations.keys.file import FileKeyProvider
from integrations.keys.store import KeyStore
from models.queries.keys import KeyTable
from temporal.contracts.data_keys import KeysRenewed, KeysRewrapped, RenewKeys, RewrapKeys

COLUMN = "users.first_name_ct"
YEAR = timedelta(days=366)


class House:
    """A key store over master keys of its own, with owners in a table that is otherwise empty."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.db, self.directory = db, directory
        self.provider = FileKeyProvider(directory)
        self.owners: list[tuple[Subject, str]] = []

    def store(self) -> KeyStore:
        """That of a process which has just started."""
        return KeyStore(FileKeyProvider(self.directory), KeyTable(self.db.reads))

    @property
    def activities(self) -> DataKeyActivities:
        return DataKeyActivities(self.store(), KeyTable(self.db.reads))

    async def move_in(self, count: int) -> None:
        for _ in range(count):
            subject, store = Subject.user(new_id()), self.store()
            await store.create(subject)
            assert subject.id is not None
            self.owners.append((subject, await FieldCipher(store).seal(subject, COLUMN, subject.id, "Ada")))

    async def everybody_reads(self) -> bool:
        cipher = FieldCipher(self.store())
        return all(
            [await cipher.open(COLUMN, subject.id, sealed) == "Ada" for subject, sealed in self.owners if subject.id]
        )

    async def rewrap(self) -> KeysRewrapped:
        return await ActivityEnvironment().run(self.activities.rewrap_keys, RewrapKeys(2))

    async def renew(self, days: int = 365) -> KeysRenewed:
        return await ActivityEnvironment().run(self.activities.renew_keys, RenewKeys(2, days))

    async def age(self, by: timedelta) -> None:
        await self.db.reads.execute("UPDATE user_keys SET created_at = created_at - $1::interval", by)


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    await db.reads.execute("DELETE FROM user_keys")
    return House(db, tmp_path / "keys")


async def test_after_a_new_master_key_no_data_key_needs_the_former_one(house: House) -> None:
    await house.move_in(5)
    assert await house.rewrap() == KeysRewrapped(0)
    house.provider.rotate()
    assert await house.rewrap() == KeysRewrapped(5)
    (house.directory / "master-0001.key").unlink()
    assert await house.everybody_reads()
    assert await house.rewrap() == KeysRewrapped(0)


async def test_a_destroyed_key_is_not_brought_back(house: House, db: Database) -> None:
    await house.move_in(2)
    gone, _ = house.owners[0]
    destroy = "UPDATE user_keys SET wrapped_dek = NULL, destroyed_at = clock_timestamp() WHERE owner_id = $1"
    await db.reads.execute(destroy, gone.id)
    house.provider.rotate()
    assert await house.rewrap() == KeysRewrapped(1)
    await house.age(YEAR)
    assert await house.renew() == KeysRenewed(1)
    with pytest.raises(SubjectErased):
        await house.store().current(gone)


async def test_a_key_of_a_year_gets_a_successor_once_and_what_it_sealed_still_opens(house: House) -> None:
    await house.move_in(3)
    await house.age(YEAR)
    assert await house.renew() == KeysRenewed(3)
    assert await house.renew() == KeysRenewed(0)
    subject, _ = house.owners[0]
    assert (await house.store().current(subject)).kid == f"{subject}:2"
    assert await house.everybody_reads()


async def test_a_key_destroyed_between_reading_and_writing_stays_destroyed(house: House, db: Database) -> None:
    await house.move_in(1)
    subject, _ = house.owners[0]
    house.provider.rotate()
    table, store = KeyTable(db.reads), house.store()
    (row,) = await table.wrapped_by_others(await store.master_key(), 10)
    wrapped = await store.rewrapped(row)
    await db.reads.execute(
        "UPDATE user_keys SET wrapped_dek = NULL, destroyed_at = clock_timestamp() WHERE kid = $1", row.kid
    )
    await table.rewrap(row, wrapped)
    with pytest.raises(SubjectErased):
        await house.store().current(subject)


async def test_an_owner_erased_while_keys_are_renewed_gets_no_new_one(house: House, db: Database) -> None:
    await house.move_in(1)
    await house.age(YEAR)
    subject, _ = house.owners[0]
    (row,) = await KeyTable(db.reads).older_than(timedelta(days=365), 10)
    destroy = "UPDATE user_keys SET wrapped_dek = NULL, destroyed_at = clock_timestamp() WHERE owner_id = $1"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with db.reads.transaction() as erasing:
        await erasing.execute(destroy, subject.id)
        renewing = asyncio.create_task(house.store().renew(row))
        while not renewing.done() and not await db.reads.fetchval(waiting):
            await asyncio.sleep(0.02)
    await renewing
    with pytest.raises(SubjectErased):
        await house.store().current(subject)
