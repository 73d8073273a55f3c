"""A person with a household and a connected calendar, on the real rows; the account is whatever adapter is given."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from activities.calendar_engine import Doubt, Engine
from activities.calendar_locals import Locals
from activities.calendar_postgres import PostgresStore
from activities.calendar_rows import Sealer
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from domain.appointment import State
from domain.calendar import Event, When
from domain.calendar_form import canonical
from domain.calendar_sync import Policy
from integrations.calendar import credentials
from integrations.calendar.credentials import CalDavCredential, Credential
from integrations.calendar.protocol import CalendarProvider
from integrations.keys.store import KeyStore
from models.calendar_sync import CalendarConnection, CalendarLink, ConnectionState
from models.queries import appointments
from models.queries import calendar_sync as rows
from models.queries.appointment_rows import to_event
from models.queries.appointments import Whose
from models.queries.notices import PARAMS
from tests.activities.reminder_home import Home, move_in

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def an_event(title: str = "Vet", **fields: Any) -> Event:
    """Some day at nine in Berlin, for an hour."""
    start = datetime(2026, 12, 3, 9)  # noqa: DTZ001 - on the person's clock
    return replace(Event(title, When(start, start + timedelta(hours=1), "Europe/Berlin")), **fields)


def a_series(title: str = "Training", rrule: str = "FREQ=WEEKLY;COUNT=10", **fields: Any) -> Event:
    """The same, week after week."""
    event = an_event(title, **fields)
    return replace(event, when=replace(event.when, rrule=rrule))


@dataclass
class CalendarHome:
    """See the module. `calendar_id` is the calendar in the account; `confirmed`: its person said that many deletions
    are meant."""

    home: Home
    link_id: UUID
    connection_id: UUID
    provider: CalendarProvider
    calendar_id: str
    policy: Policy = field(default_factory=Policy)
    confirmed: bool = False

    @property
    def db(self) -> Database:
        return self.home.db

    async def store(self) -> PostgresStore:
        """What a worker opens."""
        async with self.db.sessions() as session:
            calendar = await rows.calendar(session, self.link_id)
        assert calendar is not None
        cipher = self.home.cipher
        sealer = Sealer(cipher, self.home.user_id)
        return PostgresStore(self.db.sessions, sealer, Locals(cipher, self.link_id), self.provider, calendar)

    async def engine(self) -> Engine:
        """What a worker runs."""
        store, now = await self.store(), NOW.replace(tzinfo=None)
        return Engine(store, self.provider, self.calendar_id, self.link_id, self.policy, now, self.confirmed)

    async def sync(self) -> None:
        """One run to its end."""
        engine = await self.engine()
        await engine.pull()
        doubt = await engine.doubt()
        for _ in range(2_000):
            if not await engine.work(doubt):
                return
        raise AssertionError("the work does not end")

    async def doubt(self) -> Doubt:
        """Whether the last list was believed."""
        return await (await self.engine()).doubt()

    async def create(self, event: Event) -> UUID:
        """As POST /appointments."""
        whose = Whose(new_id(), self.home.household_id, self.home.user_id, self.home.pet_id)
        async with self.db.sessions.begin() as session:
            assert await appointments.add(session, self.home.cipher, event, whose, State.PLANNED)
        return whose.id

    async def edit(self, appointment_id: UUID, **fields: Any) -> None:
        """As PUT /appointments/{id}."""
        async with self.db.sessions.begin() as session:
            loaded = await appointments.load(session, appointment_id, lock=True)
            assert loaded is not None
            event = await to_event(self.home.cipher, loaded.row, loaded.overrides)
            state = State(loaded.row.status)
            await appointments.save(session, self.home.cipher, loaded, replace(event, **fields), state)

    async def delete(self, appointment_id: UUID) -> None:
        """As DELETE /appointments/{id}."""
        async with self.db.sessions.begin() as session:
            loaded = await appointments.load(session, appointment_id, lock=True)
            assert loaded is not None
            await appointments.set_deleted(session, loaded.row, deleted=True)

    async def here(self) -> Mapping[UUID, Event]:
        """The appointments that there are."""
        found = {}
        async with self.db.sessions() as session:
            for row in await appointments.of_household(session, self.home.household_id):
                loaded = await appointments.load(session, row.id, lock=False)
                assert loaded is not None
                found[row.id] = canonical(await to_event(self.home.cipher, loaded.row, loaded.overrides))
        return found

    async def links(self, *columns: str) -> list[Any]:
        """These columns of all pairs."""
        query = f"SELECT {', '.join(columns)} FROM event_links WHERE calendar_link_id = :link ORDER BY id"
        return await self.home.rows(query, link=self.link_id)

    async def told(self, template: str) -> list[tuple[str, Mapping[str, Any]]]:
        """By channel, the words of what the person is told, each with the bell that has it sent."""
        told = []
        query = """SELECT id, channel, params_ct FROM deliveries
                    WHERE template = :template AND user_id = :user_id ORDER BY channel, id"""
        for row in await self.home.rows(query, template=template, user_id=self.home.user_id):
            told.append((row.channel, json.loads(await self.home.cipher.open(PARAMS, row.id, row.params_ct))))
            bells = await self.home.rows("SELECT id FROM outbox WHERE args ->> 'delivery_id' = :id", id=str(row.id))
            assert len(bells) == (row.channel == "email")
        return told


async def connect(
    db: Database,
    keys: KeyStore,
    cipher: FieldCipher,
    provider: CalendarProvider,
    calendar_id: str,
    *,
    credential: Credential | None = None,
    name: str = "caldav",
    home: Home | None = None,
) -> CalendarHome:
    """A new person, or this one, with a connected calendar."""
    home = home or await move_in(db, keys, cipher)
    person, connection_id, link_id = Subject.user(home.user_id), new_id(), new_id()
    credential = credential or CalDavCredential("https://calendar.example", "ada", "secret")
    sealed = await cipher.seal(person, credentials.COLUMN, connection_id, credentials.to_json(credential))
    async with db.sessions.begin() as session:
        session.add(
            CalendarConnection(
                id=connection_id,
                user_id=home.user_id,
                household_id=home.household_id,
                provider=name,
                state=ConnectionState.ACTIVE,
                account_ct=await cipher.seal(person, credentials.ACCOUNT, connection_id, "ada"),
                account_bidx=connection_id.bytes,
                credential_ct=sealed,
            )
        )
        await session.flush()
        session.add(
            CalendarLink(id=link_id, connection_id=connection_id, user_id=home.user_id, remote_calendar_id=calendar_id)
        )
    return CalendarHome(home, link_id, connection_id, provider, calendar_id)
