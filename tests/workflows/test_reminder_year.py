"""Must hold: a year of reminders fires at exactly the previewed instants, with histories that stay small."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from domain import recurrence
from tests.workflows.reminder_world import days, reminder_world

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", ["daily", "monthly on the 31st"])
async def test_a_year_fires_at_exactly_the_previewed_instants(zone: str, kind: str) -> None:
    async with reminder_world() as world:
        world.zone = zone
        # 02:30 is skipped once and repeated once a year in the first two zones, 01:45 in the third.
        at = "01:45" if zone == "Australia/Lord_Howe" else "02:30"
        anchor = "2026-10-31" if kind.startswith("monthly") else f"{world.start_time:%Y-%m-%d}"
        reminder = await world.start_with(
            mode="fixed",
            freq="MONTHLY" if kind.startswith("monthly") else "DAILY",
            dtstart_local=f"{anchor}T{at}",
            times=[at],
        )
        previewed = recurrence.between(
            reminder.rows.series.schedule, world.start_time, world.start_time + days(366) + timedelta(seconds=1)
        )
        await world.passes(days(366))

        fired = [moment for _, moment, _ in world.postgres.delivered]
        assert [_second(moment) for moment in fired] == [_second(found.instant) for found in previewed]
        # A year and a day sees the end of a month twice when it begins just before one.
        assert len(fired) in ((12, 13) if kind.startswith("monthly") else (366,))
        assert len(_offsets(fired, zone)) == 2, "the year has a clock change each way"
        assert all(later > earlier for earlier, later in pairwise(fired))
        runs = await reminder.histories()
        assert len(runs) == 1 + len(fired) // 50
        assert max(len(run.events) for run in runs) < 650


def _second(moment: datetime) -> datetime:
    """Timers of the test server fire up to a few milliseconds late."""
    return moment.astimezone(UTC).replace(microsecond=0)


def _offsets(fired: list[datetime], zone: str) -> set[timedelta | None]:
    return {moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in fired}
