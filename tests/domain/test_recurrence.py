"""What people see of recurrence: keys, all-day dates, skipped dates, ends, old anchors."""

import time as clock
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.recurrence import (
    AfterCompletion,
    Elapsed,
    Every,
    Occurrence,
    between,
    expand,
    first_due,
    instant_of,
    next_after,
    next_after_completion,
    next_after_skip,
    with_version,
    with_zone,
)
from tests.domain.recurrence_kit import schedule_of

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fixed(start: str, tzid: str = BERLIN, freq: str = "DAILY", **rule: Any) -> Any:
    return schedule_of({"mode": "fixed", "dtstart_local": start, "tzid": tzid, "freq": freq, **rule})


def after_done(start: str, n: int, unit: str, **options: Any) -> AfterCompletion:
    raw = {"mode": "after_completion", "dtstart_local": start, "tzid": BERLIN, "every": {"n": n, "unit": unit}}
    schedule = schedule_of(raw | options)
    assert isinstance(schedule, AfterCompletion)
    return schedule


def nominals(found: list[Occurrence]) -> list[str]:
    return [o.nominal for o in found]


def test_a_key_is_the_nominal_in_its_version_and_never_the_instant() -> None:
    daily = with_version(fixed("2026-03-28T02:30"), 3)
    here, there = (expand(with_zone(daily, zone), utc("2026-03-20"), 3) for zone in (BERLIN, "Asia/Tokyo"))
    assert [o.key for o in here] == ["f:3:2026-03-28T02:30", "f:3:2026-03-29T02:30", "f:3:2026-03-30T02:30"]
    assert [o.key for o in here] == [o.key for o in there]
    assert [o.instant for o in here] != [o.instant for o in there]


def test_seconds_are_part_of_a_key_only_where_there_are_any() -> None:
    assert first_due(fixed("2026-03-28T02:30:00")).key == "f:1:2026-03-28T02:30"
    assert first_due(fixed("2026-03-28T02:30:15")).key == "f:1:2026-03-28T02:30:15"


def test_an_elapsed_key_is_its_instant() -> None:
    schedule = schedule_of(
        {"mode": "elapsed", "start_at": "2026-03-28T22:00:00.5+01:00", "every": {"n": 8, "unit": "hour"}}
    )
    first, second = expand(schedule, utc("2026-01-01"), 2)
    assert (first.key, second.nominal) == ("f:1:2026-03-28T21:00:00.500000Z", "2026-03-29T05:00:00.500000Z")
    assert instant_of(schedule, second.nominal) == second.instant
    assert with_zone(schedule, "Asia/Tokyo") == schedule
    assert (first.local, first.shift) == (first.instant, ())


def test_the_start_of_an_elapsed_series_is_its_first_only_for_whoever_looks_from_before() -> None:
    start = utc("2026-03-28T21:00")
    schedule = Elapsed(start_at=start, every=Every(8, "hour"))
    assert [o.instant for o in expand(schedule, start - timedelta(seconds=1), 2)] == [start, start + timedelta(hours=8)]
    assert [o.instant for o in expand(schedule, start, 1)] == [start + timedelta(hours=8)]


def test_an_all_day_reminder_is_a_date_told_at_eight_where_it_lives() -> None:
    found = expand(fixed("2026-03-28", freq="WEEKLY", byday=["SA", "SU"]), utc("2026-01-01"), 2)
    assert [o.key for o in found] == ["f:1:2026-03-28", "f:1:2026-03-29"]
    assert [o.instant for o in found] == [utc("2026-03-28T07:00"), utc("2026-03-29T06:00")]
    assert instant_of(fixed("2026-03-28", "Pacific/Kiritimati"), "2026-03-29") == utc("2026-03-28T18:00")


def test_where_a_date_is_skipped_the_later_nominal_speaks_for_both() -> None:
    for start, names in (
        ("2011-12-01T08:00", ["2011-12-30T08:00", "2011-12-31T08:00"]),
        ("2011-12-01", ["2011-12-30", "2011-12-31"]),
    ):
        skipped, present = names
        found = between(fixed(start, "Pacific/Apia"), utc("2011-12-29T00:00"), utc("2012-01-01T00:00"))
        told = next(o for o in found if o.nominal == present)
        assert told.coalesced == (skipped,)
        assert skipped not in nominals(found)
        assert told.shift == ()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_overtakes_in_a_gap_is_found_however_few_are_asked_for(n: int) -> None:
    crowded = fixed("2026-03-29T00:00", times=["02:10", "02:50", "03:00"])
    by_instant = ["2026-03-29T03:00", "2026-03-29T02:10", "2026-03-29T02:50"]
    assert nominals(expand(crowded, utc("2026-03-28T12:00"), n)) == by_instant[:n]


