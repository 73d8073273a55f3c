"""Must hold: a provider that refuses is left in peace, the others do not notice, and nothing secret is written down.

One stack, one person with three calendars: each provider in its turn refuses, and at the end everything that any
process wrote is searched.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing

import httpx
import pytest

from tests.faults.calendars import CONNECTIONS, Calendars, account, dav_account, finish, three_calendars
from tests.leaks import (
    every_log,
    everything_postgres_holds,
    everything_temporal_holds,
    everything_temporal_opens,
    found_in,
)
from tests.person import sign_up
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(180)
PROVIDERS = ("google", "microsoft", "caldav")
USER_AGENT = "Petfolio"
"""As we call ourselves; the others on the CalDAV server look whether it is alive."""
CANARY, WRONG = "canaryfelis", "canary-wrong-password"
"""In every title; a password that is not theirs."""


@pytest.fixture(scope="module")
async def calendars(stack: Stack, client: httpx.AsyncClient, inbox: Inbox) -> AsyncIterator[Calendars]:
    person = await sign_up(client, inbox)
    async with three_calendars(stack, person) as connected:
        yield connected


@pytest.fixture(scope="module")
async def servers(stack: Stack) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """The local servers' knobs: of both vendors, and of the CalDAV server."""
    services = (await stack.status())["services"]
    async with (
        httpx.AsyncClient(base_url=services["calendars"]["url"]) as vendors,
        httpx.AsyncClient(base_url=services["caldav"]["url"]) as dav,
    ):
        yield {"vendors": vendors, "caldav": dav}


async def plan(calendars: Calendars, name: str) -> str:
    """An appointment; its title."""
    title = f"{CANARY} {name}"
    await calendars.places["here"].create(title)
    return title


async def arrives(calendars: Calendars, title: str, places: Iterable[str], *, within: float = 30) -> float:
    """Wait until the event is there, in all these places; how many seconds it took."""
    began = time.monotonic()

    async def there() -> bool:
        found = [await calendars.places[place].events() for place in places]
        return all(any(each.texts["title"] == title for each in events) for events in found)

    await until(there, within=within, what=f"{title} arrives")
    return time.monotonic() - began


async def enter(calendars: Calendars, password: str) -> None:
    """Another password for the CalDAV account."""
    connection = (await calendars.connections())["caldav"]
    path = f"{CONNECTIONS}/{connection['id']}/reauthorise"
    answer = await calendars.person.call("POST", path, json={"password": password})
    assert answer.status_code == 200, answer.text


async def stands(calendars: Calendars, name: str, state: str) -> bool:
    """Whether the connection is in this state."""
    return bool((await calendars.connections())[name]["state"] == state)


class Refusal:
    """One provider that refuses this person's credentials, and counts how often it was asked."""

    def __init__(self, calendars: Calendars, servers: dict[str, httpx.AsyncClient], stack: Stack, name: str) -> None:
        self.calendars, self.servers, self.stack, self.name = calendars, servers, stack, name
        self.user, self.password = dav_account(stack)

    async def __aenter__(self) -> "Refusal":
        """From now on it does, and nobody has asked yet."""
        if self.name == "caldav":
            await self.servers["caldav"].post("/_control/grant", json={"user": self.user, "allowed": False})
            self.asked_before = await self._log_length()
            return self
        control = self.calendars.controls[self.name]
        control.grant("invalid_grant" if self.name == "google" else "revoked")
        control.expire_access()
        control.clear_log()
        return self

    async def __aexit__(self, *_: object) -> None:
        """The person has seen to it, and says so to Petfolio."""
        if self.name == "caldav":
            await self.servers["caldav"].post("/_control/grant", json={"user": self.user, "allowed": True})
            await enter(self.calendars, self.password)
            return
        self.calendars.controls[self.name].grant("ok")
        connection = (await self.calendars.connections())[self.name]
        begun = await self.calendars.person.call("POST", f"{CONNECTIONS}/{connection['id']}/reauthorise", json={})
        person = self.calendars.person
        await finish(person, self.servers["vendors"], begun.json()["authorize_url"], account(person, self.name))
        self.calendars.renew_token(self.name)

    async def asked(self) -> int:
        """How many requests it got since it began."""
        if self.name == "caldav":
            return await self._log_length() - self.asked_before
        return len(self.calendars.controls[self.name].log())

    async def _log_length(self) -> int:
        log = (await self.servers["caldav"].get("/_control/log")).json()
        return len([each for each in log if each["headers"].get("User-Agent") == USER_AGENT])


