"""What crosses workflow boundaries, as types: `python -m tests.architecture.contracts` prints the listing."""

import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from inspect import formatannotation
from pathlib import Path
from typing import Any

from temporalio import workflow

from tests.architecture.registered import activities_by_queue
from tests.architecture.source import PACKAGES
from workers.registry import WORKFLOWS

LISTING = Path(__file__).with_name("contracts.txt")


@dataclass(frozen=True, slots=True)
class Shape:
    """Fields of a dataclass with their types, or members of an enum with their values; those with a default apart."""

    fields: tuple[tuple[str, str], ...]
    optional: frozenset[str]

    @classmethod
    def read(cls, line: str) -> tuple[str, "Shape"]:
        """The inverse of `show`."""
        name, _, rest = line.strip().removesuffix(")").partition("(")
        parts = [re.fullmatch(r"(\w+): (.*?)( = …)?", part) for part in re.split(r", (?=\w+: )", rest) if part]
        found = [(part[1], part[2], part[3]) for part in parts if part]
        return name, cls(tuple((n, t) for n, t, _ in found), frozenset(n for n, _, default in found if default))

    def show(self, name: str) -> str:
        """One line: `domain.reminder.Plan(at: datetime, step: str = …)`."""
        parts = (f"{field}: {kind}{' = …' if field in self.optional else ''}" for field, kind in self.fields)
        return f"{name}({', '.join(parts)})"

    def broken_by(self, now: "Shape") -> list[str]:
        """Why a history written with `self` cannot be read with `now`."""
        kinds, promised = dict(now.fields), dict(self.fields)
        problems = [f"{field} is gone" for field in promised if field not in kinds]
        problems += [
            f"{field} was {kind} and is {kinds[field]}"
            for field, kind in promised.items()
            if field in kinds and kinds[field] != kind
        ]
        problems += [
            f"{field} was added without a default"
            for field in kinds
            if field not in promised and field not in now.optional
        ]
        return problems


def boundary() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function whose argument or result is stored in a history."""
    for each in (each for queue in WORKFLOWS.values() for each in queue):
        definition = workflow._Definition.must_from_class(each)
        yield f"{each.__name__}.run", definition.run_fn
        for kind in (definition.signals, definition.updates, definition.queries):
            yield from ((f"{each.__name__}.{name}", entry.fn) for name, entry in kind.items())
    for bound in activities_by_queue().values():
        yield from ((method.__qualname__, getattr(method, "__func__", method)) for method in bound)


def crossing() -> list[type]:
    """The dataclasses and enums among their types, and the ones inside those."""
    found: dict[type, None] = {}
    for _, function in boundary():
        for hint in typing.get_type_hints(function).values():
            _collect(hint, found)
    return sorted(found, key=_name)


def _collect(hint: Any, found: dict[type, None]) -> None:
    for inner in typing.get_args(hint):
        _collect(inner, found)
    if isinstance(hint, type) and hint not in found and hint.__module__.partition(".")[0] in PACKAGES:
        found[hint] = None
        for inner in typing.get_type_hints(hint).values() if is_dataclass(hint) else ():
            _collect(inner, found)


def shapes() -> dict[str, Shape]:
    """The contracts as they are now, by full name."""
    return {_name(each): _shape(each) for each in crossing()}


def _shape(each: type) -> Shape:
    if issubclass(each, Enum):
        return Shape(tuple((member.name, str(member.value)) for member in each), frozenset(m.name for m in each))
    if not is_dataclass(each):
        return Shape((), frozenset())
    optional = (f.name for f in fields(each) if f.default is not MISSING or f.default_factory is not MISSING)
    hints = typing.get_type_hints(each)
    return Shape(tuple((f.name, formatannotation(hints[f.name])) for f in fields(each)), frozenset(optional))


def _name(each: type) -> str:
    return f"{each.__module__}.{each.__qualname__}"


if __name__ == "__main__":
    for name, shape in shapes().items():
        print(shape.show(name))
