"""Deletions against edits, copies, and two accounts of one person: what calendar-sync.md §9 promises of them."""

from collections.abc import AsyncIterator

import pytest

from domain.calendar_sync import Policy
from tests.calendar.accounts import Account
from tests.calendar.conftest import OpenAccount
from tests.calendar.home import an_event

DELETE_WINS = Policy(delete_wins=True)
NAMES = {"google": "Google Calendar", "microsoft": "Outlook"}


async def test_what_was_edited_here_and_deleted_there_is_created_once_more(account: Account) -> None:
    """S9, davx5-ose 2739: under a new id, and it stays one."""
    local_id = await account.create(an_event())
    await account.sync()
    former = await account.only()
    await account.remote_delete(former)
    await account.home.edit(local_id, title="Edited here")
    await account.sync()
    for _ in range(3):
        await account.sync()
    assert await account.only() != former
    await account.comes_to_rest()
    assert (await account.event_here()).title == "Edited here"


@pytest.mark.parametrize("crash_at", [2, 3])
async def test_a_process_that_dies_while_it_creates_once_more_leaves_no_orphan(account: Account, crash_at: int) -> None:
    """B5: and the appointment is deleted afterwards. What was made is ours, and no copy of ours."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_delete(await account.only())
    await account.home.edit(local_id, title="Edited here")
    await account.sync(crash_at=crash_at)
    await account.home.delete(local_id)
    await account.comes_to_rest()
    assert await account.there() == {}
    assert len(await account.home.links("id")) == 1


async def test_with_delete_wins_what_was_deleted_there_goes_here_also_if_it_was_edited(account: Account) -> None:
    """S9 with the policy's other value."""
    account.home.policy = DELETE_WINS
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_delete(await account.only())
    await account.home.edit(local_id, title="Edited here")
    await account.comes_to_rest()
    assert await account.here() == {} == await account.there()


async def test_what_was_deleted_here_and_edited_there_comes_back_with_the_edit(account: Account) -> None:
    """S10."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_edit(await account.only(), title="Edited there")
    await account.home.delete(local_id)
    await account.comes_to_rest()
    assert await account.here() == {local_id: an_event("Edited there")}
    provider = NAMES[account.control.provider] if account.is_vendor else "CalDAV"
    words = {"provider": provider, "title": "Edited there", "called_off": False}
    assert await account.home.told("calendar_revived") == [("email", words), ("in_app", words)]


async def test_with_delete_wins_what_was_deleted_here_goes_there_also_if_it_was_edited(account: Account) -> None:
    """S10 with the policy's other value."""
    account.home.policy = DELETE_WINS
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_edit(await account.only(), title="Edited there")
    await account.home.delete(local_id)
    await account.comes_to_rest()
    assert await account.here() == {} == await account.there()
    assert await account.home.told("calendar_revived") == []


@pytest.mark.parametrize("crash_at", [1, 2])
async def test_a_process_that_dies_while_an_appointment_comes_back_tells_of_it_once(
    account: Account, crash_at: int
) -> None:
    """S10: before the transaction that says so, and after it. When it comes back once more, it is told once more."""
    local_id = await account.create(an_event())
    await account.sync()
    for number in (1, 2):
        await account.remote_edit(await account.only(), title=f"Edit {number}")
        await account.home.delete(local_id)
        await account.sync(crash_at=crash_at)
        assert len(await account.home.told("calendar_revived")) == 2 * (number - (crash_at == 1))
        await account.comes_to_rest()
        assert len(await account.home.told("calendar_revived")) == 2 * number
    assert [words["title"] for _, words in await account.home.told("calendar_revived")] == ["Edit 1", "Edit 2"] * 2


async def test_a_process_that_dies_while_it_deletes_has_deleted_once(account: Account) -> None:
    """The delete needs no intent; 404 and 410 are a success (OutlookGoogleCalendarSync 1060)."""
    local_id = await account.create(an_event())
    await account.create(an_event("Another"))
    await account.sync()
    await account.home.delete(local_id)
    await account.sync(crash_at=2)
    await account.comes_to_rest()
    assert (await account.event_there()).title == "Another"


