"""Where the samples of a track lie in an MP4 (ISO/IEC 14496-12 §8.7): the tables of sizes and of chunks together."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, islice, pairwise, repeat
from typing import BinaryIO, Final

from integrations.imaging.video import Broken, read_exactly

Tables = Mapping[bytes, tuple[int, int]]
_LONGEST_TABLE: Final = 16 * 2**20
_COMPACT: Final = {8: "B", 16: "H"}
"""How `stz2` writes sizes. It may also use four bits, for samples of fifteen bytes: nobody does."""


def ranges(file: BinaryIO, tables: Tables, *, is_sound: bool) -> Iterator[tuple[int, int]]:
    """(start, end) of each chunk; `tables` are where the boxes' contents begin and end. Nothing where a track has no
    samples of its own, as in fragmented files. Raises `Broken`."""
    if b"stsc" not in tables:
        return
    each = _size_of_each(file, tables, is_sound=is_sound)
    sizes = iter(()) if each else iter(_sizes(file, tables))
    offsets = _offsets(file, tables)
    for offset, count in zip(offsets, _per_chunk(file, tables[b"stsc"], len(offsets)), strict=False):
        yield offset, offset + (int(each * count) if each else sum(islice(sizes, count)))


def _size_of_each(file: BinaryIO, tables: Tables, *, is_sound: bool) -> Fraction | None:
    """What all samples have, where they are alike. QuickTime counts uncompressed sound in samples of one byte, and says
    elsewhere how long they are (QuickTime File Format, "Sound Sample Descriptions")."""
    if b"stsz" not in tables:
        return None
    (same,) = struct.unpack(">I", read_exactly(file, tables[b"stsz"][0] + 4, 4))
    if same == 1 and is_sound and b"stsd" in tables:
        return _described(file, tables[b"stsd"][0]) or Fraction(1)
    return Fraction(same) or None


def _described(file: BinaryIO, start: int) -> Fraction:
    """Bytes for each sample of the first description, in the versions 0, 1 and 2 that QuickTime has of them."""
    version, channels, bits = struct.unpack(">H6xHH", read_exactly(file, start + 24, 12))
    if version == 0:
        return Fraction(channels * bits, 8)
    samples, _, size = struct.unpack(">III", read_exactly(file, start + 44, 12))
    if version == 2:
        size, samples = struct.unpack(">II", read_exactly(file, start + 72, 8))
    return Fraction(size, samples) if samples else Fraction(0)


def _sizes(file: BinaryIO, tables: Tables) -> Sequence[int]:
    """The size of each sample."""
    if b"stsz" in tables:
        (count,) = struct.unpack(">I", read_exactly(file, tables[b"stsz"][0] + 8, 4))
        return _numbers(file, tables[b"stsz"], 12, count, "I")
    if b"stz2" not in tables:
        raise Broken("samples without sizes")
    bits, count = struct.unpack(">II", read_exactly(file, tables[b"stz2"][0] + 4, 8))
    if bits not in _COMPACT:
        raise Broken("sizes of an unknown kind")
    return _numbers(file, tables[b"stz2"], 12, count, _COMPACT[bits])


def _offsets(file: BinaryIO, tables: Tables) -> Sequence[int]:
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
