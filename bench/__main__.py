"""`make bench`: side-by-side measurements on a platform of its own; prints ratios and writes bench/RESULTS.md.

Figures of one machine at one moment mean little; what is beside them was measured in the same run.
"""

import argparse
import asyncio
import os
import platform as machine
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import fires, reads
from bench.fires import Burst, percentiles
from bench.platform import platform
from bench.reads import BARE, EXPRESS, PETFOLIO, Rounds, ratio, typical

RESULTS = Path(__file__).with_name("RESULTS.md")
PARTS = ("reads", "fires", "starts")
WARM_UP = 50


async def measure(options: argparse.Namespace) -> str:
    """The report, a section per part, printed as it grows."""
    sections = [head(options)]

    def add(section: str) -> None:
        print(section, flush=True)
        sections.append(section)

    async with platform() as on:
        if "reads" in options.only:
            reads.install_peer()
            add(show_reads(await reads.run(on, options.rounds, options.seconds, options.connections)))
        if "starts" in options.only:
            await on.owner.login()  # a token lasts ten minutes, a run may last longer
            add(show_starts(*await fires.starts(on, options.starts)))
        if "fires" in options.only:
            await fires.no_ops(on, WARM_UP)
            await on.owner.login()
            await fires.reminders(on, WARM_UP)
            bursts = []
            for _ in range(options.bursts):
                await on.owner.login()
                bursts.append((await fires.reminders(on, options.fires), await fires.no_ops(on, options.fires)))
            add(show_fires(bursts))
    return "\n".join(sections)


def head(options: argparse.Namespace) -> str:
    """What was run, where, and how busy the machine was."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = f" The machine had {load:.1f} runnable processes for {cores} cores when the run began."
    numbers = ("rounds", "seconds", "connections", "bursts", "fires", "starts")
    given = " ".join(f"--{name} {getattr(options, name):g}" for name in numbers)
    command = f'make bench ARGS="{given}"'
    return (
        f"# Results\n\nMeasured {datetime.now(UTC):%Y-%m-%d} on {machine.system()} {machine.machine()}, Python "
        f"{machine.python_version()}, by `{command}`.{busy}\nRatios compare what ran in the same run; absolute figures "
        "are of this machine at that moment.\n"
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


def show_fires(bursts: Sequence[tuple[Burst, Burst]]) -> str:
    """Bench 2. Each burst of reminders has its burst of no-ops right after it."""
    rows = "\n".join(
        f"| {name} | {each.per_second:.0f} | {each.lateness_p50:.2f} / {each.lateness_p95:.2f} | "
        f"{each.server_ms:.1f} | "
        f"{each.worker_ms:.1f} | {each.cpu_ms:.1f} | {each.postgres_ms:.1f} | {each.actions:.1f} |"
        for pair in bursts
        for name, each in zip(("reminder", "no-op entity"), pair, strict=True)
    )
    cpu = sorted(real.cpu_ms / floor.cpu_ms for real, floor in bursts)
    late = sorted(real.lateness_p95 / floor.lateness_p95 for real, floor in bursts)
    actions = max(real.actions for real, _ in bursts)
    return f"""## 2. {bursts[0][0].count} reminders due in the same second

| | fires/s | lateness p50 / p95 s | server CPU-ms | worker CPU-ms | both | Postgres CPU-ms | actions |
|---|---|---|---|---|---|---|---|
{rows}

- CPU per fire (server + worker), reminder : no-op = **{median(cpu):.2f}** (goal ≤ 1.5; {_range(cpu)})
- lateness p95, reminder : no-op = **{median(late):.2f}** ({_range(late)})
- Temporal actions per fire: **{actions:.1f}** (goal 2)

Medians of {len(bursts)} pairs. A fire of the reminder is timer, claim under the row lock, recorded in-app notice and
the next plan; payloads are encrypted. The no-op entity has a timer and an activity that notes the time, payloads in
clear.
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


def main() -> None:
    """Measure, print, and write RESULTS.md when everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--bursts", type=int, default=3)
    parser.add_argument("--fires", type=int, default=500)
    parser.add_argument("--starts", type=int, default=100)
    options = parser.parse_args()
    report = asyncio.run(measure(options))
    if set(options.only) == set(PARTS):
        RESULTS.write_text(report)


if __name__ == "__main__":
    main()
