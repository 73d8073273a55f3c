"""What the calendar sync does with appointments, as nobody: load, save over what it knows, adopt, delete, restore."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.crypto import FieldCipher
from core.db import Database
from core.errors import Invalid
from core.ids import new_id
from core.settings import Settings
from domain.calendar import Event, Override, Status, When
from models.queries import appointments
from models.queries.appointment_rows import to_event
from models.queries.appointments import Whose
from tests.api.household_kit import home_of
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_appointments import path_of, plan, send

NINE = datetime.fromisoformat("2036-06-03T09:00")
SERIES = Event(
    title="Training",
    when=When(NINE, NINE + timedelta(hours=1), "Europe/Berlin", "FREQ=WEEKLY"),
    notes="Line\nline",
    location="Meadow",
    alarms=(60, 5),
    exdates=(NINE + timedelta(weeks=1),),
    overrides=(
        Override(
            NINE + timedelta(weeks=2),
            NINE + timedelta(weeks=2, hours=3),
            NINE + timedelta(weeks=2, hours=5),
            "Final",
            location="Hall",
        ),
        Override(NINE + timedelta(weeks=3), NINE + timedelta(weeks=3), NINE + timedelta(weeks=3, hours=1), "Party"),
    ),
)
WHOLE_DAYS = Event(
    title="",
    when=When(date(2036, 6, 3), date(2036, 6, 5), None, "FREQ=MONTHLY"),
    exdates=(date(2036, 7, 3),),
    overrides=(Override(date(2036, 8, 3), date(2036, 8, 4), date(2036, 8, 5), ""),),
)


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def person(api: Api) -> Person:
    return await api.person(timezone="Europe/Berlin")


class Sync:
    """Each call in a transaction of its own."""

    def __init__(self, db: Database, cipher: FieldCipher, person: Person, home: UUID) -> None:
        self.db, self.cipher, self.person = db, cipher, person
        self.whose = Whose(new_id(), home, person.user_id, adopted_link_id=new_id())

    async def adopt(self, event: Event) -> bool:
        async with self.db.sessions.begin() as session:
            return bool(await appointments.create_from_events(session, self.cipher, [(event, self.whose)]))

    async def save(self, event: Event, version: int, *, revive: bool = False) -> bool:
        async with self.db.sessions.begin() as session:
            saved = await appointments.save_event(
                session, self.cipher, self.whose.id, event, expected_version=version, revive=revive
            )
        return saved is not None

    async def event(self) -> tuple[Event, int, bool]:
        """What is there, its version, and whether it was deleted."""
        async with self.db.sessions.begin() as session:
            loaded = await appointments.load(session, self.whose.id, lock=False)
            assert loaded is not None
            event = await to_event(self.cipher, loaded.row, loaded.overrides)
            return event, loaded.row.version, loaded.row.deleted_at is not None

    async def delete(self, version: int) -> bool:
        async with self.db.sessions.begin() as session:
            return await appointments.mark_deleted(session, self.whose.id, expected_version=version) is not None

    @property
    def path(self) -> str:
        return f"/appointments/{self.whose.id}"


@pytest.fixture
async def sync(db: Database, cipher: FieldCipher, person: Person) -> Sync:
    return Sync(db, cipher, person, await home_of(person))


@pytest.mark.parametrize("event", [SERIES, WHOLE_DAYS, replace(SERIES, status=Status.CANCELLED)])
async def test_an_adopted_event_is_stored_whole_and_once(sync: Sync, person: Person, event: Event) -> None:
    assert await sync.adopt(event)
    assert not await sync.adopt(replace(event, title="Again"))
    assert await sync.event() == (event, 1, False)
    shown = await send(person, "GET", sync.path)
    assert (shown["title"], shown["adopted_link_id"]) == (event.title, str(sync.whose.adopted_link_id))
    assert await send(person, "PUT", sync.path, shown) == shown, "what a calendar may hold can be sent back"


async def test_one_crash_and_a_second_worker_adopt_once(sync: Sync) -> None:
    made = await asyncio.gather(*(sync.adopt(SERIES) for _ in range(4)))
    assert sorted(made) == [False, False, False, True]
    assert await sync.event() == (SERIES, 1, False)


async def test_saving_replaces_exceptions_and_keeps_those_that_stay(sync: Sync, db: Database) -> None:
    await sync.adopt(SERIES)
    ids = "SELECT original, id FROM appointment_overrides WHERE appointment_id = $1"
    before = dict(await db.reads.fetch(ids, sync.whose.id))
    final, party = SERIES.overrides
    new = Override(NINE + timedelta(weeks=5), NINE, NINE + timedelta(hours=2), "New")
    changed = replace(SERIES, title="Course", exdates=(), overrides=(replace(final, title="Cup"), new))
    assert await sync.save(changed, 1)
    assert await sync.event() == (changed, 2, False)
    after = dict(await db.reads.fetch(ids, sync.whose.id))
    assert after["2036-06-17T09:00"] == before["2036-06-17T09:00"]
    assert party.original.isoformat()[:16] not in after


async def test_what_somebody_changed_meanwhile_is_not_overwritten(sync: Sync, person: Person) -> None:
    await sync.adopt(SERIES)
    await send(person, "PATCH", sync.path, {"title": "Ours"})
    assert not await sync.save(replace(SERIES, title="Theirs"), 1)
    assert not await sync.delete(1)
    event, version, _ = await sync.event()
    assert (event.title, version) == ("Ours", 2)
    assert await sync.save(replace(event, title="Theirs"), 2)


async def test_of_a_person_and_the_sync_at_once_one_sees_what_the_other_did(sync: Sync, person: Person) -> None:
    await sync.adopt(SERIES)
    saved, _ = await asyncio.gather(
        sync.save(replace(SERIES, location="Forest"), 1), send(person, "PATCH", sync.path, {"title": "Ours"})
    )
    event, version, _ = await sync.event()
    assert event.title == "Ours"
    assert (event.location, version) == (("Forest", 3) if saved else ("Meadow", 2))


async def test_a_deletion_and_its_undoing_are_compared_too(sync: Sync, person: Person) -> None:
    await sync.adopt(SERIES)
    assert await sync.delete(1)
    assert not await sync.delete(2), "it is deleted already"
    assert not await sync.save(SERIES, 2)
    await send(person, "GET", sync.path, status=404)
    assert not await sync.save(SERIES, 1, revive=True)
    assert await sync.save(SERIES, 2, revive=True)
    assert await sync.event() == (SERIES, 3, False)


async def test_what_is_done_stays_done_and_what_a_calendar_calls_off_is_called_off(sync: Sync, person: Person) -> None:
    await sync.adopt(SERIES)
    await send(person, "PATCH", sync.path, {"status": "done"})
    assert await sync.save(replace(SERIES, title="Same"), 2)
    assert (await send(person, "GET", sync.path))["status"] == "done"
    assert await sync.save(replace(SERIES, status=Status.CANCELLED), 3)
    assert (await send(person, "GET", sync.path))["status"] == "cancelled"


@pytest.mark.parametrize(
    "when",
    [
        replace(SERIES.when, rrule="FREQ=SECONDLY"),
        replace(SERIES.when, tzid="Nowhere"),
        replace(SERIES.when, end=NINE - timedelta(days=1)),
    ],
)
async def test_what_appointments_cannot_hold_is_refused_and_nothing_is_written(sync: Sync, when: Any) -> None:
    with pytest.raises(Invalid):
        await sync.adopt(replace(SERIES, when=when))
    await sync.adopt(SERIES)
    with pytest.raises(Invalid):
        await sync.save(replace(SERIES, when=when), 1)
    assert await sync.event() == (SERIES, 1, False)


async def test_nothing_is_known_of_what_is_not_there(sync: Sync, person: Person, db: Database) -> None:
    async with db.sessions.begin() as session:
        assert await appointments.load(session, sync.whose.id, lock=True) is None
    assert not await sync.save(SERIES, 1)
    assert not await sync.delete(1)
    await send(person, "GET", path_of(await plan(person)))
