"""A CalDAV server is a stranger whose address a person entered: what it sends costs little, and harms nobody else."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from integrations.calendar import dav
from integrations.calendar.caldav import CalDavCalendars
from integrations.calendar.caldav_discovery import NoCalendars, discover
from integrations.calendar.caldav_writing import new_resource
from integrations.calendar.dav import SentElsewhere, domain, same_owner
from integrations.calendar.protocol import (
    CalendarError,
    Change,
    EventRejected,
    Misunderstood,
    NeedsReauth,
    UnknownOutcome,
)
from integrations.outbound import AddressRefused, AddressUnreachable, Outbound
from tests.caldav_servers import PASSWORD, Radicale
from tests.contracts.calendar_samples import VET
from tests.contracts.test_caldav import NOW, calendar, put_as_somebody
from tests.contracts.test_calendar_providers import MARKER

Answer = Callable[[str, str], bytes]


@dataclass
class Stranger:
    """A server that says what `answer` makes of a method and a path, and then `holds` the connection, or ends it.
    `heads` are the requests that came."""

    answer: Answer
    origin: str = ""
    heads: list[str] = field(default_factory=list)
    sent: int = 0
    holds: bool = False


@asynccontextmanager
async def stranger(answer: Answer) -> AsyncIterator[Stranger]:
    known = Stranger(answer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            known.heads.append(head)
            method, path, *_ = head.split()
            said = known.answer(method, path)
            for start in range(0, len(said), 65_536):
                writer.write(said[start : start + 65_536])
                await writer.drain()
                known.sent += 65_536
            if known.holds:
                await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    known.origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield known


def said(body: str | bytes, status: str = "207 Multi-Status", headers: str = "") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(content)}\r\n{headers}"
    return f"{head}Connection: close\r\n\r\n".encode() + content


def listing(inner: str) -> bytes:
    return said(f'<?xml version="1.0"?><multistatus xmlns="DAV:">{inner}</multistatus>')


def has(href: str, properties: str) -> str:
    """A response of a multistatus."""
    return (
        f'<response xmlns:c="urn:ietf:params:xml:ns:caldav"><href>{href}</href><propstat><prop>{properties}</prop>'
        "<status>HTTP/1.1 200 OK</status></propstat><propstat><prop><c:calendar-home-set/><current-user-principal/>"
        "<getetag/></prop><status>HTTP/1.1 404 Not Found</status></propstat></response>"
    )


@asynccontextmanager
async def account_at(server: Stranger, **limits: float) -> AsyncIterator[tuple[CalDavCalendars, str]]:
    outbound = Outbound(plain_http=True, private=True, **limits)  # type: ignore[arg-type]
    provider = CalDavCalendars(outbound, f"{server.origin}/", "me", PASSWORD)
    yield provider, f"{server.origin}/cal/"
    await provider.close()
    await outbound.close()


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha" * 50}">' for n in range(10))
BOMBS = {
    "entities": f'<?xml version="1.0"?><!DOCTYPE multistatus [{LAUGHS}]><multistatus xmlns="DAV:">&l9;</multistatus>',
    "a file": '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><multistatus xmlns="DAV:">&x;</multistatus>',
    "a DTD elsewhere": '<!DOCTYPE m SYSTEM "http://127.0.0.1:1/m.dtd"><multistatus xmlns="DAV:"/>',
    "depth": "<multistatus xmlns='DAV:'>" + "<a>" * 100_000,
    "half of it": '<multistatus xmlns="DAV:"><response><href>/cal/a.ics</href>',
    "a web page": "<html><body>Sign in</body></html>",
    "nothing": "",
    "noise": "\x00\xff" * 1_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_a_document_that_is_none_costs_nothing_and_says_nothing(bomb: str) -> None:
    began = time.monotonic()
    async with stranger(lambda *_: said(bomb)) as server, account_at(server) as (provider, calendar_id):
        with pytest.raises(Misunderstood):
            await provider.list_changes(calendar_id, None, None)
        with pytest.raises(Misunderstood):
            await provider.get_many(calendar_id, ["a.ics"])
        with pytest.raises(Misunderstood):
            await provider.calendars()
    assert time.monotonic() - began < 5


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    endless = said(b" " * 30_000_000)
    async with stranger(lambda *_: endless) as server, account_at(server, max_bytes=100_000) as (provider, calendar_id):
        with pytest.raises(Misunderstood):
            await provider.list_changes(calendar_id, None, None)
        assert server.sent < 15_000_000


async def test_an_answer_that_never_ends_is_left() -> None:
    began = time.monotonic()
    async with stranger(lambda *_: said("x" * 100)[:-50]) as server:
        server.holds = True
        async with account_at(server, total_seconds=0.5) as (provider, calendar_id):
            with pytest.raises(UnknownOutcome):
                await provider.list_changes(calendar_id, None, None)
    assert 0.5 <= time.monotonic() - began < 5


async def test_a_list_that_goes_on_where_it_was_is_left() -> None:
    """507 with the token that we sent: RFC 6578 §3.6 would have us ask for ever."""
    more = "<response><href>/cal/</href><status>HTTP/1.1 507 Insufficient Storage</status></response>"
    endless = listing(f"{has('/cal/a.ics', '<getetag>1</getetag>')}{more}<sync-token>t1</sync-token>")
    async with stranger(lambda *_: endless) as server, account_at(server) as (provider, calendar_id):
        first = await provider.list_changes(calendar_id, None, None)
        assert (first.changes, first.cursor) == ([Change("a.ics", etag="1")], None)
        with pytest.raises(Misunderstood):
            await provider.list_changes(calendar_id, None, first.next_page)


async def test_redirects_in_circles_are_left() -> None:
    circle = said("", "302 Found", "Location: /cal/\r\n")
    async with stranger(lambda *_: circle) as server, account_at(server) as (provider, calendar_id):
        with pytest.raises(UnknownOutcome):
            await provider.list_changes(calendar_id, None, None)
        assert len(server.heads) == 6
        with pytest.raises(AddressRefused):
            await discover(Outbound(plain_http=True, private=True), server.origin, "me", PASSWORD)


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd"]
)
async def test_a_redirect_elsewhere_takes_no_credentials_along(location: str) -> None:
    moved = said("", "301 Moved", f"Location: {location}\r\n")
    outbound = Outbound(plain_http=True, private=True)
    async with stranger(lambda *_: moved) as server, account_at(server) as (provider, calendar_id):
        with pytest.raises(UnknownOutcome):
            await provider.list_changes(calendar_id, None, None)
        with pytest.raises(SentElsewhere):
            await discover(outbound, server.origin, "me", PASSWORD)
    await outbound.close()


async def test_a_redirect_within_one_owner_is_checked_like_any_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever two names look like: what one of them resolves to decides whether it is called."""
    monkeypatch.setattr(dav, "same_owner", lambda *_: True)
    monkeypatch.setattr("integrations.outbound.is_public", lambda address: address == "127.0.0.1")

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "dav.test" else ["10.0.0.1"]

    moved = said("", "301 Moved", "Location: http://inside.dav.test/\r\n")
    async with stranger(lambda *_: moved) as server:
        outbound = Outbound(plain_http=True, resolve=resolve)
        with pytest.raises(AddressRefused):
            await discover(outbound, server.origin.replace("127.0.0.1", "dav.test"), "me", PASSWORD)
        assert len(server.heads) == 1
        await outbound.close()