@pytest.mark.parametrize("name", PROVIDERS)
async def test_refused_credentials_are_tried_once_and_what_was_edited_meanwhile_follows(
    calendars: Calendars, servers: dict[str, httpx.AsyncClient], stack: Stack, name: str
) -> None:
    """S21."""
    others = [each for each in PROVIDERS if each != name]
    await calendars.settled(30)
    async with Refusal(calendars, servers, stack, name) as refusal:
        first = await plan(calendars, f"first at {name}")
        await until(lambda: stands(calendars, name, "needs_reauth"), within=40, what="the person is told to reconnect")
        await arrives(calendars, first, others)
        attempts = await refusal.asked()
        assert 1 <= attempts <= (1 if name == "caldav" else 2)  # with the token at hand, and for a new one
        second = await plan(calendars, f"second at {name}")
        await calendars.sync_now()
        await arrives(calendars, second, others)
        assert await refusal.asked() == attempts
    for title in (first, second):
        await arrives(calendars, title, [name])
    assert await stands(calendars, name, "active")


async def test_retry_after_is_obeyed_to_the_second(calendars: Calendars) -> None:
    """S20."""
    google = calendars.controls["google"]
    await calendars.settled(30)
    google.clear_log()
    google.throttle(status=429, retry_after=15, times=1)
    title = await plan(calendars, "throttled")
    await arrives(calendars, title, ["microsoft", "caldav"], within=14)

    def asked_again() -> list[float]:
        log = google.log()
        refused = [number for number, each in enumerate(log) if each["status"] == 429]
        return (
            [each["at"] for each in log[refused[0] : refused[0] + 2]] if refused and len(log) > refused[0] + 1 else []
        )

    before, after = await until(asked_again, within=40, what="it is asked again")
    assert after - before >= 15
    await arrives(calendars, title, ["google"])


async def test_an_outage_of_one_provider_costs_the_others_nothing_and_ends_without_a_herd(
    calendars: Calendars, record_property: Callable[[str, object], None]
) -> None:
    """S38."""
    google, others = calendars.controls["google"], ["microsoft", "caldav"]
    await calendars.settled(30)
    usual = []
    for number in range(3):
        title = await plan(calendars, f"usual {number}")
        usual.append(await arrives(calendars, title, others))
        await arrives(calendars, title, ["google"])  # else it would be counted among those of the outage
    google.clear_log()
    google.fault(status=503, times=None)
    began = time.monotonic()
    titles, meanwhile = [], []
    while time.monotonic() - began < 20 or len(titles) < 3:
        titles.append(await plan(calendars, f"meanwhile {len(titles)}"))
        meanwhile.append(await arrives(calendars, titles[-1], others))
        await asyncio.sleep(1)  # nobody plans faster
    down = len(google.log())
    google.clear_rules()
    google.clear_log()
    record_property("seconds usually and meanwhile", (usual, meanwhile))
    assert max(meanwhile) <= 2 * max(usual) + 2
    assert down <= 10
    await until(lambda: len(made(google.log())) >= len(titles), within=60, what="everything is there")
    await calendars.settled(60)
    for title in titles:
        await arrives(calendars, title, ["google"])
    assert len(made(google.log())) == len(titles)


def made(log: list[dict[str, object]]) -> list[object]:
    """Events that were created."""
    return [each for each in log if each["method"] == "POST" and str(each["path"]).endswith("/events")]


async def test_no_secret_and_no_word_of_an_event_is_written_down(
    stack: Stack, client: httpx.AsyncClient, calendars: Calendars
) -> None:
    """S40, after all the refusals above and a wrong password."""
    await enter(calendars, WRONG)
    await until(lambda: stands(calendars, "caldav", "needs_reauth"), within=20, what="the password is refused")
    secrets = [WRONG, *given_tokens(stack), *own_secrets(stack)]
    assert len(secrets) >= 7
    assert found_in(await everything_temporal_holds(stack), [*secrets, CANARY]) == []
    assert found_in(await everything_temporal_opens(stack, client), [*secrets, CANARY]) == []
    assert found_in(await everything_postgres_holds(stack), [*secrets, CANARY]) == []
    leaks = {path.name: found_in(text, [*secrets, CANARY]) for path, text in every_log(stack.data_dir)}
    assert {name: found for name, found in leaks.items() if found} == {}
    answers = [await calendars.person.call("GET", path) for path in (CONNECTIONS, "/workflows", "/appointments")]
    for each in (await calendars.connections()).values():
        answers.append(await client.get(each["workflow"], headers=calendars.person.headers))
    assert all(answer.status_code == 200 for answer in answers)
    assert found_in(json.dumps([answer.json() for answer in answers]), secrets) == []


def given_tokens(stack: Stack) -> list[str]:
    """Every token that the vendors have given, as their own store holds them."""
    with closing(sqlite3.connect(stack.data_dir / "emulators" / "calendars.db")) as store:
        rows = store.execute("SELECT name FROM documents WHERE kind IN ('access', 'refresh')").fetchall()
    return [name for (name,) in rows]


def own_secrets(stack: Stack) -> list[str]:
    """What the application and its person keep: the client secrets, the password, and that with its name."""
    user, password = dav_account(stack)
    settings = stack.settings()
    clients = [settings[f"PETFOLIO_CALENDARS__{name}__CLIENT_SECRET"] for name in ("GOOGLE", "MICROSOFT")]
    return [*clients, password, f"{user}:{password}"]
