"""`make bench`: side-by-side measurements on a platform of its own; prints ratios and writes bench/RESULTS.md.

Figures of one machine at one moment mean little; what is beside them was measured in the same run.
"""

import argparse
import asyncio
import os
import platform as machine
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import (
    agenda,
    billing,
    billing_report,
    calendar_report,
    calendar_workflows,
    calendars,
    fires,
    logins,
    media,
    media_processing,
    reads,
    sleepers,
    sockets,
    tokens,
)
from bench.agenda import Agenda
from bench.fires import Burst, percentiles
from bench.logins import Logins
from bench.platform import Platform, platform
from bench.reads import BARE, EXPRESS, PETFOLIO, Rounds, ratio, typical
from bench.sleepers import Sleepers
from bench.sockets import Listening
from bench.tokens import Checks

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

Written by `make bench`; `make bench ARGS="--only sockets agenda"` measures some parts anew. Ratios compare what ran in
the same run of a part; absolute figures are of one machine at that moment.
"""
NUMBERS = {
    "rounds": 9,
    "seconds": 3.0,
    "connections": 32,
    "bursts": 3,
    "fires": 500,
    "starts": 100,
    "listeners": 5_000,
    "agenda": 200,
    "crowd": 5_000,
    "sleepers": 20_000,
    "events": 1_000,
    "many_events": 5_000,
    "syncs": 2,
    "edits": 50,
    "idle": 1_000,
    "steady": 20.0,
    "accounts": 500,
    "posts": 10_000,
    "subscriptions": 10_000,
    "photos": 200,
    "uploaders": 20,
}
"""What is measured, as often and as much as this unless told otherwise."""
WARM_UP = 50


async def measure(options: argparse.Namespace) -> list[str]:
    """The report, a section per part, printed as it grows."""
    sections = []
    async with platform(PETFOLIO_CALENDARS__POLL_SECONDS="900") as on:
        for name in options.only:
            began = moment()
            sections.append(f"{await PARTS[name](on, options)}\nMeasured {began}\n")
            print(sections[-1], flush=True)
    return sections


async def measure_reads(on: Platform, options: argparse.Namespace) -> str:
    """Bench 1."""
    reads.install_peer()
    return show_reads(await reads.run(on, options.rounds, options.seconds, options.connections))


async def measure_fires(on: Platform, options: argparse.Namespace) -> str:
    """Bench 2."""
    await fires.no_ops(on, WARM_UP)
    await fires.reminders(on, WARM_UP)
    return show_fires([await _pair(on, options.fires) for _ in range(options.bursts)], "2")


async def measure_crowd(on: Platform, options: argparse.Namespace) -> str:
    """Bench 2 with many more."""
    return show_fires([await _pair(on, options.crowd)], "2b")


async def measure_starts(on: Platform, options: argparse.Namespace) -> str:
    """Bench 3."""
    await on.owner.login()  # a token lasts ten minutes, a run may last longer
    return show_starts(*await fires.starts(on, options.starts))


async def measure_sockets(on: Platform, options: argparse.Namespace) -> str:
    """Bench 4."""
    return show_sockets(await sockets.run(on, options.listeners))


async def measure_agenda(on: Platform, options: argparse.Namespace) -> str:
    """Bench 5."""
    return show_agenda(await agenda.run(on, options.agenda))


async def measure_tokens(on: Platform, options: argparse.Namespace) -> str:
    """Bench 7."""
    return show_tokens(await tokens.run(on, options.rounds))


async def measure_logins(on: Platform, options: argparse.Namespace) -> str:
    """Bench 8."""
    return show_logins(await logins.run(on, min(options.rounds, 5)))


async def measure_sleepers(on: Platform, options: argparse.Namespace) -> str:
    """Bench 6."""
    return show_sleepers(await sleepers.run(on, options.sleepers, options.sleepers // 4))


async def measure_calendars(on: Platform, options: argparse.Namespace) -> str:
    """Bench 9."""
    return calendar_report.show_syncs(
        await calendars.run(on, options.syncs, options.events, (10, options.many_events)), options.events
    )


async def measure_connections(on: Platform, options: argparse.Namespace) -> str:
    """Bench 10."""
    return calendar_report.show_connections(
        await calendar_workflows.pushed(on, options.edits), await calendar_workflows.idle(on, options.idle)
    )


async def measure_billing(on: Platform, options: argparse.Namespace) -> str:
    """Bench 11."""
    size = billing.Size(
        rounds=min(options.rounds, 7),
        seconds=options.seconds,
        connections=options.connections,
        steady=options.steady,
        accounts=options.accounts,
        posts=options.posts,
        subscriptions=options.subscriptions,
    )
    return billing_report.show_billing(await billing.run(on, size), size)


async def measure_photos(on: Platform, options: argparse.Namespace) -> str:
    """Bench 12: in a thread, because it needs nothing of the platform and blocks."""
    return media_processing.show(await asyncio.to_thread(media_processing.run, options.rounds))


async def measure_uploads(on: Platform, options: argparse.Namespace) -> str:
    """Bench 13."""
    return await media.run(on, options.uploaders, options.photos, options.rounds, options.seconds)


async def _pair(on: Platform, count: int) -> tuple[Burst, Burst]:
    return await fires.reminders(on, count), await fires.no_ops(on, count)


PARTS: dict[str, Callable[[Platform, argparse.Namespace], Awaitable[str]]] = {
    "reads": measure_reads,
    "starts": measure_starts,
    "fires": measure_fires,
    "sockets": measure_sockets,
    "agenda": measure_agenda,
    "tokens": measure_tokens,
    "crowd": measure_crowd,
    "sleepers": measure_sleepers,
    "logins": measure_logins,
    "calendars": measure_calendars,
    "connections": measure_connections,
    "billing": measure_billing,
    "photos": measure_photos,
    "uploads": measure_uploads,
}
"""In the order of a whole run: what leaves much behind comes last."""


def merged(results: str, sections: Sequence[str]) -> str:
    """The results with these sections in place of those with their number."""
    known = {_number(section): section for section in results.split("\n## ")[1:]}
    known |= {_number(section): section for section in (each.removeprefix("## ") for each in sections)}
    return "\n## ".join((HEAD, *(known[number].rstrip() + "\n" for number in sorted(known, key=_order))))


def _number(section: str) -> str:
    return section.partition(".")[0]


def _order(number: str) -> tuple[int, str]:
    digits = number.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits), number


def moment() -> str:
    """When and where a part was measured, and how busy the machine was when it began."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine.system()} {machine.machine()}, Python {machine.python_version()}; "
        f"{load:.1f} runnable processes for {cores} cores when it began."
    )


