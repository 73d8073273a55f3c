"""Lists that expire, lie, repeat themselves or break off: what calendar-sync.md §9 promises of them."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.calendar_engine import BATCH, Doubt, Endless
from activities.calendar_sync import CalendarSyncActivities
from domain.calendar import Override
from integrations.calendar.protocol import CalendarMissing, Page
from temporal.contracts.calendar_sync import PullChanges, ReconcileBatch
from tests.calendar.accounts import Account
from tests.calendar.home import a_series, an_event
from tests.calendar.opened import calendars_of, credential_of

VENDORS = ["google", "microsoft"]
IMPORTED = int(os.environ.get("PETFOLIO_IMPORTED", "100"))
"""Events of a first import; calendar-sync.md §9 S37 asks for 5,000, which takes minutes, in pages of fifty."""
PAGE = max(20, IMPORTED // 100)


async def test_an_expired_cursor_is_a_full_list_in_the_same_run(account: Account) -> None:
    """S6, S25, and twentyhq/twenty 24095: what was deleted in the gap is noticed, what was edited here stays."""
    ids = [await account.create(an_event(f"Number {number}")) for number in range(5)]
    await account.sync()
    by_title = {event.title: remote_id for remote_id, event in (await account.there()).items()}
    await account.remote_delete(by_title["Number 0"])
    await account.remote_edit(by_title["Number 1"], location="Side Street 2")
    await account.remote_create(an_event("Theirs"))
    await account.home.edit(ids[2], title="Edited here")
    await account.backend.expire()
    await account.sync()
    titles = sorted(event.title for event in (await account.here()).values())
    assert titles == ["Edited here", "Number 1", "Number 3", "Number 4", "Theirs"]
    (link,) = await account.home.home.rows("SELECT * FROM calendar_links WHERE id = :id", id=account.home.link_id)
    assert (link.full_epoch, link.full_sync_in_progress, link.last_error) == (2, False, None)
    await account.comes_to_rest()


async def test_while_a_calendar_is_listed_anew_it_shows_that_and_no_error(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6: `health` says so from the first page to the end of the run."""
    await account.create(an_event())
    await credential_of(account)
    await account.sync()
    real, shown = account.watched.list_changes, []

    async def health() -> tuple[str, str | None]:
        query = "SELECT health, last_error FROM calendar_links WHERE id = :id"
        (row,) = await account.home.home.rows(query, id=account.home.link_id)
        return row.health, row.last_error

    async def listed(*asked: Any) -> Page:
        shown.append(await health())
        return await real(*asked)

    async def look() -> tuple[str, str | None]:
        async with calendars_of(account) as calendars:
            home = account.home
            work = CalendarSyncActivities(
                home.db.sessions, home.home.cipher, calendars, poll_seconds=120, push_url=None
            )
            run, now = ActivityEnvironment().run, datetime.now(UTC)
            plan = await run(work.pull_changes, PullChanges(home.link_id, now))
            for _ in range(5):
                plan = await run(work.reconcile_batch, ReconcileBatch(home.link_id, now)) if plan.more else plan
            assert not plan.more
        return await health()

    assert await look() == ("ok", None)
    await account.remote_create(an_event("Theirs"))
    await account.backend.expire()
    monkeypatch.setattr(account.watched, "list_changes", listed)
    await account.sync()
    assert shown[0] == ("ok", None), "with the cursor that is not known any more"
    assert set(shown[1:]) == {("resyncing", None)}
    assert await look() == ("ok", None)


@pytest.mark.parametrize("account", ["xandikos"], indirect=True)
async def test_a_token_that_xandikos_does_not_know_is_a_full_list(account: Account) -> None:
    """S25: its 412 for the token is no 412 of an event."""
    for number in range(3):
        await account.create(an_event(f"Number {number}"))
    await account.sync()
    gone, *_ = await account.there()
    await account.remote_delete(gone)
    await account.home.home.execute(
        "UPDATE calendar_links SET cursor = :cursor WHERE id = :id",
        cursor="0123456789012345678901234567890123456789",
        id=account.home.link_id,
    )
    await account.sync()
    assert len(await account.here()) == 2
    await account.comes_to_rest()


async def test_an_empty_list_deletes_nothing_until_a_list_is_good_again(account: Account) -> None:
    """S7, OutlookGoogleCalendarSync 1989. Radicale's list is emptied on its way."""
    for number in range(12):
        await account.create(an_event(f"Number {number}"))
    await account.sync()
    await account.backend.expire()
    account.list_nothing()
    assert await account.writes(account.sync()) == 0
    assert await account.home.doubt() is Doubt.DELETES_PAUSED
    assert len(await account.here()) == len(await account.there()) == 12
    assert await account.writes(account.sync()) == 0
    assert await account.home.doubt() is Doubt.NONE
    await account.check()


async def test_many_deletions_wait_for_their_person(account: Account) -> None:
    """§4.6 a: they are carried out once they are confirmed."""
    for number in range(9):
        await account.create(an_event(f"Number {number}"))
    await account.sync()
    for remote_id in list(await account.there())[:7]:
        await account.remote_delete(remote_id)
    await account.sync()
    assert await account.home.doubt() is Doubt.DELETES_PAUSED
    assert len(await account.here()) == 9
    account.home.confirmed = True
    await account.sync()
    assert len(await account.here()) == 2
    await account.comes_to_rest()


async def test_a_calendar_that_is_gone_deletes_nothing_here(account: Account) -> None:
    """S8."""
    local_id = await account.create(an_event())
    await account.create(an_event("Another"))
    await account.sync()
    await account.home.edit(local_id, title="Edited here")
    await account.backend.drop_calendar()
    for _ in range(2):
        with pytest.raises(CalendarMissing):
            await account.sync()
    assert len(await account.here()) == 2
    assert {row.state for row in await account.home.links("state")} == {"live"}


