"""Writes at the local Graph server, through msgraph-sdk: one test per promise of calendar-sync.md §7.2."""

import asyncio
import datetime
from typing import Any

import httpx
import pytest
from msgraph import GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.calendar import Calendar
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.day_of_week import DayOfWeek
from msgraph.generated.models.event import Event
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.location import Location
from msgraph.generated.models.patterned_recurrence import PatternedRecurrence
from msgraph.generated.models.recurrence_pattern import RecurrencePattern
from msgraph.generated.models.recurrence_pattern_type import RecurrencePatternType
from msgraph.generated.models.recurrence_range import RecurrenceRange
from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType
from msgraph.generated.models.single_value_legacy_extended_property import SingleValueLegacyExtendedProperty
from msgraph.generated.users.item.calendars.item.events.events_request_builder import EventsRequestBuilder
from msgraph.generated.users.item.events.item.event_item_request_builder import EventItemRequestBuilder
from msgraph.generated.users.item.events.item.instances.instances_request_builder import InstancesRequestBuilder

from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import asking, etag_of, event, graph_client, graph_refuses

PROPERTY = "String {6e1e1e30-7f5a-4b1b-9d0a-0f2f5b7a1c11} Name PetfolioId"
EXPAND = f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"
_One = EventItemRequestBuilder.EventItemRequestBuilderGetQueryParameters
_Many = EventsRequestBuilder.EventsRequestBuilderGetQueryParameters
_Window = InstancesRequestBuilder.InstancesRequestBuilderGetQueryParameters


class Mailbox:
    """A calendar through the SDK."""

    def __init__(self, control: ControlClient, client: GraphServiceClient, calendar_id: str) -> None:
        self.control, self.client, self.id = control, client, calendar_id
        self.calendar = client.me.calendars.by_calendar_id(calendar_id)

    async def add(
        self, subject: str = "Vaccination", *, prefer: str | None = 'IdType="ImmutableId"', **more: Any
    ) -> Any:
        return await self.calendar.events.post(event(subject, **more), request_configuration=asking(prefer=prefer))

    async def get(self, event_id: str, query: Any = None, prefer: str | None = 'IdType="ImmutableId"') -> Any:
        return await self.client.me.events.by_event_id(event_id).get(asking(query, prefer=prefer))

    async def patch(self, event_id: str, change: Event, **headers: str) -> Any:
        return await self.client.me.events.by_event_id(event_id).patch(change, asking(**headers))

    async def delete(self, event_id: str, **headers: str) -> None:
        await self.client.me.events.by_event_id(event_id).delete(asking(**headers))

    async def instances(self, master_id: str, end: str = "2026-04-01") -> list[Any]:
        query = _Window(start_date_time="2026-03-01T00:00:00Z", end_date_time=f"{end}T00:00:00Z")
        found = await self.client.me.events.by_event_id(master_id).instances.get(asking(query))
        return list(found.value or []) if found else []


@pytest.fixture
async def mailbox(graph_server: ControlClient) -> Mailbox:
    client = graph_client(graph_server)
    made = await client.me.calendars.post(Calendar(name="Petfolio"))
    assert made is not None
    assert made.id is not None
    return Mailbox(graph_server, client, made.id)


def recurring(kind: RecurrencePatternType = RecurrencePatternType.Weekly, **pattern: Any) -> PatternedRecurrence:
    given = {"days_of_week": [DayOfWeek.Monday]} if kind is RecurrencePatternType.Weekly and not pattern else pattern
    return PatternedRecurrence(
        pattern=RecurrencePattern(type=kind, interval=1, **given),
        range=RecurrenceRange(type=RecurrenceRangeType.NoEnd, start_date=datetime.date(2026, 3, 2)),
    )


async def test_the_etag_is_the_change_key_and_moves_with_each_write(mailbox: Mailbox) -> None:
    made = await mailbox.add()
    assert etag_of(made) == f'W/"{made.change_key}"'
    changed = await mailbox.patch(made.id, Event(subject="New"), If_Match=etag_of(made))
    assert changed.change_key != made.change_key
    assert etag_of(await mailbox.get(made.id)) == etag_of(changed)


