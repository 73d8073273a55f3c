"""Text messages a person was sent this month: the budget of their plan, taken before a message leaves.

A message is charged once, however often it is tried and whoever dies over it: the charge is a line in its diary.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id

# The condition stands in the same statement as the change: of many takers at once none gets what is not there.
_TAKE = text(
    """INSERT INTO sms_usage AS u (user_id, month, segments)
       SELECT :user_id, date_trunc('month', now() AT TIME ZONE 'UTC')::date, CAST(:segments AS integer)
        WHERE CAST(:segments AS integer) <= CAST(:allowed AS integer)
       ON CONFLICT (user_id, month) DO UPDATE SET segments = u.segments + EXCLUDED.segments
             WHERE u.segments + EXCLUDED.segments <= CAST(:allowed AS integer)
       RETURNING segments"""
)
_CHARGED = text("SELECT EXISTS (SELECT FROM delivery_events WHERE delivery_id = :id AND kind = 'charged')")
_CHARGE = text(
    "INSERT INTO delivery_events (id, delivery_id, kind, code) VALUES (:event_id, :id, 'charged', :segments)"
)
_PLAN = text(
    """SELECT CASE WHEN e.grace_until <= clock_timestamp() THEN 'free' ELSE u.subscription_tier END
         FROM users u LEFT JOIN entitlements e ON e.account_id = u.id WHERE u.id = :user_id"""
)


async def plan(session: AsyncSession, user_id: UUID) -> str:
    """The plan this person's budget follows."""
    return str((await session.execute(_PLAN, {"user_id": user_id})).scalar_one())


async def take(session: AsyncSession, user_id: UUID, segments: int, allowed: int) -> bool:
    """Take so many segments of this month's budget (UTC), if that many are left of `allowed`."""
    values = {"user_id": user_id, "segments": segments, "allowed": allowed}
    return (await session.execute(_TAKE, values)).first() is not None


async def charge(session: AsyncSession, user_id: UUID, delivery_id: UUID, segments: int, allowed: int) -> bool:
    """`take` for a message whose lease the caller holds; one that was charged before may leave as well."""
    if (await session.execute(_CHARGED, {"id": delivery_id})).scalar_one():
        return True
    if not await take(session, user_id, segments, allowed):
        return False
    await session.execute(_CHARGE, {"event_id": new_id(), "id": delivery_id, "segments": str(segments)})
    return True
