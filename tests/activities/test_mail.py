"""Sending one mail, on real Postgres: once, with a fresh token each time, and not to people who are gone."""

import asyncio
import hashlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlmodel import col
from temporalio.testing import ActivityEnvironment

from activities import metrics
from activities.mail import MailActivities
from activities.wording import Links
from api.mail import MailTemplate, send_mail
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from core.unsubscribe import Unsubscriber
from domain.notification import Category, Channel
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Message, ProviderRefused, ProviderUnavailable, Receipt
from models.notification import Delivery, DeliveryState
from models.outbox import Outbox
from models.queries import notices, notification_preferences
from models.queries.deliveries import ACKNOWLEDGEMENT_LOST, DeliveryBusy
from models.queries.notices import Notice
from models.session import MailToken, MailTokenKind
from models.user import ErasureRequest, User, UserState
from temporal import outbox
from temporal.contracts.mail import SendMail
from tests.activities.reminder_home import courier

UNSUBSCRIBER = Unsubscriber(b"u" * 32)


class World:
    """A registered person, a channel and the activities."""

    def __init__(self, db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
        self.db, self.keys, self.cipher = db, keys, cipher
        self.channel = MemoryChannel()
        self.activities = MailActivities(
            db.sessions,
            cipher,
            courier(db, cipher, self.channel),
            links=Links("https://petfolio.test", UNSUBSCRIBER),
            grace=timedelta(days=14),
        )

    async def person(self, **fields: object) -> UUID:
        user_id = new_id()
        subject = Subject.user(user_id)
        await self.keys.create(subject)
        sealed = await self.cipher.seal(subject, "users.email_ct", user_id, "ada@example.test")
        async with self.db.sessions.begin() as session:
            session.add(User(id=user_id, email_ct=sealed, email_bidx=user_id.bytes, **fields))
        return user_id

    async def ask(self, user_id: UUID, template: MailTemplate) -> UUID:
        async with self.db.sessions.begin() as session:
            await send_mail(session, user_id, template)
        async with self.db.sessions() as session:
            row = (await session.scalars(select(Outbox).where(col(Outbox.user_id) == user_id))).all()[-1]
        return UUID(str(row.args["delivery_id"]))

    async def run(self, delivery_id: UUID) -> None:
        await ActivityEnvironment().run(self.activities.send_mail, SendMail(delivery_id))

    async def execute(self, query: str, delivery_id: UUID) -> None:
        async with self.db.sessions.begin() as session:
            await session.execute(text(query), {"id": delivery_id})

    async def delivery(self, delivery_id: UUID) -> Delivery:
        async with self.db.sessions() as session:
            return (await session.scalars(select(Delivery).where(col(Delivery.id) == delivery_id))).one()

    async def token(self, raw: str) -> MailToken:
        digest = hashlib.sha256(raw.encode()).digest()
        async with self.db.sessions() as session:
            return (await session.scalars(select(MailToken).where(col(MailToken.hash) == digest))).one()


@pytest.fixture
def world(db: Database, keys: KeyStore, cipher: FieldCipher) -> World:
    return World(db, keys, cipher)


def token_in(text: str) -> str:
    found = re.search(r"/verify-email\?token=([\w-]{43})", text)
    assert found is not None
    return found[1]


async def test_a_verification_mail_carries_a_token_that_only_its_hash_is_kept_of(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.VERIFY_EMAIL)
    await world.run(delivery_id)
    token = await world.token(token_in(world.channel.sent[delivery_id].text))
    assert token.voided_at is None
    assert token.expires_at - token.created_at == timedelta(hours=24)
    assert (await world.delivery(delivery_id)).state == DeliveryState.SENT


async def test_operators_count_the_last_words_of_account_mails_too(world: World) -> None:
    def counted(state: str, reason: str) -> float:
        return metrics.DELIVERIES.labels("email", state, reason)._value.get()

    wanted = [("sent", ""), ("failed", "provider_refused"), ("withdrawn", "already_verified")]
    before = [counted(*word) for word in wanted]
    put_off = metrics.ATTEMPTS.labels("email")._value.get()
    delivery_id = await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED)
    world.channel.fail_next = 1
    with pytest.raises(ProviderUnavailable):
        await world.run(delivery_id)
    await world.run(delivery_id)
    verified = await world.person(email_verified_at=datetime.now(UTC))
    await world.run(await world.ask(verified, MailTemplate.VERIFY_EMAIL))
    world.activities.courier = courier(world.db, world.cipher, _Refusing())
    await world.run(await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED))
    assert [counted(*word) for word in wanted] == [count + 1 for count in before]
    assert metrics.ATTEMPTS.labels("email")._value.get() == put_off + 1


async def test_a_mail_that_was_sent_is_not_sent_again(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED)
    await world.run(delivery_id)
    await world.run(delivery_id)
    assert world.channel.keys == [delivery_id]


