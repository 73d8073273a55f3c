"""What only Google does: narrow consents, lists that hold single events whole, channels that are never extended."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from integrations.calendar import google
from integrations.calendar.google import GoogleCalendars
from integrations.calendar.google_mapping import event_id
from integrations.calendar.protocol import (
    CalendarMissing,
    Change,
    CursorExpired,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    UnknownOutcome,
)
from tests.calendar_listener import Listener
from tests.contracts.calendar_backend_google import GoogleBackend, open_backend
from tests.contracts.calendar_backends import everything, listed, seen
from tests.contracts.calendar_samples import VET, WEEKLY
from tests.contracts.calendar_vendors import tokens
from tests.contracts.test_calendar_providers import MARKER, created

NARROW = "https://www.googleapis.com/auth/calendar.app.created"


@pytest.fixture
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[GoogleBackend]:
    async with open_backend(request) as opened:
        assert isinstance(opened, GoogleBackend)
        yield opened


async def test_the_narrow_consent_is_enough_for_a_calendar_of_our_own(vendor: GoogleBackend) -> None:
    async with tokens(vendor.control, NARROW) as access:
        provider = GoogleCalendars(vendor.control.url, access)
        assert await provider.calendars() == []  # Google lists all of them or none
        ours = await provider.create_calendar("Petfolio")
        made = await provider.create(ours.calendar_id, uuid4(), MARKER, WEEKLY)
        assert (await provider.list_changes(ours.calendar_id, None, None)).changes == [Change(made.remote_id)]
        await provider.delete(ours.calendar_id, made)
        await provider.delete_calendar(ours.calendar_id)
        await provider.close()


async def test_every_list_asks_for_the_same_whatever_it_goes_on_from(vendor: GoogleBackend) -> None:
    for _ in range(5):
        await created(vendor)
    _, cursor = await listed(vendor)
    await listed(vendor, cursor)
    queries = [each["query"] for each in vendor.control.log(method="GET") if each["path"].endswith("/events")]
    assert len(queries) == 3
    always = {"alt": "json", "eventTypes": "default", "maxResults": "3", "singleEvents": "false"}
    assert all(each.items() >= always.items() for each in queries)
    assert all(each.keys() - always.keys() <= {"syncToken", "pageToken"} for each in queries)


@pytest.mark.parametrize("reason", ["fullSyncRequired", "updatedMinTooLongAgo"])
async def test_a_410_asks_for_a_full_list_whatever_its_reason(vendor: GoogleBackend, reason: str) -> None:
    _, cursor = await listed(vendor)
    vendor.control.expire_cursors(vendor.calendar_id, form=reason)
    with pytest.raises(CursorExpired):
        await vendor.provider.list_changes(vendor.calendar_id, cursor, None)


async def test_a_single_event_is_in_the_list_and_a_series_is_fetched(vendor: GoogleBackend) -> None:
    single, series = await created(vendor), await created(vendor, WEEKLY)
    said, cursor = await listed(vendor)
    assert said[single.remote_id].found == single
    assert said[series.remote_id] == Change(series.remote_id)
    vendor.leave_out(series.remote_id, "20270315T160000Z")
    said, _ = await listed(vendor, cursor)
    assert said == {series.remote_id: Change(series.remote_id)}


async def test_one_call_writes_a_single_event(vendor: GoogleBackend) -> None:
    vendor.control.clear_log()
    made = await created(vendor)
    await vendor.provider.update(vendor.calendar_id, made, replace(VET, title="Vet: Bo"))
    assert [each["method"] for each in vendor.control.log() if "/events" in each["path"]] == ["POST", "PATCH"]


async def test_what_somebody_else_keeps_on_an_event_stays(vendor: GoogleBackend) -> None:
    made = await created(vendor)
    theirs = {"colorId": "7", "extendedProperties": {"private": {"other": "1"}}, "attendees": [{"email": "b@x.test"}]}
    vendor.control.remote_edit(made.remote_id, vendor.calendar_id, body=theirs)
    known = await seen(vendor, made.remote_id)
    await vendor.provider.update(vendor.calendar_id, known, replace(VET, title="Vet: Bo"), marker=False)
    [stored] = vendor.control.events(vendor.calendar_id)
    assert (stored["body"]["colorId"], stored["body"]["attendees"]) == ("7", theirs["attendees"])
    assert stored["body"]["extendedProperties"] == {"private": {"other": "1"}}


async def test_lines_that_come_back_as_html_are_the_same_lines(vendor: GoogleBackend) -> None:
    vendor.control.shape("normalise", calendar=vendor.calendar_id, form="html", times=None)
    made = await created(vendor)
    assert made.event == VET == (await seen(vendor, made.remote_id)).event


async def test_a_deleted_event_and_a_deleted_calendar_are_told_apart(vendor: GoogleBackend) -> None:
    made = await created(vendor)
    assert await vendor.provider.get(vendor.calendar_id, event_id(uuid4())) is None
    await vendor.drop_calendar()
    with pytest.raises(CalendarMissing):
        await vendor.provider.get(vendor.calendar_id, made.remote_id)


@pytest.mark.parametrize(
    "item", [{}, {"id": 7}, "event", {"id": "abcde", "eventType": "somethingNew"}, {"id": "abcde", "start": 7}]
)
async def test_an_entry_that_nobody_understands_is_no_deletion(item: Any) -> None:
    with pytest.raises(Misunderstood):
        google._changes([item])


async def test_a_birthday_is_nobody_s_plan_and_the_last_mention_counts() -> None:
    items = [
        {"id": "birth", "eventType": "birthday"},
        {"id": "twice", "etag": '"1"', "status": "cancelled"},
        {"id": "twice_20270101", "recurringEventId": "twice", "status": "cancelled"},
    ]
    assert google._changes(items) == [Change("twice")]


@pytest.mark.parametrize(("status", "reason"), [(403, "userRateLimitExceeded"), (429, "rateLimitExceeded"), (503, "x")])
async def test_a_limit_is_told_at_once_with_its_pause(vendor: GoogleBackend, status: int, reason: str) -> None:
    await created(vendor)
    vendor.control.clear_log()
    vendor.control.throttle(status=status, reason=reason, retry_after=7)
    with pytest.raises(RateLimited) as refused:
        await created(vendor)
    assert refused.value.retry_after == 7
    assert len(vendor.control.log()) == 1


async def test_a_connection_that_breaks_leaves_the_outcome_open(vendor: GoogleBackend) -> None:
    made = await created(vendor)
    vendor.control.fault(method="PATCH", path="/events", effect="reset", when="after", times=2)
    with pytest.raises(UnknownOutcome):
        await vendor.provider.update(vendor.calendar_id, made, replace(VET, title="Vet: Bo"))
    assert (await seen(vendor, made.remote_id)).event.title == "Vet: Bo"


async def test_a_page_without_anything_is_not_the_end(vendor: GoogleBackend) -> None:
    vendor.control.shape("empty_page", calendar=vendor.calendar_id)
    page = await vendor.provider.list_changes(vendor.calendar_id, None, None)
    assert (page.changes, page.cursor) == ([], None)
    assert page.next_page


async def test_a_token_that_ended_is_renewed_and_the_call_done(vendor: GoogleBackend) -> None:
    await created(vendor)
    vendor.control.expire_access()
    assert (await created(vendor)).event == VET
    vendor.control.grant("invalid_grant")
    vendor.control.expire_access()
    with pytest.raises(NeedsReauth):
        await created(vendor)


async def test_many_calls_at_once_share_the_connections_of_the_account(vendor: GoogleBackend) -> None:
    made = await asyncio.gather(*(created(vendor) for _ in range(12)))
    assert len(await everything(vendor)) == len({each.remote_id for each in made}) == 12


async def test_a_channel_is_as_granted_and_replaced_by_another(vendor: GoogleBackend, listener: Listener) -> None:
    address = f"{listener.url}/push"
    first = await vendor.provider.watch(vendor.calendar_id, address, "channel-1", "s3cret")
    assert timedelta(days=6, hours=23) < first.expires_at - datetime.now(UTC) <= timedelta(days=7)
    assert (first.channel_id, first.secret) == ("channel-1", "s3cret")
    listener.wait(1)
    second = await vendor.provider.renew(vendor.calendar_id, first, address, "channel-2", "an0ther")
    await vendor.provider.unwatch(first)
    await vendor.provider.unwatch(first)
    await created(vendor)
    heard = listener.wait(3)
    assert [each.headers["X-Goog-Channel-Token"] for each in heard] == ["s3cret", "an0ther", "an0ther"]
    assert {each.headers["X-Goog-Resource-ID"] for each in heard} == {first.resource_id, second.resource_id}
