"""Done anywhere is withdrawn everywhere: pushes under way, of unknown fate, of yesterday, of several late ones."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from activities.courier import Courier
from activities.pusher import Pusher
from activities.reminder import ReminderActivities
from api.explain import present
from core.crypto import FieldCipher
from core.db import Database
from domain.access import Role
from domain.reminder_actions import Complete, Undo
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryPushChannel
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Push, Receipt
from models.household import Membership
from models.notification import DeviceKind
from models.queries import explanations
from tests.activities.reminder_home import Home, move_in, wording
from tests.activities.reminder_ledger import Killed

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@dataclass
class Phones:
    """A push service during whose first call something else happens, on either side of its acting."""

    memory: MemoryPushChannel
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None

    async def push(self, push: Push, target: str, *, idempotency_key: UUID) -> Receipt:
        """See `PushChannel`."""
        before, self.before = self.before, None
        if before is not None:
            await before()
        receipt = await self.memory.push(push, target, idempotency_key=idempotency_key)
        after, self.after = self.after, None
        if after is not None:
            await after()
        return receipt

    async def close(self) -> None:
        """See `PushChannel`."""

    def asking(self, device: str = "phone") -> list[str]:
        """What a device still asks for."""
        return [push.title for push in self.memory.shown.get(device, {}).values() if not push.withdrawn]


@pytest.fixture
def phones() -> Phones:
    return Phones(MemoryPushChannel())


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher, phones: Phones) -> Home:
    """Somebody with a phone, and mails that go to the memory."""
    plain = await move_in(db, keys, cipher)
    courier = Courier({}, Pusher(db.sessions, cipher, {DeviceKind.WEBPUSH: phones}))
    await plain.add_device("phone")
    return replace(plain, activities=ReminderActivities(db.sessions, wording(cipher), courier))


async def complete(home: Home, reminder: UUID) -> None:
    await home.act(reminder, lambda series: Complete((series.due or series.pending).key, home.user_id, overrides=True))


async def undo(home: Home, reminder: UUID) -> None:
    (done,) = await home.rows("SELECT id, key FROM occurrences WHERE reminder_id = :id AND state = 'done'", id=reminder)
    await home.act(reminder, lambda _: Undo(done.key), occurrence_id=done.id)


async def rest(home: Home, *reminders: UUID, at: datetime = DUE + MINUTE) -> None:
    """What is left to do gets done; leases of the dead and waits for providers are over."""
    for _ in range(3):
        await home.execute("UPDATE deliveries SET not_before = NULL, claimed_until = claimed_until - interval '1 min'")
        for reminder in reminders:
            await home.deliver(reminder, at)


async def sentence(home: Home, reminder: UUID) -> str:
    (row,) = await home.rows("SELECT id FROM occurrences WHERE reminder_id = :id ORDER BY seq LIMIT 1", id=reminder)
    record = await explanations.record(home.db, home.user_id, row.id)
    assert record is not None
    return str((await present(home.cipher, record, home.user_id))["sentence"])


async def test_she_gave_the_tablet_while_the_phone_was_being_told_and_it_went_on_asking(
    home: Home, phones: Phones
) -> None:
    reminder = await home.remind(DAILY, methods=("push",))
    phones.before = lambda: complete(home, reminder)
    plan = await home.deliver(reminder, DUE)
    assert plan.step == "resend"
    await rest(home, reminder)
    assert phones.asking() == []
    assert await home.ledger(reminder) == [("due", "push", "sent"), ("withdrawn:due", "push", "sent")]
    shown, _ = await home.rows("SELECT retracted_at FROM deliveries WHERE reminder_id = :id ORDER BY id", id=reminder)
    assert shown.retracted_at is not None


async def test_the_push_service_answered_nothing_and_the_phone_asked_for_what_was_done(
    home: Home, phones: Phones
) -> None:
    reminder = await home.remind(DAILY, methods=("push",))
    phones.memory.drop_next = 1
    await home.deliver(reminder, DUE)
    assert phones.asking() == ["Tablet – Milo"]
    await complete(home, reminder)
    await rest(home, reminder)
    assert phones.asking() == []


async def test_one_device_of_two_never_confirmed_and_kept_asking(home: Home, phones: Phones) -> None:
    await home.add_device("tablet")

    async def lose() -> None:
        raise ProviderUnavailable("lost", ambiguous=True)

    phones.after = lose
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "push", "sent")]
    await complete(home, reminder)
    await rest(home, reminder)
    assert phones.asking("phone") == phones.asking("tablet") == []


@pytest.mark.parametrize("quickly", [True, False], ids=["within the lease", "after the lease"])
async def test_a_worker_was_killed_over_it_and_the_phone_asked_for_what_was_done(
    home: Home, phones: Phones, quickly: bool
) -> None:
    async def die() -> None:
        raise Killed

    phones.after = die
    reminder = await home.remind(DAILY, methods=("push",))
    with pytest.raises(Killed):
        await home.deliver(reminder, DUE)
    assert phones.asking() == ["Tablet – Milo"]
    if not quickly:
        await home.execute("UPDATE deliveries SET claimed_until = now() - interval '1 s'")
    await complete(home, reminder)
    await rest(home, reminder)
    assert phones.asking() == []


async def test_a_worker_slept_over_it_and_the_phone_asked_after_it_had_been_taken_back(
    home: Home, phones: Phones
) -> None:
    """SIGSTOP for a minute: its call to the push service leaves after everything is over."""
    reminder = await home.remind(DAILY, methods=("push",))
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep() -> None:
        asleep.set()
        await awake.wait()

    phones.before = sleep
    sleeper = asyncio.create_task(home.deliver(reminder, DUE))
    await asleep.wait()
    await home.execute("UPDATE deliveries SET claimed_until = now() - interval '1 s'")
    await complete(home, reminder)
    await rest(home, reminder)
    awake.set()
    await sleeper
    assert phones.asking() == ["Tablet – Milo"]
    await rest(home, reminder)
    assert phones.asking() == []


async def test_of_two_late_ones_done_was_the_first_and_the_phone_forgot_the_other(home: Home, phones: Phones) -> None:
    late = DUE + 20 * MINUTE
    tablet, drops = [await home.remind(DAILY, title=title, methods=("push",)) for title in ("Tablet", "Drops")]
    for reminder in (tablet, drops):
        await home.deliver(reminder, late)
    await rest(home, tablet, drops, at=late)
    await complete(home, tablet)
    await rest(home, tablet, at=late + MINUTE)
    assert phones.asking() == ["Drops – Milo"]
    await complete(home, drops)
    await rest(home, drops, at=late + MINUTE)
    assert phones.asking() == []


async def test_done_by_mistake_undone_and_done_again_and_the_phone_still_asked(home: Home, phones: Phones) -> None:
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    await complete(home, reminder)
    await undo(home, reminder)
    await rest(home, reminder)
    assert phones.asking() == ["Tablet – Milo"]
    await complete(home, reminder)
    await rest(home, reminder)
    assert phones.asking() == []
    assert await home.ledger(reminder) == [("due", "push", "sent"), ("withdrawn:due", "push", "sent")]


async def test_yesterdays_tablet_was_still_asked_for_beside_todays(home: Home, phones: Phones) -> None:
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    await home.deliver(reminder, DUE + DAY)
    assert phones.asking() == ["Tablet – Milo"]
    yesterday, _ = phones.memory.shown["phone"].values()
    assert (yesterday.withdrawn, yesterday.body[:11]) == (True, "Missed: was")


async def test_that_a_dose_was_missed_is_said_and_not_taken_back(home: Home, phones: Phones) -> None:
    """Until the diary is corrected: then nobody missed anything."""
    told = {"category": "medication", "steps": (), "lead_minutes": (60,)}
    reminder = await home.remind(DAILY, methods=("push",), **told)
    await home.deliver(reminder, DUE - 60 * MINUTE)
    await home.deliver(reminder, DUE + timedelta(hours=5))
    await rest(home, reminder, at=DUE + timedelta(hours=5))
    assert [push.body[:6] for push in phones.memory.shown["phone"].values() if not push.withdrawn] == ["Missed"]
    (missed,) = await home.rows(
        "SELECT id, key FROM occurrences WHERE reminder_id = :id AND state = 'missed'", id=reminder
    )
    correction = Complete(missed.key, home.user_id, DUE, overrides=True)
    await home.act(reminder, lambda _: correction, occurrence_id=missed.id, at=DUE + timedelta(hours=6))
    await rest(home, reminder, at=DUE + timedelta(hours=6))
    assert phones.asking() == []


async def test_she_left_the_household_and_her_phone_asked_for_what_another_had_given(
    db: Database, keys: KeyStore, cipher: FieldCipher, home: Home, phones: Phones
) -> None:
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    ben = await move_in(db, keys, cipher)
    async with db.sessions.begin() as session:
        session.add(Membership(household_id=home.household_id, user_id=ben.user_id, role=Role.OWNER))
    await home.execute("UPDATE memberships SET left_at = clock_timestamp() WHERE user_id = :id", id=home.user_id)
    await complete(replace(home, user_id=ben.user_id), reminder)
    await rest(home, reminder)
    assert phones.asking() == []
    (shown,) = phones.memory.shown["phone"].values()
    assert (shown.title, shown.body) == ("Petfolio", "No longer needed")
    assert await home.ledger(reminder) == [("due", "push", "sent"), ("withdrawn:due", "push", "sent")]


async def test_explain_said_nothing_was_sent_about_a_push_that_was_on_the_phone(home: Home, phones: Phones) -> None:
    reminder = await home.remind(DAILY, methods=("push",))
    phones.memory.drop_next = 1
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id), at=DUE + MINUTE)
    expected = (
        "It may have reached you by push message: the provider's acknowledgement was lost;"
        " it was done at 2036-06-01 08:01 (UTC)."
    )
    assert await sentence(home, reminder) == expected
    await rest(home, reminder)
    assert await sentence(home, reminder) == expected


@pytest.mark.parametrize("then", ["done", "refused"])
async def test_explain_said_nothing_was_sent_about_a_mail_that_lay_in_the_mailbox(
    db: Database, keys: KeyStore, cipher: FieldCipher, then: str
) -> None:
    home = await move_in(db, keys, cipher)
    reminder = await home.remind(DAILY, methods=("email",))
    home.notifier.lost_answers = [ProviderUnavailable("lost", ambiguous=True)]
    await home.deliver(reminder, DUE)
    home.notifier.lost_answers, home.notifier.faults = [], [ProviderRefused("blocked")]
    if then == "done":
        await complete(home, reminder)
    await rest(home, reminder)
    (row,) = await home.rows("SELECT reason FROM deliveries WHERE reminder_id = :id AND channel = 'email'", id=reminder)
    assert row.reason == "acknowledgement_lost"
    assert (await sentence(home, reminder)).startswith("It may have reached you by e-mail: ")


async def test_a_refusal_that_came_after_it_was_done_rang_in_the_app(
    db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    home = await move_in(db, keys, cipher)
    reminder = await home.remind(DAILY, methods=("email",))

    class Slow:
        async def send_reminder(self, *_: object, **__: object) -> Receipt:
            """See `Notifier`."""
            await complete(home, reminder)
            raise ProviderRefused("no such mailbox")

    home.activities.notifier = Slow()
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "email", "failed")]
    assert await home.rows("SELECT id FROM notifications WHERE user_id = :id", id=home.user_id) == []
