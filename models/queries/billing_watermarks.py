"""How far the jobs of billing have read Stripe. Written last: whatever was read before may be read again."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_READ: Final = text("SELECT at FROM billing_watermarks WHERE name = :name")
_WRITE: Final = text(
    """INSERT INTO billing_watermarks (name, at) VALUES (:name, :at)
       ON CONFLICT (name) DO UPDATE SET at = greatest(billing_watermarks.at, EXCLUDED.at)"""
)


async def read(session: AsyncSession, name: str) -> datetime | None:
    """None: nobody has read so far."""
    found: datetime | None = (await session.execute(_READ, {"name": name})).scalar_one_or_none()
    return found


async def write(session: AsyncSession, name: str, at: datetime) -> None:
    """It never goes back."""
    await session.execute(_WRITE, {"name": name, "at": at})
