"""One mail, from the start of its workflow to the provider's word, on real Postgres with time skipped."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from activities.mail import MailActivities
from activities.wording import Links
from api.mail import MailTemplate, send_mail
from core.crypto import FieldCipher, Subject
from core.db import Database, DatabaseUnavailable
from core.ids import new_id
from core.unsubscribe import Unsubscriber
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Message, ProviderUnavailable, Receipt
from models.notification import Delivery, DeliveryState
from models.user import User
from temporal.contracts.mail import SendMail
from tests.activities.reminder_home import courier
from tests.workflows.mail_world import mail_world


class Provider:
    """One that is away for a while on the world's clock, then takes everything."""

    def __init__(self, env: WorkflowEnvironment, away: timedelta, retry_after: int | None = None) -> None:
        self.env, self.away, self.retry_after = env, away, retry_after
        self.memory = MemoryChannel()
        self.asked_at: list[datetime] = []

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """See `Channel`."""
        self.asked_at.append(await self.env.get_current_time())
        if self.asked_at[-1] - self.asked_at[0] < self.away:
            raise ProviderUnavailable("away", retry_after=self.retry_after)
        return await self.memory.send(message, idempotency_key=idempotency_key)


class Ledger:
    """A person in Postgres, and the mail that somebody asked for."""

    def __init__(self, db: Database, keys: KeyStore, cipher: FieldCipher) -> None:
        self.db, self.keys, self.cipher = db, keys, cipher

    async def ask(self) -> SendMail:
        user_id = new_id()
        await self.keys.create(Subject.user(user_id))
        sealed = await self.cipher.seal(Subject.user(user_id), "users.email_ct", user_id, "ada@example.test")
        async with self.db.sessions.begin() as session:
            session.add(User(id=user_id, email_ct=sealed, email_bidx=user_id.bytes))
            await session.flush()
            await send_mail(session, user_id, MailTemplate.VERIFY_EMAIL)
            rows = select(col(Delivery.id)).where(col(Delivery.user_id) == user_id)
            return SendMail((await session.execute(rows)).scalar_one())

    async def row(self, request: SendMail) -> Delivery:
        async with self.db.sessions() as session:
            return (await session.scalars(select(Delivery).where(col(Delivery.id) == request.delivery_id))).one()

    def activities(self, provider: Provider) -> MailActivities:
        links = Links("https://petfolio.test", Unsubscriber(b"u" * 32))
        spoken = courier(self.db, self.cipher, provider)
        return MailActivities(self.db.sessions, self.cipher, spoken, links=links, grace=timedelta(days=14))


@pytest.fixture
def ledger(db: Database, keys: KeyStore, cipher: FieldCipher) -> Ledger:
    return Ledger(db, keys, cipher)


async def test_a_provider_that_is_down_for_two_hours_gets_the_mail_once_within_a_minute_of_its_return(
    ledger: Ledger,
) -> None:
    request = await ledger.ask()
    providers: list[Provider] = []

    def make(env: WorkflowEnvironment) -> Callable[..., Any]:
        providers.append(Provider(env, away=timedelta(hours=2)))
        return ledger.activities(providers[0]).send_mail

    async with mail_world(make) as world:
        await (await world.start(request)).result()
    (provider,) = providers
    assert provider.memory.keys == [request.delivery_id]
    waited = provider.asked_at[-1] - provider.asked_at[0]
    assert timedelta(hours=2) <= waited <= timedelta(hours=2, seconds=65)
    delivery = await ledger.row(request)
    assert (delivery.state, delivery.attempt, delivery.reason) == (DeliveryState.SENT, len(provider.asked_at), None)


async def test_a_provider_that_names_a_time_is_asked_then(ledger: Ledger) -> None:
    request = await ledger.ask()
    providers: list[Provider] = []

    def make(env: WorkflowEnvironment) -> Callable[..., Any]:
        providers.append(Provider(env, away=timedelta(seconds=39), retry_after=40))
        return ledger.activities(providers[0]).send_mail

    async with mail_world(make) as world:
        await (await world.start(request)).result()
    first, second = providers[0].asked_at
    assert timedelta(seconds=40) <= second - first < timedelta(seconds=45)


@pytest.mark.parametrize("failure", [DatabaseUnavailable("no connection"), RuntimeError("a bug of ours")])
async def test_whatever_fails_on_our_side_is_tried_again_until_it_works(failure: Exception) -> None:
    attempts: list[int] = []

    @activity.defn(name="send_mail")
    async def send_mail(request: SendMail) -> None:
        attempts.append(activity.info().attempt)
        if len(attempts) < 12:
            raise failure

    async with mail_world(lambda _: send_mail) as world:
        await (await world.start(SendMail(new_id()))).result()
    assert attempts == list(range(1, 13))


async def test_a_history_of_a_mail_names_nobody(ledger: Ledger) -> None:
    request = await ledger.ask()
    async with mail_world(lambda env: ledger.activities(Provider(env, timedelta(seconds=5))).send_mail) as world:
        handle = await world.start(request)
        await handle.result()
        history = b"".join(event.SerializeToString() for event in (await handle.fetch_history()).events)
    assert str(request.delivery_id).encode() in history
    assert b"example.test" not in history
    assert b"token=" not in history
