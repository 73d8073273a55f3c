"""What tests of plans share: an account that has one, as the worker leaves it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from domain.billing.catalogue import Tier

_ENTITLE = text(
    """INSERT INTO entitlements (account_id, fence, tier, grace_until) VALUES (:id, 1, :tier, :grace_until)
       ON CONFLICT (account_id) DO UPDATE SET tier = EXCLUDED.tier, grace_until = EXCLUDED.grace_until"""
)


async def entitle(db: Database, user_id: UUID, tier: Tier, grace_until: datetime | None = None) -> None:
    """This account has this plan from now on, or until then."""
    async with db.sessions.begin() as session:
        await session.execute(_ENTITLE, {"id": user_id, "tier": tier, "grace_until": grace_until})
