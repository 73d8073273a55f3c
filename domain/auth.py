"""Rules of identity: which addresses are one, how long failures make one wait, how fast requests may come, what a
refresh token is worth (identity-and-security.md §2.2-2.5, §4.1, §4.8). Passwords are in `domain/password.py`."""

import ipaddress
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

FREE_FAILURES = 5
MAX_DELAY = timedelta(minutes=15)
FAILURES_FORGOTTEN_AFTER = timedelta(hours=24)
MAX_CONSECUTIVE_FAILURES = 100
"""NIST SP 800-63B-4 §3.2.2. No time undoes them: a login, or a new password set by mail, does."""
FAILURES_KEPT = timedelta(days=90)
"""Short of that number they are dropped after so long without an attempt: at most 400 guesses a year are never added
up, and made-up addresses do not fill the table."""
DEVICE_FAILURES = 10
"""After so many a known device is one like any other."""
DEVICE_LIFETIME = timedelta(days=90)
"""How long a device stays known after the last login on it."""


def canonical_address(local_part: str, ascii_domain: str) -> str:
    """What two spellings of one mailbox share: NFKC, casefold, the domain as A-labels. Never used to send.

    Folded again after casefold, which can leave a string unnormalised (Unicode §3.13, D145).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local_part).casefold())
    return f"{folded}@{ascii_domain.lower()}"


def delay_after(failures: int) -> timedelta:
    """How long the next attempt has to wait after this many failures: none for five, then 2, 4, 8 s … 15 min."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - FREE_FAILURES, 30)), MAX_DELAY)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts on one account: `fails` within a day, `consecutive` since the last login."""

    fails: int
    consecutive: int
    next_allowed_at: datetime
    last_fail_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: come back after `seconds`; None: no time is enough, a new password is needed."""

    seconds: int | None


def charge(attempts: Attempts, *, now: datetime, known_device: bool = False) -> Attempts | Wait:
    """Count one attempt as failed before its password is looked at, or refuse it uncounted.

    A known device does not wait for what strangers did, and is counted all the same. The delay is forgotten 24 h after
    the last counted attempt; the cap on consecutive failures holds until somebody gets in.
    """
    if attempts.consecutive >= MAX_CONSECUTIVE_FAILURES:
        return Wait(None)
    if now - attempts.last_fail_at >= FAILURES_FORGOTTEN_AFTER:
        attempts = Attempts(0, attempts.consecutive, now, now)
    if now < attempts.next_allowed_at and not known_device:
        return Wait(_ceil((attempts.next_allowed_at - now).total_seconds()))
    fails = attempts.fails + 1
    return Attempts(fails, attempts.consecutive + 1, now + delay_after(fails), now)


def network_of(address: str) -> str:
    """Whom an address limit counts: the IPv4 address, or the /64 an IPv6 address is in. Anything else as it is."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def truncated_ip(address: str) -> str | None:
    """What the session list shows: the /24 or /48, enough to recognise a place, too little to find a person."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


@dataclass(frozen=True, slots=True)
class Quota:
    """`quota` requests per `window` seconds on average, `burst` at once."""

    quota: int
    window: int
    burst: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer of a limit. Seconds are rounded up; `reset` is when the whole burst is there again."""

    allowed: bool
    remaining: int
    retry_after: int
    reset: int


def admit(quota: Quota, theoretical_arrival: float, now: float) -> tuple[Admission, float]:
    """One request against the generic cell rate algorithm. Answers with the new theoretical arrival time.

    Times in seconds of any one clock; 0 for a caller never seen. The Lua script of `api/rate_limit.py` is the same
    arithmetic.
    """
    step = quota.window / quota.quota
    arrival = max(theoretical_arrival, now)
    later = arrival + step
    wait = later - step * quota.burst - now
    if wait > 1e-9:
        return Admission(False, 0, _ceil(wait), _ceil(arrival - now)), arrival
    remaining = int((step * quota.burst - (later - now)) / step + 1e-9)
    return Admission(True, remaining, 0, _ceil(later - now)), later


def _ceil(seconds: float) -> int:
    return max(1, -int(-seconds // 1))


POSSESSIONS = frozenset({"otp", "hwk", "swk"})
"""Proofs of having something (RFC 8176)."""


def assurance_level(amr: Iterable[str]) -> str:
    """`acr`: `aal2` where something that one has was shown together with something else, otherwise `aal1`."""
    shown = set(amr)
    return "aal2" if len(shown) > 1 and shown & POSSESSIONS else "aal1"


class Refresh(StrEnum):
    """What to do with a presented refresh token whose session row is locked."""

    ROTATE = "rotate"
    REPLAY = "replay"
    REUSED = "reused"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class RefreshChain:
    """The locked session row, and its user read after the lock."""

    live: bytes
    parent: bytes | None
    rotated_at: datetime | None
    idle_expires_at: datetime
    absolute_expires_at: datetime
    revoked: bool
    user_active: bool
    epoch_current: bool


def judge_refresh(chain: RefreshChain, presented: bytes, *, now: datetime, window: timedelta) -> Refresh:
    """The live token rotates; its immediate parent gets the same answer again for `window`, later it was stolen.

    `now` is the database clock read after the lock. A dead session refuses before either branch.
    """
    expired = now >= min(chain.idle_expires_at, chain.absolute_expires_at)
    if chain.revoked or expired or not chain.user_active or not chain.epoch_current:
        return Refresh.REFUSE
    if presented == chain.live:
        return Refresh.ROTATE
    if presented == chain.parent and chain.rotated_at is not None and now - chain.rotated_at <= window:
        return Refresh.REPLAY
    return Refresh.REUSED