async def test_one_broken_resource_leaves_the_others_alone(radicale: Radicale) -> None:
    """Radicale refuses to keep one, so it is broken on the way."""
    account = radicale.account()
    async with calendar(account) as (provider, calendar_id):
        good = await provider.create(calendar_id, uuid4(), MARKER, VET)
        stream = new_resource(uuid4(), MARKER, VET, NOW).replace("TZID=Europe/Berlin:", "TZID=Middle Earth:")
        await put_as_somebody(account, f"{calendar_id}odd.ics", stream)
        listed = [each.remote_id for each in (await provider.list_changes(calendar_id, None, None)).changes]
        assert sorted(listed) == sorted([good.remote_id, "odd.ics"])
        assert (await provider.get_many(calendar_id, listed)).keys() == {good.remote_id}
        with pytest.raises(EventRejected):
            await provider.get(calendar_id, "odd.ics")


@pytest.mark.parametrize("body", ["", "nonsense", "BEGIN:VCALENDAR", "<html>", "BEGIN:A\n" * 10_000])
async def test_a_broken_resource_is_refused_by_itself(body: str) -> None:
    async with stranger(lambda *_: said(body, "200 OK")) as server, account_at(server) as (provider, calendar_id):
        with pytest.raises(EventRejected):
            await provider.get(calendar_id, "a.ics")