def show_reads(rounds: Rounds) -> str:
    """Bench 1."""
    rows = "\n".join(
        f"| {name} | {typical(rounds, name, 'per_second'):,.0f} | {typical(rounds, name, 'cpu_us'):,.0f} | "
        f"{typical(rounds, name, 'p50'):.1f} / {typical(rounds, name, 'p99'):.1f} |"
        for name in (PETFOLIO, BARE, EXPRESS)
    )
    faster, cheaper = ratio(rounds, "per_second", PETFOLIO, EXPRESS), ratio(rounds, "cpu_us", PETFOLIO, EXPRESS)
    floor = ratio(rounds, "cpu_us", PETFOLIO, BARE)
    return f"""## 1. Authenticated `GET /pets/{{id}}`

| server (one process, one core) | requests/s | CPU µs/request | p50 / p99 ms |
|---|---|---|---|
{rows}

- requests/s, Petfolio : Express + Prisma = **{faster:.2f}** (goal ≥ 1.5)
- CPU per request, Petfolio : Express + Prisma = **{cheaper:.2f}**
- CPU per request, Petfolio : bare ASGI + asyncpg = **{floor:.2f}** (goal ≤ 2.5)

Median of {len(rounds)} rounds; ratios are taken within a round. Petfolio checks token, session and limit, reads in one
authorised query over five tables and decrypts name and chip. The peer has the same token check (with the same cache of
checked tokens), the same script for session and limit, the same headers and, compared before each run, the same JSON,
but reads one flat row in clear: the cheapest shape for it. The bare floor does Petfolio's SELECT and nothing else.
"""


