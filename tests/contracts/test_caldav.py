"""What is particular to CalDAV servers: the ways they count changes, refuse writes, fail and lose answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import httpx
import pytest

from integrations.calendar.caldav import CalDavCalendars
from integrations.calendar.caldav_discovery import discover
from integrations.calendar.caldav_replies import precondition_failed, refusal, retry_after, write_refusal
from integrations.calendar.caldav_requests import id_in, url_of
from integrations.calendar.caldav_writing import new_resource
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarError,
    Change,
    CursorExpired,
    EtagMismatch,
    EventRejected,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    UnknownOutcome,
)
from integrations.outbound import Outbound, Reply
from tests.caldav_servers import Account, Radicale
from tests.contracts.calendar_samples import VET, WEEKLY
from tests.contracts.test_calendar_providers import MARKER

NOW = datetime(2027, 1, 20, 12, tzinfo=UTC)


@asynccontextmanager
async def calendar(account: Account, *, seconds: float = 10) -> AsyncIterator[tuple[CalDavCalendars, str]]:
    """A calendar of its own at this account."""
    outbound = Outbound(plain_http=True, private=True, total_seconds=seconds)
    home = await discover(outbound, account.url, account.user, account.password)
    provider = CalDavCalendars(outbound, home, account.user, account.password)
    yield provider, (await provider.create_calendar("Petfolio")).calendar_id
    await provider.close()
    await outbound.close()


@pytest.fixture
def server(radicale: Radicale) -> Radicale:
    radicale.knob("reset")
    return radicale


async def put_as_somebody(account: Account, url: str, stream: str) -> None:
    async with httpx.AsyncClient(auth=(account.user, account.password)) as http:
        answer = await http.put(url, content=stream.encode(), headers={"Content-Type": "text/calendar"})
        answer.raise_for_status()


@pytest.mark.parametrize("name", ["radicale", "xandikos"])
async def test_a_token_that_no_server_knows_asks_for_a_full_list(name: str, request: pytest.FixtureRequest) -> None:
    """S25: 403 at one, 412 at the other, and the same element."""
    found = request.getfixturevalue(name)
    token = "http://radicale.org/ns/sync/" + "0" * 64 if name == "radicale" else "0" * 40
    async with calendar(found.account() if name == "radicale" else found) as (provider, calendar_id):
        with pytest.raises(CursorExpired):
            await provider.list_changes(calendar_id, f"token {token}", None)


@pytest.mark.parametrize("name", ["radicale", "xandikos"])
async def test_an_event_under_another_name_is_found_by_its_uid(name: str, request: pytest.FixtureRequest) -> None:
    """409 at one, 412 at the other, and the same element."""
    found = request.getfixturevalue(name)
    account = found.account() if name == "radicale" else found
    async with calendar(account) as (provider, calendar_id):
        uid = uuid4()
        await put_as_somebody(account, f"{calendar_id}moved.ics", new_resource(uid, MARKER, VET, NOW))
        with pytest.raises(AlreadyExists) as refused:
            await provider.create(calendar_id, uid, MARKER, VET)
        assert refused.value.remote_id == "moved.ics"
        moved = await provider.find(calendar_id, uid)
        assert moved is not None
        assert (moved.remote_id, moved.ident, moved.event) == ("moved.ics", uid, VET)


async def test_a_change_costs_two_requests_however_large_the_calendar_is(server: Radicale) -> None:
    async with calendar(server.account()) as (provider, calendar_id):
        made = [await provider.create(calendar_id, uuid4(), MARKER, VET) for _ in range(60)]
        cursor = (await provider.list_changes(calendar_id, None, None)).cursor
        await provider.update(calendar_id, made[0], WEEKLY)
        before = len(server.log())
        page = await provider.list_changes(calendar_id, cursor, None)
        found = await provider.get_many(calendar_id, [each.remote_id for each in page.changes])
        assert [each.event for each in found.values()] == [WEEKLY]
        assert [each["method"] for each in server.log()[before:]] == ["REPORT", "REPORT"]


async def test_a_write_is_one_request_and_says_its_condition(server: Radicale) -> None:
    async with calendar(server.account()) as (provider, calendar_id):
        before = len(server.log())
        made = await provider.create(calendar_id, uuid4(), MARKER, VET)
        changed = await provider.update(calendar_id, made, WEEKLY)
        await provider.delete(calendar_id, changed)
        asked = [(each["method"], each["headers"]) for each in server.log()[before:]]
        assert [method for method, _ in asked] == ["PUT", "PUT", "DELETE"]
        assert asked[0][1]["If-None-Match"] == "*"
        assert [headers["If-Match"] for _, headers in asked[1:]] == [made.etag, changed.etag]


async def test_an_etag_that_does_not_come_is_fetched(server: Radicale) -> None:
    """S26."""
    async with calendar(server.account()) as (provider, calendar_id):
        server.knob("switches", etag_on_put=False)
        made = await provider.create(calendar_id, uuid4(), MARKER, VET)
        assert made.etag is not None
        found = await provider.get(calendar_id, made.remote_id)
        assert found == made


async def test_a_weak_etag_is_compared_and_never_sent(server: Radicale) -> None:
    """S26: as a condition it would match nothing, and every write would fail."""
    account = server.account()
    async with calendar(account) as (provider, calendar_id):
        server.knob("switches", weak_etags=True)
        made = await provider.create(calendar_id, uuid4(), MARKER, VET)
        assert str(made.etag).startswith("W/")
        changed = await provider.update(calendar_id, made, replace(VET, title="Vet: Bo"))
        with pytest.raises(EtagMismatch):
            await provider.update(calendar_id, made, replace(VET, title="Late"))
        with pytest.raises(EtagMismatch):
            await provider.delete(calendar_id, made)
        await provider.delete(calendar_id, changed)
        assert not any("If-Match" in each["headers"] for each in server.log())


async def test_a_server_without_sync_tokens_says_that_something_changed(server: Radicale) -> None:
    """S28: the ctag of the full list is the cursor, and stays it as long as nothing happens."""
    async with calendar(server.account()) as (provider, calendar_id):
        server.knob("switches", sync_collection=False)
        made = await provider.create(calendar_id, uuid4(), MARKER, VET)
        full = await provider.list_changes(calendar_id, None, None)
        assert full.changes == [Change(made.remote_id, etag=made.etag)]
        quiet = await provider.list_changes(calendar_id, full.cursor, None)
        assert (quiet.changes, quiet.cursor) == ([], full.cursor)
        await provider.delete(calendar_id, made)
        with pytest.raises(CursorExpired):
            await provider.list_changes(calendar_id, full.cursor, None)
        assert (await provider.list_changes(calendar_id, None, None)).changes == []


async def test_a_server_that_gets_sync_tokens_and_loses_them_is_followed(server: Radicale) -> None:
    async with calendar(server.account()) as (provider, calendar_id):
        with_token = (await provider.list_changes(calendar_id, None, None)).cursor
        server.knob("switches", sync_collection=False, ctag=False)
        with pytest.raises(CursorExpired):
            await provider.list_changes(calendar_id, with_token, None)
        without = (await provider.list_changes(calendar_id, None, None)).cursor
        server.knob("switches", sync_collection=True)
        with pytest.raises(CursorExpired):
            await provider.list_changes(calendar_id, without, None)
        assert (await provider.list_changes(calendar_id, None, None)).cursor == with_token


@pytest.mark.parametrize("effect", ["status", "reset", "hang"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_no_answer_to_a_write_says_that_nothing_is_known(server: Radicale, effect: str, when: str) -> None:
    async with calendar(server.account(), seconds=2) as (provider, calendar_id):
        uid = uuid4()
        server.knob("faults", effect=effect, when=when, method="PUT", seconds=3)
        with pytest.raises(UnknownOutcome):
            await provider.create(calendar_id, uid, MARKER, VET)
        found = await provider.find(calendar_id, uid)
        assert (found is not None) == (when == "after")


async def test_a_person_who_is_quicker_than_a_write_is_not_overwritten(server: Radicale) -> None:
    """S11 among others: also a delete has its condition."""
    async with calendar(server.account()) as (provider, calendar_id):
        made = await provider.create(calendar_id, uuid4(), MARKER, VET)
        theirs = new_resource(made.ident or uuid4(), MARKER, replace(VET, title="Theirs"), NOW)
        for write in (lambda: provider.update(calendar_id, made, WEEKLY), lambda: provider.delete(calendar_id, made)):
            server.knob("race", path=made.remote_id, body=theirs)
            with pytest.raises(EtagMismatch):
                await write()
        found = await provider.get(calendar_id, made.remote_id)
        assert found is not None
        assert found.event.title == "Theirs"


async def test_a_calendar_is_made_once_though_the_answer_gets_lost(server: Radicale) -> None:
    async with calendar(server.account()) as (provider, _):
        before = len(await provider.calendars())
        server.knob("faults", when="after", method="MKCALENDAR", effect="reset")
        made = await provider.create_calendar("Petfolio, again")
        assert made in await provider.calendars()
        assert len(await provider.calendars()) == before + 1


async def test_calls_at_the_same_time_share_the_connections(server: Radicale) -> None:
    async with calendar(server.account()) as (provider, calendar_id):
        made = await asyncio.gather(*(provider.create(calendar_id, uuid4(), MARKER, VET) for _ in range(8)))
        found = await provider.get_many(calendar_id, [each.remote_id for each in made])
        assert len(found) == 8


def reply(status: int, body: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply("https://dav.test/", status, httpx.Headers(named), body.encode())


def because(element: str) -> str:
    return f'<d:error xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><{element}/></d:error>'


@pytest.mark.parametrize(
    ("answer", "read", "write"),
    [
        (reply(401), NeedsReauth, NeedsReauth),
        (reply(403), NeedsReauth, EventRejected),
        (reply(403, because("d:need-privileges")), NeedsReauth, NeedsReauth),
        (reply(403, because("c:valid-calendar-object-resource")), NeedsReauth, EventRejected),
        (reply(403, retry_after="7"), RateLimited, RateLimited),
        (reply(429), RateLimited, RateLimited),
        (reply(503, retry_after="7"), RateLimited, RateLimited),
        (reply(503), UnknownOutcome, UnknownOutcome),
        (reply(500), UnknownOutcome, UnknownOutcome),
        (reply(507), UnknownOutcome, EventRejected),
        (reply(400), Misunderstood, EventRejected),
        (reply(412, because("c:valid-calendar-data")), Misunderstood, EventRejected),
        (reply(413), Misunderstood, EventRejected),
        (reply(415), Misunderstood, EventRejected),
    ],
)
def test_a_refusal_is_told_by_what_it_says(
    answer: Reply, read: type[CalendarError], write: type[CalendarError]
) -> None:
    assert type(refusal(answer, NOW)) is read
    assert type(write_refusal(answer, NOW)) is write


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (reply(412), True),
        (reply(412, "<html>"), True),
        (
            reply(412, '<d:error xmlns:d="DAV:"><s:exception xmlns:s="x">PreconditionFailed</s:exception></d:error>'),
            True,
        ),
        (reply(412, because("c:no-uid-conflict")), False),
        (reply(412, because("c:valid-calendar-data")), False),
        (reply(409), False),
    ],
)
def test_a_412_is_not_always_a_changed_event(answer: Reply, failed: bool) -> None:
    assert precondition_failed(answer) is failed


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("9" * 40, 24 * 3600),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_when_to_come_back_is_a_number_or_a_date(said: str, seconds: int | None) -> None:
    assert retry_after(reply(429, retry_after=said), NOW) == seconds


@pytest.mark.parametrize(
    ("href", "remote_id"),
    [
        ("/cal/me@x/home/a.ics", "a.ics"),
        ("/cal/me%40x/home/a.ics", "a.ics"),
        ("https://p42-dav.test:443/cal/me%40x/home/a%20b.ics", "a%20b.ics"),
        ("/cal/me%40x/home/a%2Fb.ics", "a%2Fb.ics"),
        ("/cal/me%40x/home/", ""),
        ("/elsewhere/a.ics", "/elsewhere/a.ics"),
    ],
)
def test_a_resource_keeps_the_name_that_its_server_gives_it(href: str, remote_id: str) -> None:
    """The decoded name of `a%2Fb` is another path: asked for there, it would be missing, and taken for deleted."""
    calendar_id = "https://dav.test/cal/me@x/home/"
    assert id_in(calendar_id, href) == remote_id
    if not remote_id.startswith("/"):
        assert url_of(calendar_id, remote_id) == calendar_id + remote_id
    else:
        assert url_of(calendar_id, remote_id) == f"https://dav.test{remote_id}"
