"""The `user_keys` table: wrapped data keys, on a connection of its own.

Each call is its own transaction, never part of a caller's: a key is committed before the first row that needs it.
"""

from datetime import timedelta

import asyncpg

from core.crypto import Subject, WrappedKey
from core.read_pool import ReadPool

_COLUMNS = "kid, owner_kind, owner_id, key_version, wrapped_dek, kek_id, destroyed_at IS NOT NULL AS destroyed"
_NEWEST = f"""
    SELECT {_COLUMNS} FROM user_keys
     WHERE owner_kind = $1 AND owner_id IS NOT DISTINCT FROM $2
     ORDER BY key_version DESC LIMIT 1"""  # noqa: S608 - constants only
_FIND = f"SELECT {_COLUMNS} FROM user_keys WHERE kid = $1"  # noqa: S608 - constants only
# A successor needs a former one that is not destroyed, and holds it until the commit: whoever destroys locks the rows
# of an owner first, in a statement of its own, and so sees every key there is.
_INSERT = """
    INSERT INTO user_keys (kid, owner_kind, owner_id, key_version, wrapped_dek, kek_id)
    SELECT $1, $2, $3, $4, $5, $6
     WHERE $4 = 1 OR EXISTS (
           SELECT FROM user_keys
            WHERE owner_kind = $2 AND owner_id IS NOT DISTINCT FROM $3 AND key_version = $4 - 1
              AND destroyed_at IS NULL
              FOR SHARE)
    ON CONFLICT DO NOTHING RETURNING kid"""

_BY_OTHERS = f"""
    SELECT {_COLUMNS} FROM user_keys
     WHERE kek_id <> $1 AND destroyed_at IS NULL ORDER BY kid LIMIT $2"""  # noqa: S608 - constants only
_REWRAP = """
    UPDATE user_keys SET wrapped_dek = $3, kek_id = $4
     WHERE kid = $1 AND wrapped_dek = $2 AND destroyed_at IS NULL"""
_OLD = f"""
    SELECT {_COLUMNS} FROM user_keys k
     WHERE created_at < clock_timestamp() - $1::interval AND destroyed_at IS NULL
       AND NOT EXISTS (SELECT FROM user_keys n WHERE n.owner_kind = k.owner_kind AND n.key_version > k.key_version
                          AND n.owner_id IS NOT DISTINCT FROM k.owner_id)
     ORDER BY kid LIMIT $2"""  # noqa: S608 - constants only


class KeyTable:
    """What `integrations.keys.store.KeyRows` asks for. `pool` may lead to a database with a shorter backup."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def newest(self, subject: Subject) -> WrappedKey | None:
        """The row with the highest version, destroyed or not."""
        return _key(await self._pool.fetchrow(_NEWEST, subject.kind, subject.id))

    async def find(self, kid: str) -> WrappedKey | None:
        """The row of `kid`, destroyed or not."""
        return _key(await self._pool.fetchrow(_FIND, kid))

    async def insert(self, key: WrappedKey) -> bool:
        """Commit a new row; False when the subject has one of this version already, or its former one is destroyed."""
        subject = key.subject
        row = await self._pool.fetchrow(
            _INSERT, key.kid, subject.kind, subject.id, key.version, key.wrapped, key.kek_id
        )
        return row is not None

    async def wrapped_by_others(self, kek_id: str, limit: int) -> list[WrappedKey]:
        """Keys that another master key than `kek_id` has wrapped."""
        return [_wrapped(row) for row in await self._pool.fetch(_BY_OTHERS, kek_id, limit)]

    async def rewrap(self, before: WrappedKey, after: WrappedKey) -> None:
        """Store the new wrapping, unless the key was destroyed or wrapped by somebody else meanwhile."""
        await self._pool.execute(_REWRAP, before.kid, before.wrapped, after.wrapped, after.kek_id)

    async def older_than(self, age: timedelta, limit: int) -> list[WrappedKey]:
        """The newest keys of owners, where they are older than this."""
        return [_wrapped(row) for row in await self._pool.fetch(_OLD, age, limit)]


def _key(row: asyncpg.Record | None) -> WrappedKey | None:
    return None if row is None else _wrapped(row)


def _wrapped(row: asyncpg.Record) -> WrappedKey:
    return WrappedKey(
        kid=row["kid"],
        subject=Subject(row["owner_kind"], row["owner_id"]),
        version=row["key_version"],
        wrapped=row["wrapped_dek"],
        kek_id=row["kek_id"],
        destroyed=row["destroyed"],
    )
