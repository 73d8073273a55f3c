"""Tidying up after sessions. Id `system/sessions`, started every quarter of an hour by its Schedule."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "SessionSweepWorkflow"


@dataclass(frozen=True, slots=True)
class SweepSessions:
    """What the Schedule starts it with. `page_size`: rows changed at once."""

    page_size: int = 1000


@dataclass(frozen=True, slots=True)
class SessionsSwept:
    """`replays`: kept answers to a refresh that nobody may ask for any more; `tokens`: of sessions past their end;
    `attempts`: counters of accounts that nobody tries any more; `devices`: cookies past their end."""

    replays: int = 0
    tokens: int = 0
    attempts: int = 0
    devices: int = 0
