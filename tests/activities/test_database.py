"""What the first migration promises, on a real server."""

import uuid

import asyncpg
import pytest
from sqlalchemy import text

from core.crypto import CiphertextInvalid, FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from integrations.keys.store import KeyStore


async def test_the_audit_log_refuses_update_and_delete(db: Database) -> None:
    async with db.sessions.begin() as session:
        await session.execute(
            text("INSERT INTO audit_log (id, actor, action, outcome) VALUES (:id, 'system', 'test', 'ok')"),
            {"id": new_id()},
        )
    for statement in ("UPDATE audit_log SET outcome = 'changed'", "DELETE FROM audit_log"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.reads.execute(statement)


async def test_every_session_has_the_time_limits_of_a_request(db: Database) -> None:
    limits = await db.reads.fetchrow(
        "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
        " current_setting('idle_in_transaction_session_timeout')"
    )
    assert tuple(limits) == ("5s", "2s", "10s")


async def test_a_ciphertext_moved_to_another_row_or_column_does_not_open(cipher: FieldCipher, keys: KeyStore) -> None:
    user = Subject.user(uuid.uuid4())
    await keys.create(user)
    row = new_id()
    sealed = await cipher.seal(user, "users.first_name_ct", row, "Ada")
    assert await cipher.open("users.first_name_ct", row, sealed) == "Ada"
    with pytest.raises(CiphertextInvalid):
        await cipher.open("users.first_name_ct", new_id(), sealed)
    with pytest.raises(CiphertextInvalid):
        await cipher.open("users.last_name_ct", row, sealed)
