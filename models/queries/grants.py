"""Grants: made, answered and ended under the lock of their household's row, so that two cannot overlap.

What they open is read through `pet_access`, or for a vet's link in `vet_links`, always by the clock of the statement.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from domain.grant import Standing
from models.household import Grant, GrantKind

_GRANT: Final = """
SELECT g.*, statement_timestamp() AS now, h.name_ct AS household_name_ct, u.first_name_ct AS giver_name_ct
  FROM grants g JOIN households h ON h.id = g.household_id JOIN users u ON u.id = g.granted_by
 WHERE """
_ONE = _GRANT + "g.id = $1"
_OF_HOUSEHOLD = _GRANT + "g.household_id = $1 AND g.id = $2"
PAGE: Final = _GRANT + "g.household_id = $1 AND ($2::uuid IS NULL OR g.id < $2) ORDER BY g.id DESC LIMIT $3"
_MINE: Final = """(g.user_id = {user} OR g.user_id IS NULL AND g.email_bidx = (
       SELECT m.email_bidx FROM users m
        WHERE m.id = {user} AND m.email_verified_at IS NOT NULL AND m.state = 'active'))"""
_TO_ME = f"""{_GRANT} g.kind = 'sitter' AND g.revoked_at IS NULL AND g.valid_until > statement_timestamp()
   AND {_MINE.format(user="$1")} ORDER BY g.valid_from, g.id LIMIT $2"""
_PET_NAMES = """
SELECT id, household_id, name_ct FROM pets WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL ORDER BY id"""
_PETS = text(
    """SELECT id, name_ct FROM pets
        WHERE id = ANY(CAST(:ids AS uuid[])) AND household_id = :household_id AND deleted_at IS NULL ORDER BY id"""
)
_HOUSEHOLD_OF_MINE = text(
    f"""SELECT g.household_id FROM grants g WHERE g.id = :id AND g.kind = 'sitter'
           AND {_MINE.format(user="CAST(:user_id AS uuid)")}"""  # noqa: S608 - our own words
)
_IS_MEMBER = text(
    """SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
                       WHERE m.household_id = :household_id AND m.left_at IS NULL
                         AND (u.id = :user_id OR u.email_bidx = :email_bidx))"""
)
# Who has looked after animals of this household before, or has lived in it, is no stranger: naming them by id tells
# nobody anything about accounts. Whoever said no once, or stopped, is asked.
_KNOWN = text(
    """SELECT u.id, u.locale FROM users u
        WHERE u.id = :user_id AND u.state = 'active' AND u.email_verified_at IS NOT NULL
          AND (EXISTS (SELECT FROM grants g WHERE g.household_id = :household_id AND g.user_id = u.id)
               OR EXISTS (SELECT FROM memberships m WHERE m.household_id = :household_id AND m.user_id = u.id))
          AND NOT EXISTS (SELECT FROM grants g WHERE g.household_id = :household_id AND g.declined
                             AND (g.user_id = u.id OR g.user_id IS NULL AND g.email_bidx = u.email_bidx))"""
)
_REVOKE = """UPDATE grants g SET revoked_at = clock_timestamp(), version = g.version + 1, updated_at = clock_timestamp()
 WHERE g.household_id = :household_id AND g.revoked_at IS NULL AND g.valid_until > clock_timestamp() AND ({})