def show_fires(bursts: Sequence[tuple[Burst, Burst]], number: str) -> str:
    """Bench 2. Each burst of reminders has its burst of no-ops right after it."""
    rows = "\n".join(
        f"| {name} | {each.per_second:.0f} | {each.lateness_p50:.2f} / {each.lateness_p95:.2f} | "
        f"{each.server_ms:.1f} | {each.worker_ms:.1f} | {each.cpu_ms:.1f} | {each.postgres_ms:.1f} | "
        f"{each.actions:.1f} | {each.history_bytes:,.0f} |"
        for pair in bursts
        for name, each in zip(("reminder", "no-op entity"), pair, strict=True)
    )
    cpu = sorted(real.cpu_ms / floor.cpu_ms for real, floor in bursts)
    late = sorted(real.lateness_p95 / floor.lateness_p95 for real, floor in bursts)
    actions = max(real.actions for real, _ in bursts)
    size = max(real.history_bytes for real, _ in bursts)
    return f"""## {number}. {bursts[0][0].count} reminders due in the same second

| | fires/s | lateness p50 / p95 s | server CPU-ms | worker CPU-ms | both | Postgres CPU-ms | actions | history bytes |
|---|---|---|---|---|---|---|---|---|
{rows}

- CPU per fire (server + worker), reminder : no-op = **{median(cpu):.2f}** (goal ≤ 1.5; {_range(cpu)})
- lateness p95, reminder : no-op = **{median(late):.2f}** ({_range(late)})
- Temporal actions per fire: **{actions:.1f}** (goal ≤ 2.2)
- history per fire: **{size:,.0f} bytes** (goal ≤ 1,200)

Pairs: {len(bursts)}; ratios are medians. A fire of the reminder is timer, claim under the row lock, recorded in-app
notice, live event and the next plan; payloads are encrypted. The no-op entity has a timer and an activity that notes
the time, payloads in clear.
"""


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f}–{max(values):.2f}"


def show_starts(answered: list[float], started: list[float]) -> str:
    """Bench 3."""
    (answer_p50, answer_p95), (start_p50, start_p95) = percentiles(answered), percentiles(started)
    return f"""## 3. From `POST /reminders` to a running workflow

| from sending the request to | p50 ms | p95 ms |
|---|---|---|
| its 201 (row and outbox row committed) | {answer_p50:.0f} | {answer_p95:.0f} |
| the workflow's first task done (plan read) | {start_p50:.0f} | **{start_p95:.0f}** (goal ≤ 300) |

{len(started)} reminders, one after the other, through the outbox and the relay.
"""


def show_sockets(servers: Sequence[Listening]) -> str:
    """Bench 4."""
    rows = "\n".join(
        f"| {each.name} | {each.per_second:,.0f} | {each.kb_each:.1f} | {each.broadcast * 1000:,.0f} |"
        for each in servers
    )
    ours, peer = servers
    return f"""## 4. {ours.count:,} idle Socket.IO connections in one process

| server (one process, one core) | connections/s | kB each | broadcast to the last, ms |
|---|---|---|---|
{rows}

- memory per connection: **{ours.kb_each:.1f} kB** (goal ≤ 45), Petfolio : npm = **{ours.kb_each / peer.kb_each:.2f}**
- broadcast to all: **{ours.broadcast:.2f} s** (goal < 1), Petfolio : npm = **{ours.broadcast / peer.broadcast:.2f}**

WebSocket, everybody in a room of their own. Petfolio checks an access token, the session and a limit per connection,
reads the person's stream, and hears the word through Redis; the peer lets everybody in and says it itself.
"""


