"""The digests that are due. Id `system/digest`, started every quarter of an hour by its Schedule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

WORKFLOW: Final = "DigestWorkflow"


@dataclass(frozen=True, slots=True)
class Digests:
    """What the Schedule starts it with. `page_size`: people looked at at once."""

    page_size: int = 200


@dataclass(frozen=True, slots=True)
class EnqueueDigests:
    """Have the digest of everybody sent whose time has come by `now`."""

    now: datetime
    page_size: int


@dataclass(frozen=True, slots=True)
class DigestsEnqueued:
    """`people` had something to be told; `digests` were due and are on their way."""

    people: int
    digests: int
