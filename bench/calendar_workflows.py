"""Bench 10: connected calendars as the platform runs them. How soon what a provider tells of is seen here, and what
calendars cost in which nothing happens.

The provider is the local Google, which pushes; the idle ones are calendars of the local Radicale, which are polled as
seldom as the settings allow. Their rows are written as the api writes them, and the relay starts their workflows.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import httpx
from temporalio.client import Client

from bench import noop
from bench.calendars import USER, Server, radicale
from bench.fires import at_once, percentiles
from bench.platform import Platform
from bench.processes import cpu_seconds
from bench.sleepers import each_kb, quiet_memory
from core.crypto import FieldCipher
from core.db import WORKER_POOL, Database, connect
from integrations.calendar.credentials import CalDavCredential
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.keys.factory import open_keys
from integrations.keys.store import KeyStore
from models.queries.keys import KeyTable
from temporal import ids, outbox
from tests.caldav_servers import PASSWORD
from tests.calendar import home
from tests.calendar.home import CalendarHome
from tests.person import Person
from tests.stack import until
from tests.workflows.reminder_world import histories_of

_CONNECTIONS = "/integrations/calendar/connections"
_IDLE_SECONDS = 30.0
_WARM = 100
_APART = 5.0
"""Seconds between two edits: nobody rests from the former any more (`workflows.calendar_sync.REST`)."""


@dataclass(frozen=True, slots=True)
class History:
    """Of a workflow, per look: events and bytes."""

    looks: int
    events: float
    size: float


@dataclass(frozen=True, slots=True)
class Pushed:
    """Seconds from an edit at the provider until the api shows it."""

    edits: int
    p50: float
    p95: float
    history: History


@dataclass(frozen=True, slots=True)
class Idle:
    """kB of the worker and of the Temporal server for each; CPU milliseconds of the worker in `seconds` of idleness."""

    count: int
    worker_kb: float
    server_kb: float
    cpu_ms: float
    seconds: float
    history: History


async def pushed(on: Platform, edits: int) -> Pushed:
    """So many edits of one event, one after the other, each somewhere in the rest of the workflow."""
    google, account = on.env["PETFOLIO_CALENDARS__GOOGLE__API_URL"], f"{uuid4().hex[:12]}@example.com"
    await on.owner.login()
    connection = await _consent(on, account)
    async with httpx.AsyncClient(base_url=google, timeout=30) as vendor:
        deed = {"provider": "google", "account": account}
        calendar = await until(
            lambda: _own_calendar(vendor, account), within=60, what="a calendar of ours and a channel"
        )
        fields = {"title": "Edit 0", "start": "2027-03-01T09:00", "end": "2027-03-01T10:00", "zone": "Europe/Berlin"}
        made = await vendor.post(
            "/_control/remote", json=deed | {"action": "create", "calendar": calendar, "fields": fields}
        )
        event = made.raise_for_status().json()["id"]
        await _visible(on.owner, "Edit 0")
        seconds = []
        for number in range(1, edits + 1):
            await asyncio.sleep(_APART)
            started, change = time.perf_counter(), {"fields": {"title": f"Edit {number}"}}
            await vendor.post(
                "/_control/remote", json=deed | {"action": "edit", "calendar": calendar, "event": event} | change
            )
            await _visible(on.owner, f"Edit {number}")
            seconds.append(time.perf_counter() - started)
    client = await noop.connect(on.settings)
    return Pushed(edits, *percentiles(seconds), await _history(client, [await _workflow_of(on, connection)]))


async def idle(on: Platform, count: int) -> Idle:
    """So many connections of one person, whose first look is over."""
    worker, server = await on.pids("worker-calendar", "temporal")
    async with connect(on.settings, WORKER_POOL) as db, radicale(on) as caldav:
        await _first_looks(on, db, caldav, _WARM)
        before = await quiet_memory(worker, server)
        workflows = await _first_looks(on, db, caldav, count)
        after = await quiet_memory(worker, server)
        used = cpu_seconds([worker])
        await asyncio.sleep(_IDLE_SECONDS)
        cpu = cpu_seconds([worker]) - used
    worker_kb, server_kb = each_kb(before, after, count)
    client = await noop.connect(on.settings)
    return Idle(count, worker_kb, server_kb, cpu * 1000, _IDLE_SECONDS, await _history(client, workflows[:20]))


async def _first_looks(on: Platform, db: Database, caldav: Server, count: int) -> Sequence[str]:
    """So many new connections, once each was looked at; the ids of their workflows."""
    links = await _connections(on, db, caldav, count)
    await until(lambda: _all_seen(db, links), within=900, what="the first look of each")
    return [ids.calendar(each.home.user_id, each.link_id) for each in links]


async def _consent(on: Platform, account: str) -> str:
    """Somebody connects their Google account, as app and browser do it together; the id of the connection."""
    begun = await on.owner.call("POST", _CONNECTIONS, json={"provider": "google"})
    async with httpx.AsyncClient(timeout=30) as browser:
        ours = await browser.get(begun.raise_for_status().json()["authorize_url"])
        cookie = ours.headers["set-cookie"].partition(";")[0]
        vendor = httpx.URL(ours.headers["location"])
        ticked = dict.fromkeys(vendor.params["scope"].split(), "on")
        given = await browser.post(vendor, data={**ticked, "email": account, "decision": "allow"})
        back = await browser.get(given.headers["location"], headers={"Cookie": cookie})
    code = httpx.QueryParams(httpx.URL(back.headers["location"]).fragment)["code"]
    finished = await on.owner.call("POST", "/integrations/calendar/finish", json={"code": code})
    return str(finished.raise_for_status().json()["id"])


async def _own_calendar(vendor: httpx.AsyncClient, account: str) -> str | None:
    """The calendar that was made for us, once its changes are told to us."""
    state = (await vendor.get("/_control/state")).json()
    mine = [each["id"] for each in state["calendars"] if each["account"] == account and each["title"] == "Petfolio"]
    return mine[0] if mine and state["channels"] else None


async def _visible(owner: Person, title: str) -> None:
    async def seen() -> bool:
        answer = await owner.call("GET", "/appointments")
        return any(each["title"] == title for each in answer.raise_for_status().json()["items"])

    await until(seen, within=60, what="the edit is visible")


async def _connections(on: Platform, db: Database, caldav: Server, count: int) -> Sequence[CalendarHome]:
    """Connected, and rung for: the relay starts their workflows."""
    keys = KeyStore(open_keys(on.settings)[0], KeyTable(db.reads))
    cipher, provider = FieldCipher(keys), MemoryCalendars(MemoryServer())
    credential, made = CalDavCredential(caldav.origin, USER, PASSWORD), list[CalendarHome]()

    async def one(_: int) -> None:
        await caldav.empty(calendar := caldav.new_calendar())
        person = made[0].home if made else None
        made.append(await home.connect(db, keys, cipher, provider, calendar, credential=credential, home=person))

    await one(0)
    await at_once(one, count - 1, 4)
    async with db.sessions.begin() as session:
        for each in made:
            await outbox.ring_calendar(session, each.home.user_id, each.link_id, "caldav")
    return made


async def _all_seen(db: Database, made: Sequence[CalendarHome]) -> bool:
    await asyncio.sleep(1)  # look seldom: looking costs CPU too
    query = "SELECT count(*) FROM calendar_links WHERE last_ok_at IS NOT NULL AND id = ANY($1::uuid[])"
    return int(await db.reads.fetchval(query, [each.link_id for each in made])) == len(made)


async def _workflow_of(on: Platform, connection_id: str) -> str:
    database = await asyncpg.connect(on.env["PETFOLIO_DATABASE_URL"], ssl=False)
    try:
        query = "SELECT user_id, id FROM calendar_links WHERE connection_id = $1"
        user_id, link_id = await database.fetchrow(query, UUID(connection_id))
    finally:
        await database.close()
    return ids.calendar(user_id, link_id)


async def _history(client: Client, workflow_ids: Sequence[str]) -> History:
    """Per look, over all runs of these workflows."""
    runs = [run for workflow_id in workflow_ids for run in await histories_of(client, workflow_id)]
    events = [event for run in runs for event in run.events]
    scheduled = [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]
    looks = scheduled.count("pull_changes")
    return History(looks, len(events) / looks, sum(event.ByteSize() for event in events) / looks)