async def test_a_stale_condition_is_412(mailbox: Mailbox) -> None:
    made = await mailbox.add()
    changed = await mailbox.patch(made.id, Event(subject="Second"))
    with graph_refuses(412, "ErrorIrresolvableConflict"):
        await mailbox.patch(made.id, Event(subject="Third"), If_Match=etag_of(made))
    with graph_refuses(412, "ErrorIrresolvableConflict"):
        await mailbox.delete(made.id, If_Match=etag_of(made))
    assert (await mailbox.get(made.id)).subject == "Second"
    await mailbox.delete(made.id, If_Match=etag_of(changed))


async def test_what_is_not_there_is_404(mailbox: Mailbox) -> None:
    made = await mailbox.add()
    await mailbox.delete(made.id)
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.get(made.id)
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.delete(made.id)
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.client.me.calendars.by_calendar_id("unknown").events.post(event())


async def test_the_same_transaction_id_makes_one_event(mailbox: Mailbox) -> None:
    made, again = await mailbox.add(transaction_id="t"), await mailbox.add(subject="again", transaction_id="t")
    assert (again.id, again.subject) == (made.id, "Vaccination")
    assert len(mailbox.control.events(mailbox.id)) == 1


async def test_a_repeated_transaction_id_may_be_refused_in_two_ways(mailbox: Mailbox) -> None:
    await mailbox.add(transaction_id="t")
    mailbox.control.shape("transaction_repeat", form="conflict", calendar=mailbox.id)
    with graph_refuses(409, "ErrorDuplicateTransactionId"):
        await mailbox.add(transaction_id="t")
    mailbox.control.shape("transaction_repeat", form="bad_request", calendar=mailbox.id)
    with graph_refuses(400, "ErrorDuplicateTransactionId") as caught:
        await mailbox.add(transaction_id="t")
    existing = caught.value.error.additional_data["@event.existingEventId"]
    assert (await mailbox.get(existing)).subject == "Vaccination"
    assert len(mailbox.control.events(mailbox.id)) == 1


async def test_the_transaction_id_of_a_deleted_event_makes_no_new_one(mailbox: Mailbox) -> None:
    await mailbox.delete((await mailbox.add(transaction_id="t")).id)
    with graph_refuses(409, "ErrorDuplicateTransactionId"):
        await mailbox.add(transaction_id="t")


async def test_extended_properties_are_shown_on_request_only_and_find_the_event(mailbox: Mailbox) -> None:
    prop = SingleValueLegacyExtendedProperty(id=PROPERTY, value="mine")
    made = await mailbox.add(single_value_extended_properties=[prop])
    await mailbox.add("somebody else's")
    assert made.single_value_extended_properties is None
    found = await mailbox.get(made.id, _One(expand=[EXPAND]))
    assert [(each.id, each.value) for each in found.single_value_extended_properties] == [(PROPERTY, "mine")]
    wanted = f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and ep/value eq 'mine')"
    listed = await mailbox.calendar.events.get(asking(_Many(filter=wanted, expand=[EXPAND])))
    assert listed is not None
    assert [each.id for each in listed.value or []] == [made.id]
    await mailbox.patch(made.id, Event(subject="New"))
    assert (await mailbox.get(made.id, _One(expand=[EXPAND]))).single_value_extended_properties is not None


async def test_an_immutable_id_stays_when_the_event_moves_and_the_other_changes(mailbox: Mailbox) -> None:
    made = await mailbox.add()
    mutable = (await mailbox.get(made.id, prefer=None)).id
    assert mutable != made.id
    to = mailbox.control.calendar("Other")
    mailbox.control.remote_move(made.id, to, mailbox.id)
    assert (await mailbox.get(made.id)).id == made.id
    assert (await mailbox.get(made.id, prefer=None)).id != mutable
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.get(mutable)
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.calendar.events.by_event_id(made.id).get()


