"""What servers make of texts, alarms and etags is no change: calendar-sync.md §9."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar_sync import NAMES
from integrations.calendar import google_mapping
from integrations.calendar.protocol import Marker
from tests.calendar.accounts import Account
from tests.calendar.home import NOW, an_event

NOTES = "first line\nsecond line\n\nlast: <b>bold</b> & more"


@pytest.mark.parametrize("account", ["google", "microsoft"], indirect=True)
@pytest.mark.parametrize("form", ["crlf", "html"])
async def test_a_server_that_rewrites_texts_is_not_written_to_for_it(account: Account, form: str) -> None:
    """S13: ten rounds."""
    local_id = await account.create(an_event(notes=NOTES))
    account.control.shape("normalise", calendar=account.home.calendar_id, form=form, times=None)
    await account.sync()
    await account.home.edit(local_id, notes=f"{NOTES}\nadded")
    await account.sync()

    async def rounds() -> None:
        for _ in range(10):
            await account.backend.expire()
            await account.sync()

    assert await account.writes(rounds()) == 0
    assert (await account.event_here()).notes == f"{NOTES}\nadded"
    await account.remote_edit(await account.only(), notes="theirs\ntoo")
    await account.comes_to_rest()
    assert (await account.event_here()).notes == "theirs\ntoo"


@pytest.mark.parametrize("account", ["radicale", "xandikos"], indirect=True)
async def test_a_caldav_server_that_rewrites_texts_is_not_written_to_for_it(account: Account) -> None:
    """S13: each round its resource has another etag, blanks at the ends of lines, and properties that nobody knows."""
    local_id = await account.create(an_event(notes="first line\nsecond line"))
    await account.sync()
    remote_id = await account.only()
    version = await account.home.links("local_version_at_base")
    for number in range(10):
        stream = await account.backend._get(remote_id)  # type: ignore[attr-defined]
        lines = [f"{line}  " if line.startswith("DESCRIPTION") else line for line in stream.splitlines()]
        lines.insert(lines.index("END:VEVENT"), f"X-ROUND:{number}")
        await account.backend._put(remote_id, "\r\n".join(lines) + "\r\n")  # type: ignore[attr-defined]
        writes = account.watched.writes
        await account.sync()
        assert account.watched.writes == writes
    assert (await account.here())[local_id].notes == "first line\nsecond line"
    assert await account.home.links("local_version_at_base") == version


@pytest.mark.parametrize("account", ["google"], indirect=True)
async def test_a_change_of_reminders_alone_is_noticed_at_google(account: Account) -> None:
    """S33: `updated` does not move for it. Alarms of both sides are merged."""
    local_id = await account.create(an_event(alarms=(60, 1440)))
    await account.sync()
    (before,) = account.control.events(account.home.calendar_id)
    overrides = [{"method": "popup", "minutes": each} for each in (10, 60, 1440)]
    body = {"reminders": {"useDefault": False, "overrides": overrides}}
    account.control.remote_edit(await account.only(), account.home.calendar_id, body=body)
    (after,) = account.control.events(account.home.calendar_id)
    assert before["body"]["updated"] == after["body"]["updated"]
    await account.home.edit(local_id, alarms=(60,))
    await account.comes_to_rest()
    assert sorted((await account.event_here()).alarms) == [10, 60]
    assert await account.conflicts() == []


@pytest.mark.parametrize("account", ["microsoft"], indirect=True)
async def test_alarms_for_which_outlook_has_no_room_stay_here(account: Account) -> None:
    """S33."""
    local_id = await account.create(an_event(alarms=(60, 1440)))
    await account.comes_to_rest()
    assert (await account.event_there()).alarms == (60,)
    remote_id = await account.only()
    account.control.remote_edit(remote_id, account.home.calendar_id, body={"reminderMinutesBeforeStart": 30})
    await account.comes_to_rest()
    assert (await account.here())[local_id].alarms == (30, 1440)
    account.control.remote_edit(remote_id, account.home.calendar_id, body={"isReminderOn": False})
    await account.comes_to_rest()
    assert (await account.here())[local_id].alarms == ()


async def test_an_alarm_that_is_added_there_and_one_that_is_taken_away_here_both_count(account: Account) -> None:
    """S33, at every provider: one alarm each, so that all of them hold it."""
    local_id = await account.create(an_event(alarms=(60,)))
    await account.sync()
    await account.remote_edit(await account.only(), alarms=())
    await account.comes_to_rest()
    assert (await account.here())[local_id].alarms == ()
    await account.home.edit(local_id, alarms=(15,))
    await account.comes_to_rest()
    assert (await account.event_there()).alarms == (15,)


@given(st.uuids(), st.from_regex(r"\d{6}", fullmatch=True) | st.just(""), st.integers(0, 10**9), st.text(max_size=300))
def test_no_private_property_is_longer_than_google_keeps(
    local_id: UUID, part: str, generation: int, title: str
) -> None:
    """S34: a longer key is dropped, a longer value is cut, without a word."""
    event = replace(an_event(title), notes=title * 10)
    written = google_mapping.new(NAMES, Marker(local_id, part, generation), event)["extendedProperties"]["private"]
    assert written
    assert all(len(key) <= 44 and len(value) <= 1024 for key, value in written.items())


async def test_what_does_not_take_place_is_gone_there_and_comes_back(account: Account) -> None:
    """A cancelled appointment, where the calendar cannot say so; where it can, it is cancelled."""
    local_id = await account.create(an_event())
    await account.sync()
    await _set_state(account, local_id, "cancelled")
    await account.comes_to_rest()
    assert not [each for each in (await account.there()).values() if each.status == "confirmed"]
    await _set_state(account, local_id, "planned")
    await account.comes_to_rest()
    assert await account.event_there() == an_event()


async def _set_state(account: Account, local_id: UUID, state: str) -> None:
    await account.home.home.execute(
        "UPDATE appointments SET status = :state, version = version + 1 WHERE id = :id", state=state, id=local_id
    )


async def test_a_reminder_is_one_event_for_each_time_of_day_and_moves_with_it(account: Account) -> None:
    """INV8 and the reminders' own form: words alone, and no ping-pong about the rule."""
    account.made = 3
    daily = {"mode": "fixed", "dtstart_local": "2026-12-01T08:00", "freq": "DAILY", "times": ["08:00", "20:00"]}
    await account.home.home.remind(daily)
    last_day = {"mode": "fixed", "dtstart_local": "2026-12-31T09:00", "freq": "MONTHLY", "bymonthday": 31}
    await account.home.home.remind(last_day | {"count": 5}, title="Worm cure")
    assert datetime(2026, 12, 1, tzinfo=UTC) > NOW
    await account.sync()
    assert len(await account.there()) == 3
    for _ in range(3):
        await account.backend.expire()
        assert await account.writes(account.sync()) == 0
    (monthly,) = (remote_id for remote_id, each in (await account.there()).items() if each.title == "Worm cure")
    await account.remote_edit(monthly, title="Worm cure for Milo")
    await account.sync()
    assert await account.writes(account.sync()) == 0
    assert (await account.there())[monthly].title == "Worm cure for Milo"
