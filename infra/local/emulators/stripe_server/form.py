"""Bodies and queries as Stripe reads them: `items[0][price]=v` is a value in nested dicts.

Whether digits are the places of a list or the keys of a map is known to the type of the parameter (`params`) alone.
"""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from infra.local.emulators.stripe_server.errors import invalid

Nested = dict[str, Any]
_MOST_FIELDS: Final = 5_000
_KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def unflatten(text: str) -> Nested:
    """The nested form of an encoded form. Raises `StripeError`."""
    result: Nested = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise invalid(f"More than {_MOST_FIELDS} parameters.") from None
    for key, value in pairs:
        _put(result, _path(key), value)
    return result


def fields(body: bytes) -> dict[str, str]:
    """What a browser's form sent."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _path(key: str) -> list[str]:
    found = _KEY.fullmatch(key)
    if found is None:
        raise invalid(f"Invalid parameter name: {key}", key)
    return [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])]


def _put(target: Nested, path: list[str], value: str) -> None:
    for name in path[:-1]:
        target = target.setdefault(name or str(len(target)), {})
        if not isinstance(target, dict):
            raise invalid(f"Invalid parameter: {path[0]} is given as a value and as an object", path[0])
    target[path[-1] or str(len(target))] = value
