"""Pictures inside of documents without what cameras wrote into them: whole segments are left out, and no pixel is
decoded. What is not put together as it should be ends where that is seen.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

_END, _JFIF, _APP2, _ADOBE, _COMMENT = 0xD9, 0xE0, 0xE2, 0xEE, 0xFE
_PRIVATE: Final = frozenset({*range(0xE1, 0xF0), _COMMENT})
_PROFILE: Final = b"ICC_PROFILE\0"
_BOXES: Final = frozenset({b"uuid", b"xml ", b"uinf"})
_MARK: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""Of a segment, or of the end: within a scan there are others, which have no length."""


def jpeg(data: bytes) -> bytes:
    """Without EXIF, XMP, maker's notes, comments, thumbnails and what comes after the picture; with its colour profile,
    and what Adobe says of its colours (ISO/IEC 10918-1 §B, JFIF, TN 5116)."""
    return b"".join(_segments(data))


def _segments(data: bytes) -> Iterator[bytes]:
    position = 0
    while found := _MARK.search(data, position):
        start, kind = found.start(), data[found.start() + 1]
        yield data[position:start]
        if kind == _END:
            yield data[start : start + 2]
            return
        position = start + 2 + max(int.from_bytes(data[start + 2 : start + 4], "big"), 2)
        if _is_kept(kind, data[start + 4 : start + 4 + len(_PROFILE)]):
            yield _without_thumbnail(data[start:position]) if kind == _JFIF else data[start:position]
    yield data[position:]


def _is_kept(kind: int, begins: bytes) -> bool:
    if kind == _APP2:
        return begins == _PROFILE
    if kind == _JFIF:
        return begins.startswith(b"JFIF\0")
    return kind == _ADOBE or kind not in _PRIVATE


def _without_thumbnail(segment: bytes) -> bytes:
    """Version, units and densities are twelve bytes; the size of a thumbnail, and the thumbnail, follow."""
    return b"\xff\xe0" + struct.pack(">H", 16) + segment[4:16] + b"\0\0"


def jpeg_2000(data: bytes) -> bytes:
    """Without XML and what is under identifiers of makers (ISO/IEC 15444-1 §I.7); a bare codestream has neither."""
    if data[4:8] != b"jP  ":
        return data
    return b"".join(box for kind, box in _boxes(data) if kind not in _BOXES)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
        end = position + length if length >= 8 else len(data)
        yield kind, data[position:end]
        position = end
