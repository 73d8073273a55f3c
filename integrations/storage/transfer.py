"""Bytes from a store into a file: bounded, hashed, and continued where they broke off."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from integrations.storage.calls import asked
from integrations.storage.protocol import ObjectChanged, StorageUnavailable

_BLOCK: Final = 2**20


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in memory of one block."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def continued(path: Path, size: int, read_from: Callable[[int], Any], on_bytes: Callable[[int], None]) -> str:
    """Write the rest of `size` bytes behind what `path` has, and answer the hash of the whole.

    `read_from` opens the content at an offset. Raises `ObjectChanged` where there are more bytes than `size`, and
    `StorageUnavailable` where they end before: what came is kept, and the next call continues.
    """
    with path.open("a+b") as file:
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
        written = file.tell()
        on_bytes(written)
        if written < size:
            for block in _blocks(read_from(written)):
                written += len(block)
                if written > size:
                    break
                file.write(block)
                digest.update(block)
                on_bytes(written)
    if written > size:
        raise ObjectChanged("there are more bytes than the object had")
    if written < size:
        raise StorageUnavailable("the object broke off")
    return digest.hexdigest()


def _blocks(body: Any) -> Iterator[bytes]:
    with closing(body):
        while block := asked(lambda: body.read(_BLOCK)):
            yield block
