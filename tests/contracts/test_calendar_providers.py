"""What the sync may rely on with every calendar provider: conditional writes, one event per name, complete lists."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from domain.calendar import Event
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarMissing,
    CursorExpired,
    EtagMismatch,
    EventGone,
    Marker,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    RemoteEvent,
    UnknownOutcome,
)
from tests.contracts.calendar_backends import Backend, Can, everything, listed, seen
from tests.contracts.calendar_samples import VET, WEEKLY

needs: Callable[..., pytest.MarkDecorator] = pytest.mark.needs
MARKER = Marker(UUID("6f1c1a52-0000-4000-8000-000000000001"), "0800", 3)


async def created(backend: Backend, event: Event = VET, name: UUID | None = None) -> RemoteEvent:
    return await backend.provider.create(backend.calendar_id, name or uuid4(), MARKER, event)


async def test_what_is_created_is_there_with_our_marker(backend: Backend) -> None:
    name = uuid4()
    made = await created(backend, name=name)
    found = await seen(backend, made.remote_id)
    assert (found.event, found.marker, found.ident) == (VET, MARKER, name)
    assert (made.event, made.marker, made.ident, made.etag) == (VET, MARKER, name, found.etag)
    assert backend.provider.remote_id_of(backend.calendar_id, name) in (None, made.remote_id)
    assert await everything(backend) == {made.remote_id: found}


async def test_a_name_makes_one_event_however_often_it_is_tried(backend: Backend) -> None:
    name = uuid4()
    made = await created(backend, name=name)
    with pytest.raises(AlreadyExists):
        await created(backend, WEEKLY, name)
    found = await backend.provider.find(backend.calendar_id, name)
    assert found is not None
    assert (found.remote_id, found.event) == (made.remote_id, VET)
    assert list(await everything(backend)) == [made.remote_id]


async def test_nothing_is_found_under_a_name_that_made_nothing(backend: Backend) -> None:
    assert await backend.provider.find(backend.calendar_id, uuid4()) is None


@needs(Can.KEEP_TOMBSTONES)
async def test_the_name_of_a_deleted_event_stays_taken(backend: Backend) -> None:
    name = uuid4()
    made = await created(backend, name=name)
    await backend.provider.delete(backend.calendar_id, made)
    with pytest.raises(AlreadyExists):
        await created(backend, name=name)
    assert await backend.provider.find(backend.calendar_id, name) is None


async def test_an_update_changes_what_was_read_and_keeps_the_marker(backend: Backend) -> None:
    made = await created(backend)
    done = await backend.provider.update(backend.calendar_id, made, replace(VET, title="Vet: Bo"))
    found = await seen(backend, made.remote_id)
    assert (found.event.title, found.marker, found.ident) == ("Vet: Bo", MARKER, made.ident)
    assert (done.event, done.etag) == (found.event, found.etag)
    again = await backend.provider.update(backend.calendar_id, done, VET)
    assert (await seen(backend, made.remote_id)).event == VET == again.event


async def test_an_update_can_take_a_copied_marker_off(backend: Backend) -> None:
    made = await created(backend)
    await backend.provider.update(backend.calendar_id, made, VET, marker=False)
    assert (await seen(backend, made.remote_id)).marker is None


async def test_an_update_of_what_somebody_changed_is_refused(backend: Backend) -> None:
    made = await created(backend)
    await backend.edit(made.remote_id, replace(VET, title="Theirs"))
    with pytest.raises(EtagMismatch):
        await backend.provider.update(backend.calendar_id, made, replace(VET, title="Ours"))
    assert (await seen(backend, made.remote_id)).event.title == "Theirs"


async def test_an_update_of_what_is_gone_says_so(backend: Backend) -> None:
    made = await created(backend)
    await backend.remove(made.remote_id)
    with pytest.raises(EventGone):
        await backend.provider.update(backend.calendar_id, made, replace(VET, title="Ours"))
    assert await everything(backend) == {}


async def test_a_delete_of_what_somebody_changed_is_refused(backend: Backend) -> None:
    made = await created(backend)
    await backend.edit(made.remote_id, replace(VET, title="Theirs"))
    with pytest.raises(EtagMismatch):
        await backend.provider.delete(backend.calendar_id, made)
    assert (await seen(backend, made.remote_id)).event.title == "Theirs"


async def test_a_delete_may_be_repeated(backend: Backend) -> None:
    made = await created(backend)
    await backend.provider.delete(backend.calendar_id, made)
    await backend.provider.delete(backend.calendar_id, made)
    assert await backend.provider.get(backend.calendar_id, made.remote_id) is None
    assert await everything(backend) == {}


async def test_many_are_fetched_at_once_and_the_missing_left_out(backend: Backend) -> None:
    one, gone, series = await created(backend), await created(backend), await created(backend, WEEKLY)
    await backend.remove(gone.remote_id)
    ids = [one.remote_id, gone.remote_id, series.remote_id]
    found = await backend.provider.get_many(backend.calendar_id, ids)
    assert {remote_id: each.event for remote_id, each in found.items()} == {
        one.remote_id: VET,
        series.remote_id: WEEKLY,
    }
    assert await backend.provider.get_many(backend.calendar_id, []) == {}


@needs(Can.LIST_CHANGES)
async def test_a_list_says_what_changed_since_the_last_and_nothing_else(backend: Backend) -> None:
    kept, edited, removed = [await created(backend) for _ in range(3)]
    said, cursor = await listed(backend)
    assert said.keys() == {kept.remote_id, edited.remote_id, removed.remote_id}
    await backend.edit(edited.remote_id, replace(VET, title="Theirs"))
    await backend.remove(removed.remote_id)
    added = await backend.add(WEEKLY)
    said, cursor = await listed(backend, cursor)
    known = {kept.remote_id, edited.remote_id, removed.remote_id, added}
    assert all(change.removed for remote_id, change in said.items() if remote_id not in known)  # left out of a series
    assert {remote_id: change.removed for remote_id, change in said.items() if remote_id in known} == {
        edited.remote_id: False,
        removed.remote_id: True,
        added: False,
    }
    said, cursor = await listed(backend, cursor)
    assert said == {}


async def test_a_full_list_has_no_deletions(backend: Backend) -> None:
    gone, kept = await created(backend), await created(backend)
    await listed(backend)
    await backend.remove(gone.remote_id)
    said, _ = await listed(backend)
    assert said.keys() == {kept.remote_id}


@needs(Can.LIST_ETAGS)
async def test_a_list_tells_our_own_writes_by_their_etag(backend: Backend) -> None:
    made = await created(backend)
    done = await backend.provider.update(backend.calendar_id, made, replace(VET, title="Vet: Bo"))
    said, _ = await listed(backend)
    assert said[made.remote_id].etag == done.etag


@needs(Can.PAGE)
async def test_a_round_in_pages_has_each_once_and_misses_no_change(backend: Backend) -> None:
    made = [await created(backend) for _ in range(7)]
    first = await backend.provider.list_changes(backend.calendar_id, None, None)
    assert len(first.changes) == 3
    late = await created(backend)
    said, page = list(first.changes), first.next_page
    while page:
        answer = await backend.provider.list_changes(backend.calendar_id, None, page)
        said, page, cursor = [*said, *answer.changes], answer.next_page, answer.cursor
    assert sorted(each.remote_id for each in said if each.remote_id != late.remote_id) == sorted(
        each.remote_id for each in made
    )
    following, _ = await listed(backend, cursor)
    assert late.remote_id in following or late.remote_id in {each.remote_id for each in said}


async def test_a_cursor_shows_every_change_or_asks_for_a_full_list(backend: Backend) -> None:
    made = await created(backend)
    _, cursor = await listed(backend)
    await backend.edit(made.remote_id, replace(VET, title="Theirs"))
    try:
        said, _ = await listed(backend, cursor)
    except CursorExpired:
        said, _ = await listed(backend)
    assert made.remote_id in said


@pytest.mark.parametrize("cursor", ["", "nonsense", "7 7 7 7", "https://elsewhere.test/delta?token=1", "{}", "\x00"])
async def test_a_cursor_that_is_none_asks_for_a_full_list(backend: Backend, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        await backend.provider.list_changes(backend.calendar_id, cursor, None)


@needs(Can.EXPIRE)
async def test_an_expired_cursor_asks_for_a_full_list(backend: Backend) -> None:
    gone, kept = await created(backend), await created(backend)
    _, cursor = await listed(backend)
    await backend.remove(gone.remote_id)
    await backend.expire()
    with pytest.raises(CursorExpired):
        await backend.provider.list_changes(backend.calendar_id, cursor, None)
    said, _ = await listed(backend)
    assert said.keys() == {kept.remote_id}


async def test_a_calendar_that_is_gone_is_told_from_an_empty_one(backend: Backend) -> None:
    made = await created(backend)
    _, cursor = await listed(backend)
    await backend.drop_calendar()
    with pytest.raises(CalendarMissing):
        await backend.provider.list_changes(backend.calendar_id, None, None)
    with pytest.raises((CalendarMissing, CursorExpired)):
        await backend.provider.list_changes(backend.calendar_id, cursor, None)
    with pytest.raises(CalendarMissing):
        await created(backend)
    with suppress(CalendarMissing):  # where it can be told apart
        assert await backend.provider.get(backend.calendar_id, made.remote_id) is None


async def test_a_calendar_of_our_own_can_be_made_and_removed(backend: Backend) -> None:
    made = await backend.provider.create_calendar("Petfolio 2 – Bäume")
    assert made in await backend.provider.calendars()
    await backend.provider.delete_calendar(made.calendar_id)
    await backend.provider.delete_calendar(made.calendar_id)
    left = [each.calendar_id for each in await backend.provider.calendars()]
    assert made.calendar_id not in left
    assert backend.calendar_id in left


async def test_an_event_of_a_person_carries_nothing_of_ours(backend: Backend) -> None:
    found = await seen(backend, await backend.add(VET))
    assert (found.event, found.marker) == (VET, None)  # the ids that Google gives may look like names of ours


@needs(Can.COPY_MARKERS)
async def test_a_copy_is_told_from_the_event_it_was_made_of(backend: Backend) -> None:
    made = await created(backend)
    found = await seen(backend, await backend.copy(made.remote_id))
    assert (found.event, found.marker) == (VET, MARKER)
    assert found.ident != made.ident


async def test_an_event_is_read_again_from_what_was_remembered(backend: Backend) -> None:
    for event in (VET, WEEKLY):
        made = await created(backend, event)
        found = await seen(backend, made.remote_id)
        assert backend.provider.read(found.raw) == found
        assert backend.provider.read(made.raw) == made


@pytest.mark.parametrize("raw", ["", "nonsense", "{}", "[]", "null", '{"event": 1}'])
async def test_what_is_no_event_is_not_taken_for_one(backend: Backend, raw: str) -> None:
    with pytest.raises(Misunderstood):
        backend.provider.read(raw)


@needs(Can.FAIL)
async def test_a_create_whose_answer_is_lost_is_found_again(backend: Backend) -> None:
    name = uuid4()
    await backend.lose_answer(after=True)
    with pytest.raises(UnknownOutcome):
        await created(backend, name=name)
    found = await backend.provider.find(backend.calendar_id, name)
    assert found is not None
    assert (found.event, found.marker, found.ident) == (VET, MARKER, name)
    with pytest.raises(AlreadyExists):
        await created(backend, name=name)


@needs(Can.FAIL)
async def test_a_create_that_did_not_happen_can_be_tried_again(backend: Backend) -> None:
    name = uuid4()
    await backend.lose_answer(after=False)
    with pytest.raises(UnknownOutcome):
        await created(backend, name=name)
    assert await backend.provider.find(backend.calendar_id, name) is None
    made = await created(backend, name=name)
    assert list(await everything(backend)) == [made.remote_id]


@needs(Can.FAIL)
@pytest.mark.parametrize("after", [False, True])
async def test_an_update_without_an_answer_may_have_happened(backend: Backend, after: bool) -> None:
    made = await created(backend)
    await backend.lose_answer(after=after)
    with pytest.raises(UnknownOutcome):
        await backend.provider.update(backend.calendar_id, made, replace(VET, title="Vet: Bo"))
    assert (await seen(backend, made.remote_id)).event.title == ("Vet: Bo" if after else VET.title)


@needs(Can.THROTTLE)
async def test_too_many_calls_say_when_to_come_back_and_change_nothing(backend: Backend) -> None:
    made = await created(backend)
    before = await backend.writes()
    await backend.throttle(7)
    with pytest.raises(RateLimited) as refused:
        await backend.provider.update(backend.calendar_id, made, replace(VET, title="Vet: Bo"))
    assert refused.value.retry_after == 7
    assert await backend.writes() <= before + 1  # whoever calls decides when it is asked again
    assert (await seen(backend, made.remote_id)).event == VET


@needs(Can.REVOKE)
async def test_refused_credentials_are_told_from_every_other_failure(backend: Backend) -> None:
    made = await created(backend)
    await backend.revoke()
    with pytest.raises(NeedsReauth):
        await backend.provider.list_changes(backend.calendar_id, None, None)
    with pytest.raises(NeedsReauth):
        await backend.provider.get(backend.calendar_id, made.remote_id)
    with pytest.raises(NeedsReauth):
        await backend.provider.update(backend.calendar_id, made, VET)
    with pytest.raises(NeedsReauth):
        await backend.provider.calendars()