RETURNING g.id, g.kind"""
_REVOKE_HELD = text(
    _REVOKE.format(
        """g.user_id = :user_id
           OR g.user_id IS NULL AND g.email_bidx = (SELECT u.email_bidx FROM users u WHERE u.id = :user_id)"""
    )
)
_REVOKE_ALL = text(_REVOKE.format("true"))
_REVOKE_GIVEN = text(_REVOKE.format("g.granted_by = :user_id AND (g.kind = 'vet' OR g.user_id IS NULL)"))
_REMINDERS = text(
    """SELECT r.id FROM reminders r JOIN grants g ON g.household_id = r.household_id AND r.pet_id = ANY(g.pet_ids)
        WHERE g.id = :id AND r.state <> 'ended' AND r.deleted_at IS NULL ORDER BY r.id"""
)
_WORDS = text(
    """SELECT h.name_ct AS household_name_ct, h.home_tzid, u.first_name_ct AS giver_name_ct, s.id AS account_id,
              EXISTS (SELECT FROM mail_suppressions x WHERE x.address_hmac = g.email_bidx) AS suppressed
         FROM grants g JOIN households h ON h.id = g.household_id JOIN users u ON u.id = g.granted_by
         LEFT JOIN users s ON s.email_bidx = g.email_bidx AND s.state = 'active' AND s.email_verified_at IS NOT NULL
        WHERE g.id = :id"""
)
_OWNERS = text(
    """SELECT u.id, u.timezone FROM memberships m JOIN users u ON u.id = m.user_id AND u.state = 'active'
        WHERE m.household_id = :household_id AND m.left_at IS NULL AND m.role = 'owner' ORDER BY m.id"""
)


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody whom the household may name by id."""

    user_id: UUID
    locale: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who is told what a sitter did, and their clock."""

    user_id: UUID
    timezone: str


def standing_of(row: Grant | asyncpg.Record) -> Standing:
    """The domain's view of a row."""
    value = row.__getitem__ if isinstance(row, asyncpg.Record) else row.__getattribute__
    return Standing(
        accepted=value("user_id") is not None or value("kind") == GrantKind.VET,
        valid_from=value("valid_from"),
        valid_until=value("valid_until"),
        revoked_at=value("revoked_at"),
        declined=value("declined"),
        mailed=value("mailed"),
        started_at=value("started_at"),
        ended_at=value("ended_at"),
        summarised_at=value("summarised_at"),
    )


