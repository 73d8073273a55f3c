"""Bench 9: a thousand events brought from one CalDAV calendar into another, and then one change, beside vdirsyncer.

Both talk to the same Radicale, in a process of its own, each about two new calendars. Petfolio does not copy between
calendars: two connections of one person meet in their appointments. A is adopted into Postgres, encrypted, with what
was agreed on; B gets its events under intents that were committed before each write. Engine, rows and adapter are those
of the worker; they run in this process, without Temporal around them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx

from activities.calendar_engine import Engine
from bench.fires import at_once
from bench.platform import Platform
from bench.processes import cpu_seconds, python, start
from core.crypto import FieldCipher
from core.db import WORKER_POOL, Database, connect
from infra.local import ports
from integrations.calendar.caldav import CalDavCalendars
from integrations.keys.factory import open_keys
from integrations.keys.store import KeyStore
from integrations.outbound import Outbound
from models.queries.keys import KeyTable
from tests.caldav_servers import PASSWORD, user_file
from tests.calendar import home
from tests.calendar.home import CalendarHome
from tests.stack import until

USER = "bench"
_EVENT = (
    "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261101T080000Z\r\nSUMMARY:{title}\r\nDESCRIPTION:Bring the card\r\n"
    "LOCATION:Main Street 1\r\nDTSTART:20270{month}{day:02}T090000Z\r\nDTEND:20270{month}{day:02}T100000Z\r\n"
    "END:VEVENT\r\n"
)
_CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Bench//EN\r\n{events}END:VCALENDAR\r\n"


@dataclass(frozen=True, slots=True)
class Sync:
    """Of one sync: wall seconds, CPU seconds of who syncs (with Postgres) and of Radicale, and HTTP requests.
    `process`: wall seconds with the start of the process, if it has one."""

    seconds: float
    cpu: float
    server_cpu: float
    requests: int
    process: float


@dataclass(frozen=True, slots=True)
class Round:
    """Each took the same number of events from A to B, and then one change. `polled`: a change for which we, too, read
    both lists."""

    ours: tuple[Sync, Sync]
    peer: tuple[Sync, Sync]
    polled: Sync


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of the same number of PUTs that do nothing else: one after the other, and four at a time."""

    one: float
    four: float


@dataclass(frozen=True, slots=True)
class Calendars:
    """`sizes`: a change in calendars of other sizes."""

    rounds: Sequence[Round]
    floor: Floor
    sizes: dict[int, Round]


@dataclass(frozen=True, slots=True)
class Server:
    """Radicale, and where the rows are."""

    origin: str
    pid: int
    postgres: int
    http: httpx.AsyncClient

    def new_calendar(self) -> str:
        """The URL of one that is not there yet."""
        return f"{self.origin}/{USER}/{uuid4().hex}/"

    async def fill(self, calendar: str, count: int) -> None:
        """Make it, with so many events."""
        events = "".join(_event(number) for number in range(count))
        (await self.http.put(calendar, content=_CALENDAR.format(events=events))).raise_for_status()
        assert len(await self.titles(calendar)) == count

    async def empty(self, calendar: str) -> None:
        """Make it, with nothing in it."""
        (await self.http.request("MKCALENDAR", calendar)).raise_for_status()

    async def change(self, calendar: str, title: str) -> None:
        """Another title for the first event."""
        event = _CALENDAR.format(events=_event(0, title))
        (await self.http.put(f"{calendar}event-0.ics", content=event)).raise_for_status()

    async def titles(self, calendar: str) -> list[str]:
        """Of everything in it."""
        lines = (await self.http.get(calendar)).raise_for_status().text.splitlines()
        return sorted(line.removeprefix("SUMMARY:") for line in lines if line.startswith("SUMMARY:"))

    async def measured(self, sync: Callable[[], Awaitable[tuple[float, float]]], who: Sequence[int]) -> Sync:
        """A sync that answers its seconds and CPU seconds; `who` works for it besides."""
        await self.http.post("/_control/reset", json={})
        before, server, began = cpu_seconds(who), cpu_seconds([self.pid]), time.perf_counter()
        seconds, cpu = await sync()
        process = time.perf_counter() - began
        spent, served = cpu_seconds(who) - before, cpu_seconds([self.pid]) - server
        requests = len((await self.http.get("/_control/log")).json())
        return Sync(seconds, cpu + spent, served, requests, process)


async def run(on: Platform, rounds: int, count: int, sizes: Sequence[int]) -> Calendars:
    """So many rounds of so many events, and one of each other size."""
    async with radicale(on) as server, connect(on.settings, WORKER_POOL) as db:
        taken = [await _round(server, db, on, count) for _ in range(rounds)]
        floor = Floor(await _puts(server, count, 1), await _puts(server, count, 4))
        return Calendars(taken, floor, {size: await _round(server, db, on, size) for size in sizes})


async def _round(server: Server, db: Database, on: Platform, count: int) -> Round:
    *ours, polled = await _ours(server, db, on, count)
    return Round((ours[0], ours[1]), await _vdirsyncer(server, count), polled)


