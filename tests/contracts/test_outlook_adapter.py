"""What only Graph does: repeated creates in three forms, deltas that are hints, limits at a mailbox, subscriptions."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.calendar import Event
from integrations.calendar.errors import UNSUPPORTED_RECURRENCE
from integrations.calendar.microsoft import CANNOT_RETURN, MicrosoftCalendars
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarMissing,
    CursorExpired,
    EventRejected,
    Misunderstood,
    RateLimited,
    UnknownOutcome,
)
from tests.calendar_listener import Listener
from tests.contracts.calendar_backend_microsoft import MicrosoftBackend, open_backend
from tests.contracts.calendar_backends import everything, listed, seen
from tests.contracts.calendar_samples import VET, WEEKLY, timed
from tests.contracts.calendar_vendors import tokens
from tests.contracts.test_calendar_providers import created


@pytest.fixture
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[MicrosoftBackend]:
    async with open_backend(request) as opened:
        assert isinstance(opened, MicrosoftBackend)
        yield opened


@pytest.mark.parametrize("form", ["existing", "bad_request", "conflict"])
async def test_a_repeated_create_makes_one_event_in_whatever_form_it_is_told(
    vendor: MicrosoftBackend, form: str
) -> None:
    vendor.control.shape("transaction_repeat", calendar=vendor.calendar_id, form=form, times=None)
    name = uuid4()
    made = await created(vendor, name=name)
    for event in (VET, WEEKLY):
        with pytest.raises(AlreadyExists) as taken:
            await created(vendor, event, name)
        assert taken.value.remote_id == made.remote_id
    assert {key: each.event for key, each in (await everything(vendor)).items()} == {made.remote_id: VET}


async def test_a_calendar_whose_making_was_not_answered_is_made_once(vendor: MicrosoftBackend) -> None:
    vendor.control.fault(method="POST", path="/calendars", when="after")
    with pytest.raises(UnknownOutcome):
        await vendor.provider.create_calendar("Petfolio")
    made = await vendor.provider.create_calendar("Petfolio")
    assert [each for each in await vendor.provider.calendars() if each.title == "Petfolio"] == [made]


async def test_a_copy_is_not_found_under_the_name_of_its_origin(vendor: MicrosoftBackend) -> None:
    name = uuid4()
    made = await created(vendor, name=name)
    copy = await vendor.copy(made.remote_id)
    found = await vendor.provider.find(vendor.calendar_id, name)
    assert found is not None
    assert found.remote_id == made.remote_id != copy
    await vendor.remove(made.remote_id)
    assert await vendor.provider.find(vendor.calendar_id, name) is None


async def test_every_request_prefers_ids_that_stay(vendor: MicrosoftBackend, listener: Listener) -> None:
    made = await created(vendor, WEEKLY)
    await listed(vendor)
    await vendor.provider.calendars()
    channel = await vendor.provider.watch(vendor.calendar_id, f"{listener.url}/push", "", "s3cret")
    await vendor.provider.unwatch(channel)
    await vendor.provider.delete(vendor.calendar_id, made)
    asked = [each for each in vendor.control.log() if each["path"].startswith("/v1.0/")]
    assert len(asked) > 8
    assert all('IdType="ImmutableId"' in each["headers"]["Prefer"] for each in asked)
    assert all('outlook.timezone="UTC"' in each["headers"]["Prefer"] for each in asked)


async def test_a_rule_that_outlook_does_not_know_is_refused_before_it_is_sent(vendor: MicrosoftBackend) -> None:
    twice = Event("Bath", timed("2027-01-01T09:00", rrule="FREQ=MONTHLY;BYDAY=1FR,3FR"))
    made = await created(vendor)
    before = await vendor.writes()
    with pytest.raises(EventRejected) as refused:
        await created(vendor, twice)
    assert refused.value.problem_code == UNSUPPORTED_RECURRENCE
    with pytest.raises(EventRejected):
        await vendor.provider.update(vendor.calendar_id, made, twice)
    assert await vendor.writes() == before


async def test_what_cannot_come_back_is_said(vendor: MicrosoftBackend) -> None:
    series = replace(WEEKLY, when=timed("2027-03-01T17:00", rrule="FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"), overrides=())
    series = replace(series, exdates=(series.when.start.replace(day=15),))  # type: ignore[arg-type]
    made = await created(vendor, series)
    with pytest.raises(EventRejected) as refused:
        await vendor.provider.update(vendor.calendar_id, made, replace(series, exdates=()))
    assert refused.value.problem_code == CANNOT_RETURN


async def test_an_occurrence_leads_to_its_series(vendor: MicrosoftBackend) -> None:
    made = await created(vendor, WEEKLY)
    found = await vendor.provider.get(vendor.calendar_id, f"{made.remote_id}~20270304T160000Z")
    assert found == made


async def test_a_window_shows_a_series_for_its_occurrences(vendor: MicrosoftBackend) -> None:
    vendor.control.shape("no_events_delta", calendar=vendor.calendar_id, times=None)
    made = await created(vendor, WEEKLY)
    said, cursor = await listed(vendor)
    assert {key: each.found for key, each in said.items()} == {made.remote_id: None}
    await vendor.edit(made.remote_id, replace(WEEKLY, title="Agility"))
    said, _ = await listed(vendor, cursor)
    assert said[made.remote_id].removed is False
    assert (await seen(vendor, made.remote_id)).event.title == "Agility"


async def test_the_same_event_twice_in_a_page_is_one_change(vendor: MicrosoftBackend) -> None:
    made = await created(vendor)
    _, cursor = await listed(vendor)
    await vendor.edit(made.remote_id, replace(VET, title="Theirs"))
    vendor.control.shape("twice", calendar=vendor.calendar_id, times=None)
    said, _ = await listed(vendor, cursor)
    assert said.keys() == {made.remote_id}


async def test_a_removal_without_a_reason_is_not_understood(vendor: MicrosoftBackend) -> None:
    made = await created(vendor)
    _, cursor = await listed(vendor)
    await vendor.remove(made.remote_id)
    vendor.control.shape("untyped_removed", calendar=vendor.calendar_id)
    with pytest.raises(Misunderstood):
        await vendor.provider.list_changes(vendor.calendar_id, cursor, None)


@pytest.mark.parametrize("form", ["", "400 resyncRequired", "400 syncStateInvalid"])
async def test_a_cursor_that_expired_is_told_in_whatever_form(vendor: MicrosoftBackend, form: str) -> None:
    _, cursor = await listed(vendor)
    vendor.control.expire_cursors(vendor.calendar_id, form=form)
    with pytest.raises(CursorExpired):
        await vendor.provider.list_changes(vendor.calendar_id, cursor, None)


@pytest.mark.parametrize(
    "link", ["https://elsewhere.test/v1.0/me", "{url}@elsewhere.test/v1.0/", "{url}/_control/state"]
)
async def test_a_link_that_leads_elsewhere_is_not_followed(vendor: MicrosoftBackend, link: str) -> None:
    cursor = json.dumps({"link": link.format(url=vendor.control.url), "ends": None})
    vendor.control.clear_log()
    with pytest.raises(Misunderstood):
        await vendor.provider.list_changes(vendor.calendar_id, cursor, None)
    assert vendor.control.log() == []


async def test_a_window_that_comes_to_its_end_is_opened_anew(vendor: MicrosoftBackend) -> None:
    vendor.control.shape("no_events_delta", calendar=vendor.calendar_id, times=None)
    _, cursor = await listed(vendor)
    async with tokens(vendor.control) as access:
        later = MicrosoftCalendars(vendor.control.url, access, now=lambda: datetime(2027, 9, 1, tzinfo=UTC))
        with pytest.raises(CursorExpired):
            await later.list_changes(vendor.calendar_id, cursor, None)
        await later.close()
    assert await listed(vendor, cursor)


async def test_no_more_than_a_mailbox_allows_is_asked_at_once(vendor: MicrosoftBackend) -> None:
    ids = [(await created(vendor)).remote_id for _ in range(12)]
    assert len(await vendor.provider.get_many(vendor.calendar_id, ids)) == 12
    assert not vendor.control.log(status=429)


async def test_a_limit_is_told_at_once_with_its_pause(vendor: MicrosoftBackend) -> None:
    await created(vendor)
    vendor.control.clear_log()
    vendor.control.throttle(status=503, retry_after=7)
    with pytest.raises(RateLimited) as refused:
        await created(vendor)
    assert refused.value.retry_after == 7
    assert len(vendor.control.log()) == 1


async def test_a_connection_that_breaks_leaves_the_outcome_open(vendor: MicrosoftBackend) -> None:
    made = await created(vendor)
    vendor.control.fault(method="PATCH", path="/events", effect="reset", when="after")
    with pytest.raises(UnknownOutcome):
        await vendor.provider.update(vendor.calendar_id, made, replace(VET, title="Vet: Bo"))
    assert (await seen(vendor, made.remote_id)).event.title == "Vet: Bo"


async def test_a_token_that_ended_is_renewed_and_the_call_done(vendor: MicrosoftBackend) -> None:
    await created(vendor)
    vendor.control.expire_access()
    found = await asyncio.gather(*(created(vendor) for _ in range(6)))
    assert len({each.remote_id for each in found}) == 6


async def test_a_deleted_event_and_a_deleted_calendar_are_told_apart(vendor: MicrosoftBackend) -> None:
    made = await created(vendor)
    assert await vendor.provider.get(vendor.calendar_id, "AAkALgnothing") is None
    await vendor.drop_calendar()
    with pytest.raises(CalendarMissing):
        await vendor.provider.get(vendor.calendar_id, made.remote_id)


async def test_a_subscription_is_as_granted_extended_and_replaced_when_it_is_gone(
    vendor: MicrosoftBackend, listener: Listener
) -> None:
    address = f"{listener.url}/push"
    first = await vendor.provider.watch(vendor.calendar_id, address, "", "s3cret")
    assert {each.path for each in listener.handshakes} == {"/push", "/push/lifecycle"}
    assert first.expires_at <= datetime.now(UTC) + timedelta(days=7)  # what was granted, and not the wish of 2027
    again = await vendor.provider.renew(vendor.calendar_id, first, address, "", "unused")
    assert (again.channel_id, again.secret) == (first.channel_id, "s3cret")
    await created(vendor)
    assert [item["clientState"] for each in listener.wait(1) for item in each.items] == ["s3cret"]
    vendor.control.end(subscription=first.channel_id)
    other = await vendor.provider.renew(vendor.calendar_id, first, address, "", "an0ther")
    assert (other.channel_id != first.channel_id, other.secret) == (True, "an0ther")
    await vendor.provider.unwatch(other)
    await vendor.provider.unwatch(other)
