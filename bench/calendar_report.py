"""The sections of bench 9 and 10."""

from collections.abc import Sequence
from statistics import median

from bench.calendar_workflows import History, Idle, Pushed
from bench.calendars import Calendars, Round, Sync
from temporal.contracts.calendar_sync import LOOKS_PER_RUN

_LOOKS_PER_DAY = 24 * 3600 / 900 + 20
"""A poll each quarter of an hour, and twenty edits, each with a look of its own."""


def show_syncs(seen: Calendars, count: int) -> str:
    """Bench 9."""
    rows = "\n".join(
        _row(f"{what} sync, {who}", [getattr(each, field)[which] for each in seen.rounds])
        for which, what in enumerate(("first", "incremental"))
        for who, field in (("Petfolio", "ours"), ("vdirsyncer", "peer"))
    )
    sizes = {**seen.sizes, count: seen.rounds[0]}
    requests = "\n".join(_requests(size, sizes[size]) for size in sorted(sizes))
    first, cpu = _ratio(seen.rounds, 0, "seconds"), _ratio(seen.rounds, 0, "cpu")
    following, polled = _ratio(seen.rounds, 1, "seconds"), seen.rounds[0].polled
    return f"""## 9. {count:,} events between two calendars of one Radicale

| | seconds | with process start | CPU s, syncing | CPU s, Radicale | requests |
|---|---|---|---|---|---|
{rows}
| {count:,} bare PUTs, one after the other | {seen.floor.one:.2f} | | | | {count:,} |
| {count:,} bare PUTs, four at a time | {seen.floor.four:.2f} | | | | {count:,} |

| after one change, among | Petfolio: requests, s | vdirsyncer: requests, s | ratio of seconds |
|---|---|---|---|
{requests}

- first sync, Petfolio : vdirsyncer = **{first:.2f}** (goal ≤ 1.0), CPU **{cpu:.2f}**
- incremental sync, Petfolio : vdirsyncer = **{following:.2f}** (goal ≤ 0.3): A is polled, B hears of it;
  where both are polled {polled.seconds:.2f} s and {polled.requests} requests

Rounds: {len(seen.rounds)}, each with new calendars; medians, ratios within a round and without the start of
vdirsyncer's process. Petfolio adopts A into Postgres, encrypted, and makes each event in B under a committed intent:
two connections of one person, with engine, rows and adapter as in the worker and without Temporal around them. Its CPU
is with that of Postgres. vdirsyncer copies text and keeps an etag of each.
"""


def show_connections(push: Pushed, idle: Idle) -> str:
    """Bench 10."""
    return f"""## 10. Connected calendars

| | |
|---|---|
| edit at Google to visible here, p50 / p95 s | {push.p50:.2f} / **{push.p95:.2f}** (goal p95 ≤ 3) |
| {idle.count:,} idle connections: worker, kB each | **{idle.worker_kb:.1f}** (goal ≤ 60) |
| Temporal server, kB each | {idle.server_kb:.1f} |
| CPU of the worker in {idle.seconds:.0f} s of idleness | **{idle.cpu_ms:.0f} ms** |

| history of a look | events | bytes |
|---|---|---|
| that finds an edit (with its signal) | {push.history.events:.0f} | {push.history.size:,.0f} |
| the first, that finds nothing | {idle.history.events:.0f} | {idle.history.size:,.0f} |

{_year(push.history)}

{push.edits} edits; visible is in `GET /appointments`. Google is the local one: it tells the api, the api rings through
the outbox, the workflow lets bells come in for a second. An edit that comes within three seconds of the last look waits
for them. A worker keeps at most 64 adapters open; the first hundred connections are not counted.
"""


def _row(name: str, syncs: Sequence[Sync]) -> str:
    values = {field: median(getattr(each, field) for each in syncs) for field in ("seconds", "process", "cpu")}
    server, requests = median(each.server_cpu for each in syncs), max(each.requests for each in syncs)
    return (
        f"| {name} | {values['seconds']:.2f} | {values['process']:.2f} | {values['cpu']:.2f} | {server:.2f} |"
        f" {requests:,} |"
    )


def _requests(size: int, each: Round) -> str:
    ours, peer = each.ours[1], each.peer[1]
    return (
        f"| {size:,} | {ours.requests}, {ours.seconds:.2f} | {peer.requests}, {peer.seconds:.2f} |"
        f" {ours.seconds / peer.seconds:.2f} |"
    )


def _ratio(rounds: Sequence[Round], which: int, field: str) -> float:
    return median(getattr(each.ours[which], field) / getattr(each.peer[which], field) for each in rounds)


def _year(history: History) -> str:
    """What the histories of a calendar hold that is edited twenty times each day."""
    looks = _LOOKS_PER_DAY * 365
    return (
        f"- looks in a run: {LOOKS_PER_RUN}; only the runs of the retention are kept\n"
        f"- a year of a calendar that is edited twenty times a day and polled each quarter of an hour: {looks:,.0f}"
        f" looks in {looks / LOOKS_PER_RUN:,.0f} runs, at most {looks * history.size / 1e6:.0f} MB"
    )
