"""The laws of recurrence (recurrence.md §6), for any rule, zone, anchor and moment; P-numbers as there."""

import os
import subprocess
import sys
from calendar import isleap, monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from domain.recurrence import (
    AfterCompletion,
    Elapsed,
    Every,
    Fixed,
    Occurrence,
    Rule,
    expand,
    first_due,
    next_after_completion,
    next_after_skip,
    with_zone,
)
from tests.domain.recurrence_kit import (
    afters,
    anchors,
    fixed,
    fixed_of,
    minutes,
    named_nominals,
    oracle,
    rules,
    zones,
)

BEFORE_ALL = datetime(1969, 1, 1, tzinfo=UTC)
N = 12
ROOT = Path(__file__).parents[2]


def nominal_of(occurrence: Occurrence) -> datetime:
    return datetime.fromisoformat(occurrence.nominal)


def by_hand(raw: dict[str, Any], after: datetime, last: date) -> list[tuple[datetime, datetime, list[datetime]]]:
    """(instant, fired nominal, coalesced ones), from the day-by-day calendar and the oracle alone."""
    groups: dict[datetime, list[datetime]] = {}
    for nominal in named_nominals(raw, last):
        groups.setdefault(oracle(nominal, raw["tzid"]), []).append(nominal)
    fired = {instant: sorted(nominals) for instant, nominals in sorted(groups.items()) if instant > after}
    return [(instant, nominals[-1], nominals[:-1]) for instant, nominals in fired.items()]


@given(st.data())
def test_an_expansion_is_what_a_calendar_read_day_by_day_says(data: st.DataObject) -> None:  # P1 P2 P3 P8
    raw = data.draw(fixed())
    anchor = datetime.fromisoformat(raw["dtstart_local"])
    after = anchor.replace(tzinfo=UTC) + timedelta(minutes=data.draw(st.integers(-3 * 1440, 30 * 1440)))
    found = expand(fixed_of(raw), after, N)
    last = max([anchor.date(), after.date(), *(nominal_of(o).date() for o in found)]) + timedelta(days=4)
    expected = by_hand(raw, after, last)[:N]
    assert [
        (o.instant, nominal_of(o), [datetime.fromisoformat(text) for text in o.coalesced]) for o in found
    ] == expected


@given(st.data())
def test_around_a_clock_change_each_nominal_fires_or_is_folded_into_another_once(data: st.DataObject) -> None:  # P1 P3
    zone = data.draw(zones)
    change = data.draw(anchors(zone)).replace(second=0)
    times = data.draw(st.lists(st.integers(0, 1439), min_size=2, max_size=12, unique=True).map(sorted))
    raw = {
        "mode": "fixed",
        "dtstart_local": (change - timedelta(days=2)).isoformat(),
        "tzid": zone,
        "freq": "DAILY",
        "times": [f"{minute // 60:02}:{minute % 60:02}" for minute in times],
        "until": (change + timedelta(days=2)).date().isoformat(),
    }
    found = expand(fixed_of(raw), BEFORE_ALL, 100)
    nominals = [text for o in found for text in (*o.coalesced, o.nominal)]
    assert sorted(map(datetime.fromisoformat, nominals)) == named_nominals(raw, change.date() + timedelta(days=9))
    assert all(datetime.fromisoformat(folded) < nominal_of(o) for o in found for folded in o.coalesced)


@given(st.data())
def test_instants_rise_and_are_later_than_asked(data: st.DataObject) -> None:  # P2
    raw = data.draw(fixed())
    after = data.draw(afters(raw))
    instants = [o.instant for o in expand(fixed_of(raw), after, N)]
    assert all(earlier < later for earlier, later in pairwise([after, *instants]))


