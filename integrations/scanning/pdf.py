"""Lays a PDF open for the rules, which see bytes only: names without escapes, and objects out of object streams. No
page is rendered and nothing executed.

Only object streams are inflated (ISO 32000-2 §7.5.7: no other can hold an action), within limits of memory and time.
What hides them in a way that no common writer uses is refused, not guessed. An encrypted document shows its names all
the same, unless they are in object streams: then it is refused, too.
"""

import re
import time
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import Final

from integrations.scanning.pdf_actions import refuse_actions
from integrations.scanning.pdf_syntax import BETWEEN, NAME_ENDS, Encrypted, Objects, TooComplex, hurry, value

REVISION: Final = 3
"""Counts up when this module sees more: then files deserve another look, as with other rules."""
_LIMIT: Final = 32 * 2**20
"""Of inflated objects; they are dictionaries, and real documents of 50 MB have a few of these megabytes."""
_PIECE: Final = 65_536
_DICTIONARY: Final = 2**20
"""Those of streams have some hundred bytes, a list of 10,000 pages 100 kB."""
_ESCAPES: Final = 300_000
"""50 MB of noise hold 1,500."""

_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_OBJECT: Final = re.compile(rb"(?<!end)obj")
_DICTIONARY_FOLLOWS: Final = re.compile(BETWEEN + rb"(?=<<)")
_STREAM: Final = re.compile(BETWEEN + rb"stream(?:\r\n|\n|\r|)")
_DEFLATED: Final = re.compile(rb"/Filter\s*(?:/(?:FlateDecode|Fl)(?![A-Za-z0-9])|\[\s*/(?:FlateDecode|Fl)\s*\])")
_FIRST: Final = re.compile(rb"/First\s+(\d{1,9})(?!\d|\s+\d+\s+R)")
_PREDICTOR: Final = re.compile(rb"/Predictor\s++(?!1\s*[/>])")
_ELSEWHERE: Final = re.compile(rb"/F" + NAME_ENDS)
_ENCRYPT: Final = re.compile(rb"/Encrypt\s{0,9}[\d<]")


def is_pdf(head: bytes) -> bool:
    """Readers look for the mark in the first 1,024 bytes."""
    return b"%PDF-" in head[:1029]


def opened(data: bytes | mmap, seconds: float) -> Iterator[bytes]:
    """The document with its names as readers understand them, streams included: a cross-reference may point into the
    middle of one. Then the contents of object streams. Raises `TooComplex`, also after `seconds`, and in the end for
    what happens by itself on opening."""
    until = time.monotonic() + seconds
    whole = _unescaped(data)
    yield whole
    objects = list(_object_streams(data, until))
    yield b"\n".join((*(each.content for each in objects), b""))
    refuse_actions(whole, objects, until)


def _unescaped(data: bytes | mmap) -> bytes:
    """Binary contents change a little, too, which does not matter here."""
    text, count = _ESCAPE.subn(lambda found: bytes((int(found[1], 16),)), data, count=_ESCAPES + 1)
    if count > _ESCAPES:
        raise TooComplex("too many escapes")
    return text


def _object_streams(data: bytes | mmap, until: float) -> Iterator[Objects]:
    """Of everything that begins like an object, wherever it stands: a mark inside a text or a stream finds too much,
    never too little."""
    room, encrypted = _LIMIT, _ENCRYPT.search(data)
    for mark in _OBJECT.finditer(data):
        hurry(until)  # each mark may have a comment of megabytes
        if not (found := _DICTIONARY_FOLLOWS.match(data, mark.end())):
            continue
        header = value(data, found.end(), _DICTIONARY)
        begin = _STREAM.match(data, found.end() + len(header))
        header = _unescaped(header)
        if len(header) < _DICTIONARY and not (begin and (b"/First" in header or b"/ObjStm" in header)):
            continue
        if encrypted:
            raise Encrypted("an object stream in an encrypted document")
        objects = _objects(header, data, begin.end() if begin else 0, room)
        room -= len(objects.content)
        yield objects


def _objects(header: bytes, data: bytes | mmap, position: int, room: int) -> Objects:
    first = _FIRST.search(header)
    if (
        first is None
        or not position
        or header.count(b"/Filter") > 1
        or _PREDICTOR.search(header)
        or _ELSEWHERE.search(header)
    ):
        raise TooComplex("an object stream of an unusual kind")
    if b"/Filter" not in header:
        end = data.find(b"endstream", position)
        content = data[position : end if end >= 0 else len(data)]
    elif _DEFLATED.search(header):
        content = _inflated(data, position, room)
    else:
        raise TooComplex("an object stream in an unusual encoding")
    if len(content) > room:
        raise TooComplex("too many objects")
    return Objects(int(first[1]), _unescaped(content))


def _inflated(data: bytes | mmap, position: int, room: int) -> bytes:
    """What zlib makes of it, at most one byte more than there is room. Damaged: what comes before the damage, if
    anything does; what zlib does not know another reader may."""
    inflate, parts, size = zlib.decompressobj(), [], 0
    while size <= room and not inflate.eof and position < len(data):
        piece = inflate.unconsumed_tail or data[position : position + _PIECE]
        position += 0 if inflate.unconsumed_tail else len(piece)
        try:
            parts.append(inflate.decompress(piece, room + 1 - size))
        except zlib.error:
            if not size:
                raise TooComplex("an object stream that cannot be read") from None
            break
        size += len(parts[-1])
    return b"".join(parts)
