"""Published contents whose renditions are those of a former release, or that were scanned with former rules. Id
`system/media-renew`, started every night by its Schedule, and by whoever does not want to wait."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

WORKFLOW: Final = "MediaRenewWorkflow"


@dataclass(frozen=True, slots=True)
class RenewMedia:
    """What it is started with, and what a run hands to the next one. A page is rung every `pause_seconds`: the queue of
    those who wait for their upload stays short."""

    after: UUID | None = None
    rung: int = 0
    page_size: int = 20
    pause_seconds: int = 30


@dataclass(frozen=True, slots=True)
class RingOutdated:
    """Ring the next ones, in the order of their ids."""

    after: UUID | None
    page_size: int


@dataclass(frozen=True, slots=True)
class OutdatedRung:
    """`after` asks for the next page, None: there are no others."""

    after: UUID | None
    rung: int


@dataclass(frozen=True, slots=True)
class MediaRenewed:
    """How many workflows were rung."""

    rung: int