@given(st.data())
def test_clocks_show_the_nominal_except_in_a_gap_where_it_moves_by_the_gap(data: st.DataObject) -> None:  # P4
    raw = data.draw(fixed())
    for o in expand(fixed_of(raw), data.draw(afters(raw)), N):
        shown = o.instant.astimezone(ZoneInfo(raw["tzid"]))
        assert (o.local, o.local.fold) == (shown, shown.fold)
        moved = shown.replace(tzinfo=None) - nominal_of(o)
        assert (moved > timedelta()) == ("gap" in o.shift)
        assert moved >= timedelta()
        if moved:
            eve, morrow = (o.instant + by for by in (-timedelta(days=1, hours=1), timedelta(days=1, hours=1)))
            assert moved <= (max(_offsets(raw["tzid"], eve, morrow)) - min(_offsets(raw["tzid"], eve, morrow)))


def _offsets(tzid: str, start: datetime, end: datetime) -> set[timedelta]:
    hours = int((end - start) / timedelta(hours=1))
    found = {(start + timedelta(hours=h)).astimezone(ZoneInfo(tzid)).utcoffset() for h in range(hours + 1)}
    return {offset for offset in found if offset is not None}


@given(st.data())
def test_looking_from_later_on_shows_the_rest_of_the_same(data: st.DataObject) -> None:  # P5
    raw = data.draw(fixed())
    schedule = fixed_of(raw)
    whole = expand(schedule, BEFORE_ALL, 60)
    cut = data.draw(st.integers(0, min(30, len(whole) - 1)))
    after = whole[cut].instant + timedelta(seconds=data.draw(st.integers(0, 3600)))
    assert expand(schedule, after, 20) == [o for o in whole if o.instant > after][:20]


