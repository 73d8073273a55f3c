"""Signing in with an account elsewhere: which account of ours an identity leads to (identity-and-security.md §4.5).

An identity is `(issuer, subject)`. Its address counts only where the provider is authoritative for it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Provider(StrEnum):
    """Whom people may sign in with."""

    GOOGLE = "google"
    APPLE = "apple"
    FACEBOOK = "facebook"


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that has the address already."""

    active: bool
    verified: bool


class Way(StrEnum):
    """What becomes of an identity that nobody here has."""

    LINK = "link"
    TAKE_OVER = "take_over"
    """The address was never confirmed: whoever registered it may not be its owner, so all they set up goes first."""
    CREATE = "create"
    CREATE_UNVERIFIED = "create_unverified"
    """An account like any new one: it opens once the mail to its address was answered."""
    TELL_OWNER = "tell_owner"
    """Nothing changes; the owner of the address learns by mail how to link. Outside nobody sees the difference."""
    REFUSE = "refuse"
    """The account is blocked or about to be erased."""


def way_in(*, authoritative: bool, owner: Owner | None) -> Way:
    """For an identity with an address. `authoritative`: the provider asserts the address and speaks for it."""
    if not authoritative:
        return Way.CREATE_UNVERIFIED if owner is None else Way.TELL_OWNER
    if owner is None:
        return Way.CREATE
    if not owner.active:
        return Way.REFUSE
    return Way.LINK if owner.verified else Way.TAKE_OVER
