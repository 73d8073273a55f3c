"""Every vector of recurrence.json against the pure functions."""

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain import recurrence
from domain.quiet_hours import QuietHours, defer
from domain.recurrence import AfterCompletion, Elapsed, Every, Fixed, Rule
from domain.schedule_json import Zones, parse_schedule

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "recurrence.json").read_text())


def each(section: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[section], ids=lambda vector: vector["id"])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def fixed(vector: dict[str, Any]) -> recurrence.Schedule:
    raw = {
        "mode": "fixed",
        "dtstart_local": vector["dtstart_local"],
        "tzid": vector["tz"],
        "rrule": vector["rule"],
        "times": vector["times"],
    }
    return parse_schedule(raw, zones=Zones("UTC", "UTC"))


@each("vectors")
def test_fixed_vector(vector: dict[str, Any]) -> None:
    schedule = fixed(vector)
    is_whole = "COUNT" in vector["rule"] or "UNTIL" in vector["rule"]
    n = 100 if is_whole else len(vector["expect"])
    found = recurrence.expand(schedule, utc(vector["after"]), n)
    assert [(o.nominal, o.instant) for o in found] == [(e["nominal"], utc(e["utc"])) for e in vector["expect"]]


@each("after_completion")
def test_after_completion_vector(vector: dict[str, Any]) -> None:
    n, unit = vector["every"].split()
    schedule = AfterCompletion(
        start=datetime(2020, 1, 1),
        tzid=vector["tz"],
        every=Every(int(n), unit.removesuffix("s")),
        at=time.fromisoformat(vector["time"]),
    )
    found = recurrence.next_after_completion(schedule, utc(vector["completed"]), seq=1)
    assert found is not None
    assert (found.instant, found.key) == (utc(vector["expect"]), "c:2")


@each("elapsed")
def test_elapsed_vector(vector: dict[str, Any]) -> None:
    start = utc(vector["start"])
    schedule = Elapsed(start_at=start, every=Every(vector["every_hours"], "hour"))
    assert [o.instant for o in recurrence.expand(schedule, start, 3)] == [utc(text) for text in vector["expect"]]


@each("tz_change_daily_0800")
def test_zone_change_vector(vector: dict[str, Any]) -> None:
    """What has fired never fires again: its key is its nominal, and a zone change does not touch the version."""
    before = Fixed(start=datetime(2026, 6, 1, 8), tzid=vector["frm"], rule=Rule(freq="DAILY"), times=(time(8),))
    moved = vector.get("mode") != "fixed_zone"
    after = recurrence.with_zone(before, vector["to"]) if moved else before
    at = utc(vector["at"])
    fired = {o.key for o in recurrence.between(before, at - timedelta(days=3), at)}
    coming = [o for o in recurrence.expand(after, at - timedelta(days=1), 6) if o.key not in fired and o.instant > at]
    assert [o.instant for o in coming[:3]] == [utc(text) for text in vector["expect"]]


@each("quiet_hours")
def test_quiet_hours_vector(vector: dict[str, Any]) -> None:
    start, end = map(time.fromisoformat, vector["window"].split("-"))
    assert defer(utc(vector["fire"]), [QuietHours(start, end, vector["tz"])]) == utc(vector["expect"])


@each("snooze")
def test_snooze_vector(vector: dict[str, Any]) -> None:
    """Minutes are elapsed time, whatever the clock on the wall does meanwhile."""
    minutes = int(vector["by"].split()[0])
    assert utc(vector["at"]) + timedelta(minutes=minutes) == utc(vector["expect"])
