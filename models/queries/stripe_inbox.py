"""The inbox of Stripe's events: kept, and rung for, in one statement that is its own transaction.

An event is a duplicate once it was handled, not once it was seen (I4): one that still waits rings again, because nobody
may have answered the bell of the first time. One that nobody could be found for is looked at anew.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.read_pool import ReadPool
from domain.billing.events import BillingEvent
from models.billing import EventState
from models.queries.billing_events import OF_OBJECT

SOMEBODY: Final = UUID(int=0)
"""Stands in a bell's words for the account, which only the statement finds out."""

# The account by its customer, else by what we know the object from: an id begins with its kind, so all but one miss at
# once. The bell as `temporal.outbox.ring` writes it, but one that waits unclaimed is left as it is: the relay cannot
# claim it before this has committed, because a conflict locks the row.
#
# NOTIFY makes every commit wait for the one before, to the end of its flush: with it, a fifth as many events were kept
# in a second. So it is left out behind another bell that is as good as new: whoever wrote that has woken the relay,
# which looks again after each row it has sent.
_KEEP: Final = f"""
WITH account AS (
    SELECT CASE WHEN $9 = 'received' THEN coalesce(
        (SELECT account_id FROM billing_customers WHERE stripe_customer_id = $7),
        ({OF_OBJECT.format(id="$8")})) END AS id),
kept AS (
    INSERT INTO stripe_events AS e
           (id, format, type, created, api_version, livemode, customer_id, object_id, account_id, state)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, id, CASE WHEN id IS NULL THEN $10 ELSE $9 END FROM account
        ON CONFLICT (id) DO UPDATE SET account_id = coalesce(EXCLUDED.account_id, e.account_id), state = EXCLUDED.state
        WHERE e.state IN ('received', 'orphan')
    RETURNING e.state, e.account_id),
bell (is_known, aggregate, kind, workflow_id, args) AS (
    VALUES (true, $12, $13, $14, $15), (false, $16, $17, $18, $19)),
rung AS (
    INSERT INTO outbox AS o (id, aggregate, kind, workflow_id, args, user_id, coalescing, attempts)
    SELECT $11::uuid, replace(aggregate, $20, account), kind, replace(workflow_id, $20, account),
           replace(args, $20, account)::jsonb, account_id, true, 0
      FROM kept, coalesce(account_id::text, '') AS account, bell
     WHERE state = 'received' AND is_known = (account_id IS NOT NULL)
        ON CONFLICT (workflow_id, kind) WHERE coalescing AND done_at IS NULL
        DO UPDATE SET seq = EXCLUDED.seq, attempts = 0, aggregate = EXCLUDED.aggregate, args = EXCLUDED.args,
                      user_id = EXCLUDED.user_id
        WHERE o.claimed_until IS NOT NULL OR o.attempts > 0
    RETURNING o.id)
SELECT state, (SELECT count(pg_notify($21, '')) FROM rung WHERE NOT EXISTS (
    SELECT FROM (SELECT * FROM outbox WHERE done_at IS NULL ORDER BY id DESC LIMIT 1) AS newest
     WHERE claimed_until IS NULL AND created_at > clock_timestamp() - interval '1 second')) AS rung
  FROM kept"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """The words of an outbox row; `args` is JSON."""

    aggregate: str
    kind: str
    workflow_id: str
    args: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Whom the event is told: its account, in whose bell `SOMEBODY` stands for it, or who finds out whose it is."""

    channel: str
    account: Bell
    search: Bell


async def keep(
    reads: ReadPool, event: BillingEvent, *, known: EventState, unknown: EventState, ring: Ring
) -> EventState | None:
    """Write the event down, in the one state if we know whose it is and in the other if not, and ring if that is
    `received`. The state; None: it was handled before."""
    account, search = ring.account, ring.search
    row = await reads.fetchrow(
        _KEEP,
        event.id,
        event.format,
        event.type,
        event.created,
        event.api_version,
        event.livemode,
        event.customer_id,
        event.object_id,
        known.value,
        unknown.value,
        new_id(),
        account.aggregate,
        account.kind,
        account.workflow_id,
        account.args,
        search.aggregate,
        search.kind,
        search.workflow_id,
        search.args,
        str(SOMEBODY),
        ring.channel,
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
