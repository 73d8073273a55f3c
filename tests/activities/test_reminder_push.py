"""Push messages to real rows of devices: every device is told, none twice, and what is done disappears from all."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.courier import Courier
from activities.pusher import Pusher
from activities.reminder import ReminderActivities
from core.crypto import FieldCipher
from core.db import Database
from domain.reminder_actions import Complete
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel, MemoryPushChannel
from models.notification import Channel, DeviceKind
from models.queries import deliveries
from tests.activities.reminder_home import Home, move_in, wording

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def service() -> MemoryPushChannel:
    return MemoryPushChannel()


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher, service: MemoryPushChannel) -> Home:
    """Somebody whose devices are asked through the real courier."""
    plain = await move_in(db, keys, cipher)
    courier = Courier({Channel.EMAIL: MemoryChannel()}, Pusher(db.sessions, cipher, {DeviceKind.WEBPUSH: service}))
    return replace(plain, activities=ReminderActivities(db.sessions, wording(cipher), courier))


async def events(home: Home, reminder: UUID) -> list[tuple[str, str | None]]:
    """(kind, code) of everything that became of the pushes, in order."""
    rows = await home.rows(
        """SELECT e.kind, e.code FROM delivery_events e JOIN deliveries d ON d.id = e.delivery_id
            WHERE d.reminder_id = :id AND e.device_id IS NOT NULL ORDER BY e.id""",
        id=reminder,
    )
    return [tuple(row) for row in rows]


async def reason(home: Home, reminder: UUID) -> Any:
    (row,) = await home.rows("SELECT state, reason FROM deliveries WHERE reminder_id = :id", id=reminder)
    return tuple(row)


async def test_every_device_is_told_once(home: Home, service: MemoryPushChannel) -> None:
    await home.add_device("phone")
    await home.add_device("tablet")
    reminder = await home.remind(DAILY, methods=("push",))
    for _ in range(3):
        await home.deliver(reminder, DUE)
    assert sorted(target for target, _ in service.pushes) == ["phone", "tablet"]
    assert await home.ledger(reminder) == [("due", "push", "sent")]
    assert await events(home, reminder) == [("accepted", None), ("accepted", None)]
    assert {push.title for _, push in service.pushes} == {"Tablet – Milo"}


async def test_a_device_that_left_is_forgotten_and_the_others_are_told(home: Home, service: MemoryPushChannel) -> None:
    await home.add_device("phone")
    await home.add_device("sold")
    service.gone = {"sold"}
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    assert sorted(await events(home, reminder)) == [("accepted", None), ("refused", "target_gone")]
    rows = await home.rows("SELECT disabled_reason, token_ct FROM devices WHERE disabled_at IS NOT NULL")
    assert [tuple(row) for row in rows] == [("target_gone", "")]


async def test_one_device_that_took_it_is_enough_and_is_not_told_again(home: Home, service: MemoryPushChannel) -> None:
    await home.add_device("phone")
    await home.add_device("tablet")
    service.away = {"tablet": 5}
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "push", "sent")]
    assert [target for target, _ in service.pushes] == ["phone"]


async def test_while_no_device_takes_it_it_is_tried_again(home: Home, service: MemoryPushChannel) -> None:
    await home.add_device("phone")
    service.away = {"phone": 1}
    reminder = await home.remind(DAILY, methods=("push",))
    assert (await home.deliver(reminder, DUE)).step == "resend"
    await home.execute("UPDATE deliveries SET not_before = NULL")
    await home.deliver(reminder, DUE + MINUTE)
    assert await events(home, reminder) == [("unavailable", "provider_unavailable"), ("accepted", None)]
    assert await home.ledger(reminder) == [("due", "push", "sent")]


async def test_a_lost_acknowledgement_shows_one_message_and_says_that_it_may_be_two(
    home: Home, service: MemoryPushChannel
) -> None:
    await home.add_device("phone")
    service.drop_next = 1
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    await home.execute("UPDATE deliveries SET not_before = NULL")
    await home.deliver(reminder, DUE + MINUTE)
    assert len(service.pushes) == 2
    assert len(service.shown["phone"]) == 1
    assert await reason(home, reminder) == ("sent", deliveries.ACKNOWLEDGEMENT_LOST)


async def test_what_is_done_disappears_where_it_was_shown_and_is_said_nowhere_else(
    home: Home, service: MemoryPushChannel
) -> None:
    await home.add_device("phone")
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    await home.add_device("new laptop")
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id))
    service.away = {"phone": 1}
    for minute in range(3):
        await home.execute("UPDATE deliveries SET not_before = NULL")
        await home.deliver(reminder, DUE + minute * MINUTE)
    ((shown,),) = [tuple(service.shown["phone"].values())]
    assert shown.withdrawn
    assert "new laptop" not in service.shown
    assert await home.ledger(reminder) == [("due", "push", "sent"), ("withdrawn:due", "push", "sent")]


async def test_who_signed_out_of_a_phone_is_not_told_there(home: Home, service: MemoryPushChannel) -> None:
    lasting, ended = await home.add_device("phone"), await home.add_device("shared tablet")
    await home.execute("UPDATE sessions SET revoked_at = now() WHERE id = :id", id=ended)
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    assert [target for target, _ in service.pushes] == ["phone"]
    await home.execute("UPDATE sessions SET revoked_at = now() WHERE id = :id", id=lasting)
    await home.deliver(reminder, DUE + timedelta(days=1))
    assert [target for target, _ in service.pushes] == ["phone"]
    due = sorted((channel, state) for step, channel, state in await home.ledger(reminder) if step == "due")
    assert due == [("email", "sent"), ("push", "sent")]


async def test_who_has_no_device_is_told_by_mail(home: Home, service: MemoryPushChannel) -> None:
    reminder = await home.remind(DAILY, methods=("push", "in_app"))
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("due", "in_app", "sent")]
    assert service.pushes == []


async def test_who_has_no_device_gets_one_mail_where_both_were_asked_for(home: Home) -> None:
    reminder = await home.remind(DAILY, methods=("push", "email"))
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "email", "sent")]


async def test_who_has_no_device_gets_one_mail_of_all_that_is_late(home: Home) -> None:
    reminders = [await home.remind(DAILY, title=title, methods=("push",)) for title in ("Tablet", "Drops")]
    for at in (DUE + 20 * MINUTE, DUE + 21 * MINUTE):
        for reminder in reminders:
            await home.deliver(reminder, at)
    told = [await home.ledger(reminder) for reminder in reminders]
    assert sorted(told) == [[("due", "email", "folded")], [("due", "email", "sent")]]


@pytest.mark.parametrize("methods", [("push",), ("push", "email")])
async def test_a_push_whose_last_device_left_while_it_waited_is_mailed(home: Home, methods: tuple[str, ...]) -> None:
    await home.execute(
        "INSERT INTO quiet_hours (user_id, starts, ends) VALUES (:id, '09:00', '11:00')", id=home.user_id
    )
    signed_in = await home.add_device("phone")
    reminder = await home.remind(DAILY, methods=methods)
    await home.deliver(reminder, DUE)
    await home.execute("UPDATE sessions SET revoked_at = now() WHERE id = :id", id=signed_in)
    await home.deliver(reminder, DUE + timedelta(hours=2))
    told = [row for row in await home.ledger(reminder) if row[2] != "withdrawn"]
    assert told == [("due", "email", "sent")]


async def test_when_all_devices_have_left_the_app_says_so(home: Home, service: MemoryPushChannel) -> None:
    await home.add_device("sold")
    service.gone = {"sold"}
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "push", "failed"), ("undelivered:push:due", "in_app", "sent")]


async def test_a_kind_of_device_that_is_not_spoken_here_keeps_no_other_from_being_told(
    home: Home, service: MemoryPushChannel
) -> None:
    await home.add_device("phone", DeviceKind.FCM)
    await home.add_device("browser")
    reminder = await home.remind(DAILY, methods=("push",))
    await home.deliver(reminder, DUE)
    assert sorted(await events(home, reminder)) == [("accepted", None), ("refused", "pending_channel")]
