"""Bench 7: checking an access token that was checked before, beside a bare joserfc decode of the same token.

The bare decode checks the signature and nothing else. Both run in this process, in turns, on tokens of the platform's
own key. Whether the session still lives is asked besides, on every request (bench 1).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from joserfc import jwt

from api.tokens import ALGORITHMS, Tokens
from bench.platform import Platform
from core.ids import new_id
from integrations.keys.factory import open_keys
from integrations.keys.secrets import load_secrets

_TOKENS = 200
_TURNS = 20


@dataclass(frozen=True, slots=True)
class Checks:
    """CPU microseconds of one check; a ratio is taken within a round."""

    known_us: float
    first_us: float
    bare_us: float
    known_to_bare: float
    first_to_bare: float


async def run(on: Platform, rounds: int) -> Checks:
    """The median round."""
    (signing, *_) = (await load_secrets(open_keys(on.settings)[1])).signing
    issuer = Tokens(on.settings.auth, (signing,))
    texts = [issuer.mint(new_id(), new_id(), datetime.now(UTC), ["pwd"]) for _ in range(_TOKENS)]

    def bare(text: str) -> object:
        return jwt.decode(text, signing.key, algorithms=ALGORITHMS)

    taken = []
    for _ in range(rounds):
        tokens = Tokens(on.settings.auth, (signing,))  # has checked nothing yet
        first = _microseconds(tokens.verify, texts, 1)
        taken.append((_microseconds(tokens.verify, texts, _TURNS), first, _microseconds(bare, texts, 1)))
    known_us, first_us, bare_us = (median(column) for column in zip(*taken, strict=True))
    return Checks(
        known_us,
        first_us,
        bare_us,
        median(known / bare for known, _, bare in taken),
        median(first / bare for _, first, bare in taken),
    )


def _microseconds(check: Callable[[str], object], texts: Sequence[str], turns: int) -> float:
    started = time.process_time()
    for _ in range(turns):
        for text in texts:
            check(text)
    return (time.process_time() - started) / (turns * len(texts)) * 1e6
