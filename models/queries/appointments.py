"""Appointments as the domain's events: loaded and saved by people and by the calendar sync alike.

An event is saved whole, exceptions and words with it, as a new version of its row. What the calendar sync writes is
said to everybody who sees it; people's writes end in `api/appointments.py`, which does that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core import live
from core.crypto import FieldCipher
from core.ids import new_id
from domain import appointment as rules
from domain.access import Access
from domain.appointment import State, point_text
from domain.calendar import Event
from models.appointment import Appointment, AppointmentOverride
from models.queries.access import pet_access, reaches, watching
from models.queries.appointment_rows import columns, sealed, wall
from models.queries.clock import database_now
from models.queries.limits import beyond_of

_ANEW: Final = {"populate_existing": True}
"""Rows as they are now, whatever the session has seen of them."""
_READ_ONLY: Final[ColumnElement[bool]] = literal_column(beyond_of("appointments.pet_id"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """An appointment's row with those of its overrides. `row.deleted_at` says whether it was deleted."""

    row: Appointment
    overrides: Sequence[AppointmentOverride]


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a new appointment is. `user_id` made it; `adopted_link_id`: the calendar link it was taken over from."""

    id: UUID
    household_id: UUID
    user_id: UUID
    pet_id: UUID | None = None
    adopted_link_id: UUID | None = None


async def load(session: AsyncSession, appointment_id: UUID, *, lock: bool) -> Loaded | None:
    """Any household's, deleted or not, for those who act on nobody's behalf."""
    query = select(Appointment).where(col(Appointment.id) == appointment_id)
    query = query.with_for_update() if lock else query
    found = (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    return None if found is None else await _with_overrides(session, found)


async def load_all(session: AsyncSession, ids: Collection[UUID]) -> Mapping[UUID, Loaded]:
    """`load` of many, without their locks."""
    found = (
        await session.scalars(select(Appointment).where(col(Appointment.id).in_(ids)).execution_options(**_ANEW))
    ).all()
    of = col(AppointmentOverride.appointment_id)
    query = select(AppointmentOverride).where(of.in_(ids)).order_by(col(AppointmentOverride.original))
    overrides = (await session.scalars(query.execution_options(**_ANEW))).all()
    return {row.id: Loaded(row, [each for each in overrides if each.appointment_id == row.id]) for row in found}


async def versions(session: AsyncSession, ids: Collection[UUID], *, lock: bool = False) -> Mapping[UUID, int]:
    """Of those that there are, deleted or not; locked, if wanted, each after the one before it in everybody's order."""
    query = select(col(Appointment.id), col(Appointment.version)).where(col(Appointment.id).in_(ids))
    query = query.order_by(col(Appointment.id)).with_for_update() if lock else query
    return {row.id: row.version for row in await session.execute(query)}


