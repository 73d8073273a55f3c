"""The placeholder of a picture in some 25 bytes: its colours, its shape and where it is see-through.

The format is ThumbHash 1 (https://evanw.github.io/thumbhash/): the average colour, then a few cosine terms of
luminance, yellow against blue, red against green and, where needed, opacity. Cosine terms are separable, so rows come
first and columns afterwards: 64 × 64 pixels take milliseconds in plain Python.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from operator import mul
from typing import Final

LARGEST: Final = 100
"""Of either edge: more costs much and changes nothing."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """Cosine terms: the constant one, and the others as shares of the largest, from 0 to 1."""

    constant: float
    scale: float
    varying: Sequence[float]


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of pixels row by row, four bytes each, colours not premultiplied. Raises ValueError for another size."""
    if not (0 < width <= LARGEST and 0 < height <= LARGEST) or len(rgba) != 4 * width * height:
        raise ValueError(f"{len(rgba)} bytes are no picture of {width}x{height} within {LARGEST}x{LARGEST}")
    opacity = [value / 255 for value in rgba[3::4]]
    see_through = sum(opacity) < width * height
    red, green, blue = (_over_average(rgba[at::4], opacity) for at in range(3))
    most = 5 if see_through else 7
    columns = max(1, _round(most * width / max(width, height)))
    rows = max(1, _round(most * height / max(width, height)))

    def terms(values: Sequence[float], across: int, down: int) -> _Channel:
        return _terms(values, width, height, across, down)

    luminance = terms([sum(each) / 3 for each in zip(red, green, blue, strict=True)], max(3, columns), max(3, rows))
    yellow = terms([(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)], 3, 3)
    redness = terms([r - g for r, g in zip(red, green, strict=True)], 3, 3)
    alpha = terms(opacity, 5, 5) if see_through else None
    shape = rows | 1 << 15 if width > height else columns
    return _packed(luminance, yellow, redness, alpha, shape)


def _over_average(values: bytes, opacity: Sequence[float]) -> list[float]:
    """One colour from 0 to 1, laid over its own average where the picture is see-through."""
    total = sum(opacity)
    average = sum(value / 255 * share for value, share in zip(values, opacity, strict=True)) / total if total else 0.0
    return [average * (1 - share) + value / 255 * share for value, share in zip(values, opacity, strict=True)]


def _terms(values: Sequence[float], width: int, height: int, across: int, down: int) -> _Channel:
    """Terms of a triangle of frequencies, lowest first."""
    in_rows = [_cosines(values[start : start + width], across) for start in range(0, len(values), width)]
    found = {column: _cosines([row[column] for row in in_rows], down) for column in range(across)}
    constant, *varying = (
        found[column][row] for row in range(down) for column in range(across) if column * down < across * (down - row)
    )
    scale = max((abs(term) for term in varying), default=0.0)
    return _Channel(constant, scale, [0.5 + 0.5 * term / scale if scale else 0.0 for term in varying])


def _cosines(values: Sequence[float], count: int) -> list[float]:
    """The first terms of the cosine transform, each as an average."""
    size = len(values)
    return [sum(map(mul, values, _wave(size, term))) / size for term in range(count)]


@cache
def _wave(size: int, term: int) -> Sequence[float]:
    """Half a cosine wave for each term: all rows of a picture, and all its columns, are compared with the same few."""
    return [math.cos(math.pi / size * term * (at + 0.5)) for at in range(size)]


def _packed(luminance: _Channel, yellow: _Channel, redness: _Channel, alpha: _Channel | None, shape: int) -> bytes:
    """Two little-endian words of constants, then four bits per term."""
    word = (
        _round(63 * luminance.constant)
        | _round(31.5 + 31.5 * yellow.constant) << 6
        | _round(31.5 + 31.5 * redness.constant) << 12
        | _round(31 * luminance.scale) << 18
        | (alpha is not None) << 23
    )
    half = shape | _round(63 * yellow.scale) << 3 | _round(63 * redness.scale) << 9
    head = word.to_bytes(3, "little") + half.to_bytes(2, "little")
    if alpha:
        head += bytes([_round(15 * alpha.constant) | _round(15 * alpha.scale) << 4])
    channels = (luminance, yellow, redness, alpha) if alpha else (luminance, yellow, redness)
    terms = [_round(15 * term) for channel in channels for term in channel.varying]
    return head + bytes(low | high << 4 for low, high in zip_longest(terms[::2], terms[1::2], fillvalue=0))


def _round(value: float) -> int:
    """Half up, as the format's readers expect; Python rounds half to even."""
    return math.floor(value + 0.5)