def test_why_the_clock_shows_another_time_is_said() -> None:
    shifts = {o.nominal: o.shift for o in expand(fixed("2026-03-28T02:30"), utc("2026-03-01"), 3)}
    assert shifts == {"2026-03-28T02:30": (), "2026-03-29T02:30": ("gap",), "2026-03-30T02:30": ()}
    (autumn,) = expand(fixed("2026-10-25T02:30"), utc("2026-10-24"), 1)
    assert (autumn.shift, autumn.local.isoformat()) == (("overlap_first",), "2026-10-25T02:30:00+02:00")
    both = expand(fixed("2027-10-31T02:30", freq="MONTHLY", interval=6), utc("2028-01-01"), 3)
    assert [o.shift for o in both] == [("clamped",), (), ("clamped",)]
    (gap_too,) = expand(fixed("2010-01-31T00:00", "Africa/Cairo", "MONTHLY"), utc("2010-04-15"), 1)
    assert (gap_too.nominal, gap_too.shift) == ("2010-04-30T00:00", ("gap", "clamped"))


def test_a_clamped_completion_says_so_and_forgets_the_31st() -> None:
    monthly = after_done("2026-01-31T09:00", 1, "month")
    february = next_after_completion(monthly, utc("2026-01-31T12:00"), 1)
    assert february is not None
    assert (february.nominal, february.shift, february.key) == ("2026-02-28T09:00", ("clamped",), "c:2")
    march = next_after_completion(monthly, february.instant, 2)
    assert march is not None
    assert (march.nominal, march.shift) == ("2026-03-28T09:00", ())


def test_the_first_due_of_after_completion_is_its_start() -> None:
    weekly = after_done("2026-01-31T09:00", 1, "week", times=["18:00"])
    assert nominals(expand(weekly, utc("2026-01-01"), 5)) == ["2026-01-31T09:00"]
    assert expand(weekly, utc("2026-02-01"), 5) == []


def test_completions_and_skips_use_up_a_count() -> None:
    thrice = after_done("2026-01-31T09:00", 1, "day", count=3)
    assert next_after_completion(thrice, utc("2026-02-01T12:00"), 2) is not None
    assert next_after_completion(thrice, utc("2026-02-01T12:00"), 3) is None
    assert next_after_skip(thrice, "2026-02-01T09:00", 3, utc("2026-02-01T12:00")) is None


def test_until_ends_a_series_that_waits_for_completions() -> None:
    bounded = after_done("2026-01-31T09:00", 1, "week", until="2026-02-14")
    assert next_after_completion(bounded, utc("2026-02-07T12:00"), 2) is not None
    assert next_after_completion(bounded, utc("2026-02-08T12:00"), 2) is None
    assert next_after_skip(bounded, "2026-01-31T09:00", 1, utc("2026-02-20T12:00")) is None


def test_an_all_day_task_is_due_on_a_date_again() -> None:
    found = next_after_completion(after_done("2026-03-20", 9, "day"), utc("2026-03-19T23:30"), 1)
    assert found is not None
    assert (found.nominal, found.instant) == ("2026-03-29", utc("2026-03-29T06:00"))


def test_a_skip_is_counted_from_the_due_date_and_not_chained() -> None:
    monthly = after_done("2026-01-31T09:00", 1, "month")
    found = next_after_skip(monthly, "2026-01-31T09:00", 1, utc("2026-03-15T00:00"))
    assert found is not None
    assert (found.nominal, found.shift) == ("2026-03-31T09:00", ())


def test_a_back_dated_completion_may_be_followed_by_a_due_date_in_the_past() -> None:
    found = next_after_completion(after_done("2026-01-01T09:00", 1, "month"), utc("2026-01-10T07:00"), 1)
    assert found is not None
    assert found.instant == utc("2026-02-10T08:00")


