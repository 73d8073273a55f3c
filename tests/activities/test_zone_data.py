"""New zone data with pending reminders: moved once, listed, rung, and never fired twice (recurrence.md §8.7)."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.zone_data import ZoneDataActivities
from api.explain import present
from core.crypto import FieldCipher
from core.db import Database
from domain.recurrence import TZDATA_VERSION
from integrations.keys.store import KeyStore
from models.queries import explanations
from temporal.contracts.zone_data import MoveOccurrences, RolledOver
from tests.activities.reminder_home import Home, move_in

VANCOUVER = {
    "mode": "fixed",
    "dtstart_local": "2036-11-10T09:00",
    "freq": "DAILY",
    "tzid": "America/Vancouver",
    "tz_mode": "fixed",
}
NEW_LAW = datetime(2036, 11, 10, 16, tzinfo=UTC)
"""2026f: British Columbia stays on summer time for good."""
OLD_LAW = NEW_LAW + timedelta(hours=1)


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    home = await move_in(db, keys, cipher)
    await home.execute("UPDATE occurrences SET tzdata_version = :now", now=TZDATA_VERSION)  # of other tests
    await home.execute("DELETE FROM zone_data_runs")
    return home


async def computed_with_old_data(home: Home, reminder: object) -> None:
    """As a release with zone data 2025b left it."""
    await home.execute(
        "UPDATE occurrences SET instant = :old, tzdata_version = '2025b'"
        " WHERE reminder_id = :id AND state = 'scheduled'",
        old=OLD_LAW,
        id=reminder,
    )
    await home.execute("DELETE FROM outbox")


async def roll_over(home: Home) -> RolledOver:
    activities = ZoneDataActivities(home.db.sessions)
    return await ActivityEnvironment().run(activities.move_occurrences, MoveOccurrences(TZDATA_VERSION, page_size=2))


async def bells(home: Home) -> int:
    return len(await home.rows("SELECT id FROM outbox WHERE kind = 'reminder'"))


async def test_what_the_law_moved_is_moved_rung_and_listed(home: Home) -> None:
    reminder = await home.remind(VANCOUVER, lead_minutes=(60,))
    await computed_with_old_data(home, reminder)
    done = await roll_over(home)
    assert (done.checked, done.moved) == (1, 1)
    (example,) = done.examples
    assert (example.tzid, example.was, example.now) == ("America/Vancouver", OLD_LAW, NEW_LAW)
    (row,) = await home.rows(
        "SELECT instant, nominal, tzdata_version, lead_at FROM occurrences WHERE reminder_id = :id", id=reminder
    )
    assert (row.instant, row.nominal, row.tzdata_version) == (NEW_LAW, "2036-11-10T09:00", TZDATA_VERSION)
    assert row.lead_at == NEW_LAW - timedelta(hours=1)
    assert await bells(home) == 1


async def test_explain_shows_when_it_would_have_been_and_when_it_is(home: Home) -> None:
    reminder = await home.remind(VANCOUVER)
    await computed_with_old_data(home, reminder)
    await roll_over(home)
    (row,) = await home.rows("SELECT id FROM occurrences WHERE reminder_id = :id", id=reminder)
    record = await explanations.record(home.db, home.user_id, row.id)
    assert record is not None
    shifts = (await present(home.cipher, record, home.user_id))["shifts"]
    assert shifts == [{"kind": "zone_data", "was": OLD_LAW, "at": NEW_LAW}]


async def test_a_second_run_finds_nothing_and_rings_nobody(home: Home) -> None:
    reminder = await home.remind(VANCOUVER)
    await computed_with_old_data(home, reminder)
    await roll_over(home)
    again = await roll_over(home)
    assert (again.checked, again.moved) == (0, 1)
    assert await bells(home) == 1


async def test_where_nothing_changed_only_the_version_does(home: Home) -> None:
    reminder = await home.remind(VANCOUVER | {"tzid": "Europe/Berlin"})
    await home.execute("UPDATE occurrences SET tzdata_version = '2025b' WHERE reminder_id = :id", id=reminder)
    await home.execute("DELETE FROM outbox")
    assert (await roll_over(home)).moved == 0
    assert await bells(home) == 0
    (row,) = await home.rows("SELECT tzdata_version FROM occurrences WHERE reminder_id = :id", id=reminder)
    assert row.tzdata_version == TZDATA_VERSION


async def test_more_than_a_page_is_looked_at_and_elapsed_time_knows_no_law(home: Home) -> None:
    for _ in range(5):
        await computed_with_old_data(home, await home.remind(VANCOUVER))
    elapsed = {"mode": "elapsed", "start_at": "2036-01-01T00:00:00Z", "every": {"n": 8, "unit": "hour"}}
    await home.execute(
        "UPDATE occurrences SET tzdata_version = '2025b' WHERE reminder_id = :id", id=await home.remind(elapsed)
    )
    done = await roll_over(home)
    assert (done.checked, done.moved) == (5, 5)


async def test_what_has_fired_is_history_and_never_fires_again(home: Home) -> None:
    reminder = await home.remind(VANCOUVER)
    await home.deliver(reminder, NEW_LAW)
    await home.execute(
        "UPDATE occurrences SET tzdata_version = '2025b', instant = instant + interval '1 h' WHERE reminder_id = :id",
        id=reminder,
    )
    await roll_over(home)
    await home.deliver(reminder, NEW_LAW + timedelta(hours=2))
    assert len(home.notifier.calls) == 1
    (fired, pending) = await home.rows(
        "SELECT state, tzdata_version FROM occurrences WHERE reminder_id = :id ORDER BY seq", id=reminder
    )
    assert (fired.state, fired.tzdata_version) == ("due", "2025b")
    assert (pending.state, pending.tzdata_version) == ("scheduled", TZDATA_VERSION)


async def test_a_pause_or_a_deletion_meanwhile_is_no_trouble(home: Home) -> None:
    paused, gone = await home.remind(VANCOUVER), await home.remind(VANCOUVER)
    for reminder in (paused, gone):
        await computed_with_old_data(home, reminder)
    await home.execute("UPDATE reminders SET state = 'paused' WHERE id = :id", id=paused)
    await home.execute("UPDATE reminders SET deleted_at = now() WHERE id = :id", id=gone)
    done = await roll_over(home)
    assert (done.checked, done.moved) == (2, 1)
