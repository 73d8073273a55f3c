"""Intended POSTs to Stripe, each committed before the call. The key follows from what is to be done, never from an
attempt: a repeated call is the same call, with the same parameters byte for byte (billing.md §4.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from models.billing import OperationState

# The update of nothing returns the row that is there, also one that was committed after this statement began.
_BEGIN: Final = text(
    """INSERT INTO billing_operations AS o (op_id, account_id, kind, params, idempotency_key, state)
       VALUES (:op_id, :account, :kind, CAST(:params AS jsonb), :key, 'new')
       ON CONFLICT (idempotency_key) DO UPDATE SET kind = o.kind
       RETURNING op_id, params, state, stripe_id, error, first_sent_at"""
)
_SENT: Final = text(
    """UPDATE billing_operations SET state = 'sent', first_sent_at = coalesce(first_sent_at, clock_timestamp())
        WHERE op_id = :op_id AND state IN ('new', 'sent')"""
)
_END: Final = text(
    """UPDATE billing_operations SET state = :state, stripe_id = coalesce(:stripe_id, stripe_id), error = :error
        WHERE op_id = :op_id"""
)
_REFUSAL: Final = text("SELECT error FROM billing_operations WHERE op_id = :op_id AND state = 'failed'")
_HAS_ENDED: Final = text(
    "SELECT EXISTS (SELECT FROM billing_operations WHERE idempotency_key = :key AND state NOT IN ('new', 'sent'))"
)
_IS_DONE: Final = text("SELECT EXISTS (SELECT FROM billing_operations WHERE idempotency_key = :key AND state = 'done')")
_IS_UNANSWERED: Final = text(
    """SELECT EXISTS (
           SELECT FROM billing_operations
            WHERE idempotency_key = :key AND state = 'sent'
              AND first_sent_at < clock_timestamp() - CAST(:since AS interval))"""
)
_ABANDON: Final = text(
    """UPDATE billing_operations SET state = 'ambiguous' WHERE op_id IN (
           SELECT op_id FROM billing_operations
            WHERE state IN ('new', 'sent') AND kind <> ALL(:repeated)
              AND created_at < clock_timestamp() - make_interval(hours => :hours) LIMIT :limit)
       RETURNING account_id"""
)
PASSING: Final = ("portal", "preview")
"""Kinds that leave nothing behind at Stripe, and are asked for as often as somebody looks."""
_PRUNE: Final = text(
    f"""DELETE FROM billing_operations WHERE op_id IN (
           SELECT op_id FROM billing_operations
            WHERE kind IN {PASSING} AND created_at < clock_timestamp() - make_interval(days => :days)
            LIMIT :limit)"""  # noqa: S608 - our own words
)
_OF_ACCOUNT: Final = text(
    """SELECT op_id, kind, idempotency_key, state, stripe_id, error, first_sent_at, created_at
         FROM billing_operations WHERE account_id = :account ORDER BY created_at DESC LIMIT :limit"""
)


KEPT_HOURS: Final = 23
"""Stripe keeps a key for a day at least."""
REPEATED: Final = ("expire", "method", "pay", "refund", "surplus", "void")
"""Kinds whose activity is tried again until it has ended, however long that takes."""
KEPT_DAYS: Final = 30
"""Of what is `PASSING`. Whatever else was done is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """What is to be done. `key` without its prefix: `refund:{refund_id}`. `params` hold no instant of now and nothing
    personal."""

    account_id: UUID
    kind: str
    key: str
    params: Mapping[str, Any] = field(default_factory=dict)
    op_id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Operation:
    """What was stored first under this key: its parameters are sent, whatever is intended now."""

    op_id: UUID
    key: str
    params: Mapping[str, Any]
    state: OperationState
    stripe_id: str | None
    error: str | None
    first_sent_at: datetime | None


def key_of(environment: str, intended: Intended) -> str:
    """`pf:{env}:{op}:{id}`, at most 255 characters."""
    return f"pf:{environment}:{intended.key}"


async def begin(session: AsyncSession, environment: str, intended: Intended) -> Operation:
    """The operation, which may have been begun before. Commit before the call."""
    key = key_of(environment, intended)
    values = {
        "op_id": intended.op_id,
        "account": intended.account_id,
        "kind": intended.kind,
        "params": orjson.dumps(dict(intended.params)).decode(),
        "key": key,
    }
    row = (await session.execute(_BEGIN, values)).one()
    await session.execute(_SENT, {"op_id": row.op_id})
    state = OperationState(row.state)
    return Operation(row.op_id, key, row.params, state, row.stripe_id, row.error, row.first_sent_at)


async def end(
    session: AsyncSession, op_id: UUID, state: OperationState, *, stripe_id: str | None = None, error: str | None = None
) -> None:
    """What came of it."""
    await session.execute(_END, {"op_id": op_id, "state": state.value, "stripe_id": stripe_id, "error": error})


async def refusal(session: AsyncSession, op_id: UUID) -> str | None:
    """The code with which it was refused for good; None: it was not."""
    return (await session.execute(_REFUSAL, {"op_id": op_id})).scalar_one_or_none()


async def has_ended(session: AsyncSession, environment: str, key: str) -> bool:
    """Whether this was done, or refused for good: it is not begun anew."""
    values = {"key": f"pf:{environment}:{key}"}
    return bool((await session.execute(_HAS_ENDED, values)).scalar_one())


async def is_done(session: AsyncSession, environment: str, key: str) -> bool:
    """Whether this was done."""
    values = {"key": f"pf:{environment}:{key}"}
    return bool((await session.execute(_IS_DONE, values)).scalar_one())


async def is_unanswered(session: AsyncSession, environment: str, key: str, since: timedelta) -> bool:
    """Whether it was sent longer ago than this, and nobody knows what came of it: under its key Stripe may answer a
    failure of its own for a day."""
    values = {"key": f"pf:{environment}:{key}", "since": since}
    return bool((await session.execute(_IS_UNANSWERED, values)).scalar_one())


async def abandon(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """Those whose process died, and whose person did not ask again while the key would have told what came of it:
    nobody knows. The accounts, once per operation."""
    values = {"repeated": list(REPEATED), "hours": KEPT_HOURS, "limit": limit}
    return list((await session.execute(_ABANDON, values)).scalars())


async def prune(session: AsyncSession, limit: int) -> int:
    """Forget some of those that left nothing behind, a month later; how many."""
    pruned = await session.execute(_PRUNE, {"days": KEPT_DAYS, "limit": limit})
    return int(getattr(pruned, "rowcount", 0))


async def of_account(session: AsyncSession, account_id: UUID, limit: int = 100) -> list[Mapping[str, Any]]:
    """The newest, for operators. Without their parameters."""
    rows = await session.execute(_OF_ACCOUNT, {"account": account_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]