async def page(db: Database, household_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Of a household, the newest first, before an id."""
    return await db.reads.fetch(PAGE, household_id, before, limit)


async def find(db: Database, household_id: UUID, grant_id: UUID) -> asyncpg.Record | None:
    """One of this household."""
    return await db.reads.fetchrow(_OF_HOUSEHOLD, household_id, grant_id)


async def find_in(session: AsyncSession, grant_id: UUID) -> asyncpg.Record:
    """One that was written or changed in this transaction."""
    await session.flush()
    return await (await raw_connection(session)).fetchrow(_ONE, grant_id)


async def of_sitter(db: Database, user_id: UUID, limit: int) -> Sequence[asyncpg.Record]:
    """What somebody was given or offered and is not over, in the order in which it begins."""
    return await db.reads.fetch(_TO_ME, user_id, limit)


async def pet_names(db: Database, pet_ids: Iterable[UUID]) -> Sequence[asyncpg.Record]:
    """The names of these pets, sealed, and where each lives."""
    return await db.reads.fetch(_PET_NAMES, list(pet_ids))


async def pets_in(session: AsyncSession, household_id: UUID, pet_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Those of the pets that live in this household, with their sealed names."""
    found = await session.execute(_PETS, {"ids": list(pet_ids), "household_id": household_id})
    return {row.id: row.name_ct for row in found}


async def is_member(
    session: AsyncSession, household_id: UUID, *, user_id: UUID | None = None, email_bidx: bytes | None = None
) -> bool:
    """Whether this person, or somebody with this address, belongs to the household."""
    values = {"household_id": household_id, "user_id": user_id, "email_bidx": email_bidx}
    return bool((await session.execute(_IS_MEMBER, values)).scalar_one())


async def known(session: AsyncSession, household_id: UUID, user_id: UUID) -> Known | None:
    """A person with an account whom this household has met; None for everybody else."""
    row = (await session.execute(_KNOWN, {"household_id": household_id, "user_id": user_id})).one_or_none()
    return Known(*row) if row else None


async def open_ones(session: AsyncSession, household_id: UUID) -> Sequence[Grant]:
    """Those of a household that are not over. Its row is locked."""
    query = select(Grant).where(
        col(Grant.household_id) == household_id,
        col(Grant.revoked_at).is_(None),
        col(Grant.valid_until) > func.clock_timestamp(),
    )
    return (await session.scalars(query)).all()


async def lock(session: AsyncSession, household_id: UUID, grant_id: UUID) -> Grant | None:
    """One of this household, locked; None for what it does not have."""
    query = select(Grant).where(col(Grant.id) == grant_id, col(Grant.household_id) == household_id)
    return (await session.scalars(query.with_for_update())).one_or_none()


async def lock_by_id(session: AsyncSession, grant_id: UUID) -> Grant | None:
    """One of any household, for its workflow."""
    return (await session.scalars(select(Grant).where(col(Grant.id) == grant_id).with_for_update())).one_or_none()


async def household_of_mine(session: AsyncSession, user_id: UUID, grant_id: UUID) -> UUID | None:
    """Where a grant is from that this person has, or was offered at their address. Read before the locks."""
    found: UUID | None = (
        await session.execute(_HOUSEHOLD_OF_MINE, {"id": grant_id, "user_id": user_id})
    ).scalar_one_or_none()
    return found


async def revoke_held(session: AsyncSession, household_id: UUID, user_id: UUID) -> list[UUID]:
    """End what this person has here, or is offered: they became a member, or are out. Answers whose bells to ring; the
    household's row is locked."""
    return await _revoke(session, _REVOKE_HELD, household_id=household_id, user_id=user_id)


async def revoke_given(session: AsyncSession, household_id: UUID, user_id: UUID) -> list[UUID]:
    """End the doors that this person opened here: links for vets, and offers that no sitter has accepted. As
    `revoke_held`."""
    return await _revoke(session, _REVOKE_GIVEN, household_id=household_id, user_id=user_id)


async def revoke_all(session: AsyncSession, household_id: UUID) -> list[UUID]:
    """End every one of this household. As `revoke_held`."""
    return await _revoke(session, _REVOKE_ALL, household_id=household_id)


async def touch(session: AsyncSession, grant: Grant, now: datetime) -> None:
    """Write what was changed, as a new version."""
    grant.version += 1
    grant.updated_at = now
    await session.flush()


async def reminders(session: AsyncSession, grant_id: UUID) -> list[UUID]:
    """Those of its pets that still say something, in the order in which everybody locks."""
    return list((await session.execute(_REMINDERS, {"id": grant_id})).scalars())


async def mail_words(session: AsyncSession, grant_id: UUID) -> asyncpg.Record:
    """What its mail is made of (sealed), the account of its address if there is one, and whether it takes no mail."""
    return (await session.execute(_WORDS, {"id": grant_id})).mappings().one()


async def owners(session: AsyncSession, household_id: UUID) -> list[Owner]:
    """Who is told what the sitter did."""
    return [Owner(*row) for row in await session.execute(_OWNERS, {"household_id": household_id})]


async def overlapping(session: AsyncSession, grant: Grant, *, user_id: UUID | None, email_bidx: bytes | None) -> bool:
    """Whether this person, or the holder of this address, has another grant that meets this one in time and pets. The
    household's row is locked."""
    same = [col(Grant.user_id) == user_id] if user_id else []
    same += [col(Grant.email_bidx) == email_bidx] if email_bidx else []
    query = select(col(Grant.id)).where(
        col(Grant.household_id) == grant.household_id,
        col(Grant.id) != grant.id,
        col(Grant.revoked_at).is_(None),
        col(Grant.valid_from) < grant.valid_until,
        col(Grant.valid_until) > grant.valid_from,
        col(Grant.pet_ids).op("&&")(grant.pet_ids),
        or_(*same),
    )
    return (await session.execute(query.limit(1))).first() is not None


async def _revoke(session: AsyncSession, query: TextClause, **values: UUID) -> list[UUID]:
    revoked = await session.execute(query, values)
    return [row.id for row in revoked if row.kind == GrantKind.SITTER]
