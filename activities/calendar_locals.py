"""The local events of a calendar: appointments, and reminders by time of day. Loaded as the domain's events, and
changed as their own rules want it, each under the lock of its row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import FieldCipher
from core.errors import Invalid
from domain import appointment, recurrence, reminder_event, reminder_machine
from domain.appointment import MOST_ALARMS
from domain.calendar import ALL_FIELDS, Capabilities, Event, Status
from domain.calendar_form import canonical
from domain.calendar_sync import Local
from domain.recurrence import Fixed, Once
from domain.reminder_actions import Move, Reschedule
from domain.reminder_series import ReminderState, Series
from integrations.calendar.protocol import EventRejected
from models.appointment import Appointment
from models.queries import appointments, reminder_changes, reminders
from models.queries.appointment_rows import to_event
from models.queries.appointments import Loaded, Whose
from models.queries.reminders import Locked
from temporal import outbox

_NOTHING: Final = Local(None, revivable=False)
APPOINTMENT: Final = Capabilities(alarms=MOST_ALARMS, statuses=frozenset({Status.CONFIRMED, Status.CANCELLED}))
"""What an appointment can hold; what is tentative in a calendar is planned here, and stays tentative there."""


@dataclass(frozen=True, slots=True)
class Locals:
    """Of one calendar, whose own bell is not rung by what it says."""

    cipher: FieldCipher
    calendar_link_id: UUID

    async def load(self, session: AsyncSession, links: Sequence[RowMapping]) -> Sequence[Local]:
        """The local sides of pairs. What its person does not see (any more) is not there for their calendar."""
        known = await appointments.load_all(session, _appointments(links))
        return [await self._load(session, link, known) for link in links]

    async def versions(self, session: AsyncSession, links: Sequence[RowMapping]) -> dict[UUID, int]:
        """Of the local rows, by the id of the pair. They stay locked until the end of the transaction."""
        known = await appointments.versions(session, ids, lock=True) if (ids := _appointments(links)) else {}
        return {link["id"]: await self._version(session, link, known) for link in links}

    async def write(self, session: AsyncSession, link: RowMapping, event: Event, version: int) -> None:
        """Have the local row say this. It is locked, at this version. Raises `EventRejected` for what it cannot say."""
        try:
            if link["appointment_id"] is not None:
                await self._save_appointment(session, link["appointment_id"], event, version)
            else:
                await self._save_reminder(session, link["reminder_id"], event)
        except Invalid:
            raise EventRejected("not a thing that we can say", code="unsupported_here") from None

    async def delete(self, session: AsyncSession, link: RowMapping, version: int) -> None:
        """The appointment was deleted in the calendar; it can be restored for a while."""
        deleted = await appointments.mark_deleted(session, link["appointment_id"], expected_version=version)
        await self._ring(session, deleted)

    async def adopt(
        self, session: AsyncSession, events: Mapping[UUID, Event], household_id: UUID, user_id: UUID
    ) -> Mapping[UUID, int]:
        """Appointments with these ids, of what somebody entered in the calendar; answers their versions. Left out is
        what none can be."""
        new = [
            (event, Whose(local_id, household_id, user_id, adopted_link_id=self.calendar_link_id))
            for local_id, event in events.items()
            if can_be_ours(event)
        ]
        if new and await appointments.create_from_events(session, self.cipher, new):
            await outbox.ring_calendars(session, household_id, but=self.calendar_link_id)
        return await appointments.versions(session, [whose.id for _, whose in new])

    async def parts(self, session: AsyncSession, reminder_id: UUID) -> tuple[str, ...]:
        """The names of the events that a reminder is."""
        return tuple(await self._events(session, reminder_id))

    async def _load(self, session: AsyncSession, link: RowMapping, known: Mapping[UUID, Loaded]) -> Local:
        if link["appointment_id"] is not None:
            found = await self._appointment(known.get(link["appointment_id"]))
        else:
            found = await self._reminder(session, link["reminder_id"], link["part"])
        if not link["visible"]:
            return replace(found, event=None, revivable=False)
        return _kept(found) if link["read_only"] else found

    async def _version(self, session: AsyncSession, link: RowMapping, known: Mapping[UUID, int]) -> int:
        if link["appointment_id"] is not None:
            return known.get(link["appointment_id"], _NOTHING.version)
        await reminders.lock(session, link["reminder_id"])
        said = await reminder_changes.said(session, link["reminder_id"])
        return said["version"] if said else _NOTHING.version

    async def _appointment(self, loaded: Loaded | None) -> Local:
        if loaded is None:
            return _NOTHING
        row = loaded.row
        event = None if row.deleted_at else canonical(await to_event(self.cipher, row, loaded.overrides))
        return Local(event, row.version, row.updated_at, APPOINTMENT)

    async def _reminder(self, session: AsyncSession, reminder_id: UUID, part: str) -> Local:
        said, series = await reminder_changes.said(session, reminder_id), await reminders.find(session, reminder_id)
        if said is None or series is None:
            return _NOTHING
        event = (await self._events(session, reminder_id)).get(part)
        side = reminder_event.side_of(series.schedule)
        return Local(event, said["version"], said["updated_at"], side, deletable=False, revivable=False)

    async def _events(self, session: AsyncSession, reminder_id: UUID) -> dict[str, Event]:
        said, series = await reminder_changes.said(session, reminder_id), await reminders.find(session, reminder_id)
        if said is None or series is None or series.state is not ReminderState.ACTIVE:
            return {}
        title = await self.cipher.open("reminders.title_ct", reminder_id, said["title_ct"])
        notes = await self.cipher.open_optional("reminders.description_ct", reminder_id, said["description_ct"])
        return dict(reminder_event.events(title, notes, _in_force(series), series.next_at))

    async def _save_appointment(self, session: AsyncSession, appointment_id: UUID, event: Event, version: int) -> None:
        saved = await appointments.save_event(
            session, self.cipher, appointment_id, event, expected_version=version, revive=True
        )
        await self._ring(session, saved)

    async def _save_reminder(self, session: AsyncSession, reminder_id: UUID, event: Event) -> None:
        locked = await reminders.lock(session, reminder_id)
        if locked is None:
            return
        series = locked.series
        await reminder_changes.rename(session, self.cipher, series, event.title, event.notes)
        change = reminder_machine.apply(series, await self._moved(session, locked, event), locked.read_at)
        if await reminder_changes.keep(session, locked, change, reworded=True):
            await outbox.ring_reminder(session, series.household_id, reminder_id, watching=locked.watching)
        await outbox.ring_calendars(session, series.household_id, but=self.calendar_link_id)

    async def _moved(self, session: AsyncSession, locked: Locked, event: Event) -> Reschedule | Move:
        """What the event's time means for the schedule. Raises `Invalid`."""
        series = locked.series
        before = (await self._events(session, series.reminder_id)).get("")
        schedule = _in_force(series)
        if before is None or before.when == event.when or not isinstance(schedule, Fixed | Once):
            return Move()
        return Reschedule(reminder_event.rescheduled(schedule, event.when))

    async def _ring(self, session: AsyncSession, changed: Appointment | None) -> None:
        if changed is not None:
            await outbox.ring_calendars(session, changed.household_id, but=self.calendar_link_id)


def _appointments(links: Sequence[RowMapping]) -> list[UUID]:
    """Those that these pairs are about."""
    return [link["appointment_id"] for link in links if link["appointment_id"] is not None]


def can_be_ours(event: Event) -> bool:
    """Whether an appointment could hold it."""
    try:
        appointment.check(event)
    except Invalid:
        return False
    return True


def _kept(local: Local) -> Local:
    """Of a pet beyond its household's plan: nothing of it is changed from a calendar, which is told what it says."""
    return replace(local, side=replace(local.side, decides=ALL_FIELDS), revivable=False)


def _in_force(series: Series) -> Any:
    """The schedule on the clock it follows now."""
    return recurrence.with_zone(series.schedule, series.zone)
