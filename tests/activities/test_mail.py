"""Sending one mail, on real Postgres: once, with a fresh token each time, and not to people who are gone."""

import hashlib
import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col
from temporalio.testing import ActivityEnvironment

from activities.mail import MailActivities
from api.mail import MailTemplate, send_mail
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import ProviderUnavailable
from models.notification import Delivery, DeliveryState
from models.outbox import Outbox
from models.session import MailToken
from models.user import User, UserState
from temporal.contracts.mail import SendMail


class World:
    """A registered person, a channel and the activities."""

    def __init__(self, db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
        self.db, self.keys, self.cipher = db, keys, cipher
        self.channel = MemoryChannel()
        self.activities = MailActivities(
            db.sessions, cipher, self.channel, public_url="https://petfolio.test", grace=timedelta(days=14)
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


async def test_a_mail_that_was_sent_is_not_sent_again(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.ALREADY_REGISTERED)
    await world.run(delivery_id)
    await world.run(delivery_id)
    assert world.channel.calls == [delivery_id]


async def test_a_lost_acknowledgement_repeats_the_key_and_voids_the_former_token(world: World) -> None:
    delivery_id = await world.ask(await world.person(), MailTemplate.VERIFY_EMAIL)
    world.channel.drop_next = 1
    with pytest.raises(ProviderUnavailable):
        await world.run(delivery_id)
    first = token_in(world.channel.sent[delivery_id].text)
    await world.run(delivery_id)
    assert world.channel.calls == [delivery_id, delivery_id]
    assert (await world.token(first)).voided_at is not None
    assert (await world.delivery(delivery_id)).attempt == 2


async def test_nobody_who_is_being_erased_gets_mail(world: World) -> None:
    delivery_id = await world.ask(await world.person(state=UserState.ERASING), MailTemplate.SESSION_REUSE)
    await world.run(delivery_id)
    assert world.channel.calls == []
    assert (await world.delivery(delivery_id)).reason == "account_erased"


async def test_a_german_speaker_reads_german(world: World) -> None:
    delivery_id = await world.ask(await world.person(locale="de"), MailTemplate.VERIFY_EMAIL)
    await world.run(delivery_id)
    assert world.channel.sent[delivery_id].subject == "Bestätige deine E-Mail-Adresse"
