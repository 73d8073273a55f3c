"""Where the samples of a track lie in an MP4 (ISO/IEC 14496-12 §8.7): the tables of sizes and of chunks together."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, islice, pairwise, repeat
from typing import BinaryIO, Final

from integrations.imaging.video import Broken, read_exactly

_LONGEST_TABLE: Final = 16 * 2**20
_PLAIN, _IN_FRAMES = 44, 56
"""Where descriptions of sound end: of version 0, and what version 1 adds about frames."""
_NOTHING: Final = Fraction()
_COMPACT: Final = {8: "B", 16: "H"}
"""How `stz2` writes sizes. It may also use four bits, for samples of fifteen bytes: nobody does."""


def ranges(
    file: BinaryIO, tables: Mapping[bytes, tuple[int, int]], *, is_sound: bool = False
) -> Iterator[tuple[int, int]]:
    """(start, end) of each chunk; `tables` are where the boxes' contents begin and end. Nothing where a track has no
    samples of its own, as in fragmented files. Raises `Broken`."""
    if b"stsc" not in tables:
        return
    sizes = _sizes(file, tables)
    offsets = _offsets(file, tables)
    share = _sound(file, tables) if is_sound else _NOTHING
    for offset, count in zip(offsets, _per_chunk(file, tables[b"stsc"], len(offsets)), strict=False):
        yield offset, offset + max(sum(islice(sizes, count)), -(-count * share.numerator // share.denominator))


def _sizes(file: BinaryIO, tables: Mapping[bytes, tuple[int, int]]) -> Iterator[int]:
    """The size of each sample; one number where all are alike."""
    if b"stsz" in tables:
        same, count = struct.unpack(">II", read_exactly(file, tables[b"stsz"][0] + 4, 8))
        return repeat(same, count) if same else iter(_numbers(file, tables[b"stsz"], 12, count, "I"))
    if b"stz2" not in tables:
        raise Broken("samples without sizes")
    bits, count = struct.unpack(">II", read_exactly(file, tables[b"stz2"][0] + 4, 8))
    if bits not in _COMPACT:
        raise Broken("sizes of an unknown kind")
    return iter(_numbers(file, tables[b"stz2"], 12, count, _COMPACT[bits]))


def _sound(file: BinaryIO, tables: Mapping[bytes, tuple[int, int]]) -> Fraction:
    """The bytes of a sample as the description of a QuickTime sound says them: where it is not coded in packets of
    their own, the table of sizes says one for each (QuickTime File Format, Sound Media)."""
    start, end = tables.get(b"stsd", (0, 0))
    if end - start < _PLAIN or b"stsz" not in tables:
        return _NOTHING
    version, _, _, channels, bits = struct.unpack(">HHIHH", read_exactly(file, start + 24, 12))
    if version == 0:
        return Fraction(channels * bits, 8)
    if version != 1 or end - start < _IN_FRAMES:
        return _NOTHING
    samples, _, frame = struct.unpack(">III", read_exactly(file, start + 44, 12))
    return Fraction(frame, samples) if samples else _NOTHING


def _offsets(file: BinaryIO, tables: Mapping[bytes, tuple[int, int]]) -> Sequence[int]:
    kind, code = (b"co64", "Q") if b"co64" in tables else (b"stco", "I")
    if kind not in tables:
        return ()
    (count,) = struct.unpack(">I", read_exactly(file, tables[kind][0] + 4, 4))
    return _numbers(file, tables[kind], 8, count, code)


def _per_chunk(file: BinaryIO, table: tuple[int, int], chunks: int) -> Iterator[int]:
    """How many samples each chunk has: runs, of which the last one goes on to the end."""
    (count,) = struct.unpack(">I", read_exactly(file, table[0] + 4, 4))
    entries = _numbers(file, table, 8, count * 3, "I")
    firsts = [*entries[::3], chunks + 1]
    runs = zip(pairwise(firsts), entries[1::3], strict=True)
    return chain.from_iterable(repeat(samples, max(0, after - first)) for (first, after), samples in runs)


def _numbers(file: BinaryIO, table: tuple[int, int], skip: int, count: int, code: str) -> Sequence[int]:
    start, end = table
    length = count * struct.calcsize(f">{code}")
    if length > min(end - start - skip, _LONGEST_TABLE):
        raise Broken("a table is longer than its box")
    return struct.unpack(f">{count}{code}", read_exactly(file, start + skip, length))