def test_once_is_once() -> None:
    once = schedule_of({"mode": "once", "dtstart_local": "2026-03-29T02:30", "tzid": BERLIN})
    (only,) = expand(once, utc("2026-01-01"), 5)
    assert (only.key, only.instant, only.shift) == ("f:1:2026-03-29T02:30", utc("2026-03-29T01:30"), ("gap",))
    assert next_after(once, only.instant) is None
    assert between(once, utc("2026-01-01"), utc("2027-01-01")) == [only]


def test_between_takes_its_end_and_leaves_its_beginning() -> None:
    daily = fixed("2026-06-01T08:00", "UTC")
    assert nominals(between(daily, utc("2026-06-01T08:00"), utc("2026-06-03T08:00"))) == [
        "2026-06-02T08:00",
        "2026-06-03T08:00",
    ]
    assert len(between(daily, utc("2026-06-01"), utc("2030-01-01"))) > 1000
    assert len(between(daily, utc("2026-06-01"), utc("2030-01-01"), limit=250)) == 250


def test_nothing_is_generated_after_2399_however_large_the_interval() -> None:
    for schedule in (
        fixed("2199-12-31T09:00", freq="YEARLY", interval=999),
        fixed("2199-12-31T09:00", freq="MONTHLY", interval=999, byday=["-1SU"]),
        fixed("2199-12-31T09:00", freq="WEEKLY", interval=999, wkst="SU"),
        fixed("2199-12-31T09:00", freq="DAILY", interval=999),
        schedule_of({"mode": "elapsed", "start_at": "2199-12-31T09:00Z", "every": {"n": 366 * 24, "unit": "hour"}}),
    ):
        found = expand(schedule, utc("2190-01-01"), 1_000)
        assert max(o.instant for o in found) < utc("2400-01-01T12:00")
        assert next_after(schedule, found[-1].instant) is None
        assert next_after(schedule, utc("9999-12-31T23:59")) is None


def test_the_last_week_ends_with_the_last_date() -> None:
    daily = fixed("2199-12-31T09:00", freq="WEEKLY", byday=["MO", "TU", "WE", "TH", "FR", "SA", "SU"])
    assert nominals(expand(daily, utc("2399-12-29T12:00"), 9)) == ["2399-12-30T09:00", "2399-12-31T09:00"]


def test_a_course_is_over_after_its_count_however_late_one_looks() -> None:
    course = fixed("2006-01-01T12:00", times=["08:00", "20:00"], count=9_999)
    last = expand(course, utc("2019-01-01"), 10_000)[-1]
    assert last.nominal == "2019-09-09T20:00"  # the first day gave one, 4,999 days gave two each
    assert next_after(course, last.instant) is None
    assert next_after(course, utc("2026-01-01")) is None


@pytest.mark.parametrize("rule", [{"freq": "DAILY"}, {"freq": "DAILY", "count": 9_999}, {"freq": "WEEKLY"}])
def test_a_daily_reminder_of_twenty_years_is_previewed_at_once(rule: dict[str, Any]) -> None:
    schedule = fixed("2006-11-23T08:00", **rule)

    def cost() -> float:
        began = clock.process_time()
        assert len(expand(schedule, utc("2026-11-23"), 100)) == 100
        return clock.process_time() - began

    assert min(cost() for _ in range(5)) < 0.05


def test_a_task_skipped_after_twenty_years_finds_its_next_date_at_once() -> None:
    daily = after_done("2006-11-23T08:00", 1, "day")
    began = clock.process_time()
    found = next_after_skip(daily, "2006-11-23T08:00", 1, utc("2026-11-23T12:00"))
    assert clock.process_time() - began < 0.05
    assert found is not None
    assert found.nominal == "2026-11-24T08:00"


def test_asking_for_none_answers_none() -> None:
    assert expand(fixed("2026-01-01T08:00"), utc("2026-01-01"), 0) == []
    assert expand(fixed("2026-01-01T08:00"), utc("2026-01-01"), -1) == []


def test_moving_keeps_the_nominal_and_moves_the_instant() -> None:
    daily = fixed("2026-06-01T08:00", "America/New_York")
    pending = next_after(daily, utc("2026-07-01T13:00"))
    assert pending is not None
    moved = with_zone(daily, "America/Los_Angeles")
    assert instant_of(moved, pending.nominal) - pending.instant == timedelta(hours=3)
    assert instant_of(with_zone(moved, "America/New_York"), pending.nominal) == pending.instant
