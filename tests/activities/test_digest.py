"""Digests on real Postgres: one mail a person and moment, with what is still open when it leaves."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.digest import DigestActivities
from activities.mail import MailActivities
from activities.wording import Links
from core.crypto import FieldCipher
from core.db import Database
from core.unsubscribe import Unsubscriber
from domain import notification
from domain.escalation import Step
from domain.notification import Digest
from domain.reminder_actions import Complete
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from temporal.contracts.digest import DigestsEnqueued, EnqueueDigests
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


async def missed(home: Home, title: str) -> UUID:
    """A routine reminder whose day passed while nobody was awake: a line in the next digest."""
    reminder = await home.remind(DAILY, title=title, methods=("email",))
    await home.deliver(reminder, DUE + 13 * HOUR)
    return reminder


async def enqueue(home: Home, now: datetime) -> DigestsEnqueued:
    """One run of the job."""
    digests = DigestActivities(home.db.sessions)
    return await ActivityEnvironment().run(digests.enqueue_digests, EnqueueDigests(now, page_size=2))


async def send(home: Home, mails: MailActivities) -> None:
    """What the relay and the mail workflow do with the outbox."""
    for row in await home.rows(
        "SELECT id FROM deliveries WHERE template = 'digest' AND state = 'planned' AND user_id = :id", id=home.user_id
    ):
        await ActivityEnvironment().run(mails.send_mail, SendMail(row.id))


async def states(home: Home) -> list[tuple[str, str | None]]:
    rows = await home.rows(
        "SELECT state, reason FROM deliveries WHERE template = 'digest' AND user_id = :id", id=home.user_id
    )
    return [(row.state, row.reason) for row in rows]


async def test_two_lines_are_one_mail_at_the_time_of_day_that_was_chosen(
    home: Home, mails: MailActivities, channel: MemoryChannel
) -> None:
    """Thirty-five mails a day are why people leave (kanboard#3098)."""
    for title in ("Brush Milo", "Walk"):
        await missed(home, title)
    now = datetime.now(UTC)
    assert (await enqueue(home, now)).digests == 0  # the next eight o'clock has not come
    assert await enqueue(home, now + 24 * HOUR) == DigestsEnqueued(people=1, digests=1)
    await send(home, mails)
    (mail,) = channel.sent.values()
    assert "Brush Milo" in mail.text
    assert "Walk" in mail.text
    assert "List-Unsubscribe" in mail.headers


async def test_a_digest_that_was_sent_is_not_sent_again_by_the_next_run(
    home: Home, mails: MailActivities, channel: MemoryChannel
) -> None:
    await missed(home, "Walk")
    later = datetime.now(UTC) + 24 * HOUR
    assert (await enqueue(home, later)).digests == 1
    assert (await enqueue(home, later)).digests == 0
    await send(home, mails)
    assert len(channel.sent) == 1


async def test_what_was_done_meanwhile_is_no_news_and_an_empty_digest_is_none(
    home: Home, mails: MailActivities, channel: MemoryChannel
) -> None:
    tomorrow = (Step(24 * HOUR, ("digest",)),)
    once = {"mode": "once", "dtstart_local": "2036-06-01T08:00", "tzid": "UTC"}
    reminder = await home.remind(once, title="Trim claws", methods=("in_app",), steps=tomorrow)
    await home.deliver(reminder, DUE)
    await home.deliver(reminder, DUE + 24 * HOUR)
    assert (await enqueue(home, datetime.now(UTC) + 24 * HOUR)).digests == 1
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id))
    await send(home, mails)
    assert channel.sent == {}
    assert await states(home) == [("withdrawn", "nothing_left")]


async def test_whoever_switched_digests_off_gets_none_and_the_line_says_why(home: Home) -> None:
    await home.execute(
        "INSERT INTO notification_settings (user_id, digest_frequency) VALUES (:id, 'off')", id=home.user_id
    )
    await missed(home, "Walk")
    assert (await enqueue(home, datetime.now(UTC) + 24 * HOUR)).digests == 0
    (row,) = await home.rows("SELECT state, reason FROM deliveries WHERE user_id = :id", id=home.user_id)
    assert (row.state, row.reason) == ("withdrawn", "digest_off")


async def test_a_digest_waits_for_the_end_of_quiet_hours_and_takes_along_what_came_meanwhile(
    home: Home, mails: MailActivities, channel: MemoryChannel
) -> None:
    await home.execute(
        "INSERT INTO quiet_hours (user_id, starts, ends) VALUES (:id, '06:00', '11:00')", id=home.user_id
    )
    await missed(home, "Walk")
    eight = notification.digest_after(datetime.now(UTC), Digest(), "Europe/Berlin")
    assert eight is not None
    assert (await enqueue(home, eight + 2 * HOUR)).digests == 0
    await home.execute(
        "UPDATE deliveries SET created_at = :at WHERE reminder_id = :id",
        at=eight + 2 * HOUR,
        id=await missed(home, "Brush Milo"),
    )
    assert (await enqueue(home, eight + 3 * HOUR)).digests == 1
    await home.execute("DELETE FROM quiet_hours WHERE user_id = :id", id=home.user_id)  # the mail goes by ours
    await send(home, mails)
    (mail,) = channel.sent.values()
    assert "Walk" in mail.text
    assert "Brush Milo" in mail.text


async def test_a_digest_names_what_is_due_before_the_next_one(
    home: Home, mails: MailActivities, channel: MemoryChannel
) -> None:
    now = datetime.now(UTC)
    await home.execute(
        "INSERT INTO notification_settings (user_id, digest_frequency, digest_weekday) VALUES (:id, 'weekly', :day)",
        id=home.user_id,
        day=(now + timedelta(days=4)).weekday(),
    )
    await missed(home, "Walk")
    for title, days in (("Claws", 1), ("Vet", 30)):
        at = f"{now + timedelta(days=days):%Y-%m-%dT%H:%M}"
        await home.remind({"mode": "once", "dtstart_local": at, "tzid": "UTC"}, title=title)
    assert (await enqueue(home, now + timedelta(days=7))).digests == 1
    await send(home, mails)
    (mail,) = channel.sent.values()
    assert mail.subject == "Your week with Petfolio: 1 coming up, 1 missed"
    assert "Claws" in mail.text
    assert "Vet" not in mail.text


async def test_a_weekly_digest_waits_for_its_day(home: Home) -> None:
    weekday = (datetime.now(UTC) + timedelta(days=4)).weekday()
    await home.execute(
        "INSERT INTO notification_settings (user_id, digest_frequency, digest_weekday) VALUES (:id, 'weekly', :day)",
        id=home.user_id,
        day=weekday,
    )
    await missed(home, "Walk")
    assert (await enqueue(home, datetime.now(UTC) + timedelta(days=2))).digests == 0
    assert (await enqueue(home, datetime.now(UTC) + timedelta(days=7))).digests == 1
