"""What can be done with reminders over HTTP: present, create, change, remove, preview."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions, telling
from api.access import Needed, require, require_in
from api.auth import Caller, CurrentUser
from api.etag import Precondition
from api.idempotency import Once
from api.read_only import refuse_changes
from api.schemas.reminders import READ_ONLY, ReminderIn, ReminderUpdate
from api.services import Services, services_of
from core.crypto import FieldCipher, Subject
from core.errors import Conflict, FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain import escalation, recurrence, reminder_machine
from domain.access import Right
from domain.recurrence import TZDATA_VERSION, Fixed, Schedule, TzMode
from domain.reminder_actions import Complete, End, Move, Pause, Reschedule, Resume, SeriesEnded, Undo
from domain.reminder_series import Change, ReminderState, Series, Warned
from domain.schedule_json import Zones, from_shorthand, from_stored, parse_schedule, repeat_interval, zone_in_force
from models.pet import PetStatus
from models.queries import households, reminder_views, reminders
from models.queries.access import watching
from models.queries.clock import database_now
from models.queries.reminder_views import Place
from models.queries.reminder_words import Telling, Words
from models.queries.reminders import Locked
from temporal import outbox

_DOCUMENTS = ("notification_methods", "lead_minutes", "steps")
_SHORTHAND = {"reminder_date", "repeat_interval"}


async def readable_reminder(request: Request, reminder_id: UUID, caller: CurrentUser, needed: Needed) -> asyncpg.Record:
    """The reminder, for who may do this with it. 404 for who may not know of it, 403 for who may only see it."""
    found = await reminder_views.find(services_of(request).db, caller.user_id, reminder_id)
    if found is None:
        raise NotFound("no such reminder")
    await require(request, caller, found, needed)
    return found


ReadableReminder = Annotated[asyncpg.Record, Depends(readable_reminder)]


async def present(cipher: FieldCipher, row: asyncpg.Record, warnings: tuple[Warned, ...] = ()) -> dict[str, Any]:
    """The document of `ReminderOut`."""
    schedule = document_of(row["schedule"])
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "household_id": row["household_id"],
        "pet_id": row["pet_id"],
        "title": await cipher.open("reminders.title_ct", row["id"], row["title_ct"]),
        "description": await cipher.open_optional("reminders.description_ct", row["id"], row["description_ct"]),
        "reminder_date": row["next_at"],
        "repeat_interval": repeat_interval(from_stored(schedule)),
        "is_completed": row["state"] == ReminderState.ENDED and row["ended_reason"] == "completed",
        **telling.present(told_of(row)),
        "schedule": schedule | {"tzdata": TZDATA_VERSION},
        "state": row["state"],
        "ended_reason": row["ended_reason"],
        "warnings": [{"code": warned.code, "detail": warned.detail} for warned in warnings],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "version": row["version"],
    }


def told_of(row: asyncpg.Record) -> Telling:
    """How the reminder of this row is told."""
    return Telling.of({**row, **{name: document_of(row[name]) for name in _DOCUMENTS}})


def document_of(value: Any) -> Any:
    """A `jsonb` value: SQLAlchemy's connections hand it over as text, the pool of hot reads as what it says."""
    return orjson.loads(value) if isinstance(value, str) else value


async def create(session: AsyncSession, services: Services, caller: Caller, body: ReminderIn) -> dict[str, Any]:
    """A new reminder with its first occurrence, and the bell that starts its workflow."""
    where = await place(session, caller.user_id, body.pet_id)
    where.access.require(Right.ADD_REMINDER)
    refuse_changes(body, {"user_id": caller.user_id, "household_id": where.household_id}, READ_ONLY)
    if body.is_completed:
        raise invalid("is_completed", "read_only", "a new reminder is still to be done")
    schedule, told = _new_schedule(body, where.zones), telling.asked(body, telling.NEW)
    await _check_steps(session, where.household_id, told)
    series = Series(
        reminder_id=new_id(),
        household_id=where.household_id,
        user_id=caller.user_id,
        pet_id=body.pet_id,
        klass=told.klass,
        state=ReminderState.ACTIVE,
        schedule=schedule,
        zone=zone_in_force(schedule, where.zones),
        policy=told.policy,
        leads=told.leads,
        guard=told.guard,
    )
    change = reminder_machine.create(series, await database_now(session))
    await reminders.create(session, change.series, await _words(services.cipher, series, body, told))
    await outbox.ring_reminder(
        session,
        series.household_id,
        series.reminder_id,
        watching=await watching(session, series.household_id, series.pet_id),
    )
    await outbox.ring_calendars(session, series.household_id)
    row = await reminder_views.find_in(session, caller.user_id, series.reminder_id)
    return await present(services.cipher, row, change.warnings)


