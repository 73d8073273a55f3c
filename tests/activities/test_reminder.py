"""Deliveries on real Postgres: one claim per occurrence, person, channel and step, whatever runs twice or dies."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.crypto import FieldCipher, Subject
from core.db import Database
from domain import reminder_machine
from domain.reminder import PlanState
from domain.reminder_actions import Complete, End, Pause, Reschedule, Resume, Snooze
from domain.schedule_json import Zones, parse_schedule
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable
from models.queries import reminders
from tests.activities.reminder_home import Home, move_in

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
"""Ten years ahead of the database's clock: the tests' clock decides."""
NEXT = DUE + timedelta(days=1)


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    return await move_in(db, keys, cipher)


async def test_a_due_occurrence_goes_to_every_channel_and_the_next_has_its_row(home: Home) -> None:
    reminder = await home.remind(DAILY)
    plan = await home.deliver(reminder, DUE)
    assert (plan.at, plan.occurrence, plan.state) == (NEXT, "f:1:2036-06-02T08:00", PlanState.ACTIVE)
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("due", "in_app", "sent")]
    assert await home.states(reminder) == ["due", "scheduled"]
    lines = await home.rows("SELECT occurrence_id FROM notifications WHERE user_id = :id", id=home.user_id)
    assert len(lines) == 1
    (mail,) = home.notifier.taken.values()
    assert (mail.notice.title, mail.notice.pet_name, mail.notice.due, mail.address.to) == (
        "Tablet",
        "Milo",
        DUE,
        f"{home.user_id}@example.test",
    )
    (row,) = await home.rows("SELECT next_at, version FROM reminders WHERE id = :id", id=reminder)
    assert (row.next_at, row.version) == (NEXT, 2)


async def test_nothing_is_due_before_its_time(home: Home) -> None:
    reminder = await home.remind(DAILY)
    plan = await home.deliver(reminder, DUE - timedelta(seconds=1))
    assert plan.at == DUE
    assert await home.ledger(reminder) == []


async def test_twenty_runs_at_once_claim_once_and_send_once(home: Home) -> None:
    reminder = await home.remind(DAILY)
    plans = await asyncio.gather(*(home.deliver(reminder, DUE) for _ in range(20)))
    assert {plan.step for plan in plans} <= {"due", "resend"}
    assert len(home.notifier.calls) == 1
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("due", "in_app", "sent")]
    assert (await home.deliver(reminder, DUE)).at == NEXT


async def test_killed_between_send_and_settle_it_is_sent_again_under_the_same_key(home: Home) -> None:
    reminder = await home.remind(DAILY)
    home.notifier.lost_answers = [_Killed()]
    with pytest.raises(_Killed):
        await home.deliver(reminder, DUE)
    assert (await home.plan(reminder, DUE)).step == "resend"
    await _lease_runs_out(home)
    await home.deliver(reminder, DUE)
    assert len(home.notifier.calls) == 2
    assert len(home.notifier.taken) == 1
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("due", "in_app", "sent")]
    reasons = await home.rows(
        "SELECT reason FROM deliveries WHERE user_id = :id AND channel = 'email'", id=home.user_id
    )
    assert [row.reason for row in reasons] == ["acknowledgement_lost"]  # it may have arrived twice: counted here


async def test_killed_between_claim_and_send_the_next_run_sends(home: Home) -> None:
    reminder = await home.remind(DAILY)
    home.notifier.faults = [_Killed()]
    with pytest.raises(_Killed):
        await home.deliver(reminder, DUE)
    await _lease_runs_out(home)
    plan = await home.deliver(reminder, DUE + timedelta(seconds=40))
    assert plan.at == NEXT
    assert home.notifier.titles == ["Tablet"]


async def test_an_attempt_that_still_runs_is_not_overtaken(home: Home) -> None:
    reminder = await home.remind(DAILY)
    home.notifier.faults = [_Killed()]
    with pytest.raises(_Killed):
        await home.deliver(reminder, DUE)
    plan = await home.deliver(reminder, DUE)
    assert (plan.step, len(home.notifier.calls)) == ("resend", 1)


async def test_a_provider_that_is_away_is_asked_again_when_it_said(home: Home) -> None:
    reminder = await home.remind(DAILY)
    home.notifier.faults = [ProviderUnavailable("throttled", retry_after=7)]
    plan = await home.deliver(reminder, DUE)
    assert plan.step == "resend"
    (row,) = await home.rows(
        "SELECT extract(epoch FROM not_before - clock_timestamp()) AS wait FROM deliveries "
        "WHERE user_id = :id AND channel = 'email'",
        id=home.user_id,
    )
    assert 5 < row.wait <= 7
    await home.deliver(reminder, DUE)
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("due", "in_app", "sent")]


async def test_a_refused_address_is_on_record_and_stops_nothing(home: Home) -> None:
    reminder = await home.remind(DAILY)
    home.notifier.faults = [ProviderRefused("no such mailbox")]
    assert (await home.deliver(reminder, DUE)).at == NEXT
    assert await home.ledger(reminder) == [
        ("due", "email", "failed"),
        ("due", "in_app", "sent"),
        ("undelivered:email:due", "in_app", "sent"),  # the person learns of it where they look next
    ]


async def test_an_edit_that_lands_while_the_provider_is_away_is_what_goes_out(home: Home) -> None:
    """No stale words: what is sent is read in the moment before the call."""
    reminder = await home.remind(DAILY, title="Half a tablet")
    home.notifier.faults = [ProviderUnavailable("away")]
    assert (await home.deliver(reminder, DUE)).step == "resend"

    title = await home.cipher.seal(
        Subject.household(home.household_id), "reminders.title_ct", reminder, "A whole tablet"
    )
    await home.execute("UPDATE reminders SET title_ct = :title WHERE id = :id", title=title, id=reminder)
    await home.deliver(reminder, DUE)
    assert home.notifier.titles == ["A whole tablet"]


@pytest.mark.parametrize("what", ["complete", "snooze", "pause", "delete"])
async def test_what_people_did_before_the_send_wins(home: Home, what: str) -> None:
    reminder = await home.remind(DAILY)
    home.notifier.faults = [ProviderUnavailable("away")]
    assert (await home.deliver(reminder, DUE)).step == "resend"
    actions = {
        "complete": lambda series: Complete(series.due.key, home.user_id),
        "snooze": lambda series: Snooze(series.due.key, DUE + timedelta(hours=1)),
        "pause": lambda series: Pause(),
        "delete": lambda series: End("deleted"),
    }
    await home.act(reminder, actions[what])
    await home.deliver(reminder, DUE)
    assert home.notifier.titles == []


async def test_a_snooze_that_committed_before_the_claim_moves_the_notice(home: Home) -> None:
    reminder = await home.remind(DAILY)
    await home.act(reminder, lambda series: Snooze(series.pending.key, DUE + timedelta(hours=1)))
    plan = await home.deliver(reminder, DUE)
    assert (plan.at, plan.step) == (DUE + timedelta(hours=1), "snooze-1")
    assert home.notifier.titles == []
    await home.deliver(reminder, DUE + timedelta(hours=1))
    assert await home.ledger(reminder) == [("snooze-1", "email", "sent"), ("snooze-1", "in_app", "sent")]


async def test_an_edit_while_the_delivery_waits_for_its_lock_is_obeyed(home: Home) -> None:
    reminder = await home.remind(DAILY)
    async with home.db.sessions.begin() as session:
        locked = await reminders.lock(session, reminder)
        assert locked is not None
        running = asyncio.create_task(home.deliver(reminder, DUE))
        schedule = parse_schedule(DAILY | {"dtstart_local": "2036-06-01T20:00"}, zones=Zones("UTC", "UTC"))
        change = reminder_machine.apply(locked.series, Reschedule(schedule), locked.read_at)
        await reminders.save(session, locked, change.series)
    plan = await running
    assert plan.at == DUE + timedelta(hours=12)
    assert home.notifier.titles == []


async def test_after_three_days_of_silence_there_is_one_message_that_names_what_was_missed(home: Home) -> None:
    reminder = await home.remind(DAILY)
    woken = DUE + timedelta(days=3, hours=1)
    assert (await home.deliver(reminder, woken)).step == "resend"
    assert await home.states(reminder) == ["missed", "missed", "missed", "due", "scheduled"]
    await home.deliver(reminder, woken)
    (mail,) = home.notifier.taken.values()
    assert (mail.notice.late, mail.notice.missed, mail.notice.missed_from) == (True, 3, DUE)


async def test_a_pause_across_the_due_time_sends_nothing_and_keeps_the_later_ones(home: Home) -> None:
    reminder = await home.remind(DAILY)
    await home.act(reminder, lambda _: Pause())
    assert (await home.deliver(reminder, DUE)).at is None
    await home.act(reminder, lambda _: Resume())
    assert (await home.plan(reminder, DUE)).at == DUE


async def test_a_person_who_moved_is_reminded_on_the_new_clock_and_never_twice(home: Home) -> None:
    reminder = await home.remind({**{k: v for k, v in DAILY.items() if k != "tzid"}, "tz_mode": "follow_user"})
    berlin = DUE - timedelta(hours=2)
    assert (await home.deliver(reminder, berlin)).at == berlin + timedelta(days=1)
    await home.execute("UPDATE users SET timezone = 'America/New_York' WHERE id = :id", id=home.user_id)
    new_york = NEXT + timedelta(hours=4)
    assert (await home.deliver(reminder, NEXT)).at == new_york
    await home.deliver(reminder, new_york)
    assert len(home.notifier.taken) == 2
    (row,) = await home.rows("SELECT schedule->>'tzid' AS tzid FROM reminders WHERE id = :id", id=reminder)
    assert row.tzid == "America/New_York"


async def test_who_made_it_hears_of_it_and_the_owners_do_once_they_have_left(home: Home, keys: KeyStore) -> None:
    reminder = await home.remind(DAILY, methods=("email",))
    other = await move_in(home.db, keys, home.cipher)
    await home.execute(
        "UPDATE memberships SET household_id = :home WHERE user_id = :id", home=home.household_id, id=other.user_id
    )
    await home.deliver(reminder, DUE)
    assert home.notifier.addresses == [f"{home.user_id}@example.test"]
    await home.execute("UPDATE memberships SET left_at = now() WHERE user_id = :id", id=home.user_id)
    await home.deliver(reminder, NEXT)
    assert home.notifier.addresses[1:] == [f"{other.user_id}@example.test"]


async def test_a_reminder_whose_row_is_gone_has_no_plan(home: Home) -> None:
    reminder = await home.remind(DAILY)
    await home.execute("UPDATE reminders SET deleted_at = now() WHERE id = :id", id=reminder)
    assert (await home.plan(reminder, DUE)).ended
    assert (await home.deliver(reminder, DUE)).ended


async def test_the_databases_clock_counts_when_a_retry_comes_late(home: Home) -> None:
    """An attempt that waited for 13 hours is not on time because its input says so."""
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=13)
    reminder = await home.remind(DAILY | {"dtstart_local": f"2020-01-01T{due:%H:%M}"})
    await home.execute(
        "UPDATE occurrences SET instant = :at, nominal = :nominal, key = 'f:1:' || :nominal WHERE reminder_id = :id",
        id=reminder,
        at=due,
        nominal=f"{due:%Y-%m-%dT%H:%M}",
    )
    await home.deliver(reminder, due)
    assert await home.states(reminder) == ["missed", "scheduled"]
    assert home.notifier.titles == []


class _Killed(BaseException):
    """What SIGKILL looks like from inside: nothing after it runs."""


async def _lease_runs_out(home: Home) -> None:
    over = "UPDATE deliveries SET claimed_until = now() - interval '1 s' WHERE user_id = :id"
    await home.execute(over, id=home.user_id)
