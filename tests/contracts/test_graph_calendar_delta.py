"""Delta rounds of the local Graph server, through msgraph-sdk: one test per promise of calendar-sync.md §7.2."""

import datetime
from typing import Any

import httpx
import pytest
from msgraph import GraphServiceClient
from msgraph.generated.models.calendar import Calendar
from msgraph.generated.models.day_of_week import DayOfWeek
from msgraph.generated.models.patterned_recurrence import PatternedRecurrence
from msgraph.generated.models.recurrence_pattern import RecurrencePattern
from msgraph.generated.models.recurrence_pattern_type import RecurrencePatternType
from msgraph.generated.models.recurrence_range import RecurrenceRange
from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType
from msgraph.generated.models.single_value_legacy_extended_property import SingleValueLegacyExtendedProperty
from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_request_builder import DeltaRequestBuilder

from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import asking, event, graph_client, graph_refuses

PROPERTY = "String {6e1e1e30-7f5a-4b1b-9d0a-0f2f5b7a1c11} Name PetfolioId"
_Query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters
SMALL = 'IdType="ImmutableId", odata.maxpagesize=2'


class Rounds:
    """A calendar's delta through the SDK."""

    def __init__(self, control: ControlClient, client: GraphServiceClient, calendar_id: str) -> None:
        self.control, self.client, self.id = control, client, calendar_id
        self.calendar = client.me.calendars.by_calendar_id(calendar_id)

    async def add(self, subject: str = "Vaccination", day: str = "2026-03-02", **more: Any) -> Any:
        return await self.calendar.events.post(event(subject, day, **more), request_configuration=asking())

    async def first(self, prefer: str = SMALL, begin: str = "2026-03-01", end: str = "2026-04-01") -> Any:
        query = _Query(start_date_time=f"{begin}T00:00:00Z", end_date_time=f"{end}T00:00:00Z")
        return await self.calendar.calendar_view.delta.get(request_configuration=asking(query, prefer=prefer))

    async def follow(self, link: str, prefer: str = SMALL) -> Any:
        return await self.calendar.calendar_view.delta.with_url(link).get(request_configuration=asking(prefer=prefer))

    async def rest(self, page: Any) -> tuple[list[Any], str]:
        """What is on the pages from this one on, and the link of the next round."""
        items = list(page.value)
        while page.odata_next_link:
            page = await self.follow(page.odata_next_link)
            items += page.value
        return items, page.odata_delta_link

    async def all(self, **window: str) -> tuple[list[Any], str]:
        return await self.rest(await self.first(**window))

    async def since(self, link: str) -> list[Any]:
        return (await self.rest(await self.follow(link)))[0]


@pytest.fixture
async def rounds(graph_server: ControlClient) -> Rounds:
    client = graph_client(graph_server)
    made = await client.me.calendars.post(Calendar(name="Petfolio"))
    assert made is not None
    assert made.id is not None
    return Rounds(graph_server, client, made.id)


def weekly(start: str = "2026-03-02") -> PatternedRecurrence:
    return PatternedRecurrence(
        pattern=RecurrencePattern(type=RecurrencePatternType.Weekly, interval=1, days_of_week=[DayOfWeek.Monday]),
        range=RecurrenceRange(type=RecurrenceRangeType.NoEnd, start_date=datetime.date.fromisoformat(start)),
    )


def removed(items: list[Any]) -> set[str]:
    return {each.id for each in items if "@removed" in each.additional_data}


async def test_the_delta_link_comes_with_the_last_page_only(rounds: Rounds) -> None:
    for number in range(5):
        await rounds.add(f"{number}")
    page, links, sizes = await rounds.first(), [], []
    while True:
        links.append((bool(page.odata_next_link), bool(page.odata_delta_link)))
        sizes.append(len(page.value))
        if not page.odata_next_link:
            break
        page = await rounds.follow(page.odata_next_link)
    assert sizes == [2, 2, 1], "odata.maxpagesize is honoured"
    assert links == [(True, False), (True, False), (False, True)]