async def test_a_calendar_that_goes_between_its_list_and_its_events_deletes_nothing_here(account: Account) -> None:
    """S8: that an event is missing may be because all of them are."""
    await account.create(an_event())
    await account.sync()
    await account.remote_edit(await account.only(), title="Theirs")
    engine = await account.home.engine()
    await engine.pull()
    await account.backend.drop_calendar()
    with pytest.raises(CalendarMissing):
        await engine.work()
    assert await account.event_here() == an_event()


@pytest.mark.parametrize("account", [*VENDORS, "microsoft-window"], indirect=True)
async def test_of_an_event_that_is_told_twice_the_newest_counts_and_a_replay_writes_nothing(account: Account) -> None:
    """S22."""
    await account.create(an_event())
    await account.sync()
    remote_id = await account.only()
    account.control.shape("twice", calendar=account.home.calendar_id)
    await account.remote_edit(remote_id, title="Old")
    await account.remote_edit(remote_id, title="New")
    await account.sync()
    assert (await account.event_here()).title == "New"
    await account.home.edit(next(iter(await account.here())), title="Newer, from here")
    await account.sync()
    account.control.shape("replay", calendar=account.home.calendar_id)
    assert await account.writes(account.sync()) == 0
    assert (await account.event_here()).title == "Newer, from here"
    await account.comes_to_rest()


@pytest.mark.parametrize("account", VENDORS, indirect=True)
@pytest.mark.parametrize("what", ["empty_page", "short_page"])
async def test_a_page_may_be_short_or_empty_while_more_follow(account: Account, what: str) -> None:
    """§5.1."""
    for number in range(4):
        await account.remote_create(an_event(f"Theirs {number}"))
    account.control.shape(what, calendar=account.home.calendar_id)
    await account.comes_to_rest()
    assert len(await account.here()) == 4


@pytest.mark.parametrize("account", VENDORS, indirect=True)
async def test_a_list_without_end_is_given_up_and_begun_anew(account: Account) -> None:
    """§4.6 d."""
    for number in range(4):
        await account.remote_create(an_event(f"Theirs {number}"))
    account.control.shape("endless", calendar=account.home.calendar_id, times=None)
    with pytest.raises(Endless):
        await account.sync()
    assert len(account.control.log()) < 20
    account.mend()
    await account.comes_to_rest()
    assert len(await account.here()) == 4


@pytest.mark.parametrize("account", ["radicale-with-ctag", "radicale-plain"], indirect=True)
async def test_a_server_without_sync_tokens_agrees_too(account: Account) -> None:
    """S28, and S26: no etag after a PUT, weak etags, so each write is preceded by a look."""
    local_id = await account.create(an_event("Ours"))
    theirs = await account.remote_create(an_event("Theirs"))
    await account.comes_to_rest()
    await account.remote_edit(theirs, title="Theirs, edited")
    await account.home.edit(local_id, location="Main Street 1")
    await account.comes_to_rest()
    await account.remote_delete(theirs)
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Ours", location="Main Street 1")


@pytest.mark.parametrize("account", ["radicale-plain"], indirect=True)
async def test_weak_etags_refuse_what_has_changed_and_nothing_else(account: Account) -> None:
    """S26."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.edit(local_id, title="Ours")
    assert await account.writes(account.sync()) == 1
    await account.home.edit(local_id, title="Ours again")
    remote_id = await account.only()

    async def somebody_has_been_quicker() -> None:
        await account.remote_edit(remote_id, location="Side Street 2")

    await account.sync(before=somebody_has_been_quicker)
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Ours again", location="Side Street 2")


@pytest.mark.parametrize("account", ["microsoft-window"], indirect=True)
async def test_an_occurrence_without_a_title_changes_no_title(account: Account) -> None:
    """S23: the series is fetched through its calendar."""
    await account.create(a_series("Training"))
    await account.sync()
    original = datetime(2026, 12, 10, 9)  # noqa: DTZ001 - on the person's clock
    moved = Override(original, original + timedelta(hours=2), original + timedelta(hours=3), "Training, later")
    await account.remote_edit(await account.only(), overrides=(moved,))
    await account.comes_to_rest()
    found = await account.event_here()
    assert (found.title, found.overrides) == ("Training", (moved,))
    await account.remote_edit(await account.only(), exdates=(original + timedelta(weeks=1),))
    await account.comes_to_rest()
    assert (await account.event_here()).exdates == (original + timedelta(weeks=1),)


@pytest.mark.parametrize("account", VENDORS, indirect=True)
@pytest.mark.timeout(120 + IMPORTED)
async def test_an_import_that_dies_after_every_page_takes_each_event_once(account: Account) -> None:
    """S37. Each page is read once, no step holds more than a page or a batch."""
    account.turn_pages_of(PAGE)
    for number in range(IMPORTED):
        await account.remote_create(an_event(f"Theirs {number}"))
    pages = -(-IMPORTED // PAGE)
    for _ in range(pages):
        await account.sync(crash_at=1)
    assert await account.here() == {}
    await account.sync(crash_at=IMPORTED // 2)
    await account.sync()
    assert account.watched.lists == pages + 2
    assert account.watched.most <= max(PAGE, BATCH)
    titles = sorted(event.title for event in (await account.here()).values())
    assert titles == sorted(f"Theirs {number}" for number in range(IMPORTED))
    assert len(await account.home.links("id")) == IMPORTED
    assert await account.writes(account.sync()) == 0
