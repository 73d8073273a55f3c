"""Wrapped keys in Postgres: committed by themselves, destroyed for good."""

import pytest

from core.crypto import SYSTEM, Subject, SubjectErased
from core.db import Database
from core.ids import new_id
from integrations.keys.store import KeyExists, KeyMissing, KeyStore
from models.queries.keys import KeyTable


async def destroy(db: Database, subject: Subject) -> None:
    await db.reads.execute(
        "UPDATE user_keys SET wrapped_dek = NULL, destroyed_at = clock_timestamp() WHERE owner_id = $1", subject.id
    )


async def test_a_key_is_there_for_every_process_once_create_returns(db: Database, keys: KeyStore) -> None:
    subject = Subject.household(new_id())
    await keys.create(subject)
    row = await KeyTable(db.reads).newest(subject)
    assert row is not None
    assert (row.kid, row.subject, row.version, row.destroyed) == (f"{subject}:1", subject, 1, False)
    assert await KeyTable(db.reads).find(row.kid) == row


async def test_a_second_key_of_one_owner_is_refused_by_the_table(keys: KeyStore) -> None:
    subject = Subject.user(new_id())
    await keys.create(subject)
    with pytest.raises(KeyExists):
        await keys.create(subject)
    with pytest.raises(KeyExists):
        await keys.create(SYSTEM)


async def test_destroyed_is_erased_and_absent_is_only_missing(db: Database, keys: KeyStore) -> None:
    subject = Subject.user(new_id())
    with pytest.raises(KeyMissing):
        await keys.current(subject)
    await keys.create(subject)
    kid = (await keys.current(subject)).kid
    await destroy(db, subject)
    keys.forget(subject)
    with pytest.raises(SubjectErased):
        await keys.by_kid(kid)
    with pytest.raises(KeyExists):
        await keys.create(subject)


async def test_the_newest_version_encrypts_and_older_ones_still_open(db: Database, keys: KeyStore) -> None:
    subject = Subject.user(new_id())
    await keys.create(subject)
    first = await keys.current(subject)
    await db.reads.execute(
        "INSERT INTO user_keys (kid, owner_kind, owner_id, key_version, wrapped_dek, kek_id, destroyed_at) "
        "VALUES ($1, 'user', $2, 2, NULL, 'file:1', clock_timestamp())",
        f"{subject}:2",
        subject.id,
    )
    keys.forget(subject)
    assert await keys.by_kid(first.kid) == first
    with pytest.raises(SubjectErased):
        await keys.current(subject)