async def test_what_changes_between_two_pages_is_in_the_next_round_and_skips_nothing(rounds: Rounds) -> None:
    made = [(await rounds.add(f"{number}")).id for number in range(6)]
    first = await rounds.first()
    rounds.control.remote_edit(made[0], rounds.id, title="changed, was on page 1")
    rounds.control.remote_edit(made[4], rounds.id, title="changed, was still to come")
    rounds.control.remote_delete(made[5], rounds.id)
    items, link = await rounds.rest(first)
    assert [each.subject for each in items] == ["0", "1", "2", "3"]
    after = await rounds.since(link)
    assert {each.id for each in after} == {made[0], made[4], made[5]}
    assert removed(after) == {made[5]}


async def test_the_window_is_in_the_token(rounds: Rounds) -> None:
    inside, outside = await rounds.add(day="2026-03-05"), await rounds.add(day="2026-05-05")
    items, link = await rounds.all()
    assert [each.id for each in items] == [inside.id]
    assert "2026-03-01" not in link, "it is opaque"
    rounds.control.remote_edit(inside.id, rounds.id, title="New")
    assert [each.subject for each in await rounds.since(link)] == ["New"]
    assert {each.id for each in (await rounds.all(end="2026-06-01"))[0]} == {inside.id, outside.id}


async def test_removed_means_deleted_and_outside_of_the_window_as_well(rounds: Rounds) -> None:
    deleted, moved = await rounds.add("deleted"), await rounds.add("moved away")
    _, link = await rounds.all()
    rounds.control.remote_delete(deleted.id, rounds.id)
    rounds.control.remote_edit(moved.id, rounds.id, start="2026-05-02T09:00", end="2026-05-02T10:00")
    new = await rounds.add("new, and never inside", day="2026-06-02")
    items = await rounds.since(link)
    assert removed(items) == {deleted.id, moved.id, new.id}
    assert {each.additional_data["@removed"]["reason"] for each in items} == {"deleted"}
    assert (await rounds.all())[0] == [], "a first round tells of nothing that is gone"
    assert (await rounds.calendar.events.by_event_id(moved.id).get()).subject == "moved away"  # type: ignore[union-attr]


async def test_occurrences_come_without_words_and_a_master_with_them(rounds: Rounds) -> None:
    master = await rounds.add(recurrence=weekly())
    items, _ = await rounds.all()
    assert [each.type.value for each in items] == ["seriesMaster"] + ["occurrence"] * 5
    assert items[0].subject == "Vaccination"
    assert {each.subject for each in items[1:]} == {None}
    assert {each.series_master_id for each in items[1:]} == {master.id}
    assert [each.start.date_time[:16] for each in items[1:]] == [
        *("2026-03-02T08:00", "2026-03-09T08:00", "2026-03-16T08:00", "2026-03-23T08:00"),
        "2026-03-30T07:00",  # the clocks have changed
    ]


async def test_a_cancelled_occurrence_is_removed_and_a_changed_one_is_an_exception(rounds: Rounds) -> None:
    master = await rounds.add(recurrence=weekly())
    _, link = await rounds.all()
    rounds.control.remote_delete(master.id, rounds.id, occurrence="20260309T080000Z")
    rounds.control.remote_edit(master.id, rounds.id, occurrence="20260316T080000Z", title="Other words")
    items = await rounds.since(link)
    assert len(removed(items)) == 1
    assert {each.type.value: each.subject for each in items if each.type and each.subject} == {
        "seriesMaster": "Vaccination",
        "exception": "Other words",
    }


async def test_extended_properties_are_not_visible_and_the_transaction_id_is(rounds: Rounds) -> None:
    prop = SingleValueLegacyExtendedProperty(id=PROPERTY, value="mine")
    await rounds.add(single_value_extended_properties=[prop], transaction_id="t-1")
    (item,), _ = await rounds.all()
    assert item.single_value_extended_properties is None
    assert item.transaction_id == "t-1"
    assert item.additional_data["@odata.etag"].startswith('W/"')


async def test_an_expired_token_is_410_with_a_place_to_start_again(rounds: Rounds) -> None:
    _, link = await rounds.all()
    rounds.control.expire_cursors(rounds.id)
    with graph_refuses(410, "syncStateNotFound") as caught:
        await rounds.follow(link)
    assert dict(caught.value.response_headers)["location"].endswith("/calendarView/delta()")


