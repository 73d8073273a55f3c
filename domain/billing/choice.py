"""Which of an account's subscriptions counts, which it has too many, and which card is worth another try."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.billing.catalogue import Tier, rank
from domain.billing.standing import GOOD, LIVE, Status


@dataclass(frozen=True, slots=True)
class Candidate:
    """One subscription of an account's. `tier` None: nobody knows its price."""

    id: str
    status: str
    tier: Tier | None
    created: datetime


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one that counts: what is paid before what is owed, what is owed before what has ended; among equals the
    higher plan, and then the newest. None: there is none."""
    return max(candidates, key=_worth, default=None)


def surplus(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Those that charge beside the one that counts: two Checkout pages were paid. Oldest first."""
    kept = choose(candidates)
    live = (each for each in candidates if each.status in LIVE and each is not kept)
    return tuple(each.id for each in sorted(live, key=lambda each: (each.created, each.id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What a customer can pay with: the method that was refused, those that are charged by the subscription or else by
    default, the default when the payment failed, and those that were added, newest first."""

    refused: str | None
    of_subscription: str | None
    of_customer: str | None
    default_then: str | None
    added: Sequence[tuple[str, datetime]]


def another_card(wallet: Wallet, since: datetime) -> str | None:
    """A method that its person has chosen since the payment failed: the one that would be charged now, another default,
    one that was added. None: nothing is tried; an older card of theirs that they did not choose is not."""
    usable = {method for method, _ in wallet.added}
    charged = wallet.of_subscription or wallet.of_customer if wallet.refused else None
    default = wallet.of_customer if wallet.of_customer != wallet.default_then else None
    added = (method for method, at in wallet.added if at >= since)
    return next(
        (method for method in (charged, default, *added) if method in usable and method != wallet.refused), None
    )


def _worth(candidate: Candidate) -> tuple[int, int, datetime, str]:
    standing = _STANDINGS.get(candidate.status, _UNKNOWN)
    return standing, -1 if candidate.tier is None else rank(candidate.tier), candidate.created, candidate.id


_UNKNOWN: Final = 4
_STANDINGS: Final[dict[str, int]] = {
    **dict.fromkeys(GOOD, 5),
    Status.PAST_DUE: 3,
    Status.UNPAID: 2,
    Status.PAUSED: 2,
    Status.INCOMPLETE: 1,
    Status.INCOMPLETE_EXPIRED: 0,
    Status.CANCELED: 0,
}
