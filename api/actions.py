"""The one way a person's action on a reminder runs: lock, decide, save, ring. Temporal is not asked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from domain import reminder_machine
from domain.access import Right
from domain.reminder_actions import Action, End, Move
from domain.reminder_series import Change
from models.queries import reminder_changes, reminder_scopes, reminders
from models.queries.reminder_changes import calendars_differ
from models.queries.reminders import Locked
from temporal import outbox

Asked = Action | Callable[[Locked], Action]
"""An action, or how to make it once the rows are locked."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What an action led to, and the rows it began with."""

    locked: Locked
    change: Change


async def act(
    session: AsyncSession,
    user_id: UUID,
    reminder_id: UUID,
    asked: Asked,
    needed: Right,
    *,
    occurrence_id: UUID | None = None,
    reason_ct: str | None = None,
) -> Acted:
    """Run an action of this person, who needs the right `needed` on the reminder.

    Raises `NotFound` for what they may not see, `NotPermitted`, and the refusals of the machine.
    """
    locked = await lock(session, user_id, reminder_id, needed, occurrence_id)
    return await run(session, locked, asked, reason_ct=reason_ct)


async def lock(
    session: AsyncSession, user_id: UUID, reminder_id: UUID, needed: Right, occurrence_id: UUID | None = None
) -> Locked:
    """The rows of a reminder, for who has the right. Raises `NotFound` for what they may not see, `NotPermitted`."""
    locked = await reminders.lock_for(session, user_id, reminder_id, occurrence_id)
    if locked is None:
        raise NotFound("no such reminder")
    require(locked, user_id, needed)
    return locked


async def run(session: AsyncSession, locked: Locked, asked: Asked, *, reason_ct: str | None = None) -> Acted:
    """Decide on locked rows with the database's clock, write what changed, and ring if anything did."""
    action = asked(locked) if callable(asked) else asked
    change = reminder_machine.apply(locked.series, action, locked.read_at)
    await keep(session, locked, change, reason_ct=reason_ct)
    return Acted(locked, change)


async def keep(
    session: AsyncSession, locked: Locked, change: Change, *, reworded: bool = False, reason_ct: str | None = None
) -> None:
    """Write what a decision changed, and ring whoever has to hear of it: the reminder's workflow, and the calendars of
    its people. `reason_ct`: why a dose was given against its guard, sealed."""
    series = change.series
    if await reminder_changes.keep(session, locked, change, reworded=reworded, reason_ct=reason_ct):
        await _ring(session, locked)
    if reworded or calendars_differ(locked.series, series):
        await outbox.ring_calendars(session, series.household_id)


def require(locked: Locked, user_id: UUID, needed: Right) -> None:
    """Raises `NotPermitted` unless this person, who locked the rows, has the right; who made a reminder manages it."""
    access = locked.access
    if access is None:
        raise NotFound("no such reminder")
    access.require(needed, made=user_id == locked.series.user_id)


async def hand_over(session: AsyncSession, reminder_ids: Iterable[UUID]) -> None:
    """Others are reminded from now on: what is due is told to them too."""
    for reminder_id in reminder_ids:
        if (locked := await reminders.hand_over(session, reminder_id)) is not None:
            await _ring(session, locked)


async def zone_changed(session: AsyncSession, user_id: UUID) -> None:
    """A person moved to another zone: what follows them keeps its wall time there. In the transaction of the move."""
    await _move(session, await reminder_scopes.following_user(session, user_id))


async def home_changed(session: AsyncSession, *, household_id: UUID, pet_id: UUID | None = None) -> None:
    """A household, or one pet of it, lives in another zone. In the transaction of the move."""
    await _move(session, await reminder_scopes.following_home(session, household_id, pet_id))


async def pet_gone(session: AsyncSession, pet_id: UUID) -> None:
    """A pet was removed, died or was archived: no reminder of it says anything any more."""
    for reminder_id in await reminder_scopes.of_pet(session, pet_id):
        if (locked := await reminders.lock(session, reminder_id)) is not None:
            await run(session, locked, End("pet_archived"))


async def household_gone(session: AsyncSession, household_id: UUID) -> None:
    """A household without pets ends, and with it the reminders that belong to no pet."""
    for reminder_id in await reminder_scopes.of_household(session, household_id):
        if (locked := await reminders.lock(session, reminder_id)) is not None:
            await run(session, locked, End("deleted"))
            await reminders.remove(session, reminder_id)


async def _move(session: AsyncSession, reminder_ids: list[UUID]) -> None:
    for reminder_id in reminder_ids:
        if (locked := await reminders.lock(session, reminder_id)) is not None:
            await run(session, locked, Move())


async def _ring(session: AsyncSession, locked: Locked) -> None:
    series = locked.series
    await outbox.ring_reminder(session, series.household_id, series.reminder_id, watching=locked.watching)
