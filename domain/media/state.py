"""How far a file has come. Only its workflow moves it after `complete`; a deletion may be asked for at any time.

pending ──complete──► scanning ──► ready ──reprocess──► ready
                         ├───────► quarantined   a threat was found
                         └───────► rejected      for a reason (`domain/media/reasons.py`)

What is ready and is refused by a later look is withdrawn: quarantined, and scanning again once a look finds nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class AssetState(StrEnum):
    """Of a content."""

    PENDING = "pending"
    """Its bytes may be uploaded."""
    SCANNING = "scanning"
    """They were, and are being looked at; `Stage` says how far."""
    READY = "ready"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


class Stage(StrEnum):
    """Of a content that is being looked at, in this order."""

    VERIFYING = "verifying"
    SCANNING = "scanning"
    DECODING = "decoding"
    RENDERING = "rendering"
    PUBLISHING = "publishing"


SETTLED: Final = frozenset({AssetState.READY, AssetState.QUARANTINED, AssetState.REJECTED})
"""Nothing happens to these without somebody's doing."""
_BEGINS: Final[Mapping[Stage, int]] = {
    Stage.VERIFYING: 0,
    Stage.SCANNING: 20,
    Stage.DECODING: 40,
    Stage.RENDERING: 50,
    Stage.PUBLISHING: 85,
}
"""Percent of the whole way, by what each stage takes of the time of a photo."""


def percent(stage: Stage, done: float = 0.0) -> int:
    """How far a content is that has done this share of a stage; 100 is said by `ready` alone."""
    begins = _BEGINS[stage]
    ends = min((each for each in _BEGINS.values() if each > begins), default=99)
    return begins + int((ends - begins) * min(max(done, 0.0), 1.0))
