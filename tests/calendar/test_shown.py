"""What a person enters in a calendar and does not want as an appointment: it is shown, as long as it is there."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.calendar import Event, When
from domain.calendar_json import from_json
from domain.calendar_sync import Policy, adopted_id
from models.queries import calendar_external
from tests.calendar.accounts import Account
from tests.calendar.home import a_series, an_event

YEAR = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)


async def shown(account: Account, span: tuple[datetime, datetime] = YEAR) -> list[Event]:
    """What the merged view has of the person's calendars alone."""
    home = account.home.home
    found = []
    for row in await calendar_external.in_span(home.db, home.user_id, span, 100):
        event_id = adopted_id(row["calendar_link_id"], row["remote_id"])
        found.append(from_json(json.loads(await home.cipher.open(calendar_external.COLUMN, event_id, row["event_ct"]))))
    return found


@pytest.fixture
def account(account: Account) -> Account:
    """Nothing that is entered in it becomes an appointment."""
    account.home.policy = Policy(adopt=False)
    return account


async def test_an_event_is_shown_as_it_is_until_it_goes(account: Account) -> None:
    remote_id = await account.remote_create(an_event("Theirs"))
    await account.create(an_event("Ours"))
    for _ in range(3):
        await account.sync()
    assert await shown(account) == [an_event("Theirs")]
    assert [event.title for event in (await account.here()).values()] == ["Ours"]
    await account.remote_edit(remote_id, location="Main Street 1")
    await account.sync()
    assert await shown(account) == [an_event("Theirs", location="Main Street 1")]
    assert await account.writes(account.sync()) == 0
    await account.remote_delete(remote_id)
    await account.sync()
    assert await shown(account) == []
    assert len(await account.there()) == 1


@pytest.mark.parametrize("lies", [False, True])
async def test_a_whole_list_leaves_it_there_whether_it_names_it_or_not(account: Account, lies: bool) -> None:
    """INV6: what is missing in a list is asked for."""
    await account.remote_create(an_event("Theirs"))
    await account.sync()
    await account.remote_create(an_event("Later", when=replace(a_series().when, rrule="FREQ=WEEKLY")))
    await account.backend.expire()
    if lies:
        account.list_nothing()
    for _ in range(3):
        await account.sync()
        assert an_event("Theirs") in await shown(account)
    assert len(await shown(account)) == 2 - lies, "what was never named is not known"


async def test_what_a_whole_list_rightly_leaves_out_is_not_shown_any_more(account: Account) -> None:
    await account.remote_create(an_event("Stays"))
    gone = await account.remote_create(an_event("Goes"))
    await account.sync()
    await account.remote_delete(gone)
    await account.backend.expire()
    await account.sync()
    assert await shown(account) == [an_event("Stays")]


@pytest.mark.parametrize("crash_at", [1, 2])
async def test_a_process_that_dies_meanwhile_changes_nothing(account: Account, crash_at: int) -> None:
    """After the list was kept, and after the event was."""
    remote_id = await account.remote_create(an_event("Theirs"))
    await account.sync(crash_at=crash_at)
    await account.sync()
    assert await shown(account) == [an_event("Theirs")]
    await account.remote_edit(remote_id, title="Edited")
    await account.sync(crash_at=crash_at)
    await account.sync()
    assert await shown(account) == [an_event("Edited")]


@pytest.mark.parametrize("crash_at", [None, 1, 2])
async def test_it_becomes_an_appointment_once_its_person_wants_that(account: Account, crash_at: int | None) -> None:
    await account.remote_create(an_event("Theirs"))
    await account.remote_create(a_series("Training"))
    await account.sync()
    assert len(await shown(account)) == 2
    account.home.policy = Policy()
    await account.sync(crash_at=crash_at)
    await account.comes_to_rest()
    assert await shown(account) == []
    assert sorted(event.title for event in (await account.here()).values()) == ["Theirs", "Training"]
    account.home.policy = Policy(adopt=False)
    await account.comes_to_rest()
    assert (len(await account.here()), await shown(account)) == (2, [])


async def test_a_copy_of_ours_is_shown_beside_it_and_left_as_it_is(account: Account) -> None:
    await account.create(an_event())
    await account.sync()
    await account.remote_copy(await account.only())
    assert await account.writes(account.sync()) == 0
    assert await shown(account) == [an_event()]
    assert len(await account.here()) == 1
    account.home.policy = Policy()
    await account.comes_to_rest()
    assert (len(await account.here()), await shown(account)) == (2, [])


async def test_what_no_appointment_could_hold_is_shown_when_one_could(account: Account) -> None:
    start = datetime(2026, 12, 3, 9)  # noqa: DTZ001 - on the person's clock
    when = When(start, start + timedelta(days=400), "Europe/Berlin")
    remote_id = await account.remote_create(an_event("Long", when=when))
    await account.sync()
    assert await shown(account) == []
    await account.remote_edit(remote_id, when=an_event().when)
    await account.sync()
    assert await shown(account) == [an_event("Long")]
    await account.remote_edit(remote_id, when=when)
    await account.sync()
    assert await shown(account) == []


async def test_a_series_is_found_by_when_it_may_take_place(account: Account) -> None:
    await account.remote_create(an_event("Once"))
    await account.remote_create(a_series("Endless", rrule="FREQ=WEEKLY"))
    await account.sync()
    later = YEAR[0] + timedelta(days=2_000), YEAR[1] + timedelta(days=2_000)
    assert [event.title for event in await shown(account, later)] == ["Endless"]
    assert await shown(account, (YEAR[0] - timedelta(days=900), YEAR[0])) == []


async def test_what_somebody_wrote_there_lies_sealed(account: Account) -> None:
    await account.remote_create(an_event("Canary there"))
    await account.sync()
    rows = await account.home.home.rows("SELECT event_ct, to_jsonb(x)::text AS row FROM calendar_inbox_items x")
    assert any(row.event_ct for row in rows)
    assert not any("Canary" in row.row for row in rows)
