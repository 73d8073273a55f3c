"""JSON bodies, read once and strictly: what Postgres, an error answer or another parser would stumble over is 400.

Refused: duplicate members, NaN and infinities, numbers beyond a double, NUL and lone surrogates in strings, more than
32 levels, invalid UTF-8 (identity-and-security.md §5.3). The message never echoes the input.
"""

import json
import math
from typing import Any, NoReturn

from core.errors import Malformed

MAX_DEPTH = 32


def parse(body: bytes) -> Any:
    """The value. Raises `Malformed`."""
    try:
        value = _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8", code="invalid_utf8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise Malformed("the body is not JSON", code="invalid_json") from None
    _check(value, 1, has_escapes=b"\\u" in body)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("an object has the same member twice", code="duplicate_member")
    return members


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("a number is too large", code="number_range")
    return number


def _constant(name: str) -> NoReturn:
    raise Malformed("NaN and infinities are not JSON", code="number_range")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=_number, parse_constant=_constant)


def _check(value: Any, depth: int, *, has_escapes: bool) -> None:
    """Strings need a look only where the text had `\\u`: raw control characters are refused by the parser, and raw
    surrogates by UTF-8."""
    if isinstance(value, str):
        if has_escapes and ("\x00" in value or _has_surrogate(value)):
            raise Malformed("a string holds NUL or half a surrogate pair", code="invalid_string")
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise _too_deep()
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth + 1, has_escapes=has_escapes)
        if isinstance(value, dict) and has_escapes:
            for key in value:
                _check(key, depth, has_escapes=True)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _too_deep() -> Malformed:
    return Malformed(f"the body nests more than {MAX_DEPTH} levels", code="too_deep")
