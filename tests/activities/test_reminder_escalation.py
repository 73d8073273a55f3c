"""Steps of an escalation, pre-due notices, late ones said together and pushes taken back, in the ledger of Postgres."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.courier import Address
from core.crypto import FieldCipher
from core.db import Database
from domain.escalation import Step, Who
from domain.mail_feedback import Verdict
from domain.reminder_actions import Acknowledge, AlreadyGiven, Complete, Snooze, TooEarly, TooSoon, Undo
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderUnavailable, Receipt
from integrations.notify.words import ReminderWords
from models.queries import feedback
from models.queries.feedback import Known, Report
from tests.activities.reminder_home import Home, move_in

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    return await move_in(db, keys, cipher)


async def second_member(home: Home, keys: KeyStore) -> UUID:
    other = await move_in(home.db, keys, home.cipher)
    await home.execute(
        "UPDATE memberships SET household_id = :home, role = 'caretaker' WHERE user_id = :id",
        home=home.household_id,
        id=other.user_id,
    )
    return other.user_id


async def test_nobody_answers_and_the_others_are_told(home: Home, keys: KeyStore) -> None:
    other = await second_member(home, keys)
    steps = (Step(10 * MINUTE, ("email",)), Step(30 * MINUTE, ("email",), Who.OTHERS))
    reminder = await home.remind(DAILY, methods=("email",), steps=steps)
    assert (await home.deliver(reminder, DUE)).at == DUE + 10 * MINUTE
    assert (await home.deliver(reminder, DUE + 10 * MINUTE)).step == "due+30"
    await home.deliver(reminder, DUE + 30 * MINUTE)
    assert await home.ledger(reminder) == [
        ("due", "email", "sent"),
        ("due+10", "email", "sent"),
        ("due+30", "email", "sent"),
    ]
    assert home.notifier.addresses == [
        f"{home.user_id}@example.test",
        f"{home.user_id}@example.test",
        f"{other}@example.test",
    ]


async def test_seen_is_enough_to_stop_asking_and_not_to_close(home: Home) -> None:
    reminder = await home.remind(DAILY, methods=("email",), steps=(Step(10 * MINUTE, ("email",)),))
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Acknowledge(series.due.key, home.user_id), at=DUE + MINUTE)
    plan = await home.deliver(reminder, DUE + 10 * MINUTE)
    assert plan.at == DUE + timedelta(days=1)
    assert await home.states(reminder) == ["due", "scheduled"]
    assert await home.ledger(reminder) == [("due", "email", "sent")]


async def test_an_outage_over_several_steps_brings_one_message_each(home: Home, keys: KeyStore) -> None:
    await second_member(home, keys)
    steps = (Step(10 * MINUTE, ("email",)), Step(30 * MINUTE, ("email",), Who.OTHERS))
    reminder = await home.remind(DAILY, methods=("email",), steps=steps)
    await home.deliver(reminder, DUE + 31 * MINUTE)
    await home.deliver(reminder, DUE + 31 * MINUTE)
    assert await home.ledger(reminder) == [("due+30", "email", "sent")] * 2


async def test_a_day_ahead_and_an_hour_ahead_are_told_once_each(home: Home) -> None:
    reminder = await home.remind(DAILY, methods=("email",), lead_minutes=(60,))
    assert (await home.plan(reminder, DUE)).at == DUE - 60 * MINUTE
    assert (await home.deliver(reminder, DUE - 60 * MINUTE)).at == DUE
    assert (await home.deliver(reminder, DUE)).at == DUE + timedelta(hours=23)
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("lead-60", "email", "sent")]


async def test_a_pre_due_notice_is_called_back_by_an_early_completion(home: Home) -> None:
    reminder = await home.remind(DAILY, methods=("email",), lead_minutes=(60,))
    home.notifier.faults = [ProviderUnavailable("away")]
    await home.deliver(reminder, DUE - 60 * MINUTE)
    await home.act(reminder, lambda series: Complete(series.pending.key, home.user_id))
    await home.deliver(reminder, DUE - 50 * MINUTE)
    assert await home.ledger(reminder) == [("lead-60", "email", "withdrawn")]
    assert home.notifier.titles == []


async def test_three_late_ones_of_one_person_are_one_message(home: Home) -> None:
    """35 mails after an outage are what made people leave (kanboard#3098)."""
    late = DUE + 20 * MINUTE
    names = ("Tablet", "Drops", "Walk")
    series = [await home.remind(DAILY, title=title, methods=("email",)) for title in names]
    for reminder in series:
        await home.deliver(reminder, late)
    assert home.notifier.titles == []
    for reminder in series:
        await home.deliver(reminder, late + MINUTE)
    (mail,) = home.notifier.taken.values()
    assert sorted(mail.titles) == sorted(names)
    states = sorted([state for reminder in series for _, _, state in await home.ledger(reminder)])
    assert states == ["folded", "folded", "sent"]


async def test_a_combined_message_that_fails_loses_none_of_them(home: Home) -> None:
    late = DUE + 20 * MINUTE
    series = [await home.remind(DAILY, title=title, methods=("email",)) for title in ("Tablet", "Drops")]
    for reminder in series:
        await home.deliver(reminder, late)
    home.notifier.faults = [ProviderUnavailable("away")]
    assert (await home.deliver(series[0], late + MINUTE)).step == "resend"
    for reminder in reversed(series):
        await home.deliver(reminder, late + 2 * MINUTE)
    assert sorted(title for mail in home.notifier.taken.values() for title in mail.titles) == [
        "Drops",
        "Tablet",
    ]


async def test_said_together_is_only_what_may_be_said(home: Home) -> None:
    """Each of them has its own category, and its own switch."""
    late = DUE + 20 * MINUTE
    wanted = await home.remind(DAILY, title="Tablet", methods=("email",))
    unwanted = await home.remind(DAILY, title="Brush", methods=("email",), category="grooming", lead_minutes=())
    for reminder in (wanted, unwanted):
        await home.deliver(reminder, late)
    await home.execute(
        "INSERT INTO notification_preferences (user_id, category, channel, enabled)"
        " VALUES (:id, 'grooming', 'email', false)",
        id=home.user_id,
    )
    await home.deliver(wanted, late + MINUTE)
    assert [taken.titles for taken in home.notifier.taken.values()] == [["Tablet"]]
    assert await home.ledger(unwanted) == [("due", "email", "withdrawn")]


async def test_one_that_cannot_be_worded_keeps_no_other_from_being_said(home: Home) -> None:
    late = DUE + 20 * MINUTE
    broken, whole = [await home.remind(DAILY, title=title, methods=("email",)) for title in ("Drops", "Tablet")]
    for reminder in (broken, whole):
        await home.deliver(reminder, late)
    await home.execute("UPDATE reminders SET title_ct = 'no ciphertext' WHERE id = :id", id=broken)
    await home.deliver(broken, late + MINUTE)
    assert [taken.titles for taken in home.notifier.taken.values()] == [["Tablet"]]
    assert ("due", "email", "failed") in await home.ledger(broken)
    assert await home.ledger(whole) == [("due", "email", "sent")]


async def test_a_missed_routine_is_a_line_in_the_digest_and_a_missed_dose_a_message(home: Home) -> None:
    routine = await home.remind(DAILY, methods=("email",))
    dose = await home.remind(DAILY, methods=("email",), category="medication", steps=())
    for reminder in (routine, dose):
        await home.deliver(reminder, DUE + timedelta(hours=13))
        await home.deliver(reminder, DUE + timedelta(hours=13))
    assert await home.ledger(routine) == [("missed", "email", "folded")]
    assert await home.ledger(dose) == [("missed", "email", "sent")]


async def test_a_push_that_was_shown_is_replaced_when_it_is_done(home: Home) -> None:
    await home.add_device()
    reminder = await home.remind(DAILY, methods=("push", "in_app"))
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id))
    plan = await home.plan(reminder, DUE + MINUTE)
    assert plan.step == "resend"
    await home.deliver(reminder, DUE + MINUTE)
    assert await home.ledger(reminder) == [
        ("due", "in_app", "sent"),
        ("due", "push", "sent"),
        ("withdrawn:due", "push", "sent"),
    ]
    assert home.notifier.steps == ["due", "withdrawn:due"]


