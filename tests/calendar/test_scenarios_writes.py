"""Writes that are lost, doubled, raced or refused: what calendar-sync.md §9 promises of them, at every provider."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.calendar_engine import MOST_TRIES
from activities.calendar_reconcile import ROUNDS
from domain.calendar_projection import project
from tests.calendar.accounts import Account
from tests.calendar.home import an_event

EFFECTS = ("status", "reset", "hang")


async def test_an_appointment_appears_once_with_equal_fields_and_our_mark(account: Account) -> None:
    """S1."""
    event = an_event(notes="bring the card\nsober", location="Main Street 1", alarms=(60,))
    local_id = await account.create(event)
    await account.comes_to_rest()
    found = await account.backend.provider.get(account.home.calendar_id, await account.only())
    assert found is not None
    assert found.event == project(event, account.side)
    assert (found.marker and found.marker.local_id) == local_id


@pytest.mark.parametrize("crash_at", [2, 3, 4])
async def test_a_process_that_dies_while_it_creates_makes_one_event(account: Account, crash_at: int) -> None:
    """S2: after the intent, after the remote create, after the settlement."""
    await account.create(an_event())
    await account.sync(crash_at=crash_at)
    await account.comes_to_rest()
    assert await account.event_there() == an_event()


@pytest.mark.parametrize("effect", ["status", "reset"])
async def test_a_create_whose_answer_is_lost_makes_one_event(account: Account, effect: str) -> None:
    """S2, S24: the create commits and nobody is told."""
    await account.create(an_event())
    account.break_write(when="after", effect=effect)
    await account.fails_to_sync()
    await account.comes_to_rest()
    assert await account.event_there() == an_event()


@pytest.mark.parametrize("effect", EFFECTS)
async def test_an_edit_whose_answer_is_lost_and_a_later_one_both_arrive_without_conflict(
    account: Account, effect: str
) -> None:
    """S3, B1."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.edit(local_id, title="Vaccination")
    account.break_write(when="after", effect=effect)
    await account.fails_to_sync()
    await account.home.edit(local_id, title="Second vaccination", location="Main Street 1")
    await account.comes_to_rest()
    wanted = an_event("Second vaccination", location="Main Street 1")
    assert await account.event_there() == wanted == await account.event_here()
    assert await account.conflicts() == []


async def test_a_lost_edit_that_somebody_changed_there_again_loses_neither(account: Account) -> None:
    """S3, B4: two intents in a row, and an edit of another field there in between."""
    local_id = await account.create(an_event())
    await account.sync()
    for title in ("Second", "Third"):
        await account.home.edit(local_id, title=title)
        account.break_write(when="after")
        await account.fails_to_sync()
    await account.remote_edit(await account.only(), location="Side Street 2")
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Third", location="Side Street 2") == await account.event_there()
    assert await account.conflicts() == []


@pytest.mark.parametrize("crash_at", [2, 3])
async def test_a_process_that_dies_while_it_edits_loses_no_later_edit(account: Account, crash_at: int) -> None:
    """S2, S3: with an edit of another field there, and one of the same field here, after the death."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.edit(local_id, title="Second")
    await account.sync(crash_at=crash_at)
    await account.home.edit(local_id, title="Third")
    await account.remote_edit(await account.only(), location="Side Street 2")
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Third", location="Side Street 2")
    assert await account.conflicts() == []


@pytest.mark.parametrize(("age", "winner"), [(-1, "remote"), (1, "local")])
async def test_two_titles_are_one_conflict_and_one_write_at_most(account: Account, age: int, winner: str) -> None:
    """S4: the later one stands on both sides, the other one can be restored."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_edit(await account.only(), title="Theirs")
    await account.home.edit(local_id, title="Ours")
    await account.home.home.execute(
        "UPDATE appointments SET updated_at = clock_timestamp() + make_interval(hours => :age) WHERE id = :id",
        age=age,
        id=local_id,
    )
    assert await account.writes(account.sync()) == (winner == "local")
    stands = "Ours" if winner == "local" else "Theirs"
    assert (await account.event_here()).title == stands == (await account.event_there()).title
    assert await account.conflicts() == [("title", winner)]
    values = await _values_of_the_conflict(account)
    assert (values["base"], values["local"], values["remote"]) == ("Vet", "Ours", "Theirs")
    await account.comes_to_rest()
    assert len(await account.conflicts()) == 1


