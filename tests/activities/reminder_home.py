"""A household with one person, a pet and reminders, as registration and the api leave them, and a memory channel."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from activities.courier import Address, Courier
from activities.pusher import Pusher
from activities.reminder import ReminderActivities
from activities.wording import Links, ReminderWording
from api import actions
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from core.unsubscribe import Unsubscriber
from domain import reminder_machine
from domain.access import Role
from domain.reminder import Plan
from domain.reminder_actions import Action
from domain.reminder_series import ReminderClass, ReminderState, Series
from domain.schedule_json import Zones, parse_schedule, zone_in_force
from integrations.keys.store import KeyStore
from integrations.notify.protocol import Channel as MessageChannel
from integrations.notify.protocol import Receipt
from integrations.notify.words import ReminderWords
from models.household import Household, Membership
from models.notification import Channel, DeviceKind
from models.pet import Pet
from models.queries import devices, reminders
from models.queries.clock import database_now
from models.queries.reminder_words import Telling, Words
from models.session import Session
from models.user import User
from temporal.contracts.reminder import DeliverOccurrence, PlanReminder


@dataclass(frozen=True, slots=True)
class Taken:
    """What a provider took."""

    notice: ReminderWords
    address: Address

    @property
    def titles(self) -> list[str]:
        """Of the notice, and of those that were said with it."""
        return [self.notice.title, *(each.title for each in self.notice.also)]


@dataclass
class MemoryNotifier:
    """A provider that honours idempotency keys: what it took, when, under which key."""

    taken: dict[UUID, Taken] = field(default_factory=dict)
    calls: list[UUID] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """Raised before the message is taken, one per call."""
    lost_answers: list[Exception] = field(default_factory=list)
    """Raised after the message was taken, one per call."""

    async def send_reminder(self, notice: ReminderWords, address: Address, *, idempotency_key: UUID) -> Receipt:
        """See `Notifier`."""
        self.calls.append(idempotency_key)
        if self.faults:
            raise self.faults.pop(0)
        self.taken.setdefault(idempotency_key, Taken(notice, address))
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return Receipt(f"memory-{idempotency_key}")

    @property
    def titles(self) -> list[str]:
        """What people were told, in order."""
        return [taken.notice.title for taken in self.taken.values()]

    @property
    def steps(self) -> list[str]:
        """Which steps it were, in order."""
        return [taken.notice.step for taken in self.taken.values()]

    @property
    def addresses(self) -> list[str]:
        """Where they went, in order."""
        return [taken.address.to for taken in self.taken.values()]


def courier(db: Database, cipher: FieldCipher, email: MessageChannel) -> Courier:
    """Somebody who speaks mail alone."""
    return Courier({Channel.EMAIL: email}, Pusher(db.sessions, cipher, {}))


def wording(cipher: FieldCipher) -> ReminderWording:
    """Words with links to nowhere."""
    return ReminderWording(cipher, Links("https://petfolio.example", Unsubscriber(b"k" * 32)))


@dataclass
class Home:
    """See the module."""

    db: Database
    cipher: FieldCipher
    user_id: UUID
    household_id: UUID
    pet_id: UUID
    notifier: MemoryNotifier
    activities: ReminderActivities

    async def remind(
        self,
        schedule: dict[str, Any],
        *,
        title: str = "Tablet",
        methods: tuple[str, ...] = ("email", "in_app"),
        category: str = "other",
        **told: Any,
    ) -> UUID:
        """A new reminder, as POST /reminders writes it."""
        zones = Zones("Europe/Berlin", "Europe/Berlin")
        parsed = parse_schedule(schedule, zones=zones)
        reminder_id = new_id()
        series = Series(
            reminder_id=reminder_id,
            household_id=self.household_id,
            user_id=self.user_id,
            pet_id=self.pet_id,
            klass=ReminderClass.ROUTINE,
            state=ReminderState.ACTIVE,
            schedule=parsed,
            zone=zone_in_force(parsed, zones),
        )
        telling = Telling(category, methods, **told)
        series = replace(series, klass=telling.klass, policy=telling.policy, leads=telling.leads, guard=telling.guard)
        async with self.db.sessions.begin() as session:
            series = reminder_machine.create(series, await database_now(session)).series
            title_ct = await self.cipher.seal(
                Subject.household(self.household_id), "reminders.title_ct", reminder_id, title
            )
            await reminders.create(session, series, Words(title_ct, None, telling))
        return reminder_id

    async def add_device(self, token: str = "token", kind: DeviceKind = DeviceKind.WEBPUSH) -> UUID:
        """A device that takes push messages, registered by a session of its own, which is the answer."""
        now, device_id = datetime.now(UTC), new_id()
        signed_in = Session(
            user_id=self.user_id,
            epoch=1,
            rt_hash=new_id().bytes,
            auth_time=now,
            amr=["pwd"],
            last_seen=now,
            idle_expires_at=now + timedelta(days=30),
            absolute_expires_at=now + timedelta(days=90),
        )
        async with self.db.sessions.begin() as session:
            session.add(signed_in)
            await session.flush()
            await devices.register(
                session,
                self.user_id,
                signed_in.id,
                kind,
                device_id=device_id,
                token_ct=await self.cipher.seal(Subject.user(self.user_id), "devices.token_ct", device_id, token),
                token_bidx=hashlib.sha256(f"{self.user_id}{token}".encode()).digest(),
                label_ct=None,
            )
        return signed_in.id

    async def act(
        self, reminder_id: UUID, make: Any, *, occurrence_id: UUID | None = None, at: datetime | None = None
    ) -> None:
        """An action as the api runs it; `make` gets the series. `at`: on a clock of the test's."""
        async with self.db.sessions.begin() as session:
            locked = await reminders.lock_for(session, self.user_id, reminder_id, occurrence_id)
            assert locked is not None
            action: Action = make(locked.series)
            await actions.keep(session, locked, reminder_machine.apply(locked.series, action, at or locked.read_at))

    async def deliver(self, reminder_id: UUID, now: datetime) -> Plan:
        """One attempt of the delivery, with the workflow's clock at `now`."""
        return await self.activities.deliver_occurrence(DeliverOccurrence(reminder_id, now))

    async def plan(self, reminder_id: UUID, now: datetime) -> Plan:
        """What the workflow reads."""
        return await self.activities.plan_reminder(PlanReminder(reminder_id, now))

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """What the database holds."""
        async with self.db.sessions() as session:
            return list((await session.execute(text(query), values)).all())

    async def execute(self, query: str, **values: Any) -> None:
        """A change behind the platform's back."""
        async with self.db.sessions.begin() as session:
            await session.execute(text(query), values)

    async def ledger(self, reminder_id: UUID) -> list[tuple[str, str, str]]:
        """(step, channel, state) of every delivery, sorted."""
        found = await self.rows(
            "SELECT step, channel, state FROM deliveries WHERE event_key LIKE :key ORDER BY step, channel",
            key=f"reminder/{reminder_id}/%",
        )
        return [(row.step, row.channel, row.state) for row in found]

    async def states(self, reminder_id: UUID) -> list[str]:
        """States of the occurrences, in order."""
        found = await self.rows("SELECT state FROM occurrences WHERE reminder_id = :id ORDER BY seq", id=reminder_id)
        return [row.state for row in found]


async def move_in(db: Database, keys: KeyStore, cipher: FieldCipher, zone: str = "Europe/Berlin") -> Home:
    """A new person with a household and a pet."""
    user_id, household_id, pet_id, notifier = new_id(), new_id(), new_id(), MemoryNotifier()
    user, household = Subject.user(user_id), Subject.household(household_id)
    verified = datetime.now(UTC)
    await keys.create(user)
    await keys.create(household)
    async with db.sessions.begin() as session:
        email = await cipher.seal(user, "users.email_ct", user_id, f"{user_id}@example.test")
        session.add(
            User(id=user_id, email_ct=email, email_bidx=user_id.bytes, timezone=zone, email_verified_at=verified)
        )
        session.add(Household(id=household_id, home_tzid=zone))
        await session.flush()
        session.add(Membership(household_id=household_id, user_id=user_id, role=Role.OWNER))
        name = await cipher.seal(household, "pets.name_ct", pet_id, "Milo")
        session.add(Pet(id=pet_id, household_id=household_id, name_ct=name))
    return Home(
        db, cipher, user_id, household_id, pet_id, notifier, ReminderActivities(db.sessions, wording(cipher), notifier)
    )
