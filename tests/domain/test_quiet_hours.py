"""Quiet hours: a notice moves to the end of the window, and nothing else moves."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.quiet_hours import QuietHours, defer
from tests.domain.recurrence_kit import anchors, oracle, zones

times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@st.composite
def windows(draw: st.DrawFn, zone: str) -> QuietHours:
    start, end = draw(times), draw(times)
    assume(start != end)
    return QuietHours(start, end, zone)


def span(window: QuietHours, day: date) -> tuple[datetime, datetime]:
    """The window that begins on that date, by the oracle."""
    last = day if window.end > window.start else day + timedelta(days=1)
    return (
        oracle(datetime.combine(day, window.start), window.tzid),
        oracle(datetime.combine(last, window.end), window.tzid),
    )


def is_inside(instant: datetime, window: QuietHours) -> bool:
    days = (instant.date() + timedelta(days=by) for by in range(-2, 3))
    return any(start <= instant < end for start, end in (span(window, day) for day in days))


@given(st.data())
def test_a_notice_never_falls_into_the_window_and_outside_it_stays(data: st.DataObject) -> None:  # P13
    zone = data.draw(zones)
    window = data.draw(windows(zone))
    fire = data.draw(anchors(zone)).replace(second=0, tzinfo=UTC)
    notice = defer(fire, [window])
    assert notice >= fire
    assert not is_inside(notice, window)
    assert (notice == fire) == (not is_inside(fire, window))
    assert defer(notice, [window]) == notice


@given(st.data())
def test_several_windows_are_left_behind_one_after_the_other(data: st.DataObject) -> None:  # P13
    zone = data.draw(zones)
    several = data.draw(st.lists(windows(zone), min_size=2, max_size=4))
    fire = data.draw(anchors(zone)).replace(second=0, tzinfo=UTC)
    notice = defer(fire, several)
    assert notice >= fire
    assert defer(notice, several) == notice
    if any(is_inside(notice, window) for window in several):  # only where they leave no minute of the day
        assert notice == fire
        ends = (span(window, fire.date() + timedelta(days=by))[1] for window in several for by in range(3))
        assert all(any(is_inside(end, window) for window in several) for end in ends if end > fire)


def test_windows_meet_and_the_notice_waits_for_the_last_end() -> None:
    night, dawn = QuietHours(time(22), time(6), "UTC"), QuietHours(time(6), time(9), "UTC")
    assert defer(datetime(2026, 6, 1, 23, tzinfo=UTC), [dawn, night]) == datetime(2026, 6, 2, 9, tzinfo=UTC)


def test_quiet_all_day_holds_nothing_back() -> None:
    always = [QuietHours(time(8), time(20), "UTC"), QuietHours(time(20), time(8), "UTC")]
    fire = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert defer(fire, always) == fire


def test_without_windows_nothing_moves() -> None:
    fire = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert defer(fire, []) == fire


def test_start_is_inside_and_end_is_not() -> None:
    night = QuietHours(time(22), time(7), "Europe/Berlin")
    start, end = datetime(2026, 6, 1, 20, tzinfo=UTC), datetime(2026, 6, 2, 5, tzinfo=UTC)
    assert defer(start, [night]) == end
    assert defer(start - timedelta(microseconds=1), [night]) == start - timedelta(microseconds=1)
    assert defer(end, [night]) == end


def test_the_window_is_on_the_clock_of_the_recipient() -> None:
    fire = datetime(2026, 6, 1, 21, tzinfo=UTC)
    assert defer(fire, [QuietHours(time(22), time(7), "America/Los_Angeles")]) == fire
    assert defer(fire, [QuietHours(time(22), time(7), "Asia/Tokyo")]) == datetime(2026, 6, 1, 22, tzinfo=UTC)


def test_a_window_that_falls_into_a_skipped_hour_is_no_window() -> None:
    """02:30 to 03:10 on the night the clock skips from 02 to 03: it would begin after its end."""
    window = QuietHours(time(2, 30), time(3, 10), "Europe/Berlin")
    fire = datetime(2026, 3, 29, 1, 5, tzinfo=UTC)
    assert defer(fire, [window]) == fire


def test_quiet_hours_of_no_length_are_refused() -> None:
    with pytest.raises(Invalid) as refused:
        QuietHours(time(22), time(22), "UTC")
    assert [(p.pointer, p.code) for p in refused.value.errors] == [("/quiet_hours", "quiet_hours_empty")]