async def _dies_while_it_replaces(account: Account, crash_at: int) -> None:
    """The title there, which lost against a later one here: the process dies after its intent, or after its write."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.remote_edit(await account.only(), title="Theirs")
    await account.home.edit(local_id, title="Ours")
    await account.home.home.execute(
        "UPDATE appointments SET updated_at = clock_timestamp() + make_interval(hours => 1) WHERE id = :id", id=local_id
    )
    await account.sync(crash_at=crash_at)
    assert (await account.event_there()).title == ("Theirs" if crash_at == 2 else "Ours")


@pytest.mark.parametrize("crash_at", [2, 3])
async def test_what_a_lost_write_replaced_is_in_the_log_although_somebody_wrote_over_it(
    account: Account, crash_at: int
) -> None:
    """S2, S4."""
    await _dies_while_it_replaces(account, crash_at)
    await account.remote_edit(await account.only(), title="Theirs again")
    await account.comes_to_rest()
    assert (await account.event_here()).title == "Ours"
    lost = [(values["local"], values["remote"]) for values in await _values_of_conflicts(account)]
    assert sorted(lost) == [("Ours", "Theirs"), ("Ours", "Theirs again")]


@pytest.mark.parametrize("crashes", [(2,), (3,), (3, 2), (3, 3)])
async def test_what_a_lost_write_replaced_is_in_the_log_although_somebody_deleted_it(
    account: Account, crashes: tuple[int, ...]
) -> None:
    """S2, S4, S9: also where the process dies again, while it creates once more what was edited here."""
    await _dies_while_it_replaces(account, crashes[0])
    await account.remote_delete(await account.only())
    for crash_at in crashes[1:]:
        await account.sync(crash_at=crash_at)
    await account.comes_to_rest()
    assert (await account.event_there()).title == "Ours"
    lost = [(values["local"], values["remote"]) for values in await _values_of_conflicts(account)]
    assert lost == [("Ours", "Theirs")]


async def _values_of_the_conflict(account: Account) -> Any:
    (values,) = await _values_of_conflicts(account)
    return values


async def _values_of_conflicts(account: Account) -> list[Any]:
    query = "SELECT id, values_ct FROM calendar_conflicts WHERE calendar_link_id = :link ORDER BY id"
    rows = await account.home.home.rows(query, link=account.home.link_id)
    store = await account.home.store()
    return [await store.sealer.open("calendar_conflicts.values_ct", row.id, row.values_ct) for row in rows]


async def test_start_and_end_are_never_mixed_from_two_sides(account: Account) -> None:
    """S5."""
    local_id = await account.create(an_event())
    await account.sync()
    base = an_event().when
    later = replace(base, start=base.start + timedelta(hours=5), end=base.end + timedelta(hours=5))
    shorter = replace(base, end=base.start + timedelta(minutes=10))
    await account.home.edit(local_id, when=later)
    await account.remote_edit(await account.only(), when=shorter)
    await account.comes_to_rest()
    assert (await account.event_here()).when in (later, shorter)
    assert [field for field, _ in await account.conflicts()] == ["when"]


async def test_what_was_edited_there_while_we_deleted_it_is_not_deleted(account: Account) -> None:
    """S11: If-Match on delete."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.delete(local_id)
    remote_id = await account.only()

    async def somebody_is_quicker() -> None:
        await account.remote_edit(remote_id, title="Theirs")

    await account.sync(before=somebody_is_quicker)
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Theirs") == await account.event_there()


async def test_what_was_edited_there_while_we_edited_it_is_merged(account: Account) -> None:
    """If-Match on update: another field there, between our look and our write."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.edit(local_id, title="Ours")
    remote_id = await account.only()

    async def somebody_is_quicker() -> None:
        await account.remote_edit(remote_id, location="Side Street 2")

    await account.sync(before=somebody_is_quicker)
    await account.comes_to_rest()
    assert await account.event_here() == an_event("Ours", location="Side Street 2") == await account.event_there()
    assert await account.conflicts() == []


async def test_what_is_edited_here_while_we_write_is_kept(account: Account) -> None:
    """S35: between the intent and the settlement, also of the field that is being written."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.edit(local_id, title="Second")
    await account.remote_edit(await account.only(), location="Side Street 2")

    async def the_person_goes_on() -> None:
        await account.home.edit(local_id, title="Third", notes="bring the card")

    await account.sync(before=the_person_goes_on)
    await account.comes_to_rest()
    wanted = an_event("Third", notes="bring the card", location="Side Street 2")
    assert await account.event_here() == wanted == await account.event_there()
    assert await account.conflicts() == []