@pytest.mark.parametrize(
    "recurrence",
    [
        recurring(RecurrencePatternType.Weekly, days_of_week=[]),
        recurring(RecurrencePatternType.AbsoluteMonthly),
        recurring(RecurrencePatternType.AbsoluteMonthly, day_of_month=32),
        recurring(RecurrencePatternType.RelativeMonthly),
        PatternedRecurrence(
            pattern=RecurrencePattern(type=RecurrencePatternType.Daily, interval=1),
            range=RecurrenceRange(type=RecurrenceRangeType.NoEnd, start_date=datetime.date(2026, 3, 3)),
        ),
        PatternedRecurrence(pattern=RecurrencePattern(type=RecurrencePatternType.Daily, interval=1)),
    ],
    ids=["no weekday", "no day", "day 32", "no weekday of a month", "starts on another day", "no range"],
)
async def test_a_recurrence_that_graph_does_not_know_is_refused(
    mailbox: Mailbox, recurrence: PatternedRecurrence
) -> None:
    with graph_refuses(400, "ErrorPropertyValidationFailure"):
        await mailbox.add(recurrence=recurrence)


async def test_five_requests_at_once_are_one_too_many_for_a_mailbox(mailbox: Mailbox) -> None:
    headers = {"Authorization": f"Bearer {mailbox.control.tokens().access}"}
    mailbox.control.fault(effect="slow", seconds=0.5, times=None)
    async with httpx.AsyncClient(base_url=f"{mailbox.control.url}/v1.0", headers=headers) as http:
        answers = await asyncio.gather(*(http.get("/me/calendars") for _ in range(8)))
    assert sorted({each.status_code for each in answers}) == [200, 429]
    refused = next(each for each in answers if each.status_code == 429)
    assert refused.json()["error"]["code"] == "ApplicationThrottled"
    assert int(refused.headers["Retry-After"]) >= 1
    assert sum(each.status_code == 200 for each in answers) == 4


async def test_times_are_shown_in_the_zone_that_is_preferred(mailbox: Mailbox) -> None:
    made = await mailbox.add()
    assert (made.start.date_time, made.start.time_zone) == ("2026-03-02T08:00:00.0000000", "UTC")
    assert made.original_start_time_zone == "Europe/Berlin"
    for zone, at in {"Europe/Berlin": "09:00", "Pacific Standard Time": "00:00"}.items():
        shown = await mailbox.get(made.id, prefer=f'outlook.timezone="{zone}"')
        assert (shown.start.date_time[11:16], shown.start.time_zone) == (at, zone)
    with graph_refuses(400, "ErrorInvalidTimeZone"):
        await mailbox.get(made.id, prefer='outlook.timezone="Nowhere/Land"')


async def test_whole_days_are_midnights_of_one_zone_and_stay_on_their_days(mailbox: Mailbox) -> None:
    def day(number: int, zone: str = "Europe/Berlin", at: str = "00:00:00") -> DateTimeTimeZone:
        return DateTimeTimeZone(date_time=f"2026-03-0{number}T{at}", time_zone=zone)

    made = await mailbox.calendar.events.post(Event(subject="Day", is_all_day=True, start=day(2), end=day(3)))
    assert made is not None
    assert made.start is not None
    assert made.start.date_time == "2026-03-02T00:00:00.0000000"
    for start, end in [(day(2, at="09:00:00"), day(3)), (day(2), day(3, "UTC")), (day(2), day(2))]:
        with graph_refuses(400, "ErrorInvalidRequest"):
            await mailbox.calendar.events.post(Event(is_all_day=True, start=start, end=end))


async def test_a_body_of_text_is_shown_as_html_unless_text_is_preferred(mailbox: Mailbox) -> None:
    made = await mailbox.add(body=ItemBody(content_type=BodyType.Text, content="first\nsecond <3"))
    assert made.body.content_type == BodyType.Html
    assert "first<br>" in made.body.content
    shown = await mailbox.get(made.id, prefer='outlook.body-content-type="text"')
    assert (shown.body.content_type, shown.body.content) == (BodyType.Text, "first\nsecond <3")


async def test_occurrences_have_ids_that_stay_and_can_be_changed_and_deleted(mailbox: Mailbox) -> None:
    master = await mailbox.add(recurrence=recurring())
    first, second, third, *_ = await mailbox.instances(master.id)
    assert [each.original_start for each in (first, second)] == [
        datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC),
        datetime.datetime(2026, 3, 9, 8, tzinfo=datetime.UTC),
    ]
    moved = event(day="2026-03-10")
    changed = await mailbox.patch(second.id, Event(start=moved.start, end=moved.end), If_Match=etag_of(second))
    assert (changed.id, changed.type.value) == (second.id, "exception")
    assert changed.original_start == second.original_start
    await mailbox.delete(third.id)
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.get(third.id)
    left = await mailbox.instances(master.id)
    assert [each.id for each in left] == [first.id, second.id, left[2].id, left[3].id]


