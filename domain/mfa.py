"""Rules of second factors: codes by the clock, codes on paper, passkeys (identity-and-security.md §2.3, §2.6, §4.4)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

STEP_SECONDS: Final = 30
DIGITS: Final = 6
RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10
"""80 bits: sixteen characters of base32, which a person can type."""
MAX_PASSKEYS: Final = 10
CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
MAX_ATTEMPTS: Final = 5
"""Per challenge (ASVS 6.6.3)."""
MULTIPLE: Final = "mfa"
"""The word of RFC 8176 that says: what was proven is more than one factor."""


class Method(StrEnum):
    """What a second factor is proven with."""

    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"


FACTORS: Final = frozenset({Method.TOTP, Method.PASSKEY})
"""A recovery code stands in for one of these; alone it protects nothing."""


def time_step(at: datetime) -> int:
    """The number of the 30 seconds that `at` lies in (RFC 6238 §4.2)."""
    return int(at.timestamp()) // STEP_SECONDS


def hotp(secret: bytes, counter: int) -> str:
    """The six digits of a counter (RFC 4226 §5.3)."""
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), hashlib.sha1)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code this is: the present one, the one before or the one after; the latest if it is several's.

    `secret` is base32, as the authenticator app was given it. Every comparison is made, and each takes constant time.
    """
    key, present, typed = base64.b32decode(secret), time_step(now), code.encode()
    steps = range(present - 1, present + 2)
    return max((step for step in steps if hmac.compare_digest(hotp(key, step).encode(), typed)), default=None)


def recovery_code(random: bytes) -> str:
    """How `RECOVERY_BYTES` random bytes are shown: `ABCD-EFGH-IJKL-MNOP`."""
    text = base64.b32encode(random).decode()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def normalize_recovery_code(typed: str) -> str:
    """What two ways of typing one code share."""
    return "".join(typed.split()).replace("-", "").upper()


def has_second_factor(methods: Iterable[Method]) -> bool:
    """Whether signing in takes more than one factor."""
    return not FACTORS.isdisjoint(methods)


def is_copied(stored: int, seen: int) -> bool:
    """Whether an authenticator's counter did not go up, as it does when its key was copied (WebAuthn L3 §6.1.1).

    Authenticators without a counter say 0 always.
    """
    return (stored > 0 or seen > 0) and seen <= stored
