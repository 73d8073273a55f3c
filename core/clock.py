"""Zone data: pinned, checked at start-up, the same in every process (recurrence.md §4.11)."""

import os
import zoneinfo
from datetime import UTC, datetime

import tzdata

TZDATA_VERSION = "2026f"


class ZoneDataMismatch(RuntimeError):
    """This process would compute other instants than its peers. The message names what differs."""


def pin_zone_data() -> None:
    """Make `zoneinfo` read the pinned `tzdata` package only, and refuse to run on anything else.

    First call of every entry point. `PYTHONTZPATH=""` does the same for child processes; the call is needed besides
    because `python -E` and `-I` ignore the variable. Raises `ZoneDataMismatch`.
    """
    os.environ["PYTHONTZPATH"] = ""
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    if tzdata.IANA_VERSION != TZDATA_VERSION:
        raise ZoneDataMismatch(
            f"tzdata is {tzdata.IANA_VERSION}, this release needs {TZDATA_VERSION}: install requirements.lock"
        )
    # British Columbia stays on UTC-7 from 2026: older zone data answers 17:00.
    probe = datetime(2026, 11, 1, 9, tzinfo=zoneinfo.ZoneInfo("America/Vancouver"))
    if zoneinfo.TZPATH != () or probe.astimezone(UTC) != datetime(2026, 11, 1, 16, tzinfo=UTC):
        raise ZoneDataMismatch("zoneinfo does not read the pinned tzdata package: start without a system zone path")