async def test_twenty_runs_at_once_ask_the_provider_once(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.VERIFY_EMAIL)
    results = await asyncio.gather(*(world.run(delivery_id) for _ in range(20)), return_exceptions=True)
    assert world.channel.keys == [delivery_id]
    assert {type(result) for result in results} <= {type(None), DeliveryBusy}
    assert (await world.delivery(delivery_id)).state == DeliveryState.SENT


async def test_a_lost_acknowledgement_repeats_the_key_and_either_copy_of_the_link_works(world: World) -> None:
    """A provider that honours keys delivers the first copy, SES both: nobody knows which one is clicked."""
    delivery_id = await world.ask(await world.person(), MailTemplate.VERIFY_EMAIL)
    world.channel.drop_next = 1
    with pytest.raises(ProviderUnavailable):
        await world.run(delivery_id)
    await world.run(delivery_id)
    assert world.channel.keys == [delivery_id, delivery_id]
    for call in world.channel.calls:
        assert (await world.token(token_in(call.message.text))).voided_at is None
    delivery = await world.delivery(delivery_id)
    assert (delivery.state, delivery.attempt, delivery.reason) == (DeliveryState.SENT, 2, ACKNOWLEDGEMENT_LOST)


async def test_a_newer_mail_voids_the_link_of_the_former(world: World) -> None:
    person = await world.person()
    first = await world.ask(person, MailTemplate.VERIFY_EMAIL)
    await world.run(first)
    second = await world.ask(person, MailTemplate.VERIFY_EMAIL)
    await world.run(second)
    assert (await world.token(token_in(world.channel.sent[first].text))).voided_at is not None
    assert (await world.token(token_in(world.channel.sent[second].text))).voided_at is None


async def test_of_two_links_asked_for_while_the_provider_was_away_only_the_newer_is_sent(world: World) -> None:
    person = await world.person()
    first, second = [await world.ask(person, MailTemplate.VERIFY_EMAIL) for _ in range(2)]
    await world.run(second)
    await world.run(first)
    assert world.channel.keys == [second]
    assert (await world.delivery(first)).reason == "superseded"
    assert (await world.token(token_in(world.channel.sent[second].text))).voided_at is None


async def test_a_run_that_died_asking_leaves_a_doubt_on_record_and_the_next_one_sends(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED)
    await world.execute(
        "UPDATE deliveries SET attempt = 1, claimed_until = clock_timestamp() + interval '9 s' WHERE id = :id",
        delivery_id,
    )
    with pytest.raises(DeliveryBusy):
        await world.run(delivery_id)
    await world.execute(
        "UPDATE deliveries SET claimed_until = clock_timestamp() - interval '1 s' WHERE id = :id", delivery_id
    )
    await world.run(delivery_id)
    delivery = await world.delivery(delivery_id)
    assert (delivery.state, delivery.reason) == (DeliveryState.SENT, ACKNOWLEDGEMENT_LOST)


async def test_a_provider_that_was_away_leaves_no_doubt(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED)
    world.channel.fail_next = 1
    with pytest.raises(ProviderUnavailable):
        await world.run(delivery_id)
    assert (await world.delivery(delivery_id)).reason == "provider_unavailable"
    await world.run(delivery_id)
    assert (await world.delivery(delivery_id)).reason is None


async def test_a_message_the_provider_refuses_is_given_up_on_record(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED)
    world.activities.courier = courier(world.db, world.cipher, _Refusing())
    await world.run(delivery_id)
    delivery = await world.delivery(delivery_id)
    assert (delivery.state, delivery.reason) == (DeliveryState.FAILED, "provider_refused")


async def test_an_erasure_notice_names_the_day_on_the_reader_s_clock_and_its_link_lives_as_long(world: World) -> None:
    person = await world.person(state=UserState.BLOCKED, timezone="Europe/Berlin")
    async with world.db.sessions.begin() as session:
        session.add(ErasureRequest(user_id=person, execute_at=datetime(2036, 12, 7, 9, 30, tzinfo=UTC)))
    delivery_id = await world.ask(person, MailTemplate.ERASURE_REQUESTED)
    await world.run(delivery_id)
    text = world.channel.sent[delivery_id].text
    assert "Sunday, 7 December 2036, 10:30 (Europe/Berlin)" in text.replace("\n", " ")
    found = re.search(r"https://petfolio\.test/cancel-erasure\?token=([\w-]{43})", text)
    assert found is not None
    token = await world.token(found[1])
    assert (token.kind, token.expires_at - token.created_at) == (MailTokenKind.CANCEL_ERASURE, timedelta(days=14))


async def test_an_erasure_taken_back_while_the_provider_was_away_is_not_announced(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.ERASURE_REQUESTED)
    await world.run(delivery_id)
    assert world.channel.keys == []
    assert (await world.delivery(delivery_id)).reason == "erasure_cancelled"


