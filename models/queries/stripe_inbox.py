"""The inbox of Stripe's events: kept, and rung for, in one statement that is its own transaction.

An event is a duplicate once it was handled, not once it was seen (I4): one that still waits rings again, because nobody
may have answered the bell of the first time. One that nobody could be found for is looked at anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.read_pool import ReadPool
from models.billing import EventState

# By the customer, else by what we know the object from: its id begins with its kind, so all but one miss at once.
_ACCOUNT: Final = """
SELECT coalesce(
    (SELECT account_id FROM billing_customers WHERE stripe_customer_id = $1),
    (SELECT account_id FROM billing_snapshots WHERE subscription_id = $2),
    (SELECT account_id FROM checkout_intents WHERE checkout_session_id = $2),
    (SELECT account_id FROM billing_charges WHERE charge_id = $2),
    (SELECT account_id FROM billing_charges WHERE invoice_id = $2 LIMIT 1),
    (SELECT account_id FROM refunds WHERE stripe_refund_id = $2),
    (SELECT account_id FROM disputes WHERE stripe_dispute_id = $2))"""
# The bell as `temporal.outbox.ring` writes it, but for one thing: whoever rings a bell that is rung already wakes
# nobody. Those who notify commit one after the other, and the relay looks at what it has sent within 1.5 s anyway.
_KEEP: Final = """
WITH kept AS (
    INSERT INTO stripe_events AS e
           (id, format, type, created, api_version, livemode, object_id, customer_id, account_id, state)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (id) DO UPDATE SET account_id = coalesce(EXCLUDED.account_id, e.account_id), state = EXCLUDED.state
        WHERE e.state IN ('received', 'orphan')
    RETURNING e.state),
rung AS (
    INSERT INTO outbox AS o (id, aggregate, kind, workflow_id, args, user_id, coalescing, attempts)
    SELECT $11, $12, $13, $14, $15, $9, $16, 0 FROM kept WHERE kept.state = 'received'
        ON CONFLICT (workflow_id, kind) WHERE coalescing AND done_at IS NULL
        DO UPDATE SET seq = EXCLUDED.seq, attempts = 0, aggregate = EXCLUDED.aggregate, args = EXCLUDED.args,
                      user_id = EXCLUDED.user_id
    RETURNING o.xmax = 0 AS is_new)
SELECT kept.state, (SELECT count(pg_notify($17, '')) FROM rung WHERE is_new) AS woken FROM kept"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An event as it came. `format`: `snapshot` or `thin`; `object_id` is what it is about."""

    id: str
    format: str
    type: str
    created: datetime
    api_version: str | None
    livemode: bool
    object_id: str | None
    customer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """The outbox row of whoever has to hear of it."""

    aggregate: str
    kind: str
    workflow_id: str
    args: Mapping[str, object]
    coalescing: bool
    channel: str


async def account_of(reads: ReadPool, event: Arrived) -> UUID | None:
    """Whose it is, as far as we know; None: we have to ask, or it is nobody's."""
    found: UUID | None = await reads.fetchval(_ACCOUNT, event.customer_id, event.object_id)
    return found


async def keep(
    reads: ReadPool, event: Arrived, account_id: UUID | None, state: EventState, bell: Bell
) -> EventState | None:
    """Write the event down in this state, and ring if it is `received`. None: it was handled before."""
    row = await reads.fetchrow(
        _KEEP,
        event.id,
        event.format,
        event.type,
        event.created,
        event.api_version,
        event.livemode,
        event.object_id,
        event.customer_id,
        account_id,
        state.value,
        new_id(),
        bell.aggregate,
        bell.kind,
        bell.workflow_id,
        dict(bell.args),
        bell.coalescing,
        bell.channel,
    )
    return None if row is None else EventState(row["state"])


_AGAIN: Final = text(
    """WITH again AS (
           UPDATE stripe_events SET state = 'received', applied_at = NULL
            WHERE account_id = :account AND state = 'applied' RETURNING id)
       SELECT count(*) FROM again"""
)


async def receive_again(session: AsyncSession, account_id: UUID) -> int:
    """The events of an account that were handled are to be handled once more; answers how many."""
    return int((await session.execute(_AGAIN, {"account": account_id})).scalar_one())
