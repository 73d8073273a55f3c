"""Pets that move to another household: offers, and the move itself.

Households are locked first, then the pet, then its offer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from models.household import PetTransfer, TransferState
from models.pet import Pet

# Whoever has the pet no more does not read how it is called today.
_TRANSFER = """
SELECT t.id, t.pet_id, t.from_household_id, t.to_household_id, t.offered_by, t.email_ct, t.decided_by, t.decided_at,
       t.mailed, t.mail_problem, t.moved_at, t.expires_at, t.created_at, t.updated_at, t.version,
       CASE WHEN t.state = 'offered' AND t.expires_at <= statement_timestamp() THEN 'expired' ELSE t.state END AS state,
       p.name_ct AS pet_name_ct, p.species, u.first_name_ct
  FROM pet_transfers t JOIN users u ON u.id = t.offered_by
  LEFT JOIN pets p ON p.id = t.pet_id AND """
_OF_GIVERS = _TRANSFER + "p.household_id = t.from_household_id WHERE "
_ONE = _OF_GIVERS + "t.id = $1"
_PAGE = _OF_GIVERS + "t.from_household_id = $1 AND ($2::uuid IS NULL OR t.id < $2) ORDER BY t.id DESC LIMIT $3"
# Somebody sees what was offered to the address that is theirs now, while it stands, and what they accepted themselves.
_OFFERS = f"""{_TRANSFER} (
       t.moved_at IS NULL AND p.household_id = t.from_household_id
       OR EXISTS (SELECT FROM memberships m
                   WHERE m.household_id = p.household_id AND m.user_id = $1 AND m.left_at IS NULL))
 WHERE (t.decided_by = $1 AND t.state = 'accepted'
        OR t.state = 'offered' AND t.expires_at > statement_timestamp()
           AND t.email_bidx = (SELECT email_bidx FROM users WHERE id = $1 AND email_verified_at IS NOT NULL))
   AND ($2::uuid IS NULL OR t.id < $2) ORDER BY t.id DESC LIMIT $3"""  # noqa: S608 - our own words
_IS_THEIRS = text(
    """SELECT EXISTS (SELECT FROM users WHERE id = :user_id AND email_bidx = :email_bidx AND state = 'active'
                         AND email_verified_at IS NOT NULL)"""
)
_WORDS = text(
    """SELECT u.id AS offerer_id, u.first_name_ct, u.timezone, p.name_ct,
              EXISTS (SELECT FROM mail_suppressions m WHERE m.address_hmac = t.email_bidx) AS suppressed
         FROM pet_transfers t JOIN users u ON u.id = t.offered_by JOIN pets p ON p.id = t.pet_id
        WHERE t.id = :id"""
)
# A reminder is locked before its household is changed, in the order in which everybody locks.
_LOCK_REMINDERS = text(
    "SELECT id FROM reminders WHERE pet_id = :pet_id AND household_id <> :household_id ORDER BY id FOR UPDATE"
)
_MOVE_REMINDERS = text(
    """UPDATE reminders SET household_id = :household_id, version = version + 1, updated_at = clock_timestamp()
        WHERE pet_id = :pet_id AND household_id <> :household_id"""
)
_MOVE_REST = (
    text(
        """UPDATE appointments SET household_id = :household_id, version = version + 1, updated_at = clock_timestamp()
            WHERE pet_id = :pet_id AND household_id <> :household_id"""
    ),
    text(
        """UPDATE health_records SET household_id = :household_id
            WHERE pet_id = :pet_id AND household_id <> :household_id"""
    ),
    text(
        """UPDATE media_links SET household_id = :household_id, version = version + 1, updated_at = clock_timestamp()
            WHERE pet_id = :pet_id AND household_id <> :household_id"""
    ),
    # What the public page of its tag shows was chosen by people whose animal it is no more. The new ones may have
    # chosen already when this runs a second time.
    text(
        """UPDATE pet_tags t SET shown = '{}', note_ct = NULL, care_note_ct = NULL
            WHERE t.pet_id = :pet_id AND t.revoked_at IS NULL
              AND NOT EXISTS (SELECT FROM memberships m WHERE m.household_id = :household_id
                                 AND m.user_id = t.contact_id AND m.left_at IS NULL)"""
    ),
)


@dataclass(frozen=True, slots=True)
class MailWords:
    """What the mail is made of (sealed), and whether its address takes none."""

    offerer_id: UUID
    offerer_name_ct: str | None
    pet_name_ct: str
    timezone: str
    suppressed: bool


async def page(db: Database, household_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """What a household offered, the newest first, before an id."""
    return await db.reads.fetch(_PAGE, household_id, before, limit)


async def offers(db: Database, user_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """What is offered to a person, the newest first, before an id."""
    return await db.reads.fetch(_OFFERS, user_id, before, limit)


async def find_in(session: AsyncSession, transfer_id: UUID) -> asyncpg.Record:
    """One that was written or changed in this transaction."""
    await session.flush()
    return await (await raw_connection(session)).fetchrow(_ONE, transfer_id)


async def find(session: AsyncSession, transfer_id: UUID) -> PetTransfer | None:
    """One of any household, not locked."""
    return (await session.scalars(select(PetTransfer).where(col(PetTransfer.id) == transfer_id))).one_or_none()


async def lock(session: AsyncSession, transfer_id: UUID) -> PetTransfer | None:
    """One of any household, locked, as it is once the lock is held."""
    query = select(PetTransfer).where(col(PetTransfer.id) == transfer_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def is_to(session: AsyncSession, transfer: PetTransfer, user_id: UUID) -> bool:
    """Whether it was offered to the verified address of this person."""
    values = {"user_id": user_id, "email_bidx": transfer.email_bidx}
    return bool((await session.execute(_IS_THEIRS, values)).scalar_one())


async def open_ones(session: AsyncSession, household_id: UUID) -> Sequence[PetTransfer]:
    """Offers of a household that can still be accepted."""
    query = select(PetTransfer).where(
        col(PetTransfer.from_household_id) == household_id,
        col(PetTransfer.state) == TransferState.OFFERED,
        col(PetTransfer.expires_at) > func.clock_timestamp(),
    )
    return (await session.scalars(query)).all()


async def of_pet(session: AsyncSession, pet_id: UUID) -> PetTransfer | None:
    """The offer of this pet that nobody has closed, locked."""
    query = select(PetTransfer).where(
        col(PetTransfer.pet_id) == pet_id, col(PetTransfer.state) == TransferState.OFFERED
    )
    return (await session.scalars(query.with_for_update())).one_or_none()


async def unfinished_of(session: AsyncSession, pet_id: UUID) -> Sequence[PetTransfer]:
    """Offers of this pet, which is locked, that are open, or accepted and not carried out."""
    query = select(PetTransfer).where(
        col(PetTransfer.pet_id) == pet_id,
        or_(
            col(PetTransfer.state) == TransferState.OFFERED,
            and_(col(PetTransfer.state) == TransferState.ACCEPTED, col(PetTransfer.moved_at).is_(None)),
        ),
    )
    return (await session.scalars(query.with_for_update())).all()


async def is_moving(session: AsyncSession, pet_id: UUID) -> bool:
    """Whether it was accepted elsewhere and has not arrived yet."""
    query = select(col(PetTransfer.id)).where(
        col(PetTransfer.pet_id) == pet_id,
        col(PetTransfer.state) == TransferState.ACCEPTED,
        col(PetTransfer.moved_at).is_(None),
    )
    return (await session.execute(query.limit(1))).first() is not None


async def close(session: AsyncSession, transfer: PetTransfer, state: TransferState, now: datetime) -> None:
    """Its last state as an offer."""
    transfer.state, transfer.decided_at = state, now
    await touch(session, transfer, now)


async def touch(session: AsyncSession, transfer: PetTransfer, now: datetime) -> None:
    """Write what was changed, as a new version."""
    transfer.version += 1
    transfer.updated_at = now
    await session.flush()


async def mail_words(session: AsyncSession, transfer_id: UUID) -> MailWords:
    """What its mail says, as it stands when it leaves."""
    row = (await session.execute(_WORDS, {"id": transfer_id})).one()
    return MailWords(row.offerer_id, row.first_name_ct, row.name_ct, row.timezone, row.suppressed)


async def lock_pet(session: AsyncSession, pet_id: UUID) -> Pet | None:
    """The pet, for its move: nothing that refers to it can be inserted meanwhile. None when it was removed."""
    query = select(Pet).where(col(Pet.id) == pet_id, col(Pet.deleted_at).is_(None)).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def household_of(session: AsyncSession, pet_id: UUID) -> UUID:
    """Where a pet lives, or lived when it was removed."""
    return (await session.execute(select(col(Pet.household_id)).where(col(Pet.id) == pet_id))).scalar_one()


async def move_all(session: AsyncSession, pet_id: UUID, household_id: UUID) -> list[UUID]:
    """Let everything of a pet, which is locked, belong to this household; answers the reminders that did not."""
    values = {"pet_id": pet_id, "household_id": household_id}
    moved = list((await session.execute(_LOCK_REMINDERS, values)).scalars())
    if moved:
        await session.execute(_MOVE_REMINDERS, values)
    for statement in _MOVE_REST:
        await session.execute(statement, {name: values[name] for name in statement.compile().params})
    return moved
