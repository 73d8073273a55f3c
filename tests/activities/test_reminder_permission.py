"""Whether and when a person may be told is decided when a notice is sent: preference, consent, quiet hours."""

import asyncio
from datetime import datetime, time, timedelta

import pytest

from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from domain.reminder_actions import Complete
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderUnavailable
from models.queries import sms_usage
from tests.activities.reminder_home import Home, move_in
from tests.activities.reminder_ledger import Killed

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T23:00", "freq": "DAILY", "tzid": "Europe/Berlin"}
DUE = datetime.fromisoformat("2036-06-01T21:00+00:00")
"""23:00 in Berlin."""


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    return await move_in(db, keys, cipher)


async def quiet(home: Home, start: str, end: str) -> None:
    await home.execute(
        "INSERT INTO quiet_hours (user_id, starts, ends) VALUES (:id, :s, :e)",
        id=home.user_id,
        s=time.fromisoformat(start),
        e=time.fromisoformat(end),
    )


async def switch_off(home: Home, category: str, channel: str) -> None:
    await home.execute(
        "INSERT INTO notification_preferences (user_id, category, channel, enabled) VALUES (:id, :cat, :chan, false)",
        id=home.user_id,
        cat=category,
        chan=channel,
    )


async def reasons(home: Home) -> dict[str, str | None]:
    rows = await home.rows("SELECT channel, reason FROM deliveries WHERE user_id = :id", id=home.user_id)
    return {row.channel: row.reason for row in rows}


async def test_a_category_that_was_switched_off_sends_nothing_and_says_so(home: Home) -> None:
    await switch_off(home, "grooming", "email")
    await switch_off(home, "grooming", "in_app")
    reminder = await home.remind(DAILY, category="grooming")
    await home.deliver(reminder, DUE)
    assert home.notifier.calls == []
    assert await home.ledger(reminder) == [("due", "email", "withdrawn"), ("due", "in_app", "withdrawn")]
    assert await reasons(home) == {"email": "preference", "in_app": "preference"}
    assert await home.rows("SELECT id FROM notifications WHERE user_id = :id", id=home.user_id) == []


async def test_a_preference_counts_that_came_after_the_claim(home: Home) -> None:
    """A check when it was queued would send mail after somebody had switched it off."""
    reminder = await home.remind(DAILY, methods=("email",))
    home.notifier.faults = [ProviderUnavailable("away")]
    await home.deliver(reminder, DUE)
    await switch_off(home, "other", "email")
    await home.deliver(reminder, DUE + timedelta(minutes=5))
    assert await home.ledger(reminder) == [("due", "email", "withdrawn")]


async def test_no_consent_no_text_message(home: Home) -> None:
    await home.execute("UPDATE users SET phone_ct = 'sealed' WHERE id = :id", id=home.user_id)
    reminder = await home.remind(DAILY, methods=("sms",))
    await home.deliver(reminder, DUE)
    assert await reasons(home) == {"sms": "no_consent"}
    assert home.notifier.calls == []


async def test_consent_that_was_withdrawn_counts_at_the_next_send(home: Home) -> None:
    await home.execute("UPDATE users SET phone_ct = 'sealed' WHERE id = :id", id=home.user_id)
    for action in ("granted", "withdrawn"):
        await home.execute(
            "INSERT INTO consents (id, user_id, purpose, wording, text_hash, action, source)"
            " VALUES (:row, :id, 'sms', '1', '\\x00', :action, 'test')",
            row=new_id(),
            id=home.user_id,
            action=action,
        )
    reminder = await home.remind(DAILY, methods=("sms",))
    await home.deliver(reminder, DUE)
    assert await reasons(home) == {"sms": "no_consent"}


async def test_quiet_hours_hold_a_routine_notice_until_they_end(home: Home) -> None:
    await quiet(home, "22:00", "07:00")
    reminder = await home.remind(DAILY, methods=("email", "in_app"), steps=())
    plan = await home.deliver(reminder, DUE)
    morning = DUE + timedelta(hours=8)
    assert (plan.at, plan.step) == (morning, "resend")
    assert await home.ledger(reminder) == [("due", "email", "deferred"), ("due", "in_app", "sent")]
    await home.deliver(reminder, morning)
    assert home.notifier.titles == ["Tablet"]


async def test_a_dose_breaks_through_quiet_hours_unless_somebody_said_otherwise(home: Home) -> None:
    await quiet(home, "22:00", "07:00")
    reminder = await home.remind(DAILY, methods=("email",), category="medication", steps=())
    await home.deliver(reminder, DUE)
    assert home.notifier.titles == ["Tablet"]
    await home.execute(
        "INSERT INTO notification_settings (user_id, critical_bypass) VALUES (:id, false)", id=home.user_id
    )
    await home.deliver(reminder, DUE + timedelta(days=1))
    assert home.notifier.titles == ["Tablet"]