@given(
    anchor=minutes, day=st.integers(28, 31), interval=st.integers(1, 14), freq=st.sampled_from(["MONTHLY", "YEARLY"])
)
def test_a_short_month_clamps_and_leaves_no_trace(anchor: datetime, day: int, interval: int, freq: Any) -> None:  # P6
    anchor = anchor.replace(day=min(day, monthrange(anchor.year, anchor.month)[1]))
    schedule = Fixed(start=anchor, tzid="UTC", rule=Rule(freq=freq, interval=interval), times=(anchor.time(),))
    for k, o in enumerate(expand(schedule, BEFORE_ALL, 40)):
        months = anchor.year * 12 + anchor.month - 1 + k * interval * (1 if freq == "MONTHLY" else 12)
        length = monthrange(months // 12, months % 12 + 1)[1]
        assert nominal_of(o) == anchor.replace(year=months // 12, month=months % 12 + 1, day=min(anchor.day, length))
        assert ("clamped" in o.shift) == (anchor.day > length)


@given(year=st.sampled_from([2008, 2012, 2024, 2096]), interval=st.integers(1, 6))
def test_a_birthday_on_29_february_is_there_in_every_leap_year(year: int, interval: int) -> None:  # P6
    anchor = datetime(year, 2, 29, 9)
    schedule = Fixed(start=anchor, tzid="UTC", rule=Rule(freq="YEARLY", interval=interval), times=(time(9),))
    for o in expand(schedule, BEFORE_ALL, 30):
        assert nominal_of(o).day == (29 if isleap(nominal_of(o).year) else 28)


@given(st.data())
def test_the_day_after_a_last_day_is_a_first(data: st.DataObject) -> None:  # P7
    zone = data.draw(zones)
    anchor = data.draw(anchors(zone))
    rule = Rule(freq="MONTHLY", monthday=-1, interval=data.draw(st.integers(1, 14)))
    found = expand(Fixed(start=anchor, tzid=zone, rule=rule, times=(anchor.time(),)), BEFORE_ALL, 20)
    assert [(nominal_of(o) + timedelta(days=1)).day for o in found] == [1] * 20
    assert not any("clamped" in o.shift for o in found)


@given(st.data())
def test_until_includes_its_local_date_and_nothing_after(data: st.DataObject) -> None:  # P8
    raw = data.draw(fixed(ends=False))
    endless = expand(fixed_of(raw), BEFORE_ALL, 30)
    last = nominal_of(endless[data.draw(st.integers(0, 9))]).date()
    ended = expand(fixed_of(raw | {"until": last.isoformat()}), BEFORE_ALL, 200)
    nominals = {nominal for o in ended for nominal in (*o.coalesced, o.nominal)}
    assert max(datetime.fromisoformat(nominal).date() for nominal in nominals) == last
    assert nominals >= {o.nominal for o in endless if nominal_of(o).date() <= last}


@given(st.data())
def test_count_counts_nominals_from_the_anchor_wherever_one_looks_from(data: st.DataObject) -> None:  # P8
    raw = data.draw(fixed(ends=False))
    count = data.draw(st.integers(1, 50))
    schedule = fixed_of(raw | {"count": count})
    found = expand(schedule, BEFORE_ALL, 60)
    assert sum(1 + len(o.coalesced) for o in found) == count
    after = found[data.draw(st.integers(0, len(found) - 1))].instant
    assert expand(schedule, after, 60) == [o for o in found if o.instant > after]


@given(st.data())
def test_interval_n_takes_every_nth_period(data: st.DataObject) -> None:  # P9
    raw = data.draw(fixed(ends=False)) | {"times": None}
    if raw["freq"] == "WEEKLY":
        raw["byday"] = None
    n = data.draw(st.integers(2, 5))
    raw["dtstart_local"] = datetime.fromisoformat(raw["dtstart_local"]).replace(day=1).isoformat()
    every = [o.nominal for o in expand(fixed_of(raw | {"interval": 1}), BEFORE_ALL, 60)]
    nth = [o.nominal for o in expand(fixed_of(raw | {"interval": n}), BEFORE_ALL, 10)]
    # A skipped date may fold two nominals into one: compare what is there of both.
    assert [nominal for nominal in every[: 9 * n] if nominal in nth] == [x for x in nth if x in every[: 9 * n]]
    if len({o[:10] for o in every}) == len(every) and "2011-12-30" not in " ".join(every):
        assert nth[:9] == every[::n][:9]


@given(
    zone=zones,
    completed=minutes,
    n=st.integers(1, 40),
    unit=st.sampled_from(["day", "week", "month", "year"]),
    elsewhere=zones,
)
def test_next_due_is_so_long_after_the_local_date_of_completion(  # P10
    zone: str, completed: datetime, n: int, unit: Any, elsewhere: str
) -> None:
    schedule = AfterCompletion(start=datetime(2000, 1, 31, 9), tzid=zone, every=Every(n, unit), at=time(9))
    completed = completed.replace(tzinfo=UTC)
    done_on = completed.astimezone(ZoneInfo(zone)).date()
    found = next_after_completion(schedule, completed.astimezone(ZoneInfo(elsewhere)), seq=7)
    assert found is not None
    due = nominal_of(found).date()
    if unit in ("day", "week"):
        assert (due - done_on).days == n * (7 if unit == "week" else 1)
    else:
        months = (due.year - done_on.year) * 12 + due.month - done_on.month
        assert months == n * (12 if unit == "year" else 1)
        assert due.day == min(done_on.day, monthrange(due.year, due.month)[1])
        assert ("clamped" in found.shift) == (due.day < done_on.day)
    assert (found.key, found.instant) == ("c:8", oracle(datetime.combine(due, time(9)), zone))


@given(
    zone=zones,
    due=minutes,
    late=st.integers(0, 8000),
    n=st.integers(1, 9),
    unit=st.sampled_from(["day", "month", "year"]),
)
def test_a_skip_goes_on_from_the_due_date_to_the_first_that_is_not_past(  # §4.4
    zone: str, due: datetime, late: int, n: int, unit: Any
) -> None:
    schedule = AfterCompletion(start=due, tzid=zone, every=Every(n, unit), at=due.time())
    now = oracle(due, zone) + timedelta(days=late, minutes=late)
    found = next_after_skip(schedule, due.isoformat(timespec="minutes"), 3, now)
    days = (schedule.every.after(due.date(), k) for k in range(1, 9000))
    coming = (datetime.combine(day, due.time()) for day in days if day and day > now.date() - timedelta(days=3))
    assert found is not None
    assert found.instant == next(at for nominal in coming if (at := oracle(nominal, zone)) > now)
    assert found.key == "c:4"


@given(st.data())
def test_a_journey_there_and_back_changes_no_nominal_and_no_key(data: st.DataObject) -> None:  # P12
    raw = data.draw(fixed())
    home = fixed_of(raw)
    away = with_zone(home, data.draw(zones))
    assert with_zone(away, home.tzid) == home

    def names(schedule: Any) -> set[str]:
        found = expand(schedule, BEFORE_ALL, 200)
        return {f"f:1:{nominal}" for o in found for nominal in o.coalesced} | {o.key for o in found}

    if raw.get("count", raw.get("until")) is not None and len(names(home)) < 150:
        assert names(home) == names(away)


@given(start=minutes, n=st.integers(15, 40_000), after=st.integers(-100_000, 10_000_000))
def test_elapsed_distances_are_exactly_equal(start: datetime, n: int, after: int) -> None:  # P14
    schedule = Elapsed(start_at=start.replace(tzinfo=UTC), every=Every(n, "minute"))
    found = expand(schedule, schedule.start_at + timedelta(minutes=after), 5)
    assert {b.instant - a.instant for a, b in pairwise(found)} == {timedelta(minutes=n)}
    assert (found[0].instant - schedule.start_at) % timedelta(minutes=n) == timedelta()
    assert timedelta() <= found[0].instant - schedule.start_at <= timedelta(minutes=max(0, after) + n)


@given(st.data())
def test_the_first_due_is_the_first_of_all(data: st.DataObject) -> None:
    schedule = fixed_of(data.draw(fixed()))
    assert first_due(schedule) == expand(schedule, BEFORE_ALL, 1)[0]


@given(rule=rules(), after=st.datetimes(timezones=st.timezones()), n=st.integers(-1, 3))
def test_no_moment_is_too_early_or_too_late_to_ask(rule: dict[str, Any], after: datetime, n: int) -> None:
    raw = {"mode": "fixed", "dtstart_local": "2199-12-31T23:30", "tzid": "Pacific/Kiritimati", **rule, "interval": 999}
    schedule = fixed_of(raw)
    assert all(o.instant > after and o.instant.year < 2401 for o in expand(schedule, after, n))
    done = AfterCompletion(start=datetime(2020, 1, 1), tzid="Etc/GMT+12", every=Every(999, "year"), at=time(9))
    assert next_after_completion(done, after, 1) is None or after.year < 1401
    next_after_skip(done, "2199-12-31T09:00", 1, after)


EXPANDED = """
import json
from datetime import UTC, datetime
from pathlib import Path

from core.clock import pin_zone_data

pin_zone_data()

from domain.recurrence import expand
from domain.schedule_json import Zones, parse_schedule

for vector in json.loads(Path("tests/vectors/recurrence.json").read_text())["vectors"]:
    rule = {"dtstart_local": vector["dtstart_local"], "tzid": vector["tz"], "rrule": vector["rule"]}
    schedule = parse_schedule({"mode": "fixed", **rule}, zones=Zones("UTC", "UTC"))
    print([(o.key, str(o.instant)) for o in expand(schedule, datetime(2026, 1, 1, tzinfo=UTC), 20)])
"""


def test_zone_and_language_of_the_process_change_nothing() -> None:  # P17
    def expanded(**env: str) -> str:
        command = [sys.executable, "-c", EXPANDED]
        return subprocess.run(
            command, env=os.environ | env, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout

    here = expanded(TZ="UTC", LC_ALL="C")
    assert here.count("f:1:") > 200
    assert expanded(TZ="Pacific/Kiritimati", LC_ALL="tr_TR.UTF-8", PYTHONTZPATH="/nowhere") == here
