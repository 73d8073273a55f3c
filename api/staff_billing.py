"""What operators see of an account's billing, and the one thing they do: have it read again.

Every look is in the person's own log. Nothing of a card, an address or a secret is here, and links that pay are left
out.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import billing
from api.auth import Caller
from api.identity import Client
from api.services import Services
from api.trail import note
from domain.billing.catalogue import Tier
from domain.billing.standing import Entitlement, Facts, judge
from models.queries import billing as accounts
from models.queries import (
    billing_events,
    billing_money,
    billing_operations,
    billing_views,
    refunds,
    stripe_inbox,
)
from temporal import ids, outbox

MOST: Final = 100
"""Rows of each kind: the newest."""
_SNAPSHOT: Final = (
    "fence status price_tier subscription_id price_id interval currency period_end trial_end scheduled_cancel_at "
    "schedule_id next_price_id pending_update_expires_at open_invoice_id payment decline_code first_failed_at "
    "past_due_since alert synced_at"
).split()


async def show(services: Services, client: Client, caller: Caller, account_id: UUID) -> dict[str, Any]:
    """The document of `AccountBillingOut`. Raises `NotFound`."""
    row, reads = await billing.standing(services.db, account_id), services.db.reads
    async with services.db.sessions.begin() as session:
        await _record(session, services, client, caller, account_id, "staff.billing")
        kept = {
            "events": await billing_events.of_account(session, account_id, MOST),
            "operations": await billing_operations.of_account(session, account_id, MOST),
            "ledger": await billing_money.ledger_of(session, account_id, MOST),
            "charges": await billing_money.charges_of(session, account_id, MOST),
            "refunds": await refunds.of_account(session, account_id, MOST),
        }
    return kept | {
        "account_id": account_id,
        "customer_id": row["stripe_customer_id"],
        "tier": row["tier"],
        "why": why(row),
        "entitlement": {"tier": row["entitled"], "grace_until": row["grace_until"], "fence": row["entitled_fence"]},
        "snapshot": {name: row[name] for name in _SNAPSHOT} if row["fence"] is not None else None,
        "sums": [dict(each) for each in await billing_views.sums(reads, account_id)],
        "disputes": [dict(each) for each in await billing_views.disputes(reads, account_id, MOST)],
        "visits": [dict(each) for each in await billing_views.visits(reads, account_id, MOST)],
        "workflow_id": ids.billing(account_id),
    }


async def replay(
    session: AsyncSession, services: Services, client: Client, caller: Caller, account_id: UUID
) -> dict[str, Any]:
    """All of the account's events are to be handled again, its money is counted anew, and it is read. Raises
    `NotFound`."""
    await billing.standing(services.db, account_id)
    events = await stripe_inbox.receive_again(session, account_id)
    await accounts.want_recount(session, account_id)
    await outbox.ring_billing(session, account_id)
    await _record(session, services, client, caller, account_id, "staff.billing_replay")
    return {"events": events, "workflow_id": ids.billing(account_id)}


def why(row: Mapping[str, Any] | asyncpg.Record) -> str:
    """One sentence: from what the tier follows."""
    if row["fence"] is None:
        return "Nothing was ever read of this account at Stripe: it is free."
    price_tier = Tier(row["price_tier"]) if row["price_tier"] else None
    last = Entitlement(Tier(row["entitled"] or Tier.FREE), row["grace_until"])
    facts = Facts(row["status"], price_tier, row["past_due_since"]) if row["status"] else None
    verdict = judge(facts, last, row["now"])
    read = f"Read at {row['synced_at']:%Y-%m-%d %H:%M:%S} UTC: "
    if facts is None:
        return read + "no subscription, so it is free."
    if verdict.alert is not None:
        return read + f"{verdict.alert} (status {row['status']}): it keeps {row['tier']}, and somebody has to look."
    if row["grace_until"] is not None:
        over = "is over" if row["grace_until"] <= row["now"] else "lasts"
        until = f"{row['grace_until']:%Y-%m-%d %H:%M:%S}"
        return read + f"{row['status']} for {row['price_tier']}; the grace until {until} UTC {over}: {row['tier']}."
    return read + f"{row['status']} for {row['price_tier'] or 'no price we know'}: {row['tier']}."


async def _record(
    session: AsyncSession, services: Services, client: Client, caller: Caller, account_id: UUID, action: str
) -> None:
    await note(
        session,
        services.identity,
        client,
        action,
        actor=caller.user_id,
        subject=account_id,
        sid=caller.session_id,
        object=f"account:{account_id}",
    )
