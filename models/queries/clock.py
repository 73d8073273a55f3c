"""The database's clock, the only one decisions are made with."""

from datetime import datetime

from sqlalchemy import DateTime, func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def database_now(session: AsyncSession) -> datetime:
    """This moment, not the start of the transaction: read it after the lock."""
    query = select(func.clock_timestamp(type_=DateTime(timezone=True)))
    return (await session.execute(query)).scalar_one()
