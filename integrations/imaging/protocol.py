"""What decoding promises: a bounded time, bounded memory, and a reason for everything that cannot be published."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from core.errors import PetfolioError, Unavailable
from domain.media.variants import Variant

Progress = Callable[[int], None]
"""Hears the percentage, at least once a second while a child works: the place for a heartbeat. What it raises ends the
work and the child, and comes out of the call."""


class Reason(StrEnum):
    """Why a file cannot be published."""

    UNKNOWN_TYPE = "unknown_type"
    EMPTY = "empty"
    DAMAGED = "damaged"
    ENCRYPTED = "encrypted"
    MIXED_TRACKS = "mixed_tracks"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_MUCH_MEMORY = "too_much_memory"
    TOO_SLOW = "too_slow"


class Unreadable(PetfolioError):
    """422: the file itself is the reason, so another try ends the same way."""

    code = "media_unreadable"
    http_status = 422

    def __init__(self, reason: Reason) -> None:
        super().__init__("the file cannot be read", extra={"reason": reason.value})
        self.reason = reason


class ImagingUnavailable(Unavailable):
    """The machine is the reason: no child could be started, somebody ended it, or it waited too long for a core."""

    code = "imaging_unavailable"


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a file says about itself before anything of it is decoded.

    `width` and `height` are in pixels, as people see it (turned the right way up); of a PDF they are those of its first
    page as it will be drawn. `pages` are a PDF's; pictures that move are `animated`. `captured_at` is what the camera's
    clock said, without a zone where the file names none.
    """

    content_type: str
    width: int
    height: int
    pages: int = 1
    animated: bool = False
    captured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file that was made. `name` is the variant's, `path` where it lies until the caller removes it; a document has
    no width and height (0)."""

    name: str
    path: Path
    content_type: str
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """All of a plan. `thumbhash` is the placeholder (https://evanw.github.io/thumbhash/), empty for a video."""

    files: Sequence[RenderedFile]
    thumbhash: bytes = b""
    pages: int = 1


class Imaging(Protocol):
    """Decodes what strangers send. Blocks: call it from a thread. Raises `Unreadable` and `ImagingUnavailable`, and
    what `on_progress` raises; then no child runs any more and `into` holds nothing of the call."""

    def inspect(self, path: Path) -> Inspected:
        """The file's type by its content, its size and limits by its header."""
        ...

    def render(
        self, path: Path, into: Path, *, plan: Sequence[Variant], on_progress: Progress = lambda percent: None
    ) -> Rendered:
        """Make the variants of `plan` (`domain.media.variants.plan`, or some of them, at least one) as files in the
        folder `into`. The same file and plan again make the same pictures and replace what is there."""
        ...
