"""What bench 13 found."""

from collections.abc import Sequence
from statistics import median

from bench.fires import percentiles
from bench.load import Load
from bench.media_clients import Published
from bench.media_endpoints import RATE, Beside, Signing, ratio
from bench.media_uploads import Throughput, Uploads
from temporal.queues import MEDIA, SLOTS


def show(uploads: Uploads, signing: Signing, beside: Sequence[Beside], clients: int) -> str:
    """The section."""
    apart, shared = uploads.apart, uploads.shared
    forms, parts = percentiles(list(signing.forms)), percentiles(list(signing.parts))
    first = _first(uploads.alone)
    return f"""## 13. {len(apart.published)} photos of 12 megapixels by {clients} clients

| media worker on | photos/s | imaging alone/s | ratio | `complete` to published p50 / p95 s | to first word ms |
|---|---|---|---|---|---|
{_row("a core of its own", apart)}
{_row(f"all cores, shared with everything ({len(shared.published)} photos)", shared)}
| all cores, one photo at a time | | | | {_seen(uploads)} |

{_costs(apart)}

- photos/s, platform : imaging alone, with the worker on a core of its own = **{apart.ratio:.2f}** (goal ≥ 0.85); on
  shared cores {shared.ratio:.2f}
- CPU, media worker and its children : imaging alone = **{apart.cost:.2f}**
- from `complete` to the first live event, one photo at a time: p95 **{first[1]:.0f} ms** (goal ≤ 100)
- `POST /media/uploads`, one after the other: p50 {forms[0]:.1f} / p95 **{forms[1]:.1f} ms** (goal < 20); addresses of
  25 parts: {parts[0]:.1f} / {parts[1]:.1f} ms

| `GET /pets/{{id}}`, {RATE:.0f} a second | p50 / p95 / p99 ms |
|---|---|
{_loads("nothing for the media worker to do", [each.idle for each in beside])}
{_loads("its queue full", [each.full for each in beside])}

- p95, queue full : nothing to do = **{ratio(beside):.2f}** (goal ≤ 1.2), median of {len(beside)} rounds

A client sends its next photo when the live stream shows it the last one. Imaging alone is `inspect` and `render` of
{SLOTS[MEDIA]} photos at once, the slots of a worker, on the same core or cores, before and after. In the first row and
for `GET /pets/{{id}}` the worker and its children have one core; API, Temporal, Postgres, SeaweedFS and the clients
share the other.

A photo costs the worker 16 calls of storage through boto3 (1.4 CPU ms each), 12 transactions, four activities and two
local ones beside its children; the child itself takes 2 to 3 % more than alone, with so many others on its core. What
it costs was nearly twice as much (269 CPU ms): one listing in place of 24 HEADs, one statement for twelve rows, local
activities for what looks at rows alone and uvloop made it less; to send files without asking first (`Expect`) changed
nothing that could be measured. What is left is spread over all of these; verifying and scanning as one activity would
save an estimated 15 ms, and hide from operators which of the two waits. Of signing 25 addresses (7 CPU ms) the derived
key is a thirtieth.
"""


def _row(where: str, seen: Throughput) -> str:
    bare = ", ".join(f"{each.per_second:.2f}" for each in seen.bare)
    took, first = percentiles([each.took for each in seen.published]), _first(seen.published)
    return (
        f"| {where} | {seen.per_second:.2f} | {bare} | **{seen.ratio:.2f}** | {took[0]:.1f} / {took[1]:.1f} | "
        f"{first[0]:.0f} / {first[1]:.0f} |"
    )


def _seen(uploads: Uploads) -> str:
    took, first = percentiles([each.took for each in uploads.alone]), _first(uploads.alone)
    return f"{took[0]:.1f} / {took[1]:.1f} | {first[0]:.0f} / {first[1]:.0f}"


def _first(published: Sequence[Published]) -> tuple[float, float]:
    return percentiles([each.feedback * 1e3 for each in published])


def _costs(seen: Throughput) -> str:
    names, values = seen.cpu_ms.keys(), (f"{each:.0f}" for each in seen.cpu_ms.values())
    return f"| CPU ms of a photo: {' | '.join(names)} |\n|{'---|' * len(seen.cpu_ms)}\n| {' | '.join(values)} |"


def _loads(name: str, loads: Sequence[Load]) -> str:
    p50, p95, p99 = (median(getattr(each, which) for each in loads) for which in ("p50", "p95", "p99"))
    return f"| {name} | {p50:.1f} / {p95:.1f} / {p99:.1f} |"
