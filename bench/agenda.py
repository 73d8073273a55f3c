"""Bench 5: `GET /agenda` of somebody with many reminders over 90 days, beside dateutil expanding the same rules.

Half of the reminders are daily, the others weekly and monthly. Every page of the whole span is asked for, one after the
other; dateutil makes the same moments in memory, without rows, names or rights.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule

from bench.fires import percentiles
from bench.platform import Platform
from bench.processes import cpu_seconds

ZONE = "Europe/Berlin"
DAYS = 90
Freq = Literal[1, 2, 3]
_RULES: tuple[tuple[str, Freq], ...] = (("DAILY", DAILY), ("DAILY", DAILY), ("WEEKLY", WEEKLY), ("MONTHLY", MONTHLY))


@dataclass(frozen=True, slots=True)
class Agenda:
    """Milliseconds of the pages; CPU milliseconds of the api for the whole span, and of dateutil for the same."""

    reminders: int
    entries: int
    pages: int
    p50: float
    p95: float
    api_ms: float
    dateutil_ms: float


async def run(on: Platform, count: int, rounds: int = 3) -> Agenda:
    """`count` reminders of a new pet; each page of each round is one sample."""
    await on.owner.login()
    pet = await on.owner.add_pet(name="Agenda")
    start = datetime.now(ZoneInfo(ZONE)).replace(minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(days=1)
    rules = list(_rules(start, count))
    for number, (freq, _, dtstart) in enumerate(rules):
        schedule = {"mode": "fixed", "dtstart_local": dtstart.isoformat(), "tzid": ZONE, "freq": freq}
        body = {"title": f"Agenda {number}", "schedule": schedule, "pet_id": pet, "notification_methods": ["in_app"]}
        (await on.owner.call("POST", "/reminders", json=body)).raise_for_status()
    (api,) = await on.pids("api")
    span = (start.replace(tzinfo=ZoneInfo(ZONE)), start.replace(tzinfo=ZoneInfo(ZONE)) + timedelta(days=DAYS))
    await _pages(on, pet, span)  # warm
    before, samples, entries = cpu_seconds([api]), [], 0
    for _ in range(rounds):
        took, entries = await _pages(on, pet, span)
        samples += took
    api_ms = (cpu_seconds([api]) - before) / rounds * 1000
    started = time.process_time()
    for _ in range(rounds):
        expanded = _expand(rules, span)
    dateutil_ms = (time.process_time() - started) / rounds * 1000
    if len(expanded) != entries:
        raise SystemExit(f"the agenda has {entries} entries, dateutil {len(expanded)}")
    p50, p95 = percentiles(samples)
    return Agenda(count, entries, len(samples) // rounds, p50, p95, api_ms, dateutil_ms)


def _rules(start: datetime, count: int) -> Iterator[tuple[str, Freq, datetime]]:
    for number in range(count):
        name, freq = _RULES[number % len(_RULES)]
        yield name, freq, start + timedelta(minutes=number)


async def _pages(on: Platform, pet: str, span: tuple[datetime, datetime]) -> tuple[list[float], int]:
    """Milliseconds of each page, and how many entries there were."""
    query: dict[str, Any] = {"from": span[0].isoformat(), "to": span[1].isoformat(), "pet_id": pet, "limit": 100}
    took: list[float] = []
    entries, cursor = 0, ""
    while cursor is not None:
        started = time.perf_counter()
        answer = await on.owner.call("GET", "/agenda", params=query | ({"cursor": cursor} if cursor else {}))
        took.append((time.perf_counter() - started) * 1000)
        page = answer.raise_for_status().json()
        entries, cursor = entries + len(page["items"]), page["next_cursor"]
    return took, entries


def _expand(rules: list[tuple[str, Freq, datetime]], span: tuple[datetime, datetime]) -> list[tuple[datetime, int]]:
    """What dateutil makes of the rules: on the wall, then as instants, in one order."""
    zone, last = ZoneInfo(ZONE), span[1].replace(tzinfo=None)
    return sorted(
        (nominal.replace(tzinfo=zone).astimezone(UTC), number)
        for number, (_, freq, dtstart) in enumerate(rules)
        for nominal in rrule(freq, dtstart=dtstart, until=last)
        if nominal.replace(tzinfo=zone) < span[1]
    )