async def _ours(server: Server, db: Database, on: Platform, count: int) -> tuple[Sync, Sync, Sync]:
    a, b = server.new_calendar(), server.new_calendar()
    await server.fill(a, count)
    await server.empty(b)
    outbound = Outbound(plain_http=True, private=True)
    provider = CalDavCalendars(outbound, f"{server.origin}/{USER}/", USER, PASSWORD)
    first, second = await _person(db, on, provider, a, b)

    async def sync(run: Callable[[Engine, Engine], Awaitable[None]] = _run_both) -> tuple[float, float]:
        started, used = time.perf_counter(), time.process_time()
        await run(await first.engine(), await second.engine())
        return time.perf_counter() - started, time.process_time() - used

    try:
        once, again = await _both(server, sync, [server.postgres], a, b, count)
        await server.change(a, "Polled")
        return once, again, await server.measured(lambda: sync(_poll_both), [server.postgres])
    finally:
        await provider.close()
        await outbound.close()


async def _run_both(first: Engine, second: Engine) -> None:
    """As two workflows do it: the first has its list read, as by a poll; the second, which hears of what the first has
    taken up, makes it meanwhile, and reads its own list only if it never did."""
    await first.pull()
    await second.pull(poll=False)
    more = await first.work()
    while more:
        more, _ = await asyncio.gather(first.work(), second.work())
    while await second.work():
        pass


async def _poll_both(first: Engine, second: Engine) -> None:
    """Both have their lists read, and bring up to date what they find."""
    for engine in (first, second):
        await engine.pull()
        while await engine.work():
            pass


async def _person(
    db: Database, on: Platform, provider: CalDavCalendars, a: str, b: str
) -> tuple[CalendarHome, CalendarHome]:
    """With both calendars connected."""
    keys = KeyStore(open_keys(on.settings)[0], KeyTable(db.reads))
    cipher = FieldCipher(keys)
    first = await home.connect(db, keys, cipher, provider, a)
    return first, await home.connect(db, keys, cipher, provider, b, home=first.home)


async def _vdirsyncer(server: Server, count: int) -> tuple[Sync, Sync]:
    a, b = server.new_calendar(), server.new_calendar()
    await server.fill(a, count)
    await server.empty(b)
    with TemporaryDirectory() as folder:
        config = _config(Path(folder), a, b)

        async def sync() -> tuple[float, float]:
            return await _command(config, "sync")

        await _command(config, "discover")
        return await _both(server, sync, [], a, b, count)


async def _both(
    server: Server,
    sync: Callable[[], Awaitable[tuple[float, float]]],
    who: Sequence[int],
    a: str,
    b: str,
    count: int,
) -> tuple[Sync, Sync]:
    """The first sync, and the one after a change; each brought B what A has."""
    first = await server.measured(sync, who)
    assert await server.titles(b) == await server.titles(a)
    await sync()
    await server.change(a, "Changed")
    following = await server.measured(sync, who)
    titles = await server.titles(b)
    assert titles == await server.titles(a)
    assert len(titles) == count
    assert "Changed" in titles
    return first, following


async def _command(config: Path, name: str) -> tuple[float, float]:
    """(seconds, CPU seconds) of a vdirsyncer command, without the start of its process."""
    command = python("bench.vdirsync", "--verbosity", "ERROR", "--config", str(config), name)
    process = start(command, None, {})
    said, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    seconds, cpu = said.split()[-2:]
    return float(seconds), float(cpu)


async def _puts(server: Server, count: int, slots: int) -> float:
    """Seconds of so many new events, so many at a time, by a client that knows nothing."""
    calendar = server.new_calendar()
    await server.empty(calendar)
    events = [_CALENDAR.format(events=_event(number)) for number in range(count)]

    async def put(number: int) -> None:
        answer = await server.http.put(f"{calendar}event-{number}.ics", content=events[number])
        answer.raise_for_status()

    started = time.perf_counter()
    await at_once(put, count, slots)
    return time.perf_counter() - started


@asynccontextmanager
async def radicale(on: Platform) -> AsyncIterator[Server]:
    """The server, in a process of its own, with an empty folder."""
    port = next(port for port in range(22_400, 22_499) if ports.is_free(port))
    origin = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        users = user_file(Path(folder), [USER])
        options = ("--port", str(port), "--folder", f"{folder}/collections", "--users", str(users))
        process = start(python("infra.local.caldav_server", *options), None, {})
        try:
            async with httpx.AsyncClient(base_url=origin, auth=(USER, PASSWORD), timeout=120) as http:
                await until(lambda: _answers(http), within=30, what="Radicale answers")
                (postgres,) = await on.pids("postgres")
                yield Server(origin, process.pid, postgres, http)
        finally:
            process.terminate()
            process.wait(30)


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/_control/log")).is_success
    except httpx.TransportError:
        return False


def _event(number: int, title: str = "") -> str:
    month, day = 1 + number // 28 % 9, 1 + number % 28
    return _EVENT.format(uid=f"event-{number}", title=title or f"Visit {number:05}", month=month, day=day)


def _config(folder: Path, a: str, b: str) -> Path:
    storages = "".join(
        f'[storage {name}]\ntype = "caldav"\nurl = "{url}"\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
        for name, url in (("a", a), ("b", b))
    )
    pair = '[pair ab]\na = "a"\nb = "b"\ncollections = null\nconflict_resolution = "a wins"\n'
    path = folder / "config"
    path.write_text(f'[general]\nstatus_path = "{folder}/status"\n{pair}{storages}')
    return path
