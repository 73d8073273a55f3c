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
_DATE, _TITLE, _FILE_NAME, _NAME = 0x4461, 0x7BA9, 0x7384, 0x536E
_TAGS, _ATTACHMENTS, _CHAPTERS, _CUES, _SEEK_HEAD = 0x1254C367, 0x1941A469, 0x1043A770, 0x1C53BB6B, 0x114D9B74
_VOID, _CRC = 0xEC, 0xBF
_INSIDE: Final = {0: {_SEGMENT}, _SEGMENT: {_INFO, _TRACKS}, _TRACKS: {_TRACK}, _TRACK: {_VIDEO}}
"""Which elements are entered where; nothing else is, so that no file leads us deeper."""
_NEXT: Final = frozenset(
    {_HEADER, _SEGMENT, _INFO, _TRACKS, _CLUSTER, _TAGS, _ATTACHMENTS, _CHAPTERS, _CUES, _SEEK_HEAD}
)
"""What ends a cluster of unknown size."""
_PRIVATE: Final = frozenset({_TAGS, _ATTACHMENTS, _CHAPTERS, _DATE, _TITLE, _FILE_NAME, _NAME, _VOID, _CRC})
"""Comments and dates, what lies in unused room, and the checksums of what holds them."""
_EPOCH: Final = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Element:
    """Where an element begins, where its content does, and where both end."""

    kind: int
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
        private = [_voided(element) for element in elements if element.kind in _PRIVATE]
        return Container(width, height, _captured_at(file, elements), private)


def _tree(file: BinaryIO, start: int, end: int, parent: int) -> Iterator[Element]:
    """The elements that fill this stretch, each followed by those inside."""
    while start < end:
        element = _element(file, start, end)
        yield element
        if element.kind in _INSIDE.get(parent, ()):
            yield from _tree(file, element.body, element.end, element.kind)
        start = element.end


def _element(file: BinaryIO, start: int, end: int) -> Element:
    kind, size_at = _variable(file, start, 4)
    size, body = _variable(file, size_at, 8)
    bits = 7 * (body - size_at)
    if (size := size & ~(1 << bits)) == (1 << bits) - 1:  # all ones: nobody knew
        size = _unknown(file, kind, body, end) - body
    if body + size > end:
        raise Broken("an element is larger than what holds it")
    return Element(kind, start, body, body + size)


def _unknown(file: BinaryIO, kind: int, body: int, end: int) -> int:
    """Where an element of unknown size ends."""
    if kind == _SEGMENT:
        return end
    if kind != _CLUSTER:
        raise Broken("only segments and clusters may have no size")
    at = body
    while at < end and (_variable(file, at, 4)[0] not in _NEXT):
        at = _element(file, at, end).end
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


def _voided(element: Element) -> Blank:
    """As a Void element of the same length (RFC 8794 §11.3.2), which readers skip."""
    room = element.end - element.start - 1
    size = bytes([0x80 | room - 1]) if room <= 0x7F else (1 << 56 | room - 8).to_bytes(8, "big")
    return Blank(element.start, element.end, bytes([_VOID]) + size)
