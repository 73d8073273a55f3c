"""What a child does with one file: look at it, or make its variants. Runs in the child, never in a worker."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyvips

from domain.media.sniff import AVIF, DOCUMENTS, HEAD_BYTES, JPEG, MOV, MP4, VIDEOS, WEBM, WEBP, sniff
from domain.media.variants import Variant
from integrations.imaging import documents, iso_media, pictures, video, webm
from integrations.imaging.captured import captured_at
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Inspected, Progress, Reason, Unreadable

MOST_CORES: Final = 4
"""A child uses no more, however many there are: each thread costs memory."""
_EFFORT: Final = {WEBP: 6, AVIF: 4, JPEG: 1}
"""What a pixel costs to encode, roughly (noise of a sensor, measured). The long ones begin first: then no core is left
with one of them when the others have nothing to do."""
_AHEAD: Final = 1
"""Encoders beside one for each core: somebody computes while another reads its pixels or writes its file."""
_DECODED: Final = 20
"""Per cent of the time of a picture, roughly; the rest is encoding."""
_CONTAINERS: Final = {MP4: iso_media.read, MOV: iso_media.read, WEBM: webm.read}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was made: width and height by variant. `thumbhash` is in hexadecimal."""

    sizes: Mapping[str, tuple[int, int]]
    thumbhash: str = ""
    pages: int = 1


@dataclass(frozen=True, slots=True)
class _Saving:
    """One file to encode."""

    variant: Variant
    image: pyvips.Image

    @property
    def cost(self) -> int:
        return int(self.image.width * self.image.height) * _EFFORT[self.variant.content_type]


def cores() -> int:
    """How many threads a child may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(available or 1, MOST_CORES)


def inspect(path: Path, limits: Limits, say: Progress) -> Inspected:
    """What the file says of itself. Raises `Unreadable` and the decoders' errors."""
    content_type = _content_type(path)
    if content_type in VIDEOS:
        found = _CONTAINERS[content_type](path)
        return Inspected(content_type, found.width, found.height, captured_at=found.captured_at)
    if content_type in DOCUMENTS:
        width, height, pages = documents.read_size(path)
        return Inspected(content_type, width, height, pages=pages)
    pictures.allow_only(content_type)
    header = pictures.read_header(path, content_type, limits)
    moves = header.frames > 1
    return Inspected(content_type, header.width, header.height, animated=moves, captured_at=captured_at(header.exif))


def render(path: Path, folder: Path, plan: Sequence[Variant], limits: Limits, say: Progress) -> Drawn:
    """Write the variants into the folder. Raises `Unreadable`, OSError and the decoders' errors."""
    content_type = _content_type(path)
    if content_type in VIDEOS:
        return _copied(path, folder, plan, content_type)
    originals = [variant for variant in plan if variant.content_type in DOCUMENTS]
    drawn = _drawn(path, content_type, folder, [variant for variant in plan if variant not in originals], limits, say)
    for variant in originals:
        documents.publish(path, folder / variant.file_name)
    return replace(drawn, sizes={**drawn.sizes, **{variant.name: (0, 0) for variant in originals}})


def _drawn(
    path: Path, content_type: str, folder: Path, plan: Sequence[Variant], limits: Limits, say: Progress
) -> Drawn:
    image, pages = _decoded(path, content_type, plan, limits)
    say(_DECODED)
    pyvips.concurrency_set(1)  # from here on each core has a picture of its own
    with ThreadPoolExecutor(cores() + _AHEAD) as threads:
        encoding = {threads.submit(_save, saving, folder): saving for saving in _savings(image, plan)}
        savings = list(encoding.values())
        thumbhash = pictures.placeholder(savings[-1].image)
        done, whole = 0, sum(saving.cost for saving in savings)
        for saved in as_completed(encoding):
            saved.result()
            done += encoding[saved].cost
            say(_DECODED + (100 - _DECODED) * done // whole)
    return Drawn({each.variant.name: _shown(each.image) for each in savings}, thumbhash.hex(), pages)


def _content_type(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise Unreadable(Reason.EMPTY)
    if not (found := sniff(head)):
        raise Unreadable(Reason.UNKNOWN_TYPE)
    return found


def _decoded(path: Path, content_type: str, plan: Sequence[Variant], limits: Limits) -> tuple[pyvips.Image, int]:
    """The picture as large as the largest variant, and the number of pages."""
    if content_type in DOCUMENTS:
        return documents.draw(path)
    pictures.allow_only(content_type)
    frames = pictures.read_header(path, content_type, limits).frames
    moving = frames > 1 and any(variant.animated for variant in plan)
    return pictures.decode(path, content_type, max(variant.edge or 0 for variant in plan), moving=moving), 1


def _savings(image: pyvips.Image, plan: Sequence[Variant]) -> Iterator[_Saving]:
    """Largest first, each size made of the one before: the long ones begin early, and little is read twice."""
    longest_first = sorted(plan, key=lambda variant: _EFFORT[variant.content_type], reverse=True)
    for edge in sorted({variant.edge or 0 for variant in plan}, reverse=True):
        image = pictures.shrink(image, edge)
        first = pictures.still(image)
        for variant in longest_first:
            if variant.edge == edge:
                yield _Saving(variant, image if variant.animated else first)


def _save(saving: _Saving, folder: Path) -> None:
    pictures.save(saving.image, folder / saving.variant.file_name, saving.variant.content_type)


def _shown(image: pyvips.Image) -> tuple[int, int]:
    return image.width, image.get_page_height()


def _copied(path: Path, folder: Path, plan: Sequence[Variant], content_type: str) -> Drawn:
    found = _CONTAINERS[content_type](path)
    for variant in plan:
        video.publish(path, folder / variant.file_name, found.private)
    return Drawn({variant.name: (found.width, found.height) for variant in plan})