async def test_held_back_until_the_next_one_it_is_part_of_its_notice(home: Home) -> None:
    await quiet(home, "22:00", "21:59")
    hourly = {"mode": "elapsed", "start_at": DUE.isoformat(), "every": {"n": 1, "unit": "hour"}}
    reminder = await home.remind(hourly, methods=("email",), steps=())
    plan = await home.deliver(reminder, DUE)
    assert plan.at == DUE + timedelta(hours=1)
    assert await home.ledger(reminder) == [("due", "email", "folded")]
    assert home.notifier.calls == []


async def test_a_notice_that_was_held_back_is_not_sent_once_it_is_done(home: Home) -> None:
    await quiet(home, "22:00", "07:00")
    reminder = await home.remind(DAILY, methods=("email",), steps=())
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id))
    assert await home.ledger(reminder) == [("due", "email", "withdrawn")]
    assert await reasons(home) == {"email": "done"}


async def texts(home: Home, tier: str = "free") -> None:
    """Somebody with a phone who agreed to text messages."""
    phone = await home.cipher.seal(Subject.user(home.user_id), "users.phone_ct", home.user_id, "+49 151 2345678")
    await home.execute(
        "UPDATE users SET phone_ct = :phone, subscription_tier = :tier WHERE id = :id",
        phone=phone,
        tier=tier,
        id=home.user_id,
    )
    await home.execute(
        "INSERT INTO consents (id, user_id, purpose, wording, text_hash, action, source)"
        " VALUES (:row, :id, 'sms', '1', '\\x00', 'granted', 'test')",
        row=new_id(),
        id=home.user_id,
    )


async def test_a_text_message_goes_to_the_number_as_carriers_write_it(home: Home) -> None:
    await texts(home)
    reminder = await home.remind(DAILY, methods=("sms",), steps=())
    await home.deliver(reminder, DUE)
    assert home.notifier.addresses == ["+491512345678"]
    assert await home.ledger(reminder) == [("due", "sms", "sent")]


async def test_a_number_that_is_none_is_on_record_as_the_reason(home: Home) -> None:
    await texts(home)
    phone = await home.cipher.seal(Subject.user(home.user_id), "users.phone_ct", home.user_id, "ask my wife")
    await home.execute("UPDATE users SET phone_ct = :phone WHERE id = :id", phone=phone, id=home.user_id)
    await home.remind(DAILY, methods=("sms",), steps=())
    reminder = await home.remind(DAILY, methods=("sms",), steps=())
    await home.deliver(reminder, DUE)
    assert (await reasons(home))["sms"] == "phone_unusable"


async def test_when_the_month_s_text_messages_are_used_up_none_leaves_and_the_app_says_so(home: Home) -> None:
    await texts(home)
    await home.execute(
        "INSERT INTO sms_usage (user_id, month, segments) VALUES (:id, date_trunc('month', now())::date, 10)",
        id=home.user_id,
    )
    reminder = await home.remind(DAILY, methods=("sms",), steps=())
    await home.deliver(reminder, DUE)
    assert home.notifier.calls == []
    assert (await reasons(home))["sms"] == "sms_budget"
    assert ("undelivered:sms:due", "in_app", "sent") in await home.ledger(reminder)


async def test_fifty_at_once_take_no_more_than_there_is(home: Home) -> None:
    async def take() -> bool:
        async with home.db.sessions.begin() as session:
            return await sms_usage.take(session, home.user_id, 2, 10)

    assert sum(await asyncio.gather(*(take() for _ in range(50)))) == 5


async def test_a_text_that_is_tried_again_is_paid_for_once(home: Home) -> None:
    await texts(home)
    reminder = await home.remind(DAILY, methods=("sms",), steps=())
    home.notifier.faults = [ProviderUnavailable("away", retry_after=0), ProviderUnavailable("away", retry_after=0)]
    for seconds in (0, 1, 2):
        await home.deliver(reminder, DUE + timedelta(seconds=seconds))
    assert await home.ledger(reminder) == [("due", "sms", "sent")]
    (row,) = await home.rows("SELECT segments FROM sms_usage WHERE user_id = :id", id=home.user_id)
    assert row.segments == 1


async def test_a_text_whose_worker_died_before_it_was_paid_for_is_not_free(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(_: object) -> None:
        raise Killed

    await texts(home)
    reminder = await home.remind(DAILY, methods=("sms",), steps=())
    with monkeypatch.context() as patched:
        patched.setattr(home.activities.wording, "words", die)
        with pytest.raises(Killed):
            await home.deliver(reminder, DUE)
    await home.execute("UPDATE deliveries SET claimed_until = now() - interval '1 s' WHERE claimed_until IS NOT NULL")
    await home.deliver(reminder, DUE + timedelta(seconds=30))
    assert await home.ledger(reminder) == [("due", "sms", "sent")]
    (row,) = await home.rows("SELECT segments FROM sms_usage WHERE user_id = :id", id=home.user_id)
    assert row.segments == 1
