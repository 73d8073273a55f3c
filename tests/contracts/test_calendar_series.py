"""Series at Google and Outlook, which keep exceptions by themselves: what somebody changed is not lost on the way."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from domain.calendar import Event
from domain.calendar_projection import project
from integrations.calendar.errors import UNSUPPORTED_RECURRENCE
from integrations.calendar.protocol import EtagMismatch, EventGone, EventRejected, RemoteEvent, UnknownOutcome
from tests.contracts.calendar_backends import opener, seen
from tests.contracts.calendar_samples import VET, WEEKLY, at, moved, timed
from tests.contracts.calendar_vendors import Vendor
from tests.contracts.test_calendar_providers import created

THEIRS = moved("2027-03-18T17:00", "2027-03-19T08:00", "Training, early")
CANCELLED = "20270315T160000Z"


@pytest.fixture(params=["google", "microsoft"])
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[Vendor]:
    async with opener(request.param)(request) as opened:
        assert isinstance(opened, Vendor)
        yield opened


async def updated(vendor: Vendor, known: RemoteEvent, event: Event) -> RemoteEvent:
    return await vendor.provider.update(vendor.calendar_id, known, event)


async def test_an_occurrence_that_we_left_out_can_come_back(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    fewer = replace(WEEKLY, exdates=WEEKLY.exdates[1:])
    assert (await updated(vendor, made, fewer)).event == fewer == (await seen(vendor, made.remote_id)).event


async def test_an_occurrence_that_a_person_left_out_can_come_back(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    vendor.leave_out(made.remote_id, CANCELLED)
    known = await seen(vendor, made.remote_id)
    assert at("2027-03-15T17:00") in known.event.exdates
    assert (await updated(vendor, known, WEEKLY)).event == WEEKLY == (await seen(vendor, made.remote_id)).event


async def test_a_changed_occurrence_can_be_as_the_rule_has_it_again(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    plain = replace(WEEKLY, overrides=WEEKLY.overrides[1:])
    assert (await updated(vendor, made, plain)).event == plain == (await seen(vendor, made.remote_id)).event


async def test_a_changed_occurrence_can_be_left_out_and_one_left_out_be_changed(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    back = moved("2027-03-08T17:00", "2027-03-08T19:00", "Training after all")
    turned = replace(
        WEEKLY,
        exdates=(at("2027-03-04T17:00"), at("2027-04-01T17:00")),
        overrides=(back, WEEKLY.overrides[1]),
    )
    assert (await updated(vendor, made, turned)).event == turned == (await seen(vendor, made.remote_id)).event
    assert (await updated(vendor, await seen(vendor, made.remote_id), WEEKLY)).event == WEEKLY


async def test_words_of_the_series_leave_its_exceptions_as_they_are(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    renamed = replace(WEEKLY, title="Agility", notes="Bring water.")
    assert (await updated(vendor, made, renamed)).event == renamed == (await seen(vendor, made.remote_id)).event


async def test_a_series_is_not_deleted_when_one_occurrence_was_changed(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    await vendor.edit(made.remote_id, replace(WEEKLY, overrides=(*WEEKLY.overrides, THEIRS)))
    with pytest.raises(EtagMismatch):
        await vendor.provider.delete(vendor.calendar_id, made)
    assert THEIRS in (await seen(vendor, made.remote_id)).event.overrides


async def test_a_series_is_not_moved_when_one_occurrence_was_changed(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    await vendor.edit(made.remote_id, replace(WEEKLY, overrides=(*WEEKLY.overrides, THEIRS)))
    later = timed("2027-03-01T18:30", rrule="FREQ=WEEKLY;COUNT=20;BYDAY=MO,TH")
    with pytest.raises(EtagMismatch):
        await updated(vendor, made, Event("Training", later))
    assert THEIRS in (await seen(vendor, made.remote_id)).event.overrides


async def test_an_occurrence_that_somebody_changed_in_between_is_not_overwritten(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    one, other = WEEKLY.overrides
    await vendor.edit(made.remote_id, replace(WEEKLY, overrides=(replace(one, title="Theirs"), other)))
    with pytest.raises(EtagMismatch):
        await updated(vendor, made, replace(WEEKLY, overrides=(replace(one, title="Ours"), other)))
    assert (await seen(vendor, made.remote_id)).event.overrides[0].title == "Theirs"


@pytest.mark.parametrize("calls", range(5))
async def test_a_series_written_in_part_is_finished_by_another_try(vendor: Vendor, calls: int) -> None:
    made = await created(vendor, WEEKLY)
    wanted = replace(WEEKLY, title="Agility", exdates=WEEKLY.exdates[:1], overrides=(WEEKLY.overrides[0], THEIRS))
    vendor.control.fault(method="PATCH|POST|DELETE", path="/events", when="after", skip=calls)
    try:
        await updated(vendor, made, wanted)
    except UnknownOutcome:
        assert (await updated(vendor, await seen(vendor, made.remote_id), wanted)).event == wanted
    vendor.control.clear_rules()
    assert (await seen(vendor, made.remote_id)).event == wanted


async def test_a_series_that_goes_while_it_is_written_is_gone(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    vendor.control.race("delete", method="PATCH", path="_|~", event=made.remote_id, calendar=vendor.calendar_id)
    with pytest.raises(EventGone):
        await updated(vendor, made, replace(WEEKLY, overrides=(*WEEKLY.overrides, THEIRS)))


async def test_what_is_as_it_should_be_is_not_written(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    before = await vendor.writes()
    assert (await updated(vendor, made, WEEKLY)).event == WEEKLY
    assert await vendor.writes() == before


async def test_an_occurrence_of_whole_days_cannot_be_among_times(vendor: Vendor) -> None:
    made = await created(vendor, WEEKLY)
    days = ("2027-03-18", "2027-03-19")
    start, end = ({"dateTime": f"{day}T00:00:00", "timeZone": "UTC"} for day in days)
    body = {
        "google": {"start": {"date": days[0]}, "end": {"date": days[1]}},
        "microsoft": {"start": start, "end": end, "isAllDay": True},
    }
    vendor.control.remote_edit(
        made.remote_id, vendor.calendar_id, body=body[vendor.control.provider], occurrence="20270318T160000Z"
    )
    with pytest.raises(EventRejected) as refused:
        await seen(vendor, made.remote_id)
    assert refused.value.problem_code == UNSUPPORTED_RECURRENCE
    other = await created(vendor)
    both = [made.remote_id, other.remote_id]
    assert await vendor.provider.get_many(vendor.calendar_id, both) == {other.remote_id: other}


async def test_what_a_provider_cannot_hold_is_not_sent(vendor: Vendor) -> None:
    long = replace(VET, title="Vet " + "Milo" * 300, alarms=(5, 10, 15, 20, 25, 30, 35))
    made = await created(vendor, long)
    assert made.event == project(long, vendor.provider.capabilities)
    before = await vendor.writes()
    assert (await updated(vendor, made, long)).event == made.event
    assert await vendor.writes() == before


async def test_a_change_of_the_alarms_alone_is_seen(vendor: Vendor) -> None:
    made = await created(vendor, replace(VET, alarms=(30,)))
    await vendor.edit(made.remote_id, replace(VET, alarms=(60,)))
    found = await seen(vendor, made.remote_id)
    assert (found.event.alarms, found.etag != made.etag) == ((60,), True)