async def test_nobody_is_asked_to_confirm_an_address_that_is_confirmed(world: World) -> None:
    person = await world.person(email_verified_at=datetime(2026, 1, 1, tzinfo=UTC))
    delivery_id = await world.ask(person, MailTemplate.VERIFY_EMAIL)
    await world.run(delivery_id)
    assert (await world.delivery(delivery_id)).reason == "already_verified"


class _Refusing:
    """A provider that knows better."""

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """See `Channel`."""
        raise ProviderRefused("blocked")


async def test_nobody_who_is_being_erased_gets_mail(world: World) -> None:
    delivery_id = await world.ask(await world.person(state=UserState.ERASING), MailTemplate.SESSION_REUSE)
    await world.run(delivery_id)
    assert world.channel.keys == []
    assert (await world.delivery(delivery_id)).reason == "account_erased"


async def test_a_german_speaker_reads_german(world: World) -> None:
    delivery_id = await world.ask(await world.person(locale="de"), MailTemplate.VERIFY_EMAIL)
    await world.run(delivery_id)
    assert world.channel.sent[delivery_id].subject == "Bestätige deine E-Mail-Adresse"


class TestNotices:
    """Messages of other features: filled with their own words, stopped by the person's own word."""

    async def tell(self, world: World, user_id: UUID, *channels: Channel, category: Category = Category.DIGEST) -> UUID:
        notice = Notice(
            user_id=user_id,
            category=category,
            template="digest",
            event_key=f"test/{user_id}",
            channels=channels or (Channel.EMAIL,),
            params={
                "weekly": True,
                "counts": [["coming", 1]],
                "sections": [["coming", ["Tablet – Milo: today"], 0]],
                "link": "https://petfolio.test",
            },
        )
        async with world.db.sessions.begin() as session:
            (delivery_id,) = await notices.claim(session, world.cipher, notice)
            await outbox.send(session, user_id, (delivery_id,))
        return delivery_id

    async def test_a_mail_is_made_from_its_sealed_words_and_can_be_stopped_with_one_click(self, world: World) -> None:
        user_id = await world.person(email_verified_at=datetime.now(UTC))
        await world.run(await self.tell(world, user_id))
        (mail,) = world.channel.sent.values()
        assert "- Tablet – Milo: today" in mail.text
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        token = mail.headers["List-Unsubscribe"].rpartition("/")[2].removesuffix(">")
        wish = UNSUBSCRIBER.read(token)
        assert wish is not None
        assert (wish.user_id, wish.category, wish.channel) == (user_id, "digest", "email")
        assert f"https://petfolio.test/unsubscribe?token={token}" in mail.text

    async def test_what_was_unsubscribed_while_it_waited_is_not_sent(self, world: World) -> None:
        user_id = await world.person(email_verified_at=datetime.now(UTC))
        delivery_id = await self.tell(world, user_id)
        async with world.db.sessions.begin() as session:
            await notification_preferences.lock(session, user_id)
            await notification_preferences.set_cells(session, user_id, {("digest", "email"): False})
        await world.run(delivery_id)
        assert world.channel.sent == {}
        assert (await world.delivery(delivery_id)).reason == "preference"

    async def test_a_mail_that_cannot_be_stopped_offers_no_way_to(self, world: World) -> None:
        user_id = await world.person()
        await world.run(await self.tell(world, user_id, category=Category.SECURITY))
        (mail,) = world.channel.sent.values()
        assert mail.headers == {}
        assert "unsubscribe" not in mail.text

    async def test_a_push_to_somebody_without_a_device_is_withdrawn_with_the_reason(self, world: World) -> None:
        user_id = await world.person(email_verified_at=datetime.now(UTC))
        delivery_id = await self.tell(world, user_id, Channel.PUSH, category=Category.CALENDAR)
        await world.run(delivery_id)
        assert (await world.delivery(delivery_id)).reason == "no_device"


async def test_a_message_whose_words_were_wiped_meanwhile_is_not_sent(world: World) -> None:
    user_id = await world.person()
    event = f"sighting/{new_id()}"
    words = {"pet": "Milo", "message": "In our shed.", "place": None, "contact": None}
    notice = Notice(
        user_id=user_id,
        category=Category.LOST,
        template=MailTemplate.PET_SIGHTED,
        event_key=event,
        channels=(Channel.EMAIL,),
        params=words,
    )
    async with world.db.sessions.begin() as session:
        (delivery_id,) = await notices.claim(session, world.cipher, notice)
    await world.execute("UPDATE deliveries SET params_ct = NULL WHERE id = :id", delivery_id)
    await world.run(delivery_id)
    settled = await world.delivery(delivery_id)
    assert (settled.state, settled.reason) == (DeliveryState.WITHDRAWN, "wiped")
    assert world.channel.sent == {}
