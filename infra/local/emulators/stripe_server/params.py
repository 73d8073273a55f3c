"""Parameters against the types of the SDK: a typo, a wrong type or a word that is none of an enum is refused.

The SDK keeps its enums open (`Literal["a", "b"] | str`); here they are closed.
"""

import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from stripe._stripe_object import UntypedStripeObject
from typing_extensions import is_typeddict

from infra.local.emulators.stripe_server import sdk
from infra.local.emulators.stripe_server.errors import StripeError, invalid, missing_parameter, unknown_parameter
from infra.local.emulators.stripe_server.form import Nested

Values = dict[str, Any]


def decode(route: sdk.Route, given: Nested) -> Values:
    """The parameters of a request, typed. Raises `StripeError`."""
    return _fields(route.kind, given, "") if route.kind else _nothing(given)


def _nothing(given: Nested) -> Values:
    for name in given:
        raise unknown_parameter(name)
    return {}


def _fields(kind: Any, given: Nested, path: str) -> Values:
    known = sdk.parameters(kind)
    for name in given:
        if name not in known:
            raise unknown_parameter(_below(path, name))
    for name, (_, is_required) in known.items():
        if is_required and name not in given:
            raise missing_parameter(_below(path, name))
    return {name: _value(known[name][0], value, _below(path, name)) for name, value in given.items()}


def _below(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _value(kind: Any, given: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if is_typeddict(kind):
        return _fields(kind, _object(given, path), path)
    if origin is list:
        return _list(typing.get_args(kind)[0], given, path)
    if origin in (dict, UntypedStripeObject):
        return _map(typing.get_args(kind)[-1], given, path)
    if origin is typing.Literal:
        return _word(typing.get_args(kind), given, path)
    if origin is not None:
        return _one_of(_alternatives(kind), given, path)
    return _scalar(kind, given, path)


def _alternatives(kind: Any) -> list[Any]:
    """The types of a union; an enum shuts out the `str` beside it."""
    found = list(typing.get_args(kind))
    has_words = any(typing.get_origin(each) is typing.Literal and any(typing.get_args(each)) for each in found)
    return [each for each in found if not (has_words and each is str)]


def _one_of(kinds: list[Any], given: Any, path: str) -> Any:
    """What the first type that fits makes of it; the complaint is that of the last one of this form."""
    fitting = [kind for kind in kinds if _is_structure(kind) == isinstance(given, dict)] or kinds
    for kind in fitting[:-1]:
        with suppress(StripeError):
            return _value(kind, given, path)
    return _value(fitting[-1], given, path)


def _is_structure(kind: Any) -> bool:
    return is_typeddict(kind) or typing.get_origin(kind) in (list, dict, UntypedStripeObject)


def _object(given: Any, path: str) -> Nested:
    if not isinstance(given, dict):
        raise invalid("Invalid object", path)
    return given


def _list(kind: Any, given: Any, path: str) -> list[Any]:
    if not isinstance(given, dict) or not all(key.isdecimal() for key in given):
        raise invalid("Invalid array", path)
    return [_value(kind, given[key], _below(path, key)) for key in sorted(given, key=int)]


def _map(kind: Any, given: Any, path: str) -> Values:
    return {key: _value(kind, value, _below(path, key)) for key, value in _object(given, path).items()}


def _word(words: tuple[Any, ...], given: Any, path: str) -> Any:
    for word in words:
        if given == (str(word).lower() if isinstance(word, bool) else str(word)):
            return word
    raise invalid(f"Invalid {path}: must be one of {', '.join(str(word) for word in words if word != '')}", path)


def _boolean(given: str) -> bool:
    return {"true": True, "false": False}[given]


def _integer(given: str) -> int:
    if not given.removeprefix("-").isdecimal():
        raise ValueError(given)
    return int(given)


_SCALARS: Final[Mapping[Any, tuple[Callable[[str], Any], str]]] = {
    str: (str, "string"),
    int: (_integer, "integer"),
    bool: (_boolean, "boolean"),
    float: (float, "float"),
    Decimal: (Decimal, "decimal"),
}


def _scalar(kind: Any, given: Any, path: str) -> Any:
    if kind is Any:
        return given
    parse, name = _SCALARS[kind]
    if not isinstance(given, str):
        raise invalid(f"Invalid {name}: {path} is an object", path, f"parameter_invalid_{name}")
    try:
        return parse(given)
    except (ValueError, KeyError, InvalidOperation):
        raise invalid(f"Invalid {name}: {given}", path, f"parameter_invalid_{name}") from None
