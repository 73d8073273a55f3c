"""The comparison of rows and objects, both ways (R6). Id `system/media-compare`, started every night."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

WORKFLOW: Final = "MediaCompareWorkflow"


class ComparedPart(StrEnum):
    """What is gone through, in this order."""

    UPLOADS = "uploads"
    PUBLISHED = "published"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class CompareMedia:
    """What the Schedule starts it with, and what a run hands to the next one. `after`: where the part stands."""

    part: ComparedPart = ComparedPart.UPLOADS
    after: str | None = None
    looked_at: int = 0
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class ComparePage:
    """Compare the next page of a part. `now` is the workflow's clock: what is younger than a day is left alone."""

    part: ComparedPart
    after: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class PageCompared:
    """`after` asks for the next page, None: this was the last one."""

    after: str | None
    looked_at: int
    orphans: int


@dataclass(frozen=True, slots=True)
class MediaCompared:
    """What a night found. Usually no orphan."""

    looked_at: int
    orphans: int
