"""How easily a password is guessed: zxcvbn and its lists of what people choose. CPU for milliseconds: use a thread."""

import math
from collections.abc import Iterable
from typing import Final

from zxcvbn import matching, scoring, time_estimates

JUDGED: Final = 72
"""Code points that are looked at: the cost is quadratic (§2.1)."""
_SUBSTITUTIONS: Final = 32
_PRIVATE_USE: Final = 0xE000
_COMMON: Final = matching.RANKED_DICTIONARIES["passwords"]
# zxcvbn itself keeps the words about the last person in a global of the module; a copy per call is nobody else's.
_DICTIONARIES: Final = dict(matching.RANKED_DICTIONARIES)


def is_common(password: str) -> bool:
    """Whether it is one of the 30,000 most frequent passwords, in whatever case."""
    return password.casefold() in _COMMON


def score(password: str, words: Iterable[str]) -> int:
    """zxcvbn's score, 0 to 4: below 3 it takes fewer than 10^8 guesses by somebody who knows the words."""
    judged = _affordable(password[:JUDGED])
    if not judged:
        return 0
    dictionaries = {**_DICTIONARIES, "user_inputs": matching.build_ranked_dict(sorted(words))}
    likeliest = scoring.most_guessable_match_sequence(judged, matching.omnimatch(judged, dictionaries))
    found: int = time_estimates.guesses_to_score(likeliest["guesses"])
    return found


def _affordable(password: str) -> str:
    """The password, its rarer letter substitutes (`@` for a, `{` for c) hidden where all combinations of them would
    take seconds (72 characters: 2.6 s). What is hidden is matched as itself, not as the letter."""
    substitutes = matching.relevant_l33t_subtable(password, matching.L33T_TABLE).values()
    if math.prod(map(len, substitutes)) <= _SUBSTITUTIONS:
        return password
    surplus = sorted({sign for signs in substitutes for sign in signs[1:]})
    return password.translate({ord(sign): _PRIVATE_USE + number for number, sign in enumerate(surplus)})
