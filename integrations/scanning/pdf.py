"""Lays a PDF open for the rules, which see bytes only: names without escapes, objects out of object streams, and what
happens on opening. No page is rendered and nothing executed.

Only object streams are inflated (ISO 32000-2 §7.5.7: no other can hold an action), within limits of memory and time.
What hides them in a way that no common writer uses is refused, not guessed. An encrypted document shows its names all
the same, unless they are in object streams: then it is refused, too.
"""

import re
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from mmap import mmap
from typing import Final

from integrations.scanning.protocol import ENCRYPTED

REVISION: Final = 2
"""Counts up when this module sees more: then files deserve another look, as with other rules."""
_LIMIT: Final = 32 * 2**20
"""Of inflated objects; they are dictionaries, and real documents of 50 MB have a few of these megabytes."""
_PIECE: Final = 65_536
_DICTIONARY: Final = 2**20
"""Those of streams have some hundred bytes, a list of 10,000 pages 100 kB."""
_ACTION: Final = 1900
_ACTIONS: Final = 100
"""Each revision of a document has one on opening."""
_ESCAPES: Final = 300_000
"""50 MB of noise hold 1,500."""

_BETWEEN: Final = rb"(?:[\s\0]++|%[^\r\n]*+)*+"
"""Blanks and comments. Nothing that was taken is given back: a row of percent signs is read in 2^n ways otherwise."""
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_OBJECT: Final = re.compile(rb"(?<!end)obj")
_DICTIONARY_FOLLOWS: Final = re.compile(_BETWEEN + rb"(?=<<)")
_STREAM: Final = re.compile(_BETWEEN + rb"stream(?:\r\n|\n|\r|)")
_DEFLATED: Final = re.compile(rb"/Filter\s*(?:/(?:FlateDecode|Fl)(?![A-Za-z0-9])|\[\s*/(?:FlateDecode|Fl)\s*\])")
_FIRST: Final = re.compile(rb"/First\s+(\d{1,9})(?!\d|\s+\d+\s+R)")
_PREDICTOR: Final = re.compile(rb"/Predictor\s++(?!1\s*[/>])")
_ENCRYPT: Final = re.compile(rb"/Encrypt\s{0,9}[\d<]")
_OPENING: Final = re.compile(rb"/OpenAction(?![A-Za-z0-9])" + _BETWEEN)
_REFERENCE: Final = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+R")
_OUTSIDE: Final = re.compile(rb"%[^\r\n]*|<<|>>|<[^<>]*>|[(\[\]]")
_INSIDE: Final = re.compile(rb"\\.|[()]", re.DOTALL)


class TooComplex(Exception):
    """Nobody can vouch for it: objects hidden by unusual means, or more of them than a document needs."""

    name = "pdf_too_complex"


class Encrypted(TooComplex):
    """What is in its object streams nobody has seen."""

    name = ENCRYPTED


def is_pdf(head: bytes) -> bool:
    """Readers look for the mark in the first 1,024 bytes."""
    return b"%PDF-" in head[:1029]


def opened(data: bytes | mmap, seconds: float) -> Iterator[bytes]:
    """The document with its names as readers understand them, streams included: a cross-reference may point into the
    middle of one. Then the contents of object streams, and a line per action on opening. Raises `TooComplex`, also
    after `seconds`."""
    until = time.monotonic() + seconds
    whole = _unescaped(data)
    yield whole
    objects = list(_object_streams(data, until))
    actions = _actions(whole, objects, until)
    yield b"\n".join((*(each.content for each in objects), *actions, b""))


def _unescaped(data: bytes | mmap) -> bytes:
    """Binary contents change a little, too, which does not matter here."""
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
                yield _value(self.content, self.first + int(offset), _ACTION)


def _object_streams(data: bytes | mmap, until: float) -> Iterator[_Objects]:
    """Of everything that begins like an object, wherever it stands: a mark inside a text or a stream finds too much,
    never too little."""
    room, encrypted = _LIMIT, _ENCRYPT.search(data)
    for mark in _OBJECT.finditer(data):
        _hurry(until)  # each mark may have a comment of megabytes
        if not (found := _DICTIONARY_FOLLOWS.match(data, mark.end())):
            continue
        header = _value(data, found.end(), _DICTIONARY)
        begin = _STREAM.match(data, found.end() + len(header))
        header = _unescaped(header)
        if len(header) < _DICTIONARY and not (begin and (b"/First" in header or b"/ObjStm" in header)):
            continue
        if encrypted:
            raise Encrypted("an object stream in an encrypted document")
        objects = _objects(header, data, begin.end() if begin else 0, room)
        room -= len(objects.content)
        yield objects


def _hurry(until: float) -> None:
    if time.monotonic() > until:
        raise TooComplex("too much to look at")


def _objects(header: bytes, data: bytes | mmap, position: int, room: int) -> _Objects:
    first = _FIRST.search(header)
    if first is None or not position or header.count(b"/Filter") > 1 or _PREDICTOR.search(header):
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
    return _Objects(int(first[1]), _unescaped(content))


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


def _actions(whole: bytes, objects: Sequence[_Objects], until: float) -> list[bytes]:
    actions: list[bytes] = []
    for text in (whole, *(each.content for each in objects)):
        for found in _OPENING.finditer(text):
            _hurry(until)
            reference = _REFERENCE.match(text, found.end())
            targets = _targets(whole, objects, int(reference[1])) if reference else [_value(text, found.end(), _ACTION)]
            actions += [b"\n%petfolio-action " + target.translate(None, b"\r\n") for target in targets or [b"nowhere"]]
            if len(actions) > _ACTIONS:
                raise TooComplex("too many actions")
    return actions


def _targets(whole: bytes, objects: Sequence[_Objects], number: int) -> list[bytes]:
    """Every object of that number: of several versions nobody knows which one a reader takes."""
    marks = re.finditer(rb"(?<!\d)0*%d\s+\d+\s+obj" % number, whole)
    plain = (_value(whole, found.end(), _ACTION) for found in marks)
    inner = (found for stream in objects for found in stream.numbered(number))
    return list(islice(chain(plain, inner), _ACTIONS + 1))


def _value(text: bytes | mmap, start: int, limit: int) -> bytes:
    """The dictionary or array that begins there, to its own end; texts and comments may hold brackets, too."""
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
