"""Uploads that nobody completed, contents that were refused long ago, and those whose workflow has to be reminded. Id
`system/media-sweep`, started every ten minutes by its Schedule."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "MediaSweepWorkflow"


@dataclass(frozen=True, slots=True)
class SweepMedia:
    """What the Schedule starts it with. `page_size`: rows at once."""

    page_size: int = 200


@dataclass(frozen=True, slots=True)
class MediaSwept:
    """`expired` uploads were ended, `rung` workflows reminded, `forgotten` refusals taken away. In quiet times all are
    zero."""

    expired: int
    rung: int
    forgotten: int = 0
