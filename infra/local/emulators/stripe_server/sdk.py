"""What the pinned SDK knows: its routes, the types of their parameters, and which fields of an object can be expanded.

The sources are read as text: importing the services for their names would cost the start a second.
"""

import importlib
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import stripe
from stripe._api_version import _ApiVersion
from stripe._object_classes import get_object_class
from stripe._request_options import RequestOptions

API_VERSION: Final[str] = _ApiVersion.CURRENT
_METHOD: Final = re.compile(r"^    def \w+\((.*?)^    (?=async def |def |\Z)", re.MULTILINE | re.DOTALL)
_PARAMS: Final = re.compile(r"\bparams: (?:Optional\[\s*)?\"(\w+)\"")
_REQUEST: Final = re.compile(r"_request\(\s*\"(get|post|delete)\",\s*\"(/v1/[^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Route:
    """An operation of the SDK. `params` names the module and the TypedDict of its parameters, if it takes any."""

    method: str
    path: str
    params: tuple[str, str] | None

    @property
    def kind(self) -> Any:
        """The TypedDict of its parameters; None without any."""
        return self.params and getattr(importlib.import_module(self.params[0]), self.params[1])


@cache
def routes() -> Mapping[tuple[str, str], Route]:
    """Every v1 operation by method and path template (`/v1/customers/{customer}`)."""
    files = sorted(Path(stripe.__file__).parent.rglob("*_service.py"))
    found = (route for file in files if "v2" not in file.parts for route in _routes_of(file.read_text()))
    return {(route.method, route.path): route for route in found}


def _routes_of(source: str) -> list[Route]:
    modules = dict(re.findall(r"from (stripe\.params[\w.]*) import \(?\s*(\w+)", source))
    modules = {name: module for module, name in modules.items()}
    result = []
    for each in _METHOD.finditer(f"{source}\n    def "):
        if request := _REQUEST.search(each[1]):
            params = _PARAMS.search(each[1])
            result.append(Route(request[1].upper(), request[2], (modules[params[1]], params[1]) if params else None))
    return result


@cache
def parameters(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """The parameters of a TypedDict of the SDK: annotation, and whether it must be given."""
    given = {key: hint for key, hint in kind.__annotations__.items() if key not in RequestOptions.__annotations__}
    module = importlib.import_module(kind.__module__)
    hints = typing.get_type_hints(SimpleNamespace(__annotations__=given), vars(module), include_extras=True)
    return {key: _parameter(hint) for key, hint in hints.items()}


def _parameter(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) is typing.NotRequired:
        return typing.get_args(hint)[0], False
    return hint, True


@cache
def object_class(name: str) -> Any:
    """The SDK's class of documents with this `object`; None if there is none."""
    found = get_object_class("V1", name)
    return None if found is stripe.StripeObject else found


@cache
def expandable(name: str) -> frozenset[str]:
    """The dotted names of the fields of an object that hold an id or, expanded, a document."""
    found = object_class(name)
    return frozenset(_expandable(found) if found else ())


def _expandable(kind: Any) -> Iterator[str]:
    yield from (field for field, annotation in kind.__annotations__.items() if _is_expandable(annotation))
    for field, inner in kind._inner_class_types.items():
        yield from (f"{field}.{each}" for each in _expandable(inner))


def _is_expandable(annotation: Any) -> bool:
    """`ExpandableField["Customer"]` is `Union[str, ForwardRef("Customer")]` when it is read."""
    arguments = typing.get_args(annotation)
    if str in arguments and any(isinstance(each, typing.ForwardRef) for each in arguments):
        return True
    return any(_is_expandable(each) for each in arguments)
