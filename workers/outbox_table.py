"""The relay's statements on the outbox: claim, settle, look.

A claim is a lease, not an open transaction: no lock is held while Temporal is called, and what a dead relay had claimed
comes back by itself. Each statement is its own transaction, on the relay's own connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import orjson

MAX_ATTEMPTS: Final = 10
"""After these a row is parked: it waits for an operator (docs/runbooks.md) or for somebody to ring again."""

# A person being erased gets no more workflows, and their rows hold up nobody else's.
_LIVE = "NOT EXISTS (SELECT 1 FROM users u WHERE u.id = {}.user_id AND u.state IN ('erasing', 'erased'))"

_CLAIM = f"""
    WITH due AS (
        SELECT id FROM outbox o
         WHERE done_at IS NULL AND attempts < {MAX_ATTEMPTS}
           AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
           AND {_LIVE.format("o")}
           AND NOT EXISTS (
               SELECT 1 FROM outbox e
                WHERE e.aggregate = o.aggregate AND e.seq < o.seq AND e.done_at IS NULL
                  AND e.attempts < {MAX_ATTEMPTS} AND {_LIVE.format("e")})
         ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE outbox o SET claimed_until = clock_timestamp() + make_interval(secs => $1)
      FROM due WHERE o.id = due.id
    RETURNING o.id, o.seq, o.kind, o.workflow_id, o.args"""  # noqa: S608 - constants only

# A bell rung during the send raised `seq`: then the row is not done, only free again.
_SENT = """
    UPDATE outbox o
       SET claimed_until = NULL, done_at = CASE WHEN o.seq = sent.seq THEN clock_timestamp() END
      FROM unnest($1::uuid[], $2::bigint[]) AS sent(id, seq)
     WHERE o.id = sent.id AND o.done_at IS NULL
    RETURNING o.kind, extract(epoch FROM o.done_at - o.created_at)::float8 AS lag"""

# Without an answer a row may have arrived: it is tried for ever, only more rarely.
_FAILED = f"""
    WITH failed AS (
        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[]) AS f(id, seq, error, final)),
    counted AS (
        SELECT failed.*,
               least(o.attempts + 1, CASE WHEN final THEN {MAX_ATTEMPTS} ELSE {MAX_ATTEMPTS - 1} END) AS attempts
          FROM failed JOIN outbox o USING (id, seq))
    UPDATE outbox o
       SET attempts = counted.attempts,
           last_error = counted.error,
           claimed_until = CASE WHEN counted.attempts < {MAX_ATTEMPTS}
               THEN clock_timestamp() + make_interval(secs => least(300, 2 ^ counted.attempts)) END
      FROM counted
     WHERE o.id = counted.id AND o.seq = counted.seq AND o.done_at IS NULL
    RETURNING o.id, o.kind, o.workflow_id, o.attempts, o.last_error"""  # noqa: S608 - constants only

_FREE = """
    UPDATE outbox o SET claimed_until = NULL
      FROM unnest($1::uuid[], $2::bigint[]) AS freed(id, seq)
     WHERE o.id = freed.id AND (o.seq <> freed.seq OR $3) AND o.done_at IS NULL"""

_LOOK = f"""
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE attempts < {MAX_ATTEMPTS})), 0)
               ::float8 AS oldest,
           count(*) FILTER (WHERE attempts >= {MAX_ATTEMPTS}) AS parked
      FROM outbox o WHERE done_at IS NULL AND {_LIVE.format("o")}"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A claimed row. `args` holds ids and enums; `seq` is what a bell carries."""

    id: UUID
    seq: int
    kind: str
    workflow_id: str
    args: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that did not get through. `error` is bounded and holds nothing personal.

    `final`: it was refused, by Temporal or by ourselves, and will be again; otherwise it only got no answer.
    """

    row: OutboxRow
    error: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class FailedRow:
    """Where a failed row stands now."""

    id: UUID
    kind: str
    workflow_id: str
    attempts: int
    last_error: str

    @property
    def parked(self) -> bool:
        """Nobody tries it again by himself."""
        return self.attempts >= MAX_ATTEMPTS


@dataclass(frozen=True, slots=True)
class Backlog:
    """`oldest`: age in seconds of the oldest row still to be sent; `parked`: rows given up."""

    oldest: float
    parked: int


class OutboxTable:
    """All methods raise `core.db.AWAY`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def claim(self, limit: int, lease_seconds: float) -> list[OutboxRow]:
        """Up to `limit` rows nobody else is sending, at most one of each aggregate: the one with its lowest seq."""
        return [
            OutboxRow(row["id"], row["seq"], row["kind"], row["workflow_id"], orjson.loads(row["args"]))
            for row in await self._connection.fetch(_CLAIM, lease_seconds, limit)
        ]

    async def sent(self, rows: Sequence[OutboxRow]) -> list[tuple[str, float | None]]:
        """Mark done what was sent. Answers kind and seconds from commit to now; None for a row rung again meanwhile."""
        if not rows:
            return []
        return [(row["kind"], row["lag"]) for row in await self._connection.fetch(_SENT, *_keys(rows))]

    async def failed(self, failures: Sequence[Failed]) -> list[FailedRow]:
        """Count the attempt and wait 2, 4, … 300 s; the tenth refusal parks the row. One rung again starts afresh."""
        if not failures:
            return []
        ids, seqs = _keys([failure.row for failure in failures])
        errors, final = [failure.error for failure in failures], [failure.final for failure in failures]
        rows = await self._connection.fetch(_FAILED, ids, seqs, errors, final)
        await self._connection.execute(_FREE, ids, seqs, False)
        return [FailedRow(**row) for row in rows]

    async def free(self, rows: Sequence[OutboxRow]) -> None:
        """Give back what was claimed and not tried."""
        if rows:
            await self._connection.execute(_FREE, *_keys(rows), True)

    async def look(self) -> Backlog:
        """What is waiting."""
        return Backlog(**await self._connection.fetchrow(_LOOK))


def _keys(rows: Sequence[OutboxRow]) -> tuple[list[UUID], list[int]]:
    return [row.id for row in rows], [row.seq for row in rows]
