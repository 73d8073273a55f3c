"""How a PDF is written, as far as those who look for actions need it. Whatever is searched here ends: no pattern is
tried in two ways, and who goes from one find to the next looks at the clock.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Final

from integrations.scanning.protocol import ENCRYPTED

BETWEEN: Final = rb"(?:[\s\0]++|%[^\r\n]*+)*+"
"""Blanks and comments. Nothing that was taken is given back: a row of percent signs is read in 2^n ways otherwise."""
NAME_ENDS: Final = rb"(?![^\s\0%()<>\[\]{}/])"
REFERENCE: Final = re.compile(rb"[+-]?(\d++)" + BETWEEN + rb"[+-]?\d++" + BETWEEN + b"R" + NAME_ENDS)
VALUE: Final = 1900
"""Of a dictionary that says what happens, more bytes than any writer makes."""
_BEFORE: Final = re.compile(BETWEEN)
_OUTSIDE: Final = re.compile(rb"%[^\r\n]*|<<|>>|<[^<>]*>|[(\[\]]")
_INSIDE: Final = re.compile(rb"\\.|[()]", re.DOTALL)


class TooComplex(Exception):
    """Nobody can vouch for it: objects hidden by unusual means, or more of them than a document needs."""

    name = "pdf_too_complex"


class Encrypted(TooComplex):
    """What is in its object streams nobody has seen."""

    name = ENCRYPTED


@dataclass(frozen=True, slots=True)
class Objects:
    """What an object stream holds: pairs of number and offset, then from `first` on the objects."""

    first: int
    content: bytes

    def numbered(self, number: int) -> Iterator[bytes]:
        """The beginning of each object of this number. Raises `TooComplex` for an index that is not made of digits."""
        words = self.content[: self.first].split()
        if not all(word.isdigit() and len(word) <= 10 for word in words):
            raise TooComplex("an index that readers may understand in another way")
        for given, offset in zip(words[::2], words[1::2], strict=False):
            if int(given) == number:
                yield value(self.content, self.first + int(offset), VALUE)


def hurry(until: float) -> None:
    """Raises `TooComplex` after that moment of the monotonic clock."""
    if time.monotonic() > until:
        raise TooComplex("too much to look at")


def value(text: bytes | mmap, start: int, limit: int) -> bytes:
    """The dictionary or array that comes next, to its own end, or `limit` bytes of it; texts and comments may hold
    brackets, too."""
    if before := _BEFORE.match(text, start):
        start = before.end()
    position, depth, end = start, 0, min(len(text), start + limit)
    while found := _OUTSIDE.search(text, position, end):
        position = found.end()
        if found[0] == b"(":
            position = _behind_text(text, position, end)
        elif found[0] in (b"<<", b"["):
            depth += 1
        elif found[0] in (b">>", b"]"):
            depth -= 1
            if depth <= 0:
                return text[start:position]
    return text[start:end]


def _behind_text(text: bytes | mmap, position: int, end: int) -> int:
    depth = 1
    while depth and (found := _INSIDE.search(text, position, end)):
        position = found.end()
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
    return position if not depth else end
