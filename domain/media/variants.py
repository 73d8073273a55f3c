"""What is published of an upload: in which formats, how large, and called what."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from domain.media.sniff import AVIF, DOCUMENTS, JPEG, MOV, MP4, PDF, VIDEOS, WEBM, WEBP

PLAN_VERSION: Final = 1
"""Of the renditions that this release makes; raise it with what is planned here, and all contents are rendered anew."""
EDGES: Final = (160, 480, 1080, 2048)
"""The longest edges that pictures are published at, in pixels."""
FORMATS: Final = (AVIF, WEBP, JPEG)
"""Smallest first: what a browser is offered in this order."""
EXTENSIONS: Final = {AVIF: "avif", WEBP: "webp", JPEG: "jpg", PDF: "pdf", MP4: "mp4", MOV: "mov", WEBM: "webm"}


@dataclass(frozen=True, slots=True)
class Variant:
    """One published rendition. `name` is its own within the asset and part of its key; pictures have an `edge`, the
    longest they may have; `animated` ones keep their frames."""

    name: str
    content_type: str
    edge: int | None = None
    animated: bool = False

    @property
    def file_name(self) -> str:
        """Name and extension."""
        return f"{self.name}.{EXTENSIONS[self.content_type]}"


def plan(content_type: str, width: int, height: int, *, animated: bool = False) -> tuple[Variant, ...]:
    """What to make of an upload, of which `width` and `height` are as people see it.

    Nothing is enlarged: a picture smaller than an edge is published once in its own size, under the first edge that it
    fits into. A PDF's pictures are of its first page. A video and a PDF are published as well, without what they say
    about where and with what they were made.
    """
    original = (Variant("original", content_type),)
    if content_type in VIDEOS:
        return original
    prefix = "preview-" if content_type in DOCUMENTS else ""
    pictures = tuple(
        Variant(f"{prefix}{edge}", kind, edge, animated and kind == WEBP)
        for edge in _edges(max(width, height))
        for kind in FORMATS
    )
    return pictures + original if content_type in DOCUMENTS else pictures


def _edges(longest: int) -> Iterator[int]:
    for edge in EDGES:
        yield edge
        if longest <= edge:
            return