async def test_a_single_one_that_is_done_and_over_still_takes_its_push_back(home: Home) -> None:
    await home.add_device()
    reminder = await home.remind(
        {"mode": "once", "dtstart_local": "2036-06-01T08:00", "tzid": "UTC"}, methods=("push",)
    )
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id))
    assert not (await home.plan(reminder, DUE)).ended
    assert (await home.deliver(reminder, DUE)).ended
    assert home.notifier.steps == ["due", "withdrawn:due"]


async def test_a_poisoned_message_blocks_no_other(home: Home, keys: KeyStore) -> None:
    await second_member(home, keys)
    reminder = await home.remind(DAILY, methods=("email",), steps=(Step(MINUTE, ("email",), Who.EVERYONE),))
    await home.deliver(reminder, DUE)
    home.notifier.faults = [ValueError("a template that cannot be rendered")]
    await home.deliver(reminder, DUE + MINUTE)
    assert sorted(entry for entry in await home.ledger(reminder) if entry[0] == "due+1") == [
        ("due+1", "email", "failed"),
        ("due+1", "email", "sent"),
    ]


async def doses(home: Home, reminder: UUID) -> list[Any]:
    return await home.rows(
        "SELECT state, given_at, by_user_id FROM doses WHERE reminder_id = :id ORDER BY id", id=reminder
    )