@pytest.mark.parametrize("form", ["resyncRequired", "syncStateInvalid", "400 syncStateNotFound"])
async def test_an_expired_token_may_be_a_400_too(rounds: Rounds, form: str) -> None:
    _, link = await rounds.all()
    rounds.control.expire_cursors(rounds.id, form=form)
    with graph_refuses(400, form.removeprefix("400 ")):
        await rounds.follow(link)


async def test_events_delta_tells_ids_types_and_times_of_all_but_occurrences(rounds: Rounds) -> None:
    master, single = await rounds.add(recurrence=weekly()), await rounds.add(day="2030-01-01")
    rounds.control.remote_edit(master.id, rounds.id, occurrence="20260316T080000Z", title="Other words")
    page = await rounds.calendar.events.delta.get(request_configuration=asking())
    assert page is not None
    found = {each.id: each for each in page.value or []}
    assert {each.type.value for each in found.values() if each.type} == {"seriesMaster", "singleInstance", "exception"}
    assert {each.subject for each in found.values()} == {None}
    assert {master.id, single.id} < found.keys()
    rounds.control.remote_delete(single.id, rounds.id)
    rounds.control.remote_delete(master.id, rounds.id, occurrence="20260323T080000Z")
    link = page.odata_delta_link or ""
    after = await rounds.calendar.events.delta.with_url(link).get(request_configuration=asking())
    assert after is not None
    changed = after.value or []
    assert single.id in removed(changed)
    assert master.id in {each.id for each in changed} - removed(changed)


async def test_events_delta_can_be_switched_off(rounds: Rounds) -> None:
    rounds.control.shape("no_events_delta", calendar=rounds.id, times=None)
    with graph_refuses(400, "ErrorInvalidRequest"):
        await rounds.calendar.events.delta.get(request_configuration=asking())
    assert (await rounds.all())[0] == []


async def test_a_delta_knows_no_other_parameters_and_needs_its_window(rounds: Rounds) -> None:
    with graph_refuses(400, "ErrorInvalidUrlQuery"):
        await rounds.calendar.calendar_view.delta.get(
            request_configuration=asking(_Query(start_date_time="x", end_date_time="y", select=["subject"]))
        )
    with graph_refuses(400, "ErrorInvalidParameter"):
        await rounds.calendar.calendar_view.delta.get(
            request_configuration=asking(_Query(start_date_time="2026-01-01"))
        )


async def test_the_path_is_known_without_parentheses_and_below_the_users(rounds: Rounds) -> None:
    headers = {"Authorization": f"Bearer {rounds.control.tokens().access}"}
    async with httpx.AsyncClient(base_url=f"{rounds.control.url}/v1.0", headers=headers) as http:
        for owner in ("me", f"users/{rounds.control.account}"):
            answer = await http.get(
                f"/{owner}/calendars/{rounds.id}/calendarView/delta",
                params={"startDateTime": "2026-03-01T00:00:00Z", "endDateTime": "2026-04-01T00:00:00Z"},
            )
            assert answer.status_code == 200
            assert answer.json().keys() == {"@odata.context", "value", "@odata.deltaLink"}


async def test_a_round_may_repeat_itself_and_come_in_odd_shapes(rounds: Rounds) -> None:
    made = await rounds.add("old")
    rounds.control.remote_edit(made.id, rounds.id, title="new")
    rounds.control.shape("twice", calendar=rounds.id)
    items, link = await rounds.all()
    assert [(each.id, each.subject) for each in items] == [(made.id, "old"), (made.id, "new")]
    assert await rounds.since(link) == []
    rounds.control.shape("replay", calendar=rounds.id)
    assert [each.id for each in await rounds.since(link)] == [made.id]
    rounds.control.remote_delete(made.id, rounds.id)
    rounds.control.shape("untyped_removed", calendar=rounds.id)
    assert [each.additional_data["@removed"] for each in await rounds.since(link)] == [{}]


async def test_paging_may_never_end(rounds: Rounds) -> None:
    for number in range(3):
        await rounds.add(f"{number}")
    rounds.control.shape("endless", calendar=rounds.id, times=None)
    page, seen = await rounds.first(), []
    for _ in range(4):
        seen.append(tuple(each.subject for each in page.value))
        page = await rounds.follow(page.odata_next_link)
    assert seen == [("0", "1")] * 4
