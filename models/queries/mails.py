"""The ledger rows of mails, and the tokens that travel in them."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.notification import Delivery, DeliveryState
from models.queries.clock import database_now
from models.session import MailToken, MailTokenKind
from models.user import ErasureRequest, ErasureState, User


async def lock(session: AsyncSession, delivery_id: UUID) -> tuple[Delivery, User] | None:
    """The delivery's row, locked, and who it is for."""
    statement = (
        select(Delivery, User)
        .join(User, col(User.id) == col(Delivery.user_id))
        .where(col(Delivery.id) == delivery_id)
        .with_for_update(of=Delivery)
    )
    found = (await session.execute(statement)).first()
    return None if found is None else (found[0], found[1])


async def settle(
    session: AsyncSession,
    delivery_id: UUID,
    state: DeliveryState,
    *,
    provider_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Write down how it ended. A mail that was sent stays sent."""
    await session.execute(
        update(Delivery)
        .where(col(Delivery.id) == delivery_id, col(Delivery.state) != DeliveryState.SENT)
        .values(state=state, provider_id=provider_id, reason=reason, at=await database_now(session))
    )


async def mint_token(session: AsyncSession, user: User, kind: MailTokenKind, lifetime: timedelta) -> str:
    """A fresh 256-bit token; only its SHA-256 is kept, and former unused ones of the kind are void from now on."""
    now = await database_now(session)
    await session.execute(
        update(MailToken)
        .where(
            col(MailToken.user_id) == user.id,
            col(MailToken.kind) == kind,
            col(MailToken.used_at).is_(None),
            col(MailToken.voided_at).is_(None),
        )
        .values(voided_at=now)
    )
    raw = secrets.token_urlsafe(32)
    session.add(
        MailToken(
            hash=hashlib.sha256(raw.encode()).digest(),
            kind=kind,
            user_id=user.id,
            address_bidx=user.email_bidx,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return raw


async def open_erasure(session: AsyncSession, user_id: UUID) -> ErasureRequest | None:
    """The person's wish to be forgotten, if it still stands."""
    statement = select(ErasureRequest).where(
        col(ErasureRequest.user_id) == user_id, col(ErasureRequest.state) == ErasureState.REQUESTED
    )
    return (await session.scalars(statement)).one_or_none()
