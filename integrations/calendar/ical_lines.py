"""An iCalendar stream as a tree of its own lines (RFC 5545 §3.1), for whoever changes little of what others wrote.

A full parser writes everything anew, in its own way. Here a line that nobody touches leaves as it came; only its
folding, which is transport, may be another.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from icalendar.parser import Contentline, Contentlines

_NAME: Final = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_LINE: Final = re.compile(r"""[A-Za-z0-9-]++((?:;(?:[^":;]++|"[^"]*+")*+)*+):(.*)""", re.ASCII | re.DOTALL)
_PARAMETER: Final = re.compile(r""";([^=":;]++)=(?:"([^"]*+)"|([^",:;]*+))""")
_LARGEST: Final = 2**20
_MOST_LINES: Final = 20_000
"""Of a stream; what people write has a hundredth of it, and reading costs time by the line."""
_ESCAPES: Final = re.compile(r"[\\;,]")
_ESCAPED: Final = re.compile(r"\\(.)")
_DEEPEST: Final = 8
_NEVER_WRITTEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Neither iCalendar nor the XML around it can hold these."""


class Unreadable(ValueError):
    """Not an iCalendar stream, or not a line of one. Says nothing of what is written there."""


@dataclass(frozen=True)
class Line:
    """A property, unfolded, as it is written."""

    written: str

    @cached_property
    def name(self) -> str:
        """In upper case, without a group."""
        found = _NAME.match(self.written)
        if found is None:
            raise Unreadable("a line without a name")
        return found.group().upper()

    @property
    def value(self) -> str:
        """As it is written, escapes and all."""
        return self._parts[1]

    @property
    def text(self) -> str:
        """The value of a property whose value is text."""
        return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], self.value)

    def parameter(self, name: str) -> str:
        """The value of a parameter, the first of several; empty without one."""
        return self._parts[0].get(name, "")

    @cached_property
    def _parts(self) -> tuple[dict[str, str], str]:
        found = _LINE.fullmatch(self.written)
        if found is None:
            raise Unreadable("a line of no known form")
        return {name.upper(): quoted or plain for name, quoted, plain in _PARAMETER.findall(found[1])}, found[2]


def written_text(name: str, text: str) -> Line:
    """A property whose value is text. (`icalendar` takes a backslash before an N for the end of a line.)"""
    escaped = _ESCAPES.sub(r"\\\g<0>", _NEVER_WRITTEN.sub("", text)).replace("\n", "\\n")
    return Line(f"{name}:{escaped}")


@dataclass(slots=True)
class Component:
    """What stands between BEGIN and END, in its order."""

    name: str
    content: list["Line | Component"] = field(default_factory=list)

    def lines(self, name: str) -> list[Line]:
        """The properties of this name."""
        return [each for each in self.content if isinstance(each, Line) and each.name == name]

    def first(self, name: str) -> Line | None:
        """The first property of this name."""
        return next(iter(self.lines(name)), None)

    def parts(self, name: str) -> list["Component"]:
        """The components of this name."""
        return [each for each in self.content if isinstance(each, Component) and each.name == name]

    def put(self, name: str, *lines: Line) -> None:
        """These properties instead of those of this name, in their place, or after the other properties."""
        own = [at for at, each in enumerate(self.content) if isinstance(each, Line) and each.name == name]
        after_lines = next((at for at, each in enumerate(self.content) if isinstance(each, Component)), None)
        place = own[0] if own else len(self.content) if after_lines is None else after_lines
        self.content[place:place] = lines
        for at in reversed(own):
            del self.content[at + len(lines)]

    def remove(self, unwanted: Callable[["Line | Component"], bool]) -> None:
        """Take out what is unwanted."""
        self.content = [each for each in self.content if not unwanted(each)]

    def copy(self) -> "Component":
        """The same once more. Lines never change, so they are shared."""
        copied = [each.copy() if isinstance(each, Component) else each for each in self.content]
        return Component(self.name, copied)

    def to_ical(self) -> str:
        """As a stream: folded, with CRLF."""
        folded: bytes = Contentlines(map(Contentline, self._written())).to_ical()
        return folded.decode()

    def _written(self) -> Iterator[str]:
        yield f"BEGIN:{self.name}"
        for each in self.content:
            if isinstance(each, Component):
                yield from each._written()
            else:
                yield each.written
        yield f"END:{self.name}"


def parse(stream: str) -> Component:
    """The one component of a stream. Raises `Unreadable`."""
    if len(stream) > _LARGEST or stream.count("\n") > _MOST_LINES:
        raise Unreadable("a stream that is too large")
    root = Component("")
    open_components = [root]
    unfolded: list[str] = Contentlines.from_ical(stream.removeprefix("\ufeff"))  # type: ignore[no-untyped-call]  # a subclass of list hides from the exclusion
    for written in unfolded:
        line = Line(written)
        if not written.strip():
            continue
        if line.name == "BEGIN":
            begun = Component(line.value.strip().upper())
            open_components[-1].content.append(begun)
            open_components.append(begun)
        elif line.name == "END":
            _end(open_components, line.value.strip().upper())
        else:
            open_components[-1].content.append(line)
        if len(open_components) > _DEEPEST:
            raise Unreadable("components inside components without end")
    match root.content:
        case [Component() as only] if len(open_components) == 1:
            return only
    raise Unreadable("not one component")


def _end(open_components: list[Component], name: str) -> None:
    if len(open_components) == 1 or open_components.pop().name != name:
        raise Unreadable("an end without its beginning")