async def test_a_master_tells_its_exceptions_and_what_was_cancelled(mailbox: Mailbox) -> None:
    master = await mailbox.add(recurrence=recurring())
    _, second, third, *_ = await mailbox.instances(master.id)
    await mailbox.patch(second.id, Event(location=Location(display_name="Elsewhere")))
    touched = etag_of(await mailbox.get(master.id))
    await mailbox.delete(third.id)
    query = _One(select=["subject", "cancelledOccurrences", "recurrence"], expand=["exceptionOccurrences"])
    found = await mailbox.get(master.id, query)
    assert found.cancelled_occurrences == [f"OID.{master.id}.2026-03-16"]
    assert [(each.id, each.location.display_name) for each in found.exception_occurrences] == [(second.id, "Elsewhere")]
    assert found.exception_occurrences[0].subject == "Vaccination", "what it does not change is its master's"
    assert found.start is None, "only what was selected"
    assert len({etag_of(master), touched, etag_of(found)}) == 3, "a change of an occurrence is one of the series"


async def test_another_schedule_of_a_series_drops_all_its_exceptions(mailbox: Mailbox) -> None:
    master = await mailbox.add(recurrence=recurring())
    _, second, *_ = await mailbox.instances(master.id)
    await mailbox.patch(second.id, Event(subject="Other words"))
    await mailbox.patch(master.id, Event(subject="New words"))
    assert len(mailbox.control.events(mailbox.id)) == 2
    moved = event(day="2026-03-02")
    end = DateTimeTimeZone(date_time="2026-03-02T11:00:00", time_zone="Europe/Berlin")
    await mailbox.patch(master.id, Event(start=moved.start, end=end))
    assert len(mailbox.control.events(mailbox.id)) == 1
    assert {each.subject for each in await mailbox.instances(master.id)} == {"New words"}


async def test_the_person_and_the_calendars_say_who_they_are(mailbox: Mailbox) -> None:
    me = await mailbox.client.me.get()
    assert me is not None
    assert me.user_principal_name == mailbox.control.account
    assert me.id
    calendars = await mailbox.client.me.calendars.get()
    assert calendars is not None
    assert [(each.name, each.is_default_calendar) for each in calendars.value or []] == [
        ("Calendar", True),
        ("Petfolio", False),
    ]
    with graph_refuses(409, "ErrorFolderExists"):
        await mailbox.client.me.calendars.post(Calendar(name="Petfolio"))
    await mailbox.calendar.delete()
    with graph_refuses(404, "ErrorItemNotFound"):
        await mailbox.calendar.get()


async def test_lists_and_instances_come_in_pages(mailbox: Mailbox) -> None:
    master = await mailbox.add("0", recurrence=recurring(RecurrencePatternType.Daily))
    for number in range(1, 3):
        await mailbox.add(f"{number}")
    page = await mailbox.calendar.events.get(asking(_Many(top=2)))
    assert page is not None
    rest = await mailbox.calendar.events.with_url(page.odata_next_link or "").get(asking())
    assert rest is not None
    assert [each.subject for each in [*(page.value or []), *(rest.value or [])]] == ["0", "1", "2"]
    assert rest.odata_next_link is None
    one = mailbox.client.me.events.by_event_id(master.id)
    window = {"start_date_time": "2026-03-03T00:00:00Z", "end_date_time": "2026-03-06T00:00:00Z"}
    first = await one.instances.get(asking(_Window(**window, top=2)))
    assert first is not None
    second = await one.instances.with_url(first.odata_next_link or "").get(asking())
    assert second is not None
    assert [len(each.value or []) for each in (first, second)] == [2, 1]
    assert second.odata_next_link is None


async def test_an_old_zone_of_outlooks_own_says_nothing(mailbox: Mailbox) -> None:
    zone = "tzone://Microsoft/Custom"
    made = mailbox.control.remote_create(
        mailbox.id, title="x", start="2026-03-02T09:00", end="2026-03-02T10:00", zone=zone
    )
    shown = await mailbox.get(made)
    assert (shown.start.date_time[11:16], shown.original_start_time_zone) == ("09:00", zone)
