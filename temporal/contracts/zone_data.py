"""The roll-over to a release's zone data. Id `system/zone-data/{version}`; started once per version, at the deploy."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

WORKFLOW: Final = "ZoneDataWorkflow"


@dataclass(frozen=True, slots=True)
class RollOver:
    """To which version (`2026f`), and how many occurrences are looked at in one transaction's reach."""

    version: str
    page_size: int = 200


@dataclass(frozen=True, slots=True)
class MoveOccurrences:
    """Compute every pending occurrence anew that was computed with other zone data."""

    version: str
    page_size: int


@dataclass(frozen=True, slots=True)
class Moved:
    """One occurrence whose time is another one under the new law: the difference that operators read."""

    occurrence_id: UUID
    tzid: str
    was: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class RolledOver:
    """`checked` occurrences were looked at, `moved` of them changed; `examples` are the first of these, the rest stands
    in `zone_data_moves`."""

    checked: int
    moved: int
    examples: tuple[Moved, ...] = ()
