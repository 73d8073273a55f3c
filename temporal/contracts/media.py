"""One uploaded content. Id `household/{household_id}/media/{asset_id}`; started, and rung whenever its row changes, by
outbox rows of kind `media`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.media.reasons import Reason
from domain.media.state import AssetState

WORKFLOW: Final = "MediaWorkflow"
KIND: Final = "media"
"""Outbox kind and aggregate prefix of the bell."""
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


class MediaTask(StrEnum):
    """What is to be done with an asset, as its row says."""

    PUBLISH = "publish"
    """Look at it, from the beginning, and publish or refuse it."""
    RENDER = "render"
    """It is published; its renditions are those of a former release."""
    RESCAN = "rescan"
    """It is published; the scanner has learnt since."""
    REMOVE = "remove"
    """Nobody uses it any more."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class MediaArrived:
    """Which row of `media_assets`; everything else is read from it."""

    asset_id: UUID


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """Somebody changed the row. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class WorkOnMedia:
    """One step of an asset."""

    asset_id: UUID


@dataclass(frozen=True, slots=True)
class RefuseMedia:
    """Why it is not taken."""

    asset_id: UUID
    reason: Reason


@dataclass(frozen=True, slots=True)
class MediaStanding:
    """What comes next; `state` is that of the row, None where there is none."""

    task: MediaTask
    state: AssetState | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found. `reason`: it is refused for this; `is_known`: the household has this content already, and
    uses that one."""

    reason: Reason | None = None
    is_known: bool = False


def aggregate(asset_id: UUID) -> str:
    """The outbox aggregate of an asset."""
    return f"{KIND}/{asset_id}"


def bell_args(asset_id: UUID, *, is_urgent: bool = True) -> Mapping[str, object]:
    """What an outbox row needs for `first_state` and `is_urgent`."""
    return {"asset_id": str(asset_id), "is_urgent": is_urgent}


def is_urgent(args: Mapping[str, object]) -> bool:
    """Whether somebody waits for it, from the outbox row's args."""
    return bool(args.get("is_urgent", True))


def first_state(args: Mapping[str, object]) -> MediaArrived:
    """What a new workflow starts with, from the outbox row's args."""
    return MediaArrived(UUID(str(args["asset_id"])))
