"""A sitter's grant. Id `household/{household_id}/grant/{grant_id}`; started, and rung whenever its row changes, by
outbox rows of kind `grant`.

No message carries a time: when a grant begins and ends is said by the clock that decides access, the database's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

WORKFLOW: Final = "SitterGrantWorkflow"
KIND: Final = "grant"
"""Outbox kind and aggregate prefix of the bell."""
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


@dataclass(frozen=True, slots=True)
class Granted:
    """Which row of `grants`; everything else is read from it."""

    grant_id: UUID


@dataclass(frozen=True, slots=True)
class GrantChanged:
    """Somebody changed the row. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class ReviewGrant:
    """Ask what is to be done; answered by a `domain.grant.Todo`."""

    grant_id: UUID


@dataclass(frozen=True, slots=True)
class MailGrant:
    """Tell the sitter that they are asked."""

    grant_id: UUID


@dataclass(frozen=True, slots=True)
class StartGrant:
    """Hand what is due over to the sitter."""

    grant_id: UUID


@dataclass(frozen=True, slots=True)
class SummariseGrant:
    """Tell the owners what was done."""

    grant_id: UUID


@dataclass(frozen=True, slots=True)
class EndGrant:
    """Take back what is due, and tell the owners what was done since the last summary."""

    grant_id: UUID


def aggregate(grant_id: UUID) -> str:
    """The outbox aggregate of a grant."""
    return f"{KIND}/{grant_id}"


def first_state(args: Mapping[str, object]) -> Granted:
    """What a new workflow starts with, from the outbox row's args."""
    return Granted(UUID(str(args["grant_id"])))
