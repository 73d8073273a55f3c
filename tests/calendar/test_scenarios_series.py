"""Series with their exceptions on both sides of a change, and of the clocks: calendar-sync.md §9."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import pytest
from dateutil.rrule import rrulestr
from icalendar import Calendar

from domain.appointment import occurrences
from domain.calendar import Event, Override, When
from domain.recurrence import resolve
from integrations.calendar.errors import UNSUPPORTED_RECURRENCE
from tests.calendar.accounts import Account
from tests.calendar.conftest import OpenAccount
from tests.calendar.home import a_series, an_event

FIRST = datetime(2026, 12, 3, 9)  # noqa: DTZ001 - on the person's clock
WEEK = timedelta(weeks=1)


def differing(week: int, title: str, *, hours: int = 2) -> Override:
    """The occurrence of that week, later on its day and with words of its own."""
    original = FIRST + week * WEEK
    start = original + timedelta(hours=hours)
    return Override(original, start, start + timedelta(hours=1), title)


SERIES = a_series(overrides=(differing(1, "First"), differing(2, "Second")), exdates=(FIRST + 4 * WEEK,))


async def test_an_edit_of_one_exception_leaves_the_others(account: Account) -> None:
    """S27, davx5-ose 897: made here and made there."""
    local_id = await account.create(SERIES)
    await account.comes_to_rest()
    assert await account.event_there() == SERIES
    reworded = (replace(SERIES.overrides[0], title="First, edited"), SERIES.overrides[1])
    await account.home.edit(local_id, overrides=reworded)
    await account.comes_to_rest()
    assert await account.event_there() == replace(SERIES, overrides=reworded)
    both = (reworded[0], replace(reworded[1], title="Second, edited there"))
    await account.remote_edit(await account.only(), overrides=both)
    await account.comes_to_rest()
    assert await account.event_here() == replace(SERIES, overrides=both)
    assert await account.conflicts() == []


async def test_two_exceptions_edited_on_two_sides_both_stay(account: Account) -> None:
    """S27."""
    local_id = await account.create(SERIES)
    await account.sync()
    ours, theirs = replace(SERIES.overrides[0], title="Ours"), replace(SERIES.overrides[1], title="Theirs")
    await account.home.edit(local_id, overrides=(ours, SERIES.overrides[1]))
    await account.remote_edit(await account.only(), overrides=(SERIES.overrides[0], theirs))
    await account.comes_to_rest()
    assert (await account.event_here()).overrides == (ours, theirs) == (await account.event_there()).overrides
    assert await account.conflicts() == []


async def test_an_occurrence_is_deleted_on_either_side(account: Account) -> None:
    """An exception date from each."""
    local_id = await account.create(a_series())
    await account.sync()
    await account.home.edit(local_id, exdates=(FIRST + WEEK,))
    await account.remote_edit(await account.only(), exdates=(FIRST + 2 * WEEK,))
    await account.comes_to_rest()
    assert (await account.event_here()).exdates == (FIRST + WEEK, FIRST + 2 * WEEK)


async def test_a_series_that_is_moved_takes_its_exceptions_along_once(account: Account) -> None:
    """S31: one occurrence is moved, then the series."""
    local_id = await account.create(a_series())
    await account.sync()
    moved = differing(1, "Training, later")
    await account.remote_edit(await account.only(), overrides=(moved,))
    await account.comes_to_rest()
    here = await account.event_here()
    assert here.overrides == (moved,)
    by = timedelta(hours=1)
    when = replace(here.when, start=here.when.start + by, end=here.when.end + by)
    rekeyed = replace(moved, original=moved.original + by)
    await account.home.edit(local_id, when=when, overrides=(rekeyed,))
    await account.comes_to_rest()
    there = await account.event_there()
    assert (there.when, there.overrides) == (when, (rekeyed,))
    assert await account.conflicts() == []


async def test_a_series_that_is_moved_here_while_an_occurrence_is_moved_there_has_both(account: Account) -> None:
    """S31, §4.10: the exception there is named by where the series is now."""
    local_id = await account.create(a_series())
    await account.sync()
    moved = differing(1, "Training, later")
    await account.remote_edit(await account.only(), overrides=(moved,))
    by, here = timedelta(hours=1), await account.event_here()
    when = replace(here.when, start=here.when.start + by, end=here.when.end + by)
    await account.home.edit(local_id, when=when)
    await account.comes_to_rest()
    event = await account.event_here()
    assert (event.when, event.overrides) == (when, (replace(moved, original=moved.original + by),))


@pytest.mark.parametrize("crash_at", [2, 3])
async def test_a_process_that_dies_while_it_writes_exceptions_doubles_none(account: Account, crash_at: int) -> None:
    """B1 of series: with an edit of another exception after the death."""
    local_id = await account.create(SERIES)
    await account.sync()
    ours = replace(SERIES.overrides[0], title="Ours")
    await account.home.edit(local_id, overrides=(ours, SERIES.overrides[1]), title="Renamed")
    await account.sync(crash_at=crash_at)
    again = replace(ours, title="Ours again")
    await account.home.edit(local_id, overrides=(again, SERIES.overrides[1]))
    await account.comes_to_rest()
    event = await account.event_here()
    assert (event.title, event.overrides) == ("Renamed", (again, SERIES.overrides[1]))
    assert await account.conflicts() == []


@pytest.mark.parametrize("account", ["google", "microsoft"], indirect=True)
async def test_a_series_whose_exceptions_were_half_written_is_finished(account: Account) -> None:
    """S3 of series: the answer to one of several requests is lost."""
    local_id = await account.create(a_series())
    await account.sync()
    await account.home.edit(local_id, overrides=(differing(1, "First"), differing(2, "Second")), title="Renamed")
    account.control.fault(method="PATCH", path="/events", when="after", skip=1)
    await account.fails_to_sync()
    await account.remote_edit(await account.only(), location="Side Street 2")
    await account.comes_to_rest()
    event = await account.event_here()
    assert (event.title, event.location, len(event.overrides)) == ("Renamed", "Side Street 2", 2)
    assert await account.conflicts() == []


@pytest.mark.parametrize(
    ("tzid", "first"),
    [
        ("Europe/Berlin", "2027-03-21T02:30"),
        ("America/New_York", "2027-03-07T09:00"),
        ("Australia/Lord_Howe", "2027-03-28T07:15"),
    ],
)
async def test_a_weekly_series_has_one_wall_time_on_all_sides_of_the_clock(
    account: Account, tzid: str, first: str
) -> None:
    """S29: sixty occurrences over both changes of the clock; where the clocks skip 02:30, the one of S30."""
    start = datetime.fromisoformat(first)
    event = Event("Walk", When(start, start + timedelta(minutes=30), tzid, "FREQ=WEEKLY;COUNT=60"))
    await account.create(event)
    await account.comes_to_rest()
    assert await account.event_there() == event == await account.event_here()
    begins, ends = datetime(2027, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    ours = list(islice(occurrences(event, begins, ends, tzid), 60))
    assert [each.start for each in ours] == [start + week * WEEK for week in range(60)]
    theirs = await _instants(account, begins, ends)
    assert theirs == [each.starts for each in ours]


@pytest.mark.parametrize("wall", ["2027-03-28T02:30", "2027-10-31T02:30"])
async def test_a_time_that_clocks_skip_or_show_twice_stays_what_it_is(account: Account, wall: str) -> None:
    """S30: it stands as it was entered, however often it goes round, and everywhere at the same instant. Google and
    Outlook show a skipped time as the one it becomes, which is no edit."""
    start = datetime.fromisoformat(wall)
    local_id = await account.create(an_event(when=When(start, start + timedelta(hours=2), "Europe/Berlin")))
    await account.sync()
    for title in ("Renamed there", "Renamed again"):
        await account.remote_edit(await account.only(), title=title)
        await account.sync()
        assert await account.writes(account.sync()) == 0
        event, there = (await account.here())[local_id], await account.event_there()
        assert (event.title, event.when.start) == (title, start)
        assert isinstance(there.when.start, datetime)
        assert resolve(there.when.start, "Europe/Berlin") == resolve(start, "Europe/Berlin")


async def test_a_rule_that_one_calendar_cannot_hold_is_flagged_there_and_exact_elsewhere(
    open_account: OpenAccount,
) -> None:
    """S32: nothing wrong is written."""
    series = a_series("Club", "FREQ=MONTHLY;COUNT=6;BYDAY=1TH,3TH")
    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(open_account("google"))
        person = google.home.home
        outlook, caldav = [await stack.enter_async_context(open_account(n, person)) for n in ("microsoft", "radicale")]
        local_id = await google.create(series)
        for each in (google, outlook, caldav):
            await each.sync()
        assert await google.event_there() == series == await caldav.event_there()
        assert await outlook.there() == {}
        (link,) = await outlook.home.links("state", "error")
        assert tuple(link) == ("quarantined", UNSUPPORTED_RECURRENCE)
        assert await outlook.writes(outlook.sync()) == 0
        await outlook.home.edit(local_id, when=replace(series.when, rrule="FREQ=MONTHLY;COUNT=6;BYDAY=1TH"))
        outlook.made = 1
        await outlook.comes_to_rest()
        assert len(await outlook.there()) == 1


async def test_a_series_of_days_keeps_its_exceptions(account: Account) -> None:
    """Whole days have dates."""
    first = date(2026, 12, 3)
    when = When(first, first + timedelta(days=1), None, "FREQ=WEEKLY;COUNT=8")
    local_id = await account.create(Event("Bath", when, exdates=(first + WEEK,)))
    await account.comes_to_rest()
    moved = Override(
        first + 2 * WEEK, first + 2 * WEEK + timedelta(days=1), first + 2 * WEEK + timedelta(days=2), "Late"
    )
    await account.remote_edit(await account.only(), overrides=(moved,))
    await account.comes_to_rest()
    event = (await account.here())[local_id]
    assert (event.exdates, event.overrides) == ((first + WEEK,), (moved,))


async def _instants(account: Account, begins: datetime, ends: datetime) -> list[datetime]:
    """When the only series takes place, as whoever reads that calendar sees it."""
    remote_id = await account.only()
    if not account.is_vendor:
        stream = await account.backend._get(remote_id)  # type: ignore[attr-defined]
        (series,) = Calendar.from_ical(stream).walk("VEVENT")
        rule = rrulestr(series["RRULE"].to_ical().decode(), dtstart=series["DTSTART"].dt)
        return [each.astimezone(UTC) for each in rule.between(begins, ends, inc=True)]
    google = account.control.provider == "google"
    base = f"{account.control.url}/calendar/v3" if google else f"{account.control.url}/v1.0/me"
    window: dict[str, Any] = (
        {"maxResults": 100}
        if google
        else {"startDateTime": begins.isoformat(), "endDateTime": ends.isoformat(), "$top": 100}
    )
    headers = {"Authorization": f"Bearer {account.control.tokens().access}", "Prefer": 'outlook.timezone="UTC"'}
    address = f"{base}/calendars/{account.home.calendar_id}/events/{remote_id}/instances"
    async with httpx.AsyncClient() as http:
        answer = (await http.get(address, params=window, headers=headers)).raise_for_status().json()
    return sorted(_instant(each["start"]) for each in answer["items" if google else "value"])


def _instant(start: dict[str, str]) -> datetime:
    at = datetime.fromisoformat(start["dateTime"][:26])
    return at.astimezone(UTC) if at.tzinfo else resolve(at, start.get("timeZone") or "UTC").astimezone(UTC)
