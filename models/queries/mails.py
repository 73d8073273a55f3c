"""Mails about an account: their rows in the ledger, and the tokens that travel in them."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.notification import Delivery, DeliveryState, MailTemplate
from models.queries import email_changes
from models.queries.clock import database_now
from models.queries.deliveries import MAY_LEASE, TAKE_LEASE
from models.session import MailToken, MailTokenKind
from models.user import EmailChange, ErasureRequest, ErasureState, User

_LEASE = text(f"UPDATE deliveries d SET {TAKE_LEASE} WHERE d.id = :id AND {MAY_LEASE} RETURNING d.id")  # noqa: S608 - our own words


async def lease(session: AsyncSession, delivery_id: UUID) -> tuple[Delivery, User] | None:
    """The right to send it now, and who it is for. None: somebody else has it, or nothing is left to do."""
    if (await session.execute(_LEASE, {"id": delivery_id})).first() is None:
        return None
    statement = select(Delivery, User).join(User, col(User.id) == col(Delivery.user_id))
    delivery, user = (await session.execute(statement.where(col(Delivery.id) == delivery_id))).one()
    return delivery, user


async def is_superseded(session: AsyncSession, delivery: Delivery) -> bool:
    """Whether the same mail to the same person was asked for again later: of several links the newest counts."""
    newer = select(col(Delivery.id)).where(
        col(Delivery.user_id) == delivery.user_id,
        col(Delivery.template) == delivery.template,
        col(Delivery.created_at) > delivery.created_at,
        col(Delivery.state).in_((DeliveryState.PLANNED, DeliveryState.SENT, DeliveryState.DELIVERED)),
    )
    return (await session.execute(newer.limit(1))).first() is not None


async def mint_token(
    session: AsyncSession,
    user: User,
    kind: MailTokenKind,
    lifetime: timedelta,
    *,
    asked_at: datetime | None = None,
    address_bidx: bytes | None = None,
) -> str:
    """A fresh 256-bit token for a mail asked for at `asked_at` (default: now) that goes to `address_bidx` (default: the
    account's address); only its SHA-256 is kept.

    Unused ones of former mails of the kind are void from now on. Those of the same mail are not: when an
    acknowledgement was lost, nobody knows which copy will be read, and a provider that honours keys delivers the first
    one. Either way they lie in one mailbox.
    """
    now = await database_now(session)
    await session.execute(
        update(MailToken)
        .where(
            col(MailToken.user_id) == user.id,
            col(MailToken.kind) == kind,
            col(MailToken.created_at) < (asked_at or now),
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
            address_bidx=address_bidx or user.email_bidx,
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


async def open_email_change(session: AsyncSession, delivery: Delivery) -> EmailChange | None:
    """The move to another address that this very mail asks to confirm, if it still waits for that."""
    if delivery.template != MailTemplate.CONFIRM_EMAIL:
        return None
    change = await email_changes.open_change(session, delivery.user_id)
    return change if change is not None and delivery.event_key == email_changes.confirmation_key(change.id) else None
