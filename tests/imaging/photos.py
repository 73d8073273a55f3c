"""Pictures as cameras and programs write them, made here: what is in them is known."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyvips
from PIL import Image

FILES: Final = Path(__file__).with_name("files")
CANARY: Final = "CANARY-SERIAL-4711"
CORNERS: Final = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 200), "white": (255, 255, 255)}
"""Of `corners`: top left, top right, bottom left, bottom right."""
P3: Final[bytes] = (
    pyvips.Image.black(8, 8, bands=3).copy(interpretation="srgb").icc_transform("p3", input_profile="srgb")
).get("icc-profile-data")
_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_TURNS: Final = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_270,
)
"""What a camera held that way stores, by the orientation it notes."""


def corners(width: int = 320, height: int = 240) -> Image.Image:
    """A colour in each corner, so that every turn of it is another picture."""
    picture = Image.new("RGB", (width, height), CORNERS["white"])
    picture.paste(CORNERS["red"], (0, 0, width // 2, height // 2))
    picture.paste(CORNERS["green"], (width // 2, 0, width, height // 2))
    picture.paste(CORNERS["blue"], (0, height // 2, width // 2, height))
    return picture


def stored(orientation: int) -> Image.Image:
    """`corners` as a camera stores it with this orientation."""
    turn = _TURNS[orientation - 1]
    return corners() if turn is None else corners().transpose(turn)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """As a file of one of Pillow's formats."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def animation(frames: int = 5, size: tuple[int, int] = (300, 200), kind: str = "GIF") -> bytes:
    """A picture that moves: 60 ms a frame, for ever."""
    shades = [Image.new("RGB", size, (index * 40 % 256, 90, 200)) for index in range(frames)]
    return encoded(shades[0], kind, save_all=True, append_images=shades[1:], duration=60, loop=0)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def exif(orientation: int = 1, *, taken: str = "2024:05:01 12:30:00", offset: str = "+02:00") -> bytes:
    """What a phone notes: maker, serial number, place, date, and a small picture (CIPA DC-008, TIFF 6.0)."""
    small = encoded(corners(32, 24), "JPEG")
    camera = {0x9003: _text(taken), 0x9011: _text(offset), 0xA431: _text(CANARY)}
    place = {
        1: _text("N"),
        2: (_RATIONAL, 3, struct.pack(">6I", 47, 1, 22, 1, 10, 1)),
        3: _text("E"),
        4: (_RATIONAL, 3, struct.pack(">6I", 8, 1, 32, 1, 30, 1)),
    }
    main = {0x10F: _text("CanaryMaker"), 0x112: (_SHORT, 1, struct.pack(">HH", orientation, 0))}
    start = 8 + _room(main | {0x8769: _at(0), 0x8825: _at(0)})
    for tag, below in ((0x8769, camera), (0x8825, place)):
        main[tag] = _at(start)
        start += _room(below)
    preview = {0x103: (_SHORT, 1, struct.pack(">HH", 6, 0)), 0x201: _at(0), 0x202: _at(len(small))}
    preview[0x201] = _at(start + _room(preview))
    folders = _folder(main, 8, then=start)
    for below in (camera, place):
        folders += _folder(below, 8 + len(folders))
    return b"Exif\0\0MM\0\x2a\0\0\0\x08" + folders + _folder(preview, start) + small


_Field = tuple[int, int, bytes]


def _text(value: str) -> _Field:
    return _ASCII, len(value) + 1, value.encode() + b"\0"


def _at(offset: int) -> _Field:
    return _LONG, 1, struct.pack(">I", offset)


def _room(fields: Mapping[int, _Field]) -> int:
    """Bytes that a folder takes with what does not fit into its entries."""
    return 6 + 12 * len(fields) + sum(len(value) for _, _, value in fields.values() if len(value) > 4)


def _folder(fields: Mapping[int, _Field], start: int, then: int = 0) -> bytes:
    entries, data, free = b"", b"", start + 6 + 12 * len(fields)
    for tag in sorted(fields):
        kind, count, value = fields[tag]
        entries += struct.pack(">HHI", tag, kind, count)
        entries += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(">I", free + len(data))
        data += value if len(value) > 4 else b""
    return struct.pack(">H", len(fields)) + entries + struct.pack(">I", then) + data
