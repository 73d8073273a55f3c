"""Which passwords may be set (identity-and-security.md §2.3, NIST SP 800-63B-4 §3.1.1): long, not known to others, not
about oneself, not easy to guess. No rule about kinds of characters, no expiry, nothing is ever cut off."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import FieldProblem, Invalid

MIN_ALONE: Final = 15
"""Code points, while the password is the only factor."""
MIN_WITH_SECOND_FACTOR: Final = 8
MAX_LENGTH: Final = 128
MAX_BYTES: Final = 1024
MIN_SCORE: Final = 3
"""Of zxcvbn: 10^8 guesses."""

SERVICE: Final = "petfolio"
_SHORTEST_WORD: Final = 3
_DECORATION: Final = 4
"""Letters that may stand beside words about oneself without making a password of them."""
_LOOKALIKES: Final = str.maketrans("013457@$!", "oieastasi")


class Weakness(StrEnum):
    """Why a password may not be set: the reason code of the answer."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    CONTEXTUAL = "contextual"
    COMMON = "common"
    BREACHED = "breached"
    GUESSABLE = "guessable"


_SENTENCES: Final = {
    Weakness.TOO_SHORT: "A password has at least {minimum} characters.",
    Weakness.TOO_LONG: f"A password has at most {MAX_LENGTH} characters.",
    Weakness.CONTEXTUAL: "A password is not made of your name, your address, your pets or our name.",
    Weakness.COMMON: "Very many people use this password.",
    Weakness.BREACHED: "This password is in a list that was stolen elsewhere.",
    Weakness.GUESSABLE: "This password is easy to guess: take more words, or more unusual ones.",
}


class PasswordRefused(Invalid):
    """422: `code` is the first `Weakness`, `errors` names all that were found."""

    code = "password_refused"


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is known of a password elsewhere: `score` is zxcvbn's, 0 to 4."""

    common: bool
    breached: bool
    score: int


def normalize_password(text: str) -> str:
    """NFKC, so that one password typed on two keyboards is one password. It is never shortened."""
    return unicodedata.normalize("NFKC", text)


def is_hashable_password(normalized: str) -> bool:
    """Whether it is short enough to spend a hash on; no longer one was ever set."""
    return len(normalized) <= MAX_LENGTH and len(normalized.encode()) <= MAX_BYTES


def is_enough_alone(normalized: str) -> bool:
    """Whether it may be the only factor: `users.password_single_factor_ok`."""
    return len(normalized) >= MIN_ALONE


def context_words(address: str, names: Iterable[str | None]) -> frozenset[str]:
    """What somebody who knows a person tries first: our name, their address and its parts, their names and their
    pets'. Folded; words of one or two characters are in everything and left out."""
    personal = [address.partition("@")[0], *filter(None, names)]
    parts = [part for text in personal for part in re.split(r"[\W_]+", text)]
    folded = (_fold(word).strip() for word in (SERVICE, address, *personal, *parts))
    return frozenset(word for word in folded if len(word) >= _SHORTEST_WORD)


def weaknesses_of_form(normalized: str, words: frozenset[str], minimum: int) -> list[Weakness]:
    """What can be told from the password alone and the words about its owner."""
    if not is_hashable_password(normalized):
        return [Weakness.TOO_LONG]
    found = [Weakness.TOO_SHORT] if len(normalized) < minimum else []
    return [*found, Weakness.CONTEXTUAL] if is_contextual(normalized, words) else found


def weaknesses_of_exposure(exposure: Exposure) -> list[Weakness]:
    """What others know of it, the gravest first."""
    found = {
        Weakness.COMMON: exposure.common,
        Weakness.BREACHED: exposure.breached,
        Weakness.GUESSABLE: exposure.score < MIN_SCORE,
    }
    return [weakness for weakness, holds in found.items() if holds]


def is_contextual(normalized: str, words: frozenset[str]) -> bool:
    """Whether it is words about its owner, alone or decorated: besides them it has at most four letters, however many
    digits and signs. `P3tf0lio-2026!` is."""
    folded = _fold(normalized)
    return any(_is_decoration(text, words) for text in {folded, folded.translate(_LOOKALIKES)})


def refuse(weaknesses: Iterable[Weakness], minimum: int = MIN_ALONE, pointer: str = "/password") -> None:
    """Raises `PasswordRefused` if there are any. `pointer`: where in the request it stood."""
    said = [(weakness, _SENTENCES[weakness].format(minimum=minimum)) for weakness in weaknesses]
    if said:
        code, detail = said[0]
        errors = tuple(FieldProblem(pointer, weakness, sentence) for weakness, sentence in said)
        raise PasswordRefused(detail, code=code, errors=errors)


def _is_decoration(folded: str, words: frozenset[str]) -> bool:
    rest = folded
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, " ")
    return rest != folded and sum(character.isalpha() for character in rest) <= _DECORATION


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