async def test_no_error_says_who_asked_for_what() -> None:
    answers = iter(["401 Unauthorized", "403 Forbidden", "500 Error", "400 Bad", "429 Slow down", "207 Multi-Status"])
    refusing = stranger(lambda *_: said("<secret/>", next(answers)))
    async with refusing as server, account_at(server) as (provider, calendar_id):
        for _ in range(6):
            with pytest.raises(CalendarError) as refused:
                await provider.list_changes(calendar_id, "token my-secret", None)
            shown = f"{refused.value!r} {refused.value.extra} {refused.value.__cause__!r}"
            assert not any(word in shown for word in (PASSWORD, "secret", server.origin, "me:"))


async def test_a_wrong_password_is_tried_once(radicale: Radicale) -> None:
    radicale.knob("reset")
    outbound = Outbound(plain_http=True, private=True)
    with pytest.raises(NeedsReauth):
        await discover(outbound, f"{radicale.origin}/user0/", "user0", "wrong")
    assert len(radicale.log()) == 1
    await outbound.close()


@pytest.mark.parametrize("path", ["", "/", "/.well-known/caldav", "/user0/", "/user0"])
async def test_the_calendars_are_found_from_wherever_a_person_begins(radicale: Radicale, path: str) -> None:
    outbound = Outbound(plain_http=True, private=True)
    home = await discover(outbound, radicale.origin + path, "user0", PASSWORD)
    assert home == f"{radicale.origin}/user0/"
    await outbound.close()


async def test_a_page_beside_the_calendars_leads_to_them_by_the_well_known_path() -> None:
    principal = has("/dav/", "<current-user-principal><href>/dav/me/</href></current-user-principal>")
    home = has("/dav/me/", "<c:calendar-home-set><href>/dav/me/cals</href></c:calendar-home-set>")
    answers = {
        "/mail": said("<html>", "405 Method Not Allowed"),
        "/.well-known/caldav": said("", "308 Permanent Redirect", "Location: /dav/\r\n"),
        "/dav/": listing(principal),
        "/dav/me/": listing(home),
    }
    async with stranger(lambda _, path: answers[path]) as server:
        outbound = Outbound(plain_http=True, private=True)
        assert await discover(outbound, f"{server.origin}/mail", "me", PASSWORD) == f"{server.origin}/dav/me/cals/"
        assert [head.split()[0] for head in server.heads] == ["PROPFIND"] * 4
        await outbound.close()


async def test_an_address_without_calendars_says_so() -> None:
    outbound = Outbound(plain_http=True, private=True)
    async with stranger(lambda *_: said("<html>", "404 Not Found")) as server:
        with pytest.raises(NoCalendars):
            await discover(outbound, server.origin, "me", PASSWORD)
    with pytest.raises(AddressUnreachable):
        await discover(outbound, "http://127.0.0.1:1/", "me", PASSWORD)
    with pytest.raises(AddressRefused):
        await discover(Outbound(), "http://127.0.0.1:1/", "me", PASSWORD)
    await outbound.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://caldav.icloud.com/", "https://p42-caldav.icloud.com/1/calendars/", True),
        ("https://example.com/", "https://dav.example.com/", True),
        ("https://example.co.uk/", "https://dav.example.co.uk/", True),
        ("https://me.co.uk/", "https://you.co.uk/", False),
        ("https://dav.example.de/", "https://kalender.example.de/", True),
        ("https://example.com/", "https://example.com.evil.test/", False),
        ("https://example.com/", "https://notexample.com/", False),
        ("http://example.com/", "https://example.com/", True),
        ("https://example.com/", "http://example.com/", False),
        ("https://example.com/", "https://example.com:8443/", False),
        ("https://example.com:8443/", "https://dav.example.com/", False),
        ("https://93.184.216.34/", "https://1.184.216.34/", False),
        ("https://com/", "https://com.com/", False),
        ("https://example.com/", "file:///etc/passwd", False),
        ("https://[::1]/", "https://[::2]/", False),
    ],
)
def test_credentials_stay_with_one_owner(one: str, other: str, same: bool) -> None:
    assert same_owner(one, other) is same


@pytest.mark.parametrize(
    ("host", "registered"), [("a.b.example.com", "example.com"), ("co.uk", None), ("x.co.uk", "x.co.uk")]
)
def test_what_was_registered(host: str, registered: str | None) -> None:
    assert domain(host) == registered


def test_the_adapter_never_imports_radicale() -> None:
    """Its licence would be ours."""

    def imports() -> Iterator[str]:
        for package in (
            "core",
            "domain",
            "integrations",
            "models",
            "activities",
            "workflows",
            "temporal",
            "api",
            "workers",
        ):
            for file in Path(package).rglob("*.py"):
                if "import radicale" in (text := file.read_text()) or "from radicale" in text:
                    yield str(file)

    assert list(imports()) == []
