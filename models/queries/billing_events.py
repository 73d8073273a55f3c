"""Messages of Stripe: noted before an account is read, handled in the transaction that stores the read, and counted as
seen only then (I4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

KEPT_DAYS: Final = 30

_NOTE: Final = text(
    """UPDATE stripe_events SET attempts = attempts + 1 WHERE account_id = :account AND state = 'received'
       RETURNING id, type, object_id"""
)
_APPLY: Final = text(
    """UPDATE stripe_events SET state = 'applied', applied_at = clock_timestamp()
        WHERE id = ANY(:ids) AND state = 'received'"""
)
_ADD: Final = text(
    """INSERT INTO stripe_events (id, format, type, created, api_version, livemode, object_id, customer_id, account_id,
                                  state)
       VALUES (:id, :format, :type, :created, :api_version, :livemode, :object_id, :customer_id, :account, :state)
       ON CONFLICT (id) DO NOTHING RETURNING id"""
)
_ROUTE: Final = text("UPDATE stripe_events SET account_id = :account, state = :state WHERE id = :id")
_FIND: Final = text("SELECT id, type, object_id, customer_id, account_id, state FROM stripe_events WHERE id = :id")
# Also those that something was due for, which their workflow would have read by now if there were one.
_WAITING: Final = text(
    """SELECT account_id FROM stripe_events
        WHERE state = 'received' AND account_id > :after AND received_at < clock_timestamp() - interval '60 s'
       UNION
       SELECT account_id FROM billing_snapshots
        WHERE look_at < clock_timestamp() - interval '10 min' AND account_id > :after
        ORDER BY account_id LIMIT :limit"""
)
_UNROUTED: Final = text(
    """SELECT id FROM stripe_events
        WHERE state = 'received' AND account_id IS NULL AND id > :after
          AND received_at < clock_timestamp() - interval '60 s'
        ORDER BY id LIMIT :limit"""
)
_UNAPPLIED: Final = text(
    """SELECT count(*) AS number, coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0) AS age
         FROM stripe_events WHERE state = 'received'"""
)
_PRUNE: Final = text(
    """DELETE FROM stripe_events WHERE id IN (
           SELECT id FROM stripe_events WHERE state <> 'received'
              AND received_at < clock_timestamp() - make_interval(days => :days) LIMIT :limit)"""
)
OF_OBJECT: Final = """SELECT account_id FROM billing_snapshots WHERE subscription_id = {id} OR open_invoice_id = {id}
    UNION SELECT account_id FROM billing_charges WHERE charge_id = {id} OR payment_intent_id = {id} OR invoice_id = {id}
    UNION SELECT account_id FROM refunds WHERE stripe_refund_id = {id}
    UNION SELECT account_id FROM disputes WHERE stripe_dispute_id = {id}
    UNION SELECT account_id FROM checkout_intents WHERE checkout_session_id = {id}
    LIMIT 1"""
"""SQL: whose the object with the id of this parameter is, of what we have read so far."""
_OF_OBJECT: Final = text(OF_OBJECT.format(id=":id"))
_OF_ACCOUNT: Final = text(
    """SELECT id, format, type, created, state, attempts, object_id, received_at, applied_at FROM stripe_events
        WHERE account_id = :account ORDER BY received_at DESC LIMIT :limit"""
)


@dataclass(frozen=True, slots=True)
class Noted:
    """An event that is to be handled by the read that begins now."""

    id: str
    type: str
    object_id: str | None


async def note(session: AsyncSession, account_id: UUID) -> tuple[Noted, ...]:
    """What is to be handled now. One that comes later is left to the next read, which its own nudge causes."""
    return tuple(Noted(*row) for row in await session.execute(_NOTE, {"account": account_id}))


async def apply(session: AsyncSession, noted: Sequence[Noted]) -> None:
    """These, and no others, are handled."""
    if noted:
        await session.execute(_APPLY, {"ids": [event.id for event in noted]})


async def add(session: AsyncSession, event: Mapping[str, Any]) -> bool:
    """An event that nobody told us of; False: we know it."""
    return (await session.execute(_ADD, dict(event))).scalar_one_or_none() is not None


async def find(session: AsyncSession, event_id: str) -> Mapping[str, Any] | None:
    """One of them."""
    row = (await session.execute(_FIND, {"id": event_id})).mappings().one_or_none()
    return None if row is None else dict(row)


async def route(session: AsyncSession, event_id: str, account_id: UUID | None, state: str) -> None:
    """Whose it is (None: nobody's)."""
    await session.execute(_ROUTE, {"id": event_id, "account": account_id, "state": state})


async def account_of_object(session: AsyncSession, object_id: str) -> UUID | None:
    """Whose an object is, of what we have read so far."""
    return (await session.execute(_OF_OBJECT, {"id": object_id})).scalar_one_or_none()


async def waiting(session: AsyncSession, after: UUID, limit: int) -> Sequence[UUID]:
    """Accounts with events that nobody has handled for a minute, and those that should have been read long ago."""
    return list((await session.execute(_WAITING, {"after": after, "limit": limit})).scalars())


async def unrouted(session: AsyncSession, after: str, limit: int) -> Sequence[str]:
    """Events of which nobody has found out for a minute whose they are, by id."""
    return list((await session.execute(_UNROUTED, {"after": after, "limit": limit})).scalars())


async def unapplied(session: AsyncSession) -> tuple[int, float]:
    """How many are not handled yet, and the age of the oldest in seconds."""
    row = (await session.execute(_UNAPPLIED)).one()
    return int(row.number), float(row.age)


async def prune(session: AsyncSession, limit: int) -> int:
    """Forget some of the old ones; how many."""
    pruned = await session.execute(_PRUNE, {"days": KEPT_DAYS, "limit": limit})
    return int(getattr(pruned, "rowcount", 0))


async def of_account(session: AsyncSession, account_id: UUID, limit: int = 100) -> list[Mapping[str, Any]]:
    """The newest, for operators."""
    rows = await session.execute(_OF_ACCOUNT, {"account": account_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]
