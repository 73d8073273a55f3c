"""Wishes to be forgotten. At most one per person is open."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.queries.clock import database_now
from models.user import ErasureRequest, ErasureState


async def add(session: AsyncSession, request: ErasureRequest) -> None:
    """Record a wish. The account is locked and has none open."""
    session.add(request)
    await session.flush()


async def cancel(session: AsyncSession, user_id: UUID) -> ErasureRequest | None:
    """Take the open wish back; None when there is none. The account is locked."""
    query = select(ErasureRequest).where(
        col(ErasureRequest.user_id) == user_id, col(ErasureRequest.state) == ErasureState.REQUESTED
    )
    request = (await session.scalars(query)).one_or_none()
    if request is not None:
        request.state = ErasureState.CANCELLED
        request.cancelled_at = await database_now(session)
    return request


async def newest(session: AsyncSession, user_id: UUID) -> ErasureRequest | None:
    """The last wish, open or taken back."""
    query = select(ErasureRequest).where(col(ErasureRequest.user_id) == user_id).order_by(col(ErasureRequest.id).desc())
    return (await session.scalars(query.limit(1))).one_or_none()
