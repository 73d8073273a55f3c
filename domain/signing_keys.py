"""When the keys that sign access tokens change (identity-and-security.md §2.2). Instants are Unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
PERIOD: Final = 90 * DAY
"""How long a key signs."""
AHEAD: Final = 3 * DAY
"""So long before it signs, a key is made: a run of the rotation that fails has days to be made up for."""
LEAST_AHEAD: Final = DAY + HOUR
"""Never shorter: verifiers have a day, and the processes that publish it an hour to learn of it."""
SLACK: Final = HOUR
"""For clocks that are late, and the leeway that expired tokens are given."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What to do now: forget the keys `retired`, and make one that signs from `next_signs_from` on (if any)."""

    retired: frozenset[str]
    next_signs_from: int | None


def plan_rotation(signs_from: Mapping[str, int], *, token_seconds: int, now: int) -> Rotation:
    """`signs_from` of each key by its `kid`; `token_seconds` is how long after its making a token is accepted.

    A key signs until the next one does, and leaves when the last token that it signed has expired.
    """
    order = sorted(signs_from, key=lambda kid: signs_from[kid])
    handed_over = pairwise(order)
    retired = frozenset(kid for kid, heir in handed_over if signs_from[heir] + token_seconds + SLACK <= now)
    newest = signs_from[order[-1]]
    due = now >= newest + PERIOD - AHEAD
    return Rotation(retired, max(newest + PERIOD, now + LEAST_AHEAD) if due else None)