def show_agenda(view: Agenda) -> str:
    """Bench 5."""
    return f"""## 5. `GET /agenda`: {view.reminders} reminders over {agenda.DAYS} days

| | |
|---|---|
| entries, in pages of 100 | {view.entries:,} in {view.pages} |
| a page, p50 / p95 ms | {view.p50:.0f} / **{view.p95:.0f}** (goal p95 < 100) |
| CPU for all pages, api | {view.api_ms:,.0f} ms |
| CPU for the same moments, dateutil in memory | {view.dateutil_ms:,.0f} ms |

- CPU, Petfolio : dateutil = **{view.api_ms / view.dateutil_ms:.2f}**

Dateutil expands the rules once; Petfolio answers {view.pages} requests with rows, zones, names and rights.
"""


def show_sleepers(asleep: Sleepers) -> str:
    """Bench 6."""
    ends = "\n".join(
        f"- the worker ended by {how}: first fire of the next **{seconds:.1f} s** later (goal ≤ 5)"
        for how, seconds in asleep.restarts
    )
    return f"""## 6. {asleep.count:,} sleeping reminders

| memory each, kB | Temporal server | worker |
|---|---|---|
| reminder ({asleep.count:,}) | {asleep.server_kb:.1f} | {asleep.worker_kb:.1f} |
| no-op entity ({asleep.noop_count:,}) | {asleep.noop_server_kb:.1f} | {asleep.noop_worker_kb:.1f} |

{ends}

Made over HTTP at {asleep.per_second:.0f}/s, workflows included. The worker keeps at most 5,000 in its cache and had
{asleep.worker_mb:.0f} MB afterwards. It ended half a second before a reminder fell due; the supervisor started another.
"""


def show_tokens(checks: Checks) -> str:
    """Bench 7."""
    return f"""## 7. Checking an access token

| | CPU µs |
|---|---|
| known: recognised by its hash | **{checks.known_us:.1f}** (goal ≤ 30) |
| new: header, signature, every claim | {checks.first_us:.0f} |
| bare `joserfc.jwt.decode`: signature only | {checks.bare_us:.0f} |

- CPU, known : bare = **{checks.known_to_bare:.3f}**
- CPU, new : bare = **{checks.first_to_bare:.2f}**

ES256. A token is new once in its ten minutes, in each process. Whether its session still lives is asked every time.
"""


def show_logins(seen: tuple[Logins, Logins]) -> str:
    """Bench 8."""
    rows = "\n".join(
        f"| {where} | {each.per_second:.1f} | {each.hashes:.1f} | **{each.ratio:.2f}** | {each.hash_ms:.1f} | "
        f"{each.api_ms:.1f} | {each.postgres_ms:.1f} | {each.redis_ms:.1f} |"
        for where, each in zip(("a core of their own", "all cores, shared with everything"), seen, strict=True)
    )
    return f"""## 8. Logins

| on | logins/s | Argon2id alone/s | ratio | CPU ms: a hash | a login: api | Postgres | Valkey |
|---|---|---|---|---|---|---|---|
{rows}

- logins : hashes, on a core that the api has to itself = **{seen[0].ratio:.2f}** (goal ≥ 0.85)

{logins.CLIENTS} clients. A hash and a login are made by as many threads. What is missing to 1 is what is not hashing:
on a core of its own that of the api, on shared cores that of driver, Postgres and Valkey as well.
"""


def main() -> None:
    """Measure, print, and write the parts into RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    for name, usual in NUMBERS.items():
        parser.add_argument(f"--{name}", type=type(usual), default=usual)
    options = parser.parse_args()
    RESULTS.write_text(merged(RESULTS.read_text(), asyncio.run(measure(options))))


if __name__ == "__main__":
    main()
