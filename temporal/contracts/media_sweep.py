"""Uploads that nobody completed, and contents whose workflow has to be reminded. Id `system/media-sweep`, started every
ten minutes by its Schedule."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "MediaSweepWorkflow"


@dataclass(frozen=True, slots=True)
class SweepMedia:
    """What the Schedule starts it with. `page_size`: rows at once."""

    page_size: int = 200


@dataclass(frozen=True, slots=True)
class MediaSwept:
    """`expired` uploads were ended, and `rung` workflows reminded. In quiet times both are zero."""

    expired: int
    rung: int
