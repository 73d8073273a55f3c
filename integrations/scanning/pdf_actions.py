"""What a PDF does without a click: when it is opened, and when a page of it is. A place to be opened at is harmless,
and most writers give one; whatever else happens by itself is refused, as is what cannot be told apart from it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from integrations.scanning.pdf_syntax import BETWEEN, NAME_ENDS, REFERENCE, VALUE, Objects, TooComplex, hurry, value

# A mark first and what follows it after a look at the clock: each may be followed by a comment of megabytes.
_MARK: Final = re.compile(rb"/(S|AA|XFA|OpenAction)" + NAME_ENDS)
_NEXT: Final = re.compile(BETWEEN)
_OBJECT: Final = re.compile(BETWEEN + rb"\d++" + BETWEEN + b"obj")
_SOME_ACTIONS: Final = re.compile(rb"<<(?!" + BETWEEN + rb">>)")
_FORM: Final = re.compile(rb"\[" + BETWEEN + rb"[(<\d+-]")
_KIND: Final = re.compile(rb"/S" + NAME_ENDS + BETWEEN + rb"(/[^\s\0%()<>\[\]{}/]*+)?")
_FOLLOWED: Final = re.compile(rb"/Next" + NAME_ENDS)
_HARMLESS: Final = ([b"/GoTo"], [b"/Named"])
"""To a place in the document itself, or to its first page."""


class ActsByItself(TooComplex):
    """Something else than a place is opened with it, or with one of its pages."""

    name = "pdf_acts_by_itself"


class ScriptForm(TooComplex):
    """A form of XFA, which is made of scripts."""

    name = "pdf_script_form"


def refuse_actions(whole: bytes, objects: Sequence[Objects], until: float) -> None:
    """Raises `TooComplex` where something happens by itself, also after `until`. Names are without escapes here."""
    for text in (whole, *(each.content for each in objects)):
        for found in _MARK.finditer(text):
            hurry(until)
            follows = _behind(text, found.end())
            reference = REFERENCE.match(text, follows)
            match found[1]:
                case b"S" if reference:
                    raise TooComplex("a kind of action that stands somewhere else")
                case b"AA" if reference or _SOME_ACTIONS.match(text, follows):
                    raise ActsByItself
                case b"XFA" if reference or _FORM.match(text, follows):
                    raise ScriptForm
                case b"OpenAction":
                    number = int(reference[1][:11]) if reference else None
                    targets = (
                        iter([value(text, follows, VALUE)]) if number is None else _all(number, whole, objects, until)
                    )
                    _must_be_harmless(targets)


def _behind(text: bytes, position: int) -> int:
    found = _NEXT.match(text, position)
    return found.end() if found else position


def _must_be_harmless(targets: Iterator[bytes]) -> None:
    """Each of them: of several versions nobody knows which one a reader takes."""
    found = False
    for target in targets:
        if not _is_harmless(target):
            raise ActsByItself
        found = True
    if not found:
        raise ActsByItself


def _all(number: int, whole: bytes, objects: Sequence[Objects], until: float) -> Iterator[bytes]:
    """Every object of that number."""
    for found in re.finditer(rb"(?<!\d)0*+%d(?!\d)" % number, whole):
        hurry(until)
        if mark := _OBJECT.match(whole, found.end()):
            yield value(whole, mark.end(), VALUE)
    for stream in objects:
        yield from stream.numbered(number)


def _is_harmless(action: bytes) -> bool:
    """A place, or a dictionary that is here as a whole, is of one kind, and nothing comes after it."""
    if action.startswith(b"["):
        return True
    is_whole = action.startswith(b"<<") and action.endswith(b">>") and len(action) < VALUE
    return is_whole and _KIND.findall(action) in _HARMLESS and not _FOLLOWED.search(action)
