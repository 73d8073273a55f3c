"""Identifiers. Every id of ours is a UUID version 7, made here and given before the insert."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits.

    Ids sort by creation to the millisecond, which keeps B-tree inserts at the right edge. They are made before the
    row exists because the AAD of its encrypted columns holds the id.
    """
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (noise >> 62 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return UUID(int=value)
