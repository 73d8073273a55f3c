"""Opaque tokens of lists: what a page or sync token stands for, sealed so that nobody makes one up.

A cursor binds one calendar and one set of parameters, and is a pair of numbers: a round goes from `since` to `upto`,
which its first page fixed, and `after` is where its next page goes on. What changes during a round is numbered above
`upto` and belongs to the next round.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from typing import Final

SECONDS: Final = 28 * 86_400
"""For how long the vendors are trusted to know a token; the server's clock can be moved beyond."""
_KEY: Final = b"calendars of the local stack"


@dataclass(frozen=True, slots=True)
class Cursor:
    """See the module. `full`: the round lists everything and not what changed."""

    calendar: int
    generation: int
    shape: str
    since: int
    upto: int
    after: int
    full: bool
    at: float
    window: tuple[str, str] = ("", "")
    is_page: bool = True
    """Whether it stands for a page within a round, and not for the next round."""
    inside: int = 0
    shown: int = 0
    """Where a change makes several items (occurrences): how many of the change numbered `inside` were shown."""

    def text(self) -> str:
        """The token."""
        raw = json.dumps(asdict(self), separators=(",", ":")).encode()
        return urlsafe_b64encode(_seal(raw) + raw).rstrip(b"=").decode()


def read(token: str) -> Cursor | None:
    """What a token stands for; None for what is none of ours."""
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        if not hmac.compare_digest(sealed[:8], _seal(sealed[8:])):
            return None
        fields = json.loads(sealed[8:])
        return Cursor(**fields | {"window": tuple(fields["window"])})
    except (ValueError, TypeError, KeyError):
        return None


def shape_of(parameters: dict[str, list[str]]) -> str:
    """A short name of a set of parameters."""
    return hashlib.sha256(json.dumps(sorted(parameters.items())).encode()).hexdigest()[:12]


def _seal(raw: bytes) -> bytes:
    return hmac.new(_KEY, raw, hashlib.sha256).digest()[:8]