async def test_a_new_appointment_that_is_deleted_while_it_is_written_is_deleted_there(account: Account) -> None:
    """S35, of a create."""
    local_id = await account.create(an_event())

    async def the_person_changes_their_mind() -> None:
        await account.home.delete(local_id)

    await account.sync(before=the_person_changes_their_mind)
    await account.comes_to_rest()
    assert await account.there() == {}


async def test_an_event_that_never_holds_still_is_left_alone_and_the_others_go_on(account: Account) -> None:
    """S12: 412 without end."""
    restless = await account.create(an_event("Restless"))
    await account.sync()
    account.refuse_changes(await account.only(), 412)
    await account.home.edit(restless, title="Still restless")
    for number in range(3):
        await account.create(an_event(f"Calm {number}"))
    for _ in range(MOST_TRIES):
        assert await account.writes(account.sync()) <= ROUNDS + 3
        await account.home.home.execute("UPDATE event_links SET retry_at = NULL")
    titles = sorted(event.title for event in (await account.there()).values())
    assert titles == ["Calm 0", "Calm 1", "Calm 2", "Restless"]
    errors = [row.error for row in await account.home.links("error")]
    assert sorted(filter(None, errors)) == ["always_changing"]
    assert await account.writes(account.sync()) == 0
    account.mend()
    await account.home.edit(restless, title="At rest")
    await account.comes_to_rest()


@pytest.mark.parametrize("account", ["google", "microsoft"], indirect=True)
async def test_an_etag_that_is_another_at_every_look_is_no_change(account: Account) -> None:
    """S12: the etag alone is stored; nothing is written."""
    local_id = await account.create(an_event())
    await account.sync()
    account.control.shape("etag_on_get", event=await account.only(), times=None)
    for _ in range(3):
        assert await account.writes(account.sync()) == 0
    await account.home.edit(local_id, title="Second")
    await account.comes_to_rest()
    assert (await account.event_there()).title == "Second"


@pytest.mark.parametrize("account", ["google", "microsoft"], indirect=True)
async def test_an_event_that_is_refused_holds_up_no_others_and_is_tried_again_when_it_changes(account: Account) -> None:
    """EventRejected: quarantined with its reason (davx5-ose issue 1459)."""
    refused = await account.create(an_event("Refused"))
    await account.create(an_event("Accepted"))
    account.control.shape("reject", calendar=account.home.calendar_id, event="Refused", times=None)
    await account.sync()
    assert [event.title for event in (await account.there()).values()] == ["Accepted"]
    assert await account.writes(account.sync()) == 0
    await account.home.edit(refused, title="Accepted now")
    await account.comes_to_rest()
    assert len(await account.there()) == 2


@pytest.mark.parametrize("account", ["microsoft"], indirect=True)
@pytest.mark.parametrize("form", ["conflict", "bad_request", "existing"])
async def test_each_answer_to_a_repeated_transaction_leaves_one_event(account: Account, form: str) -> None:
    """S24."""
    account.control.shape("transaction_repeat", calendar=account.home.calendar_id, form=form, times=None)
    await account.create(an_event())
    account.break_write(when="after")
    await account.fails_to_sync()
    await account.comes_to_rest()
    assert await account.event_there() == an_event()


@pytest.mark.parametrize("account", ["google", "radicale"], indirect=True)
async def test_nothing_changes_while_the_provider_fails(account: Account) -> None:
    """A write that never happened is no edit of anybody."""
    local_id = await account.create(an_event())
    await account.sync()
    await account.home.edit(local_id, title="Second")
    account.break_write(when="before")
    await account.fails_to_sync()
    assert await account.event_there() == an_event()
    await account.comes_to_rest()
    assert (await account.event_there()).title == "Second"