async def test_a_dose_is_on_record_and_undo_takes_it_back(home: Home) -> None:
    reminder = await home.remind(DAILY, category="medication")
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id), at=DUE + MINUTE)
    assert [row.state for row in await doses(home, reminder)] == ["given"]
    (closed,) = await home.rows(
        "SELECT id, key FROM occurrences WHERE reminder_id = :id AND state = 'done'", id=reminder
    )
    await home.act(reminder, lambda _: Undo(closed.key), occurrence_id=closed.id)
    assert [row.state for row in await doses(home, reminder)] == ["undone"]


async def test_a_dose_long_before_its_time_is_refused(home: Home) -> None:
    reminder = await home.remind(DAILY, category="medication")
    with pytest.raises(TooEarly) as refused:
        await home.act(reminder, lambda series: Complete(series.pending.key, home.user_id))
    assert refused.value.extra["allowed_from"] == "2036-06-01T06:00:00Z"
    assert await doses(home, reminder) == []


async def test_a_dose_too_soon_after_the_one_before_is_refused_and_can_be_forced(home: Home) -> None:
    eight_hourly = {**DAILY, "times": ["08:00", "16:00"]}
    reminder = await home.remind(eight_hourly, category="medication", min_gap_minutes=360)
    await home.deliver(reminder, DUE)
    late = DUE + timedelta(hours=3)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id), at=late)
    afternoon = DUE + timedelta(hours=8)
    await home.deliver(reminder, afternoon)
    with pytest.raises(TooSoon) as refused:
        await home.act(reminder, lambda series: Complete(series.due.key, home.user_id), at=afternoon)
    assert refused.value.extra["next_allowed_at"] == "2036-06-01T17:00:00Z"
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id, overrides=True), at=afternoon)
    assert [row.given_at for row in await doses(home, reminder)] == [late, afternoon]


async def test_somebody_quicker_is_named(home: Home) -> None:
    reminder = await home.remind(DAILY, category="medication")
    await home.deliver(reminder, DUE)
    await home.act(reminder, lambda series: Complete(series.due.key, home.user_id), at=DUE + MINUTE)
    (closed,) = await home.rows(
        "SELECT id, key FROM occurrences WHERE reminder_id = :id AND state = 'done'", id=reminder
    )
    with pytest.raises(AlreadyGiven) as refused:
        await home.act(reminder, lambda _: Complete(closed.key, home.user_id), occurrence_id=closed.id)
    assert refused.value.extra["given_by"] == str(home.user_id)


async def test_a_snoozed_one_is_asked_again_from_the_first_step(home: Home) -> None:
    reminder = await home.remind(DAILY, methods=("email",), steps=(Step(10 * MINUTE, ("email",)),))
    await home.deliver(reminder, DUE)
    again = DUE + 30 * MINUTE
    await home.act(reminder, lambda series: Snooze(series.due.key, again))
    assert (await home.plan(reminder, DUE)).at == again
    await home.deliver(reminder, again)
    await home.deliver(reminder, again + 10 * MINUTE)
    steps = [step for step, _, _ in await home.ledger(reminder)]
    assert steps == ["due", "snooze-1", "snooze-1+10"]


async def test_a_bounce_quicker_than_our_note_of_the_mail_fails_all_that_it_said(home: Home) -> None:
    late = DUE + 20 * MINUTE
    series = [await home.remind(DAILY, title=title, methods=("email",)) for title in ("Tablet", "Drops")]
    for reminder in series:
        await home.deliver(reminder, late)
    bouncing = Bouncing(home)
    home.activities.notifier = bouncing
    for reminder in series:
        await home.deliver(reminder, late + MINUTE)
    assert bouncing.calls == 1
    for reminder in series:
        assert await home.ledger(reminder) == [
            ("due", "email", "failed"),
            ("undelivered:email:due", "in_app", "sent"),
        ]


class Bouncing:
    """A provider that takes a mail, and has told of its bounce before it answers."""

    def __init__(self, home: Home) -> None:
        self.home, self.calls = home, 0

    async def send_reminder(self, notice: ReminderWords, address: Address, *, idempotency_key: UUID) -> Receipt:
        """See `Notifier`."""
        self.calls += 1
        report = Report(Verdict.BOUNCED, str(uuid4()), "ses-1", idempotency_key, None, "Permanent/General")
        async with self.home.db.sessions.begin() as session:
            assert await feedback.record(session, report) is Known.NEW
        return Receipt("ses-1")
