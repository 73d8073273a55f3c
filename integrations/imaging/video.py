"""Videos: their container is checked, their pictures are not decoded. Runs in the child.

What is published is a copy of the same length in which everything is blank that tells where, when and with what it was
taken; nothing moves, so every offset in it stays right.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

_CHUNK: Final = 2**16


class Broken(ValueError):
    """The file does not keep to the format of its container."""


@dataclass(frozen=True, slots=True)
class Blank:
    """A stretch of a file to overwrite: with `head`, then with zeros."""

    start: int
    end: int
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Container:
    """What a container says. Width and height are upright, zero where no track names them."""

    width: int
    height: int
    captured_at: datetime | None
    private: Sequence[Blank]


def read_exactly(file: BinaryIO, at: int, count: int) -> bytes:
    """So many bytes from there. Raises `Broken` where the file ends before."""
    file.seek(at)
    data = file.read(count)
    if len(data) < count:
        raise Broken("the file ends early")
    return data


def publish(source: Path, target: Path, private: Sequence[Blank]) -> None:
    """The copy without what is private. Raises OSError."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        for blank in private:
            file.seek(blank.start)
            file.write(blank.head)
            left = blank.end - blank.start - len(blank.head)
            while left > 0:
                left -= file.write(bytes(min(left, _CHUNK)))