async def change(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    reminder_id: UUID,
    body: ReminderUpdate,
    if_match: Precondition,
) -> dict[str, Any]:
    """Write the fields that are present. What changes nothing writes nothing: no new version, no bell."""
    undone = await reminders.last_done(session, reminder_id) if body.is_completed is False else None
    locked = await reminders.lock_for(session, caller.user_id, reminder_id, undone)
    if locked is None:
        raise NotFound("no such reminder")
    actions.require(locked, caller.user_id, Right.MANAGE_REMINDER)
    if_match.check(locked.version)
    row = await reminder_views.find_in(session, caller.user_id, reminder_id)
    current = await present(services.cipher, row)
    refuse_changes(body, current, READ_ONLY)
    told = telling.asked(body, told_of(row))
    if told.steps != told_of(row).steps:  # who has left meanwhile may still stand in those that stay
        await _check_steps(session, locked.series.household_id, told)
    changed = await _changed_series(session, caller, locked, body, current, told)
    words = await _changed_words(services.cipher, row, body, current, told)
    if words is not None:
        await reminders.reword(session, reminder_id, words)
    if words is None and changed.series == locked.series:
        return current
    await actions.keep(session, locked, changed, reworded=words is not None)
    row = await reminder_views.find_in(session, caller.user_id, reminder_id)
    return await present(services.cipher, row, changed.warnings)


async def steer(
    session: AsyncSession, services: Services, caller: Caller, reminder_id: UUID, action: Pause | Resume
) -> dict[str, Any]:
    """Pause or resume; repeating it changes nothing."""
    acted = await actions.act(session, caller.user_id, reminder_id, action, Right.MANAGE_REMINDER)
    row = await reminder_views.find_in(session, caller.user_id, reminder_id)
    return await present(services.cipher, row, acted.change.warnings)


async def may_steer(session: AsyncSession, caller: Caller, shown: Mapping[str, Any]) -> None:
    """Whether the caller may still pause the reminder of this document. Raises `NotFound`, `NotPermitted`."""
    await actions.lock(session, caller.user_id, UUID(shown["id"]), Right.MANAGE_REMINDER)


async def may_add(session: AsyncSession, caller: Caller, shown: Mapping[str, Any]) -> None:
    """Whether the caller may still add reminders where that of this document is. Raises `NotFound`, `NotPermitted`."""
    await require_in(session, caller, UUID(shown["household_id"]), Right.ADD_REMINDER)


OnceSteered = Annotated[None, Depends(Once(may_steer))]
OnceAdded = Annotated[None, Depends(Once(may_add))]


async def remove(session: AsyncSession, caller: Caller, reminder_id: UUID, if_match: Precondition) -> None:
    """End the series, cancel what is open, and take it out of every list."""

    def end(locked: Locked) -> End:
        if_match.check(locked.version)
        return End("deleted")

    await actions.act(session, caller.user_id, reminder_id, end, Right.DELETE_REMINDER)
    await reminders.remove(session, reminder_id)


async def place(session: AsyncSession, user_id: UUID, pet_id: UUID | None) -> Place:
    """Where what is made for this pet lives. 404 for a pet that is not theirs, 409 for one that is gone."""
    where = await reminder_views.place(session, user_id, pet_id)
    if where is None:
        raise NotFound("no such pet" if pet_id else "no household of yours")
    if where.pet_status not in (None, PetStatus.ACTIVE, PetStatus.LOST):
        raise Conflict("nothing is planned for this pet any more", code="pet_archived")
    return where


async def _check_steps(session: AsyncSession, household_id: UUID, told: Telling) -> None:
    """Steps name members of the household. Raises `Invalid`."""
    if escalation.members_named(told.steps):
        escalation.check_members(told.steps, await households.roles(session, household_id))


def _new_schedule(body: ReminderIn, zones: Zones) -> Schedule:
    given = body.model_fields_set & _SHORTHAND
    if body.schedule is not None and given:
        raise invalid("schedule", "schedule_and_shorthand", "send schedule, or reminder_date and repeat_interval")
    if body.schedule is not None:
        return parse_schedule(body.schedule, zones=zones)
    if body.reminder_date is None:
        raise invalid("schedule", "missing_field", "send schedule, or reminder_date and repeat_interval")
    return from_shorthand(body.reminder_date, body.repeat_interval, tzid=zones.home, tz_mode="pet_home")


