"""The chain over the audit log: what is hashed, and how one stretch hangs on the one before.

The chain is keyed (`core.crypto.chain_hash`): whoever can write to the database, but not read the secrets of the
application, cannot make it anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

GENESIS: Final = bytes(32)
"""What the first stretch hangs on."""
SETTLED_AFTER: Final = timedelta(minutes=5)
"""An entry is written before its transaction commits, and no transaction lasts longer: younger ones are not sealed."""
MOST: Final = 5_000
"""Entries of one stretch."""

Entry = Mapping[Any, Any]
"""One row of the log, by column."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the log: they are in order of time, then id."""

    ts: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Seal:
    """One sealed stretch: the entries after `after` (None: from the beginning) up to and including `last`, all of one
    day (UTC)."""

    seq: int
    day: date
    after: Place | None
    last: Place
    entries: int
    prev_hash: bytes
    hash: bytes


def canonical(entry: Entry) -> bytes:
    """One entry as one line: columns in alphabetical order, NULLs left out, so that a column added later changes no
    hash of what was written before it."""
    present = {name: _text(value) for name, value in entry.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":")).encode()


def follows(seal: Seal, before: Seal | None) -> bool:
    """Whether a sealed stretch hangs on the one before it: nothing between them was taken out."""
    prev_hash, after, seq = (before.hash, before.last, before.seq + 1) if before else (GENESIS, None, 1)
    return (seal.seq, seal.prev_hash, seal.after) == (seq, prev_hash, after)


def _text(value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat(timespec="microseconds")
        case UUID():
            return str(value)
        case _:
            return value
