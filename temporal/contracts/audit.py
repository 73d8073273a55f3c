"""The chain over the audit log. Ids `system/audit-seal` and `system/audit-verify`, started by their Schedules."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "AuditWorkflow"


@dataclass(frozen=True, slots=True)
class Audit:
    """What the Schedules start it with. `verify`: look at the whole chain after sealing what is new."""

    verify: bool = False


@dataclass(frozen=True, slots=True)
class SealEntries:
    """Seal every entry that has settled."""


@dataclass(frozen=True, slots=True)
class EntriesSealed:
    """`entries` were sealed in `seals` stretches."""

    seals: int
    entries: int


@dataclass(frozen=True, slots=True)
class VerifyChain:
    """Compare the whole chain with the log."""


@dataclass(frozen=True, slots=True)
class ChainVerified:
    """`broken_seq`: the first stretch that is not what was sealed; None in every night but the one it is there for."""

    seals: int
    entries: int
    broken_seq: int | None


@dataclass(frozen=True, slots=True)
class Audited:
    """What a run did."""

    sealed: EntriesSealed
    verified: ChainVerified | None