async def test_a_delete_whose_answer_is_lost_is_a_delete(account: Account) -> None:
    """S2, of a delete."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.delete(local_id)
    account.break_write(when="after", method="DELETE")
    await account.fails_to_sync()
    await account.comes_to_rest()
    assert await account.here() == {} == await account.there()


async def test_what_was_deleted_on_both_sides_is_over(account: Account) -> None:
    """The 410 of a second delete does not hold up the sync."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_delete(await account.only())
    await account.home.delete(local_id)
    await account.comes_to_rest()
    assert [row.state for row in await account.home.links("state")] == ["dead"]


async def test_a_copy_is_an_appointment_of_its_own(account: Account) -> None:
    """S14: it carries our mark, and the original's link does not notice."""
    local_id = await account.create(an_event())
    await account.sync()
    original = await account.only()
    link = await account.home.links("id", "remote_id", "generation")
    copy = await account.remote_copy(original)
    await account.comes_to_rest()
    assert [row for row in await account.home.links("id", "remote_id", "generation") if row in link] == link
    assert len(await account.here()) == 2
    await account.remote_edit(copy, title="The copy")
    await account.comes_to_rest()
    assert (await account.here())[local_id] == an_event()
    await account.remote_delete(copy)
    await account.comes_to_rest()
    assert list(await account.here()) == [local_id]


async def test_a_copy_that_goes_while_we_take_it_up_holds_up_nothing(account: Account) -> None:
    """Our mark is to come off an event that is not there any more."""
    await account.create(an_event())
    await account.sync()
    copy = await account.remote_copy(await account.only())
    await account.create(an_event("Another"))

    async def somebody_is_quicker() -> None:
        await account.remote_delete(copy)

    await account.sync(before=somebody_is_quicker)
    await account.comes_to_rest()
    assert len(await account.here()) == 2


async def test_a_process_that_dies_while_it_adopts_adopts_once(account: Account) -> None:
    """§4.3: the appointment's id is that of the event."""
    await account.remote_create(an_event("Theirs"))
    for crash_at in (1, 1, 1):
        await account.sync(crash_at=crash_at)
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Theirs")


@pytest.mark.parametrize("expires", [False, True])
async def test_what_is_deleted_before_we_took_it_up_is_not_adopted(account: Account, expires: bool) -> None:
    """Its entry was kept, whole, when the process died; a whole list does not name it, another says that it is gone."""
    await account.sync()
    await account.remote_create(an_event("Theirs"))
    await account.sync(crash_at=1)
    await account.remote_delete(await account.only())
    if expires:
        await account.backend.expire()
    await account.comes_to_rest()
    assert await account.here() == {}
    query = "SELECT remote_id FROM calendar_inbox_items WHERE calendar_link_id = :link AND NOT handled"
    assert await account.home.home.rows(query, link=account.home.link_id) == []


async def test_an_event_of_ours_whose_link_forgot_it_is_found_again(account: Account) -> None:
    """§4.7: mark and id both say that it is ours."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.home.execute(
        "UPDATE event_links SET remote_id = NULL, remote_etag = NULL, agreed_ct = NULL, generation = 0,"
        " local_version_at_base = -1 WHERE calendar_link_id = :link",
        link=account.home.link_id,
    )
    await account.backend.expire()
    await account.comes_to_rest()
    assert await account.here() == {local_id: an_event()}


@pytest.fixture
async def other(account: Account, open_account: OpenAccount) -> AsyncIterator[Account]:
    """An account of the same person at Microsoft."""
    async with open_account("microsoft", account.home.home) as opened:
        yield opened


@pytest.mark.parametrize("account", ["google"], indirect=True)
async def test_an_edit_in_one_account_reaches_the_other_once_and_comes_not_back(
    account: Account, other: Account
) -> None:
    """S15: twenty alternating edits are twenty writes."""
    await account.create(an_event())
    for each in (account, other):
        await each.sync()
    ids = {id(account): await account.only(), id(other): await other.only()}

    async def edits() -> None:
        for number in range(20):
            edited = (account, other)[number % 2]
            await edited.remote_edit(ids[id(edited)], title=f"Edit {number}")
            for each in (account, other, account):
                await each.sync()

    assert await account.writes(_both(other, edits)) == 10
    assert (await account.event_there()).title == "Edit 19" == (await other.event_there()).title
    assert await account.conflicts() == [] == await other.conflicts()
    for each in (account, other):
        assert await each.writes(each.sync()) == 0


async def _both(other: Account, work: object) -> None:
    """The other account's writes are ten as well."""
    assert await other.writes(work()) == 10  # type: ignore[operator]