async def _changed_series(
    session: AsyncSession,
    caller: Caller,
    locked: Locked,
    body: ReminderUpdate,
    current: dict[str, Any],
    told: Telling,
) -> Change:
    """The series after all that the body asks of it: another pet, another rule, done or not."""
    series, zones = locked.series, locked.zones
    if "pet_id" in body.model_fields_set and body.pet_id != series.pet_id:
        where = await place(session, caller.user_id, body.pet_id)
        where.access.require(Right.ADD_REMINDER)
        if where.household_id != series.household_id:
            raise invalid("pet_id", "other_household", "a reminder stays in its household")
        series, zones = _moved(series, body.pet_id, where.zones), where.zones
    series = reminder_machine.apply(series, telling.configure(told), locked.read_at).series
    schedule = _changed_schedule(body, current, series, zones)
    action = Reschedule(schedule) if schedule is not None else Move()
    changed = reminder_machine.apply(series, action, locked.read_at)
    if body.is_completed is None or body.is_completed == current["is_completed"]:
        return changed
    series = changed.series
    if body.is_completed:
        open_one = series.due or series.pending
        if open_one is None:
            raise SeriesEnded("there is nothing open to complete")
        done = reminder_machine.apply(series, Complete(open_one.key, caller.user_id), locked.read_at)
    else:
        closed = next(o for o in reversed(series.occurrences) if not o.is_open)
        done = reminder_machine.apply(series, Undo(closed.key), locked.read_at)
    return replace(done, warnings=changed.warnings)


def _moved(series: Series, pet_id: UUID | None, zones: Zones) -> Series:
    return replace(series, pet_id=pet_id, zone=zone_in_force(series.schedule, zones))


def _changed_schedule(body: ReminderUpdate, current: dict[str, Any], series: Series, zones: Zones) -> Schedule | None:
    version = series.schedule.version
    asked = None
    if body.schedule is not None:
        asked = parse_schedule(body.schedule, zones=zones, version=version)
        asked = None if asked == recurrence.with_zone(series.schedule, series.zone) else asked
    if not _shorthand_changed(body, current):
        return asked
    if asked is not None:
        raise invalid("schedule", "schedule_and_shorthand", "change schedule, or reminder_date and repeat_interval")
    word = body.repeat_interval if "repeat_interval" in body.model_fields_set else current["repeat_interval"]
    at = body.reminder_date or (_kept_start(series.schedule) if word else None) or _text(current["reminder_date"])
    if at is None:
        raise invalid("reminder_date", "missing_field", "this reminder has ended: give it a new date")
    tz_mode: TzMode = getattr(series.schedule, "tz_mode", "pet_home")
    tzid = zone_in_force(series.schedule, zones)
    return from_shorthand(at, word, tzid=tzid, tz_mode=tz_mode, version=version)


def _kept_start(schedule: Schedule) -> str | None:
    """Another rhythm keeps the start, as an edited RRULE keeps its DTSTART (RFC 5545 §3.8.5.3).

    The next instant would not do: in February the 31st stands on the 28th, and in a gap of the clock an hour late.
    """
    if not isinstance(schedule, Fixed):
        return None
    return schedule.start.date().isoformat() if schedule.all_day else schedule.start.isoformat()


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _shorthand_changed(body: ReminderUpdate, current: dict[str, Any]) -> bool:
    given = body.model_fields_set
    if "repeat_interval" in given and body.repeat_interval != current["repeat_interval"]:
        return True
    if "reminder_date" not in given or body.reminder_date is None:
        return False
    return not _same_instant(body.reminder_date, current["reminder_date"])


def _same_instant(text: str, instant: datetime | None) -> bool:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return False
    return given.tzinfo is not None and given == instant


async def _words(cipher: FieldCipher, series: Series, body: ReminderIn, told: Telling) -> Words:
    return await _sealed(cipher, series.household_id, series.reminder_id, body.title, body.description, told)


async def _changed_words(
    cipher: FieldCipher, row: asyncpg.Record, body: ReminderUpdate, current: dict[str, Any], told: Telling
) -> Words | None:
    given = body.model_fields_set
    if "title" in given and body.title is None:
        raise invalid("title", "missing", "a reminder has a title")
    new = {name: getattr(body, name) if name in given else current[name] for name in ("title", "description")}
    if new == {name: current[name] for name in new} and told == told_of(row):
        return None
    return await _sealed(cipher, row["household_id"], row["id"], new["title"], new["description"], told)


async def _sealed(
    cipher: FieldCipher, household_id: UUID, reminder_id: UUID, title: str, description: str | None, told: Telling
) -> Words:
    household = Subject.household(household_id)
    return Words(
        title_ct=await cipher.seal(household, "reminders.title_ct", reminder_id, title),
        description_ct=await cipher.seal_optional(
            household, "reminders.description_ct", reminder_id, description or None
        ),
        telling=told,
    )


def invalid(field: str, code: str, detail: str) -> Invalid:
    """422 about one field."""
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
