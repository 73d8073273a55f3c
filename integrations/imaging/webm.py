"""WebM: elements of EBML within elements (RFC 8794, RFC 9559), as far as the structure goes.

Recorders in browsers write segments and clusters of unknown size: a cluster then ends where an element begins that
cannot be inside of one, a segment with the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from integrations.imaging.video import Blank, Broken, Container, read_exactly

MOST_ELEMENTS: Final = 200_000
_HEADER, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_TRACK, _VIDEO, _WIDTH, _HEIGHT = 0xAE, 0xE0, 0xB0, 0xBA
_CUES, _SEEK_HEAD, _TAGS, _ATTACHMENTS, _CHAPTERS = 0x1C53BB6B, 0x114D9B74, 0x1254C367, 0x1941A469, 0x1043A770
_DATE, _TRACK_NAME, _CRC = 0x4461, 0x536E, 0xBF
_SCALE, _DURATION, _MUXER, _WRITER = 0x2AD7B1, 0x4489, 0x4D80, 0x5741
_VOID: Final = 0xEC
_INSIDE: Final = {0: {_SEGMENT}, _SEGMENT: {_INFO, _TRACKS}, _TRACKS: {_TRACK}, _TRACK: {_VIDEO}}
"""Which elements are entered where; nothing else is, so that no file leads us deeper."""
_NEXT: Final = frozenset(
    {_HEADER, _SEGMENT, _INFO, _TRACKS, _CLUSTER, _TAGS, _ATTACHMENTS, _CHAPTERS, _CUES, _SEEK_HEAD}
)
"""What ends a cluster of unknown size."""
_KEPT: Final = {
    0: {_HEADER, _SEGMENT},
    _SEGMENT: {_SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _CUES},
    _INFO: {_SCALE, _DURATION, _MUXER, _WRITER},
}
"""All that players need at these places: no tags, attachments, titles, dates, and nothing in unused room."""
_PRIVATE: Final = frozenset({_TRACK_NAME, _VOID, _CRC})
"""At any place; the checksums are of what was there before."""
_EPOCH: Final = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Element:
    """Where an element begins, where its content does, and where both end. `parent` is the kind of what holds it."""

    kind: int
    parent: int
    start: int
    body: int
    end: int


def read(path: Path) -> Container:
    """Check the structure from end to end. Raises `Broken`."""
    with path.open("rb") as file:
        elements = list(islice(_tree(file, 0, path.stat().st_size, 0), MOST_ELEMENTS + 1))
        kinds = {element.kind for element in elements}
        if len(elements) > MOST_ELEMENTS or not {_HEADER, _TRACKS, _CLUSTER} <= kinds:
            raise Broken("no tracks, no data, or no end of either")
        width, height = (_number(file, elements, kind) for kind in (_WIDTH, _HEIGHT))
        if not width or not height:
            raise Broken("no track of pictures")
        private = [_voided(element) for element in elements if _is_private(element)]
        return Container(width, height, _captured_at(file, elements), private)


def _tree(file: BinaryIO, start: int, end: int, parent: int) -> Iterator[Element]:
    """The elements that fill this stretch, each followed by those inside."""
    while start < end:
        element = _element(file, start, end, parent)
        yield element
        if element.kind in _INSIDE.get(parent, ()):
            yield from _tree(file, element.body, element.end, element.kind)
        start = element.end


def _element(file: BinaryIO, start: int, end: int, parent: int) -> Element:
    kind, size_at = _variable(file, start, 4)
    size, body = _variable(file, size_at, 8)
    bits = 7 * (body - size_at)
    if (size := size & ~(1 << bits)) == (1 << bits) - 1:  # all ones: nobody knew
        size = _unknown(file, kind, body, end) - body
    if body + size > end:
        raise Broken("an element is larger than what holds it")
    return Element(kind, parent, start, body, body + size)


def _unknown(file: BinaryIO, kind: int, body: int, end: int) -> int:
    """Where an element of unknown size ends."""
    if kind == _SEGMENT:
        return end
    if kind != _CLUSTER:
        raise Broken("only segments and clusters may have no size")
    at = body
    while at < end and (_variable(file, at, 4)[0] not in _NEXT):
        at = _element(file, at, end, kind).end
    return at


def _variable(file: BinaryIO, at: int, longest: int) -> tuple[int, int]:
    """A number of variable length, its marker included, and where it ends (RFC 8794 §4)."""
    first = read_exactly(file, at, 1)[0]
    length = 9 - first.bit_length()
    if length > longest:
        raise Broken("a number is too long")
    return int.from_bytes(read_exactly(file, at, length), "big"), at + length


def _content(file: BinaryIO, elements: Sequence[Element], kind: int) -> bytes:
    """Of the first element of a kind, as far as a number can be long."""
    for element in elements:
        if element.kind == kind:
            return read_exactly(file, element.body, min(element.end - element.body, 8))
    return b""


def _number(file: BinaryIO, elements: Sequence[Element], kind: int) -> int:
    return int.from_bytes(_content(file, elements, kind), "big")


def _captured_at(file: BinaryIO, elements: Sequence[Element]) -> datetime | None:
    nanoseconds = int.from_bytes(_content(file, elements, _DATE), "big", signed=True)
    with suppress(OverflowError):
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000) if nanoseconds else None
    return None


def _is_private(element: Element) -> bool:
    return element.kind in _PRIVATE or element.kind not in _KEPT.get(element.parent, {element.kind})


def _voided(element: Element) -> Blank:
    """As a Void element of the same length (RFC 8794 §11.3.2), which readers skip."""
    room = element.end - element.start - 1
    size = bytes([0x80 | room - 1]) if room <= 0x7F else (1 << 56 | room - 8).to_bytes(8, "big")
    return Blank(element.start, element.end, bytes([_VOID]) + size)
