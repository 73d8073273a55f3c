"""What should have a workflow. Asked of the primary: a replica could have the wrong ones ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from domain.reminder_series import ReminderState
from models.reminder import Reminder


def _unfinished(table: str, condition: str, *, household: str = "household_id") -> TextClause:
    return text(
        f"""SELECT id, {household} AS household_id FROM {table}
             WHERE ({condition}) AND (CAST(:after AS uuid) IS NULL OR id > :after)
             ORDER BY id LIMIT :limit"""  # noqa: S608 - our own words
    )


GRANTS: Final = _unfinished("grants", "kind = 'sitter' AND ended_at IS NULL")
TRANSFERS: Final = _unfinished(
    "pet_transfers", "state = 'offered' OR state = 'accepted' AND moved_at IS NULL", household="from_household_id"
)
INVITATIONS: Final = _unfinished("invitations", "state = 'open'")


@dataclass(frozen=True, slots=True)
class ReminderRef:
    """A reminder, and where it lives."""

    id: UUID
    household_id: UUID


async def active_after(session: AsyncSession, last: UUID | None, limit: int) -> list[ReminderRef]:
    """The next page, by id, of the reminders that plan something."""
    page = (
        select(Reminder.id, Reminder.household_id)
        .where(col(Reminder.state) == ReminderState.ACTIVE, col(Reminder.deleted_at).is_(None))
        .order_by(col(Reminder.id))
        .limit(limit)
    )
    if last is not None:
        page = page.where(col(Reminder.id) > last)
    return [ReminderRef(*row) for row in await session.execute(page)]


async def households_of_living(session: AsyncSession, reminder_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Household by reminder, of those among `reminder_ids` that exist and have not ended; paused ones sleep."""
    found = await session.execute(
        select(Reminder.id, Reminder.household_id).where(
            col(Reminder.id).in_(reminder_ids),
            col(Reminder.state) != ReminderState.ENDED,
            col(Reminder.deleted_at).is_(None),
        )
    )
    return {reminder_id: household_id for reminder_id, household_id in found}


async def unfinished_after(
    session: AsyncSession, kind: TextClause, last: UUID | None, limit: int
) -> list[tuple[UUID, UUID]]:
    """The next page, by id, of the entities of a kind (`GRANTS`, …) that should have a workflow: (id, household)."""
    page = await session.execute(kind, {"after": last, "limit": limit})
    return [(row.id, row.household_id) for row in page]
