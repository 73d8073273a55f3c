"""How long a text message is, known before it is sent: encoding and segments. How many a plan includes is in
`domain/billing/catalogue.py`.

GSM 03.38 holds 160 characters, or 153 in each of several segments; one character beyond it makes the whole message
UCS-2: 70, or 67 (3GPP TS 23.038 and TS 23.040).
"""

from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("^{}\\[~]|€\f")
"""Behind an escape: each takes the room of two."""
_GSM, _GSM_PART = 160, 153
_UCS2, _UCS2_PART = 70, 67
PER_NOTICE: Final = 2
"""Segments one notice may take."""


def segments(text: str) -> int:
    """How many segments the text takes."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        septets = sum(2 if character in _EXTENDED else 1 for character in text)
        # An escape and its character stay together: a segment may end one short.
        return _parts(septets, _GSM, _GSM_PART - (1 if any(c in _EXTENDED for c in text) else 0))
    return _parts(len(text.encode("utf-16-le")) // 2, _UCS2, _UCS2_PART)


def fits(text: str) -> bool:
    """Whether a notice may be as long as this."""
    return segments(text) <= PER_NOTICE


def _parts(length: int, single: int, part: int) -> int:
    return 1 if length <= single else -(-length // part)
