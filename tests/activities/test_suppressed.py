"""An address that bounced or was complained about gets no bulk mail, and nobody is left in silence."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.digest import DigestActivities
from activities.mail import MailActivities
from activities.wording import Links
from api.mail import MailTemplate, send_mail
from core.crypto import FieldCipher
from core.db import Database
from core.unsubscribe import Unsubscriber
from domain.explanation import WITHHELD
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Message, ProviderRefused, ProviderUnavailable, Receipt
from temporal.contracts.digest import EnqueueDigests
from temporal.contracts.mail import SendMail
from tests.activities.reminder_home import Home, courier, move_in

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
HOUR = timedelta(hours=1)


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    home = await move_in(db, keys, cipher)
    await home.execute("UPDATE deliveries SET folded_into = id WHERE state = 'folded'")  # of other tests
    return home


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel()


@pytest.fixture
def mails(db: Database, cipher: FieldCipher, channel: MemoryChannel) -> MailActivities:
    links = Links("https://petfolio.test", Unsubscriber(b"u" * 32))
    return MailActivities(db.sessions, cipher, courier(db, cipher, channel), links=links, grace=timedelta(days=14))


class Refusing:
    """A provider that knows better."""

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """See `Channel`."""
        raise ProviderRefused("blocked")


async def suppress(home: Home, reason: str = "bounce") -> None:
    """As the feedback of the provider does."""
    await home.execute(
        "INSERT INTO mail_suppressions SELECT email_bidx, :reason FROM users WHERE id = :id",
        id=home.user_id,
        reason=reason,
    )


async def reason(home: Home, channel: str = "email") -> Any:
    rows = await home.rows(
        "SELECT reason FROM deliveries WHERE user_id = :id AND channel = :channel", id=home.user_id, channel=channel
    )
    return rows[0].reason


async def enqueue(home: Home) -> int:
    digests = DigestActivities(home.db.sessions)
    now = datetime.now(UTC) + timedelta(days=2)
    return (await ActivityEnvironment().run(digests.enqueue_digests, EnqueueDigests(now, page_size=100))).digests


@pytest.mark.parametrize("why", ["bounce", "complaint"])
async def test_no_reminder_is_mailed_and_the_app_says_so_instead(home: Home, why: str) -> None:
    await suppress(home, why)
    reminder = await home.remind(DAILY, methods=("email",))
    await home.deliver(reminder, DUE)
    assert home.notifier.calls == []
    assert await home.ledger(reminder) == [("due", "email", "withdrawn"), ("undelivered:email:due", "in_app", "sent")]
    assert await reason(home) == "suppressed"
    assert "bounced or was complained about" in WITHHELD["suppressed"]


async def test_who_is_told_in_the_app_anyway_gets_one_line_and_not_two(home: Home) -> None:
    await suppress(home)
    reminder = await home.remind(DAILY)
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "email", "withdrawn"), ("due", "in_app", "sent")]


async def test_other_channels_and_other_people_are_still_told(
    home: Home, db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    await suppress(home)
    await home.add_device()
    reminder = await home.remind(DAILY, methods=("email", "push"))
    await home.deliver(reminder, DUE)
    assert ("due", "email", "withdrawn") in await home.ledger(reminder)
    assert ("due", "push", "sent") in await home.ledger(reminder)
    neighbour = await move_in(db, keys, cipher)
    other = await neighbour.remind(DAILY, methods=("email",))
    await neighbour.deliver(other, DUE)
    assert await neighbour.ledger(other) == [("due", "email", "sent")]


async def test_a_bounce_counts_that_came_while_the_notice_waited(home: Home) -> None:
    reminder = await home.remind(DAILY, methods=("email",))
    home.notifier.faults = [ProviderUnavailable("away")]
    await home.deliver(reminder, DUE)
    await suppress(home)
    await home.deliver(reminder, DUE + timedelta(minutes=5))
    assert ("due", "email", "withdrawn") in await home.ledger(reminder)
    assert len(home.notifier.calls) == 1


async def test_lines_that_waited_for_a_digest_are_told_in_the_app(home: Home, channel: MemoryChannel) -> None:
    reminder = await home.remind(DAILY, methods=("email",))
    await home.deliver(reminder, DUE + 13 * HOUR)
    await home.execute("DELETE FROM deliveries WHERE user_id = :id AND channel = 'in_app'", id=home.user_id)
    assert await home.rows("SELECT 1 FROM deliveries WHERE user_id = :id AND state = 'folded'", id=home.user_id)
    await suppress(home)
    assert await enqueue(home) == 0
    assert channel.sent == {}
    assert await reason(home) == "suppressed"
    assert [step for step, channel, _ in await home.ledger(reminder) if channel == "in_app"] == [
        "undelivered:email:missed"
    ]


@pytest.mark.parametrize("refused", [False, True])
async def test_a_digest_that_cannot_leave_any_more_is_told_in_the_app(
    home: Home, mails: MailActivities, channel: MemoryChannel, refused: bool
) -> None:
    reminder = await home.remind(DAILY, methods=("email",))
    await home.deliver(reminder, DUE + 13 * HOUR)
    await home.execute("DELETE FROM deliveries WHERE user_id = :id AND channel = 'in_app'", id=home.user_id)
    assert await enqueue(home) == 1
    if refused:
        mails.courier = courier(home.db, home.cipher, Refusing())
    else:
        await suppress(home)
    (digest,) = await home.rows(
        "SELECT id FROM deliveries WHERE user_id = :id AND template = 'digest'", id=home.user_id
    )
    await ActivityEnvironment().run(mails.send_mail, SendMail(digest.id))
    assert channel.sent == {}
    assert ("undelivered:email:missed", "in_app", "sent") in await home.ledger(reminder)


async def test_a_mail_that_cannot_be_switched_off_is_sent_all_the_same(
    home: Home, mails: MailActivities, channel: MemoryChannel
) -> None:
    """A suppression stops bulk mail, never what somebody needs to get (back) into the account."""
    await suppress(home)
    async with home.db.sessions.begin() as session:
        await send_mail(session, home.user_id, MailTemplate.SESSION_REUSE)
    (delivery,) = await home.rows("SELECT id FROM deliveries WHERE user_id = :id", id=home.user_id)
    await ActivityEnvironment().run(mails.send_mail, SendMail(delivery.id))
    assert list(channel.sent) == [delivery.id]