async def deleted_among(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Those of them that were deleted."""
    query = select(col(Appointment.id)).where(col(Appointment.id).in_(ids), col(Appointment.deleted_at).is_not(None))
    return set((await session.scalars(query)).all())


async def lock_for(
    session: AsyncSession, user_id: UUID, appointment_id: UUID, *, deleted: bool = False
) -> tuple[Loaded, Access] | None:
    """One that this person sees, locked, with the access they have to it; `deleted`: among those that were deleted."""
    gone = col(Appointment.deleted_at)
    statement = (
        select(Appointment, pet_access.c.role, pet_access.c.actions, _READ_ONLY)
        .join(pet_access, reaches(col(Appointment.household_id), col(Appointment.pet_id), user_id))
        .where(col(Appointment.id) == appointment_id, gone.is_not(None) if deleted else gone.is_(None))
        .with_for_update(of=Appointment)
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(statement)).first()
    if found is None:
        return None
    return await _with_overrides(session, found[0]), Access.of(found[1], found[2], read_only=found[3])


async def planned_of(session: AsyncSession, pet_id: UUID) -> Sequence[Appointment]:
    """Those of a pet that are planned and not over, locked."""
    query = select(Appointment).where(
        col(Appointment.pet_id) == pet_id,
        col(Appointment.status) == State.PLANNED,
        col(Appointment.deleted_at).is_(None),
        or_(col(Appointment.ends_utc).is_(None), col(Appointment.ends_utc) > func.clock_timestamp()),
    )
    return (await session.scalars(query.order_by(col(Appointment.id)).with_for_update())).all()


async def of_household(session: AsyncSession, household_id: UUID) -> Sequence[Appointment]:
    """All that a household has, locked."""
    query = select(Appointment).where(
        col(Appointment.household_id) == household_id, col(Appointment.deleted_at).is_(None)
    )
    return (await session.scalars(query.order_by(col(Appointment.id)).with_for_update())).all()


async def add(session: AsyncSession, cipher: FieldCipher, event: Event, whose: Whose, state: State) -> bool:
    """A new one, unless there is one with this id already; answers whether there was none. `event` is checked."""
    return bool(await _add_all(session, cipher, [(event, whose, state)]))


async def create_from_events(
    session: AsyncSession, cipher: FieldCipher, events: Sequence[tuple[Event, Whose]]
) -> Collection[UUID]:
    """`add` of what a calendar of one household had; answers which of them there were none of. Raises `Invalid` for an
    event that appointments cannot hold."""
    new = [(rules.check(event), whose, State.PLANNED.after(event.status)) for event, whose in events]
    made = await _add_all(session, cipher, new)
    households = {(whose.household_id, whose.pet_id) for _, whose in events if whose.id in made}
    people = {home: await watching(session, *home) for home in households}
    for _, whose in events:
        if whose.id in made:
            seers = people[whose.household_id, whose.pet_id]
            live.say(session, seers, live.Name.APPOINTMENT_UPDATED, appointment_id=whose.id)
    return made


async def save(session: AsyncSession, cipher: FieldCipher, loaded: Loaded, event: Event, state: State) -> None:
    """Write the event over what is there, which is locked, as a new version. `event` is checked."""
    row, now = loaded.row, await database_now(session)
    for name, value in (await columns(cipher, row.household_id, row.id, event)).items():
        setattr(row, name, value)
    row.status = state
    await _write_overrides(session, cipher, loaded, event)
    await _renew(session, row, now)


async def save_event(
    session: AsyncSession,
    cipher: FieldCipher,
    appointment_id: UUID,
    event: Event,
    *,
    expected_version: int,
    revive: bool = False,
) -> Appointment | None:
    """`save` what a calendar says, if nobody has changed or deleted it since this version; with `revive` a deletion is
    taken back. Answers the row, None if it was not written. Raises `Invalid` for an event that appointments cannot
    hold."""
    checked = rules.check(event)
    loaded = await _expected(session, appointment_id, expected_version)
    if loaded is None or (loaded.row.deleted_at is not None and not revive):
        return None
    loaded.row.deleted_at = None
    await save(session, cipher, loaded, checked, State(loaded.row.status).after(event.status))
    await say(session, appointment_id, loaded.row.household_id, loaded.row.pet_id)
    return loaded.row


async def mark_deleted(session: AsyncSession, appointment_id: UUID, *, expected_version: int) -> Appointment | None:
    """Delete it, if nobody has changed or deleted it since this version. Answers the row, None if it was not."""
    loaded = await _expected(session, appointment_id, expected_version)
    if loaded is None or loaded.row.deleted_at is not None:
        return None
    await set_deleted(session, loaded.row, deleted=True)
    await say(session, appointment_id, loaded.row.household_id, loaded.row.pet_id)
    return loaded.row


async def set_deleted(session: AsyncSession, row: Appointment, *, deleted: bool) -> None:
    """Take one, which is locked, out of every list, or back into them: its words stay for whoever wants it back."""
    row.deleted_at = await database_now(session) if deleted else None
    await touch(session, row)


async def touch(session: AsyncSession, row: Appointment) -> None:
    """Write what was changed, as a new version."""
    await _renew(session, row, await database_now(session))


async def say(session: AsyncSession, appointment_id: UUID, household_id: UUID, pet_id: UUID | None) -> None:
    """Tell everybody who sees it that it is another than it was."""
    people = await watching(session, household_id, pet_id)
    live.say(session, people, live.Name.APPOINTMENT_UPDATED, appointment_id=appointment_id)


async def _renew(session: AsyncSession, row: Appointment, now: datetime) -> None:
    row.version += 1
    row.updated_at = now
    await session.flush()


async def _expected(session: AsyncSession, appointment_id: UUID, version: int) -> Loaded | None:
    """It, locked, if it is still this version."""
    loaded = await load(session, appointment_id, lock=True)
    return loaded if loaded is not None and loaded.row.version == version else None


async def _add_all(
    session: AsyncSession, cipher: FieldCipher, new: Sequence[tuple[Event, Whose, State]]
) -> Collection[UUID]:
    """Those of them that were not there."""
    rows = [
        Appointment(**asdict(whose), status=state, **await columns(cipher, whose.household_id, whose.id, event))
        for event, whose, state in new
    ]
    values = [{name: value for name, value in row if name not in ("created_at", "updated_at")} for row in rows]
    statement = insert(Appointment).on_conflict_do_nothing().returning(col(Appointment.id))
    made = set((await session.execute(statement, values)).scalars())
    for row, (event, _, _) in zip(rows, new, strict=True):
        if row.id in made and event.overrides:
            await _write_overrides(session, cipher, Loaded(row, ()), event)
    return made


async def _with_overrides(session: AsyncSession, row: Appointment) -> Loaded:
    query = select(AppointmentOverride).where(col(AppointmentOverride.appointment_id) == row.id)
    query = query.order_by(col(AppointmentOverride.original)).execution_options(populate_existing=True)
    return Loaded(row, (await session.scalars(query)).all())


async def _write_overrides(session: AsyncSession, cipher: FieldCipher, loaded: Loaded, event: Event) -> None:
    """Rows of those the event has, each under its name as long as it keeps it."""
    known = {each.original: each for each in loaded.overrides}
    wanted = {point_text(each.original): each for each in event.overrides}
    for name in known.keys() - wanted.keys():
        await session.delete(known[name])
    for name, one in wanted.items():
        row = known.get(name) or AppointmentOverride(id=new_id(), appointment_id=loaded.row.id, original=name)
        words = await sealed(cipher, loaded.row.household_id, "appointment_overrides", row.id, one)
        for column, value in (wall(one.start, one.end) | words).items():
            setattr(row, column, value)
        session.add(row)
