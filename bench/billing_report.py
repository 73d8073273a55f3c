"""The section of bench 11."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.billing import Billing, Size
from bench.billing_endpoint import BARE, PETFOLIO, STEADY_RATE, Rounds, Sample
from bench.billing_nights import DRIFT, Night
from bench.billing_truth import Truth
from bench.load import Load
from bench.reads import ratio, typical

_KINDS = ("all new", "half of them repeated")


def show_billing(seen: Billing, size: Size) -> str:
    """Bench 11."""
    endpoint = seen.endpoint
    both = tuple(zip(_KINDS, (endpoint.fresh, endpoint.repeated), strict=True))
    rows = "\n".join(_server(name, kind, rounds) for kind, rounds in both for name in (PETFOLIO, BARE))
    ratios = "\n".join(_ratios(kind, rounds) for kind, rounds in both)
    return f"""## 11. Billing with Stripe

| webhook (one process, one core) | events | events/s | CPU ms: the server | Postgres | p50 / p99 ms |
|---|---|---|---|---|---|
{rows}

{ratios}

Rounds: {len(endpoint.fresh)} of each, in turns, with the workers standing still; medians, ratios within a round. Events
are those of the local Stripe server, signed when they are sent, over {size.connections} connections. Petfolio finds the
account, keeps the event and rings for it, in one statement; nearly every new event is another account's. The bare route
verifies with Stripe's SDK and inserts one row, through a pool of the same size.

| {STEADY_RATE:.0f} events/s for {size.steady:.0f} s, half of them repeated | p50 ms | p95 ms | p99 ms |
|---|---|---|---|
{_steady(PETFOLIO, endpoint.steady[PETFOLIO], " (goal < 50)")}
{_steady(BARE, endpoint.steady[BARE])}
{_steady("petfolio, with workers, Temporal and the local Stripe on the same cores", endpoint.busy)}

{_truth(seen.truth)}

{_nights(seen.nights)}
"""


def _server(name: str, kind: str, rounds: Rounds) -> str:
    each = {field: typical(rounds, name, field) for field in ("per_second", "server_ms", "postgres_ms", "p50", "p99")}
    return (
        f"| {name} | {kind} | {each['per_second']:,.0f} | {each['server_ms']:.2f} | {each['postgres_ms']:.2f} |"
        f" {each['p50']:.0f} / {each['p99']:.0f} |"
    )


def _ratios(kind: str, rounds: Rounds) -> str:
    per_second, cpu = ratio(rounds, "per_second", PETFOLIO, BARE), ratio(rounds, "server_ms", PETFOLIO, BARE)
    with_postgres = median(_all_ms(each, PETFOLIO) / _all_ms(each, BARE) for each in rounds)
    return (
        f"- {kind}: events/s, Petfolio : bare = **{per_second:.2f}** (goal ≥ 0.7); CPU of the server **{cpu:.2f}**,\n"
        f"  with that of Postgres **{with_postgres:.2f}**"
    )


def _all_ms(samples: Mapping[str, Sample], name: str) -> float:
    return samples[name].server_ms + samples[name].postgres_ms


def _steady(where: str, load: Load, goal: str = "") -> str:
    return f"| {where} | {load.p50:.1f} | **{load.p95:.1f}**{goal} | {load.p99:.1f} |"


def _truth(seen: Truth) -> str:
    return f"""| {seen.events:,} posts of {seen.different:,} different events, shuffled | |
|---|---|
| taken, all handled: s after the first | {seen.posting:.1f}, {seen.settled:.1f} |
| reads of an account, for {seen.changes:,} real changes of {seen.accounts:,} accounts | {seen.pulls:,} |
| requests to Stripe for them | {seen.requests:,} |

- reads of Stripe per real change: **{seen.pulls / seen.changes:.2f}** (goal ≤ 1.5); in requests
  **{seen.requests / seen.changes:.2f}**: the subscriptions with their latest invoices, each payment that is new, and
  older invoices where events are about them
- subscription, plan and entitlement of every account are afterwards what Stripe says"""


def _nights(nights: Sequence[Night]) -> str:
    rows = "\n".join(
        f"| {each.subscriptions:,} | {each.seconds:.1f} | {each.requests:,} | {each.drift} | {each.grown / 1e6:.1f} |"
        for each in nights
    )
    return f"""| subscriptions compared | s | requests to Stripe | differences | memory of the worker, MB more |
|---|---|---|---|---|
{rows}

- planted each time, {DRIFT} accounts that differ here and {DRIFT} there: all are afterwards what Stripe says
- memory is the highest while it compares, beyond what the worker had before"""
