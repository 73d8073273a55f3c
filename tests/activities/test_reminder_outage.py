"""A provider that is away for hours, then back (reliability-and-privacy.md F22): delivered once, or knowingly not."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from activities import metrics
from api.explain import present
from core.crypto import FieldCipher
from core.db import Database
from domain.escalation import Step
from domain.reminder_series import ReminderClass
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderUnavailable
from models.queries import explanations
from tests.activities.reminder_home import Home, move_in

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
ATTEMPTS = 8
AWAY = ProviderUnavailable("away")


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    return await move_in(db, keys, cipher)


async def hours_pass(home: Home, hours: float) -> None:
    """The database's clock decides what is too late, and when to ask again: everything lies further back now."""
    gone = f"interval '{hours} hours'"
    await home.execute(
        f"UPDATE occurrences SET notified_at = clock_timestamp() - {gone} WHERE notified_at IS NOT NULL"
        " AND state = 'due'"
    )
    await home.execute(f"UPDATE deliveries SET not_before = not_before - {gone} WHERE not_before IS NOT NULL")


async def two_hours_away(home: Home, **told: Any) -> Any:
    """A reminder that comes due at the beginning of an outage of two hours; answers its id."""
    reminder = await home.remind(DAILY, **told)
    home.notifier.faults = [AWAY] * ATTEMPTS
    for attempt in range(ATTEMPTS):
        await home.deliver(reminder, DUE + timedelta(minutes=15 * attempt))
        await hours_pass(home, 0.25 * attempt)
    assert home.notifier.faults == []
    return reminder


@pytest.mark.parametrize("category", ["medication", "other"])
async def test_back_within_the_grace_it_is_delivered_once(home: Home, category: str) -> None:
    reminder = await two_hours_away(home, category=category, steps=(), methods=("email",))
    for _ in range(3):
        await home.deliver(reminder, DUE + timedelta(hours=2))
    assert list(home.notifier.steps) == ["due"]
    assert len(set(home.notifier.calls)) == 1
    assert len(home.notifier.calls) == ATTEMPTS + 1
    assert await home.ledger(reminder) == [("due", "email", "sent")]


@pytest.mark.parametrize(("category", "hours"), [("medication", 5), ("other", 13)])
async def test_back_after_the_grace_it_is_knowingly_dropped_and_the_app_says_so(
    home: Home, category: str, hours: int
) -> None:
    reminder = await two_hours_away(home, category=category, steps=(), methods=("email",))
    await hours_pass(home, hours)
    await home.deliver(reminder, DUE + timedelta(hours=2))
    assert home.notifier.steps == []
    assert await home.ledger(reminder) == [
        ("due", "email", "withdrawn"),
        ("undelivered:email:due", "in_app", "sent"),
    ]


async def test_the_other_channels_and_the_next_day_do_not_wait_for_it(home: Home) -> None:
    reminder = await two_hours_away(home, methods=("email", "in_app"))
    assert ("due", "in_app", "sent") in await home.ledger(reminder)
    plan = await home.deliver(reminder, DUE + timedelta(hours=2))
    assert plan.at == DUE + timedelta(days=1)
    await home.deliver(reminder, DUE + timedelta(days=1))
    assert home.notifier.steps == ["due", "due"]


async def test_a_step_on_time_is_not_counted_late_for_a_mail_that_waits(home: Home) -> None:
    steps = (Step(timedelta(minutes=10), ("in_app",)),)
    reminder = await home.remind(DAILY, methods=("email",), steps=steps)
    home.notifier.faults = [AWAY] * 2
    await home.deliver(reminder, DUE)
    seconds = metrics.LATENESS.labels(ReminderClass.ROUTINE)._sum
    before = seconds.get()
    await home.deliver(reminder, DUE + timedelta(minutes=10))
    assert ("due+10", "in_app", "sent") in await home.ledger(reminder)
    assert seconds.get() == before


async def test_every_attempt_is_explained(home: Home) -> None:
    reminder = await two_hours_away(home, methods=("email",))
    await home.deliver(reminder, DUE + timedelta(hours=2))
    (row,) = await home.rows("SELECT id FROM occurrences WHERE reminder_id = :id AND state = 'due'", id=reminder)
    record = await explanations.record(home.db, home.user_id, row.id)
    assert record is not None
    (told,) = (await present(home.cipher, record, home.user_id))["deliveries"]
    assert [event["kind"] for event in told["events"]] == ["unavailable"] * ATTEMPTS + ["accepted"]
    assert told["attempts"] == ATTEMPTS + 1
