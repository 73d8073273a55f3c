"""Lays a PDF open for the rules, which see bytes only: names without escapes, objects out of object streams.

No page is rendered and nothing executed. Only object streams are inflated (ISO 32000-2 §7.5.7: no other can hold an
action), within limits of memory and time; what hides them in a way that no common writer uses is refused, not guessed.
An encrypted document shows its names all the same, unless they are in object streams: then it is refused.
"""

import re
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from mmap import mmap
from typing import Final

REVISION: Final = 1
"""Counts up when this module sees more: then files deserve another look, as with other rules."""
_LIMIT: Final = 32 * 2**20
"""Of inflated objects; they are dictionaries, and real documents of 50 MB have a few of these megabytes."""
_HEADER: Final = 65_536
_PIECE: Final = 65_536
_ACTION: Final = 1900
_ACTIONS: Final = 100
"""Each revision of a document has one on opening."""
_ESCAPES: Final = 300_000
"""50 MB of noise hold 1,500."""

_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM: Final = re.compile(rb"(?<!end)stream(?:\r\n|\n|\r)")
_DEFLATED: Final = re.compile(rb"/Filter\s*(?:/(?:FlateDecode|Fl)(?![A-Za-z0-9])|\[\s*/(?:FlateDecode|Fl)\s*\])")
_FIRST: Final = re.compile(rb"/First\s+(\d{1,9})(?!\d|\s+\d+\s+R)")
_PREDICTOR: Final = re.compile(rb"/Predictor\s+(?!1\s*[/>])")
_ENCRYPT: Final = re.compile(rb"/Encrypt\s{0,9}[\d<]")
_OPENING: Final = re.compile(rb"/OpenAction(?![A-Za-z0-9])\s*")
_TOKEN: Final = re.compile(rb"\\.|%[^\r\n]*|<<|>>|[()\[\]]", re.DOTALL)
_REFERENCE: Final = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+R")


class TooComplex(Exception):
    """Nobody can vouch for it: objects hidden by unusual means, or more of them than a document needs."""

    name = "pdf_too_complex"


class Encrypted(TooComplex):
    """What is in its object streams nobody has seen."""

    name = "encrypted"


def is_pdf(head: bytes) -> bool:
    """Readers look for the mark in the first 1,024 bytes."""
    return b"%PDF-" in head[:1029]


def unescaped(data: bytes | mmap) -> bytes:
    """With names as readers understand them. Binary contents change a little, too, which does not matter here. Raises
    `TooComplex` for more escapes than names need."""
    text, count = _ESCAPE.subn(lambda found: bytes((int(found[1], 16),)), data, count=_ESCAPES + 1)
    if count > _ESCAPES:
        raise TooComplex("too many escapes")
    return text


@dataclass(frozen=True, slots=True)
class _Objects:
    """What an object stream holds: pairs of number and offset, then from `first` on the objects."""

    first: int
    content: bytes

    def numbered(self, number: int) -> Iterator[bytes]:
        """The beginning of each object of this number."""
        words = self.content[: self.first].split()
        for given, offset in zip(words[::2], words[1::2], strict=False):
            if given.isdigit() and offset.isdigit() and len(offset) < 10 and int(given[:10]) == number:
                yield _value(self.content, self.first + int(offset))


def outline(data: bytes | mmap, seconds: float) -> bytes:
    """What is outside of streams, the objects of object streams, and a line per action on opening. Raises `TooComplex`,
    also after `seconds`."""
    until = time.monotonic() + seconds
    pieces: list[bytes] = []
    objects: list[_Objects] = []
    end, room, encrypted = 0, _LIMIT, _ENCRYPT.search(data)
    for found in _STREAM.finditer(data):
        _hurry(until)
        header = _header(data, found.start())
        if b"/First" in header or b"/ObjStm" in header:
            if encrypted:
                raise Encrypted("an object stream in an encrypted document")
            objects.append(_objects(header, data, found.end(), room))
            room -= len(objects[-1].content)
        if found.start() >= end:
            pieces.append(unescaped(data[end : found.start()]))
            end = _end(data, found.end())
    text = b"\n".join((*pieces, unescaped(data[end:]), *(each.content for each in objects)))
    return b"\n".join((text, *_actions(text, objects, until), b""))


def _hurry(until: float) -> None:
    if time.monotonic() > until:
        raise TooComplex("too much to look at")


def _header(data: bytes | mmap, position: int) -> bytes:
    begin = data.rfind(b"obj", max(position - _HEADER, 0), position)
    if begin < 0:
        raise TooComplex("a stream without an object")
    return unescaped(data[begin:position])


def _end(data: bytes | mmap, position: int) -> int:
    end = data.find(b"endstream", position)
    return len(data) if end < 0 else end


def _objects(header: bytes, data: bytes | mmap, position: int, room: int) -> _Objects:
    first = _FIRST.search(header)
    if first is None or header.count(b"/Filter") > 1 or _PREDICTOR.search(header):
        raise TooComplex("an object stream of an unusual kind")
    if b"/Filter" not in header:
        content = data[position : _end(data, position)]
    elif _DEFLATED.search(header):
        content = _inflated(data, position, room)
    else:
        raise TooComplex("an object stream in an unusual encoding")
    if len(content) > room:
        raise TooComplex("too many objects")
    return _Objects(int(first[1]), unescaped(content))


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


def _actions(text: bytes, objects: Sequence[_Objects], until: float) -> list[bytes]:
    actions: list[bytes] = []
    for found in _OPENING.finditer(text):
        _hurry(until)
        reference = _REFERENCE.match(text, found.end())
        targets = _targets(text, objects, int(reference[1])) if reference else [_value(text, found.end())]
        actions += [b"\n%petfolio-action " + target.translate(None, b"\r\n") for target in targets or [b"nowhere"]]
        if len(actions) > _ACTIONS:
            raise TooComplex("too many actions")
    return actions


def _targets(text: bytes, objects: Sequence[_Objects], number: int) -> list[bytes]:
    """Every object of that number: of several versions nobody knows which one a reader takes."""
    plain = (_value(text, found.end()) for found in re.finditer(rb"(?<!\d)0*%d\s+\d+\s+obj" % number, text))
    inner = (found for stream in objects for found in stream.numbered(number))
    return list(islice(chain(plain, inner), _ACTIONS + 1))


def _value(text: bytes, position: int) -> bytes:
    """The dictionary or array that begins there, to its own end; strings and comments may hold brackets, too."""
    piece, depth, strings = text[position : position + _ACTION], 0, 0
    for token in _TOKEN.finditer(piece):
        if strings or token[0] == b"(":
            strings += {b"(": 1, b")": -1}.get(token[0], 0)
        else:
            depth += {b"<<": 1, b"[": 1, b">>": -1, b"]": -1}.get(token[0], 0)
            if depth <= 0 and token[0] in (b">>", b"]"):
                return piece[: token.end()]
    return piece
