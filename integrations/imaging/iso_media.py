"""MP4 and QuickTime: boxes within boxes (ISO/IEC 14496-12; QuickTime calls them atoms).

Of the data only the samples of pictures and sound are kept: what else cameras write between them, in tracks of their
own or without any, is their sensors' and often their position. Fragments tell too little to do so: they may have no
other tracks.

Only boxes that hold others are entered and only small ones are read, so memory does not grow with the video.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from integrations.imaging.iso_samples import ranges
from integrations.imaging.protocol import Reason, Unreadable
from integrations.imaging.video import Blank, Broken, Container, read_exactly

MOST_BOXES: Final = 200_000
"""An hour in fragments of half a second has some 60,000."""
_EPOCH: Final = datetime(1904, 1, 1, tzinfo=UTC)
_INSIDE: Final = {
    b"": {b"moov", b"moof"},
    b"moov": {b"trak"},
    b"trak": {b"mdia"},
    b"mdia": {b"minf"},
    b"minf": {b"stbl"},
    b"moof": {b"traf"},
}
"""Which boxes are entered where; nothing else is, so that no file leads us deeper."""
_KEPT: Final = {
    b"": set(b"ftyp styp moov moof mdat mfra sidx ssix pdin wide".split()),
    b"moov": set(b"mvhd trak mvex iods".split()),
    b"trak": set(b"tkhd edts tref mdia tapt trgr load".split()),
}
"""All that players need at these places; makers of phones put what they like beside it."""
_PRIVATE: Final = frozenset({b"udta", b"meta", b"uuid", b"free", b"skip"})
"""At any place: positions, makers, serial numbers and comments; and what lies in unused room."""
_DATED: Final = frozenset({b"mvhd", b"tkhd", b"mdhd"})
"""Begin with when they were made and changed."""
_SHOWN: Final = frozenset({b"vide", b"soun"})
"""Tracks of other handlers hold what a camera's sensors measured, its position for one."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box begins, where its content does, and where both end. `parent` is the kind of what holds it."""

    kind: bytes
    parent: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class _Track:
    """The boxes of one `trak`, and what it says it holds."""

    boxes: Sequence[Box]
    handler: bytes

    @property
    def box(self) -> Box:
        return self.boxes[0]


def read(path: Path) -> Container:
    """Check the structure from end to end. Raises `Broken`, `Unreadable`."""
    with path.open("rb") as file:
        size = path.stat().st_size
        boxes = list(islice(_tree(file, 0, size, b""), MOST_BOXES + 1))
        top = [box.kind for box in boxes if not box.parent]
        if len(boxes) > MOST_BOXES or top.count(b"moov") != 1 or b"mdat" not in top:
            raise Broken("no index, no data, or no end of either")
        tracks = [_track(file, boxes, at) for at, box in enumerate(boxes) if box.kind == b"trak"]
        shown = next((track for track in tracks if track.handler == b"vide"), None)
        if shown is None:
            raise Broken("no track of pictures")
        hidden = [track for track in tracks if track.handler not in _SHOWN]
        private = [blank for box in boxes for blank in _blanked(file, box)] + [_freed(track.box) for track in hidden]
        if b"moof" not in top:
            samples = (each for track in tracks if track.handler in _SHOWN for each in _samples(file, track, size))
            private += _between(sorted(samples), [box for box in boxes if box.kind == b"mdat" and not box.parent])
        elif hidden:
            raise Unreadable(Reason.MIXED_TRACKS)
        return Container(*_size(file, shown), _captured_at(file, boxes), private)


def _tree(file: BinaryIO, start: int, end: int, parent: bytes) -> Iterator[Box]:
    """The boxes that fill this stretch, each followed by those inside."""
    while start < end:
        length, kind = struct.unpack(">I4s", read_exactly(file, start, 8))
        body = start + 8
        if length == 1:
            (length,) = struct.unpack(">Q", read_exactly(file, body, 8))
            body += 8
        elif length == 0:
            length = end - start
        if not body <= start + length <= end:
            raise Broken("a box is larger than what holds it")
        yield Box(kind, parent, start, body, start + length)
        if kind in _INSIDE.get(parent, ()):
            yield from _tree(file, body, start + length, kind)
        start += length


def _track(file: BinaryIO, boxes: Sequence[Box], at: int) -> _Track:
    inside = [boxes[at]]
    for box in islice(boxes, at + 1, None):
        if box.start >= boxes[at].end:
            break
        inside.append(box)
    handler = next((box for box in inside if box.kind == b"hdlr" and box.parent == b"mdia"), None)
    return _Track(inside, read_exactly(file, handler.body + 8, 4) if handler else b"")


def _size(file: BinaryIO, track: _Track) -> tuple[int, int]:
    """Width and height after the track's matrix, which turns by quarters."""
    head = next((box for box in track.boxes if box.kind == b"tkhd"), None)
    if head is None:
        raise Broken("a track without a header")
    matrix_at = head.body + (52 if _long(file, head) else 40)
    a, b, _, _, d, *_, width, height = struct.unpack(">11i", read_exactly(file, matrix_at, 44))
    return (height >> 16, width >> 16) if b and not a and not d else (width >> 16, height >> 16)


def _long(file: BinaryIO, box: Box) -> bool:
    """Whether times in this box have 64 bits."""
    return read_exactly(file, box.body, 1) == b"\1"


def _captured_at(file: BinaryIO, boxes: Sequence[Box]) -> datetime | None:
    """When the movie was made; cameras without a clock say zero."""
    for box in boxes:
        if box.kind == b"mvhd":
            width = 8 if _long(file, box) else 4
            seconds = int.from_bytes(read_exactly(file, box.body + 4, width), "big")
            with suppress(OverflowError):
                return _EPOCH + timedelta(seconds=seconds) if seconds else None
    return None


def _blanked(file: BinaryIO, box: Box) -> Iterator[Blank]:
    """What a box gives away: all of it, or its dates."""
    if box.kind in _PRIVATE or box.kind not in _KEPT.get(box.parent, {box.kind}):
        yield _freed(box)
    elif box.kind in _DATED:
        yield Blank(box.body + 4, min(box.body + (20 if _long(file, box) else 12), box.end))


def _freed(box: Box) -> Blank:
    """As unused room of the same length, which players skip. The kind stands between a short length and a long one."""
    long = (box.end - box.start).to_bytes(8, "big") if box.body - box.start == 16 else b""
    return Blank(box.start + 4, box.end, b"free" + long)


def _samples(file: BinaryIO, track: _Track, size: int) -> Iterator[tuple[int, int]]:
    """Where they lie, chunk by chunk."""
    tables = {box.kind: (box.body, box.end) for box in track.boxes if box.parent == b"stbl"}
    for start, end in ranges(file, tables, is_sound=track.handler == b"soun"):
        if end > size:
            raise Broken("a sample lies outside of the file")
        yield start, end


def _between(samples: Sequence[tuple[int, int]], data: Sequence[Box]) -> Iterator[Blank]:
    """The stretches of the data that no sample covers; samples come in their order, and may overlap."""
    for box in data:
        position = box.body
        for start, end in samples:
            if position < min(start, box.end):
                yield Blank(position, min(start, box.end))
            position = max(position, end)
        if position < box.end:
            yield Blank(position, box.end)
