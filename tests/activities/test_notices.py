"""Notices that are about no occurrence, on real rows and every channel: what arrives, and who is not disturbed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.courier import Courier
from activities.mail import HeldBack, MailActivities
from activities.pusher import Pusher
from activities.wording import Links
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from core.unsubscribe import Unsubscriber
from domain.notification import Category, Channel
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel, MemoryPushChannel
from integrations.notify.protocol import ProviderUnavailable
from models.notification import DeviceKind, MailTemplate
from models.queries import notices
from models.queries.notices import Notice
from temporal.contracts.mail import SendMail
from tests.activities.reminder_home import Home, move_in


@dataclass
class Teller:
    """Somebody who can be reached on every channel, and what reached them."""

    home: Home
    mailbox: MemoryChannel = field(default_factory=MemoryChannel)
    texts: MemoryChannel = field(default_factory=MemoryChannel)
    phone: MemoryPushChannel = field(default_factory=MemoryPushChannel)

    async def reachable(self, phone: str = "+4915112345678") -> None:
        """A phone number with consent, a device that takes pushes, and text messages wanted where there are any."""
        home = self.home
        sealed = await home.cipher.seal(Subject.user(home.user_id), "users.phone_ct", home.user_id, phone)
        await home.execute("UPDATE users SET phone_ct = :phone WHERE id = :id", phone=sealed, id=home.user_id)
        await home.execute(
            "INSERT INTO consents (id, user_id, purpose, wording, text_hash, action, source)"
            " VALUES (gen_random_uuid(), :id, 'sms', '1', 'x', 'granted', 'test')",
            id=home.user_id,
        )
        for category in ("security", "calendar"):
            await home.execute(
                "INSERT INTO notification_preferences (user_id, category, channel, enabled)"
                " VALUES (:id, :category, 'sms', true)",
                id=home.user_id,
                category=category,
            )
        await home.add_device("phone")

    async def tell(self, *channels: Channel, category: Category = Category.SECURITY) -> dict[str, UUID]:
        """What a feature does; the deliveries by channel."""
        notice = Notice(
            user_id=self.home.user_id,
            category=category,
            template=MailTemplate.SESSION_REUSE,
            event_key=f"test/{new_id()}",
            channels=channels or tuple(Channel),
        )
        async with self.home.db.sessions.begin() as session:
            claimed = await notices.claim(session, self.home.cipher, notice)
        rows = await self.home.rows("SELECT id, channel FROM deliveries WHERE user_id = :id", id=self.home.user_id)
        return {row.channel: row.id for row in rows if row.id in claimed}

    async def send(self, *deliveries: UUID) -> None:
        """What the mail workflow does."""
        home = self.home
        spoken = Courier(
            {Channel.EMAIL: self.mailbox, Channel.SMS: self.texts},
            Pusher(home.db.sessions, home.cipher, {DeviceKind.WEBPUSH: self.phone}),
        )
        links = Links("https://petfolio.test", Unsubscriber(b"u" * 32))
        mails = MailActivities(home.db.sessions, home.cipher, spoken, links=links, grace=timedelta(days=14))
        for delivery_id in deliveries:
            await ActivityEnvironment().run(mails.send_mail, SendMail(delivery_id))

    async def states(self) -> dict[str, tuple[str, str | None]]:
        """State and reason by channel."""
        rows = await self.home.rows(
            "SELECT channel, state, reason FROM deliveries WHERE user_id = :id", id=self.home.user_id
        )
        return {row.channel: (row.state, row.reason) for row in rows}


@pytest.fixture
async def teller(db: Database, keys: KeyStore, cipher: FieldCipher) -> Teller:
    return Teller(await move_in(db, keys, cipher))


async def quiet(teller: Teller) -> datetime:
    """Quiet hours that have begun; the answer is their end, on the minute."""
    now = datetime.now(UTC)
    await teller.home.execute("UPDATE users SET timezone = 'UTC' WHERE id = :id", id=teller.home.user_id)
    await teller.home.execute(
        "INSERT INTO quiet_hours (user_id, starts, ends) VALUES (:id, :starts, :ends)",
        id=teller.home.user_id,
        starts=(now - timedelta(hours=1)).time().replace(second=0, microsecond=0),
        ends=(now + timedelta(hours=1)).time().replace(second=0, microsecond=0),
    )
    return (now + timedelta(hours=1)).replace(second=0, microsecond=0)


async def test_a_notice_reaches_mailbox_phone_and_devices_in_the_words_of_its_mail(teller: Teller) -> None:
    await teller.reachable()
    await teller.send(*(await teller.tell()).values())
    (mail,), (text,), ((device, push),) = teller.mailbox.sent.values(), teller.texts.sent.values(), teller.phone.pushes
    assert (mail.to, mail.subject) == (f"{teller.home.user_id}@example.test", "We ended one of your sessions")
    assert (text.to, text.text) == (
        "+4915112345678",
        "Petfolio: We ended one of your sessions. https://petfolio.test",
    )
    assert (device, push.title, push.urgent) == ("phone", "We ended one of your sessions", True)
    assert push.body.startswith("A sign-in key of one of your devices was used a second time")
    assert await teller.states() == {channel: ("sent", None) for channel in Channel}


async def test_each_channel_is_tried_again_by_itself_and_a_text_is_paid_for_once(teller: Teller) -> None:
    await teller.reachable()
    deliveries = await teller.tell(Channel.EMAIL, Channel.SMS, Channel.PUSH)
    teller.texts.fail_next, teller.phone.away = 1, {"phone": 1}
    for channel in (Channel.SMS, Channel.PUSH):
        with pytest.raises(ProviderUnavailable):
            await teller.send(deliveries[channel])
    await teller.send(*deliveries.values())
    await teller.send(*deliveries.values())
    assert (len(teller.mailbox.calls), len(teller.texts.calls), len(teller.phone.pushes)) == (1, 2, 1)
    (row,) = await teller.home.rows("SELECT segments FROM sms_usage WHERE user_id = :id", id=teller.home.user_id)
    assert row.segments == 1


async def test_what_was_not_asked_for_and_what_cannot_be_is_withdrawn_with_the_reason(teller: Teller) -> None:
    await teller.send(*(await teller.tell(category=Category.CALENDAR)).values())
    assert await teller.states() == {
        "email": ("sent", None),
        "in_app": ("sent", None),
        "sms": ("withdrawn", "preference"),
        "push": ("withdrawn", "no_device"),
    }


async def test_a_number_that_is_none_fails_its_channel_alone(teller: Teller) -> None:
    await teller.reachable(phone="0151")
    await teller.send(*(await teller.tell()).values())
    assert (await teller.states())["sms"] == ("failed", "phone_unusable")
    assert (await teller.states())["push"] == ("sent", None)


async def test_when_the_month_s_text_messages_are_used_up_the_others_still_arrive(teller: Teller) -> None:
    await teller.reachable()
    await teller.home.execute(
        "INSERT INTO sms_usage (user_id, month, segments) VALUES (:id, date_trunc('month', now())::date, 10)",
        id=teller.home.user_id,
    )
    await teller.send(*(await teller.tell()).values())
    assert teller.texts.calls == []
    assert (await teller.states())["sms"] == ("failed", "sms_budget")
    assert (await teller.states())["email"] == ("sent", None)


async def test_quiet_hours_hold_back_what_can_wait_until_their_end(teller: Teller) -> None:
    await teller.reachable()
    end = await quiet(teller)
    deliveries = await teller.tell(Channel.EMAIL, Channel.PUSH, category=Category.CALENDAR)
    for delivery_id in deliveries.values():
        with pytest.raises(HeldBack) as held:
            await teller.send(delivery_id)
        assert held.value.retry_after is not None
        assert abs(datetime.now(UTC) + timedelta(seconds=held.value.retry_after) - end) < timedelta(seconds=5)
    assert set((await teller.states()).values()) == {("deferred", "quiet_hours")}
    await teller.home.execute("DELETE FROM quiet_hours WHERE user_id = :id", id=teller.home.user_id)
    await teller.send(*deliveries.values())
    assert set((await teller.states()).values()) == {("sent", None)}


async def test_security_breaks_through_quiet_hours_unless_its_owner_says_otherwise(teller: Teller) -> None:
    await teller.reachable()
    await quiet(teller)
    await teller.send((await teller.tell(Channel.PUSH))[Channel.PUSH])
    assert len(teller.phone.pushes) == 1
    await teller.home.execute(
        "INSERT INTO notification_settings (user_id, critical_bypass) VALUES (:id, false)", id=teller.home.user_id
    )
    with pytest.raises(HeldBack):
        await teller.send((await teller.tell(Channel.PUSH))[Channel.PUSH])
    assert len(teller.phone.pushes) == 1


async def test_a_mail_that_cannot_be_switched_off_leaves_in_quiet_hours_too(teller: Teller) -> None:
    await teller.home.execute(
        "INSERT INTO notification_settings (user_id, critical_bypass) VALUES (:id, false)", id=teller.home.user_id
    )
    await quiet(teller)
    await teller.send(*(await teller.tell(Channel.EMAIL, category=Category.BILLING)).values())
    assert len(teller.mailbox.sent) == 1
