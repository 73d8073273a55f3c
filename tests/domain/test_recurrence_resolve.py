"""From a wall-clock time to an instant, in every zone there is."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import TZDATA_VERSION
from domain import recurrence
from domain.recurrence import ZONES, resolve
from tests.domain.recurrence_kit import anchors, oracle, zones


@given(
    zone=st.sampled_from(sorted(ZONES)),
    nominal=st.datetimes(datetime(1990, 1, 1), datetime(2037, 12, 31)).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
)
def test_an_instant_is_the_first_moment_clocks_show_the_nominal(zone: str, nominal: datetime) -> None:
    assert resolve(nominal, zone) == oracle(nominal, zone)


@given(st.data())
def test_so_it_is_around_clock_changes(data: st.DataObject) -> None:
    zone = data.draw(zones)
    nominal = data.draw(anchors(zone))
    assert resolve(nominal, zone) == oracle(nominal, zone)


@pytest.mark.parametrize("fold", [0, 1])
def test_a_fold_that_came_along_with_a_wall_time_means_nothing(fold: int) -> None:
    twice = datetime(2026, 10, 25, 2, 30, fold=fold)
    assert resolve(twice, "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_skipped_date_moves_by_a_whole_day() -> None:
    assert resolve(datetime(2011, 12, 30, 8), "Pacific/Apia") == resolve(datetime(2011, 12, 31, 8), "Pacific/Apia")


def test_the_zones_are_those_of_the_pinned_package() -> None:
    assert zoneinfo.TZPATH == ()
    assert zoneinfo.available_timezones() == ZONES
    assert recurrence.TZDATA_VERSION == TZDATA_VERSION
    assert not ZONES & {"localtime", "posixrules", "America", "tzdata.zi", ""}


def test_snoozing_to_a_wall_time_means_the_clock_of_whoever_snoozes() -> None:
    tomorrow_nine = datetime(2026, 3, 9, 9)
    assert recurrence.snooze_until(tomorrow_nine, "America/New_York") == datetime(2026, 3, 9, 13, tzinfo=UTC)
    assert recurrence.snooze_until(tomorrow_nine, "Asia/Tokyo") == datetime(2026, 3, 9, 0, tzinfo=UTC)


def test_a_snooze_into_a_gap_ends_after_it() -> None:
    assert recurrence.snooze_until(datetime(2026, 3, 29, 2, 30), "Europe/Berlin") == datetime(
        2026, 3, 29, 0, 30, tzinfo=UTC
    ) + timedelta(hours=1)
