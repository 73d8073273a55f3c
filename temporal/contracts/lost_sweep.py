"""Tidying up after lost pets. Id `system/lost`, started every night by its Schedule."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "LostSweepWorkflow"


@dataclass(frozen=True, slots=True)
class SweepLost:
    """What the Schedule starts it with. `page_size`: rows looked at at once."""

    page_size: int = 500


@dataclass(frozen=True, slots=True)
class LostSwept:
    """`sightings`: wiped, of those outside a search; `searches`: rung, namely all that are not forgotten yet."""

    sightings: int
    searches: int
