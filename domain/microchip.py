"""Microchip numbers as they are read and typed (ISO 11784; product.md §4.3). No check digit exists."""

import re
from dataclasses import dataclass
from typing import Literal

from core.errors import FieldProblem, Invalid

PrefixKind = Literal["country", "shared", "maker", "test"]
_DOT_HEX = re.compile(r"[0-9A-F]{3}\.[0-9A-F]{10}")
_LARGEST_NUMBER = 274_877_906_943  # 38 bits


@dataclass(frozen=True, slots=True)
class Microchip:
    """`code` is canonical; `entered` is what was typed."""

    code: str
    entered: str
    standard: Literal["iso", "non_iso"]
    prefix_kind: PrefixKind | None


def read(entered: str) -> Microchip:
    """The chip of a typed or scanned number. Raises `Invalid` (`microchip_invalid`).

    A reader's dot-hex form comes first: it would lose its meaning with the dot.
    """
    text = entered.strip().upper()
    if _DOT_HEX.fullmatch(text):
        prefix, number = (int(part, 16) for part in text.split("."))
        return _iso(f"{prefix:03}{number:012}", entered)
    digits = re.sub(r"[\s\-.*]", "", text)
    if re.fullmatch(r"[0-9]{15}", digits):
        return _iso(digits, entered)
    if re.fullmatch(r"[0-9]{9}|[0-9A-Z]{10}", digits):
        return Microchip(digits, entered, "non_iso", None)
    raise _invalid()


def _iso(digits: str, entered: str) -> Microchip:
    prefix, number = int(digits[:3]), int(digits[3:])
    if len(digits) != 15 or not 1 <= prefix <= 999 or number > _LARGEST_NUMBER:
        raise _invalid()
    return Microchip(digits, entered, "iso", _kind(prefix))


def _kind(prefix: int) -> PrefixKind:
    if prefix == 999:
        return "test"
    if prefix > 900:
        return "maker"
    return "shared" if prefix == 900 else "country"


def _invalid() -> Invalid:
    detail = "15 digits (ISO 11784), a reader's dot-hex form, 9 digits, or 10 letters and digits"
    problem = FieldProblem("/microchip_id", "microchip_invalid", detail)
    return Invalid("this is no microchip number", errors=(problem,))
