"""Doses that were given. Written in the transaction of the action, under the reminder's row lock."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from domain.reminder_actions import AlreadyGiven
from domain.reminder_series import Change

_GIVE_DOSE = text(
    """INSERT INTO doses (id, reminder_id, occurrence_id, state, given_at, by_user_id, override_reason_ct)
       VALUES (:id, :reminder_id, :occurrence_id, 'given', :given_at, :by, :reason_ct)
       ON CONFLICT (occurrence_id) WHERE state = 'given' DO NOTHING RETURNING id"""
)
_UNDO_DOSE = text("UPDATE doses SET state = 'undone' WHERE occurrence_id = :occurrence_id AND state = 'given'")


async def record(
    session: AsyncSession, ids: Mapping[str, UUID], change: Change, reminder_id: UUID, reason_ct: str | None
) -> None:
    """Keep the dose that a change gives, or take back the one it undoes. Raises `AlreadyGiven` where the unique row
    says that somebody was quicker: the last word, should the lock ever be passed by."""
    if change.taken_back is not None:
        await session.execute(_UNDO_DOSE, {"occurrence_id": ids[change.taken_back]})
    if (given := change.given) is None:
        return
    values = {"id": new_id(), "reminder_id": reminder_id, "occurrence_id": ids[given.key], "given_at": given.at}
    row = {**values, "by": given.by, "reason_ct": reason_ct}
    if (await session.execute(_GIVE_DOSE, row)).first() is None:
        raise AlreadyGiven("This dose was given already.", extra={"occurrence_id": str(ids[given.key])})
