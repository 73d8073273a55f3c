"""How a person comes to a household's things: the view `pet_access`, joined by every query that reads or locks them.

A row of the view is one way in: `role`, the rights a grant names (`actions`, NULL: the role decides), and `pet_id`
(NULL: every pet of the household, and what belongs to none). Grants end by the clock of the statement, so nobody has
to be told that one is over.
"""

from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, ColumnElement, Text, Uuid, and_, column, or_, table, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from core.errors import NotFound

pet_access = table(
    "pet_access",
    column("user_id", Uuid),
    column("household_id", Uuid),
    column("pet_id", Uuid),
    column("role", Text),
    column("actions", ARRAY(Text)),
)


OWN: Final = "a.role <> 'admin'"
"""For lists: an operator names what they look at, so that each look is a line of the audit log."""


_WATCHING: Final = text(
    f"""SELECT DISTINCT a.user_id FROM pet_access a
         WHERE a.household_id = :household_id AND (a.pet_id IS NULL OR a.pet_id = :pet_id) AND {OWN}"""  # noqa: S608
)


def reached(household: str, pet: str, *, by: str = "$1", alias: str = "a") -> str:
    """The JOIN that leaves what the person `by` may see: columns `role` and `actions` under `alias`.

    `household` and `pet` are the columns of the thing; a thing of no pet has NULL there and is for members only.
    """
    return (
        f"JOIN pet_access {alias} ON {alias}.user_id = {by} AND {alias}.household_id = {household}"
        f" AND ({alias}.pet_id IS NULL OR {alias}.pet_id = {pet})"
    )


def found_in(row: asyncpg.Record | None) -> asyncpg.Record:
    """What was written in this transaction, as its writer sees it. Raises `NotFound` for who lost it meanwhile: the
    pet moved, or they were removed, while they waited for its lock."""
    if row is None:
        raise NotFound("it is not yours any more")
    return row


async def watching(session: AsyncSession, household_id: UUID, pet_id: UUID | None) -> list[UUID]:
    """Everybody who sees what belongs to this pet, or to none, by now."""
    return list((await session.execute(_WATCHING, {"household_id": household_id, "pet_id": pet_id})).scalars())


def reaches(household: Mapped[UUID], pet: Mapped[UUID] | Mapped[UUID | None], user_id: UUID) -> ColumnElement[bool]:
    """`reached` as the condition of a join with `pet_access`."""
    mine = pet_access.c.user_id == user_id
    return and_(
        mine,
        pet_access.c.household_id == household,
        or_(pet_access.c.pet_id.is_(None), pet_access.c.pet_id == pet),
    )
