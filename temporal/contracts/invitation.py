"""One invitation to a household. Id `household/{household_id}/invitation/{invitation_id}`; started, and rung whenever
its row changes, by outbox rows of kind `invitation`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

WORKFLOW: Final = "InvitationWorkflow"
KIND: Final = "invitation"
"""Outbox kind and aggregate prefix of the bell."""
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


@dataclass(frozen=True, slots=True)
class Invited:
    """Which row of `invitations`; everything else is read from it."""

    invitation_id: UUID


@dataclass(frozen=True, slots=True)
class InvitationChanged:
    """Somebody changed the row. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class ReviewInvitation:
    """Ask what is to be done. `now` is the workflow's clock."""

    invitation_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class InvitationPlan:
    """`mailing`: the number of the mail that is to be sent; else wait `until` it expires. Neither: it is closed."""

    mailing: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MailInvitation:
    """Send this mail of an invitation: the first is number 1, each wish to send it again one more."""

    invitation_id: UUID
    mailing: int


def aggregate(invitation_id: UUID) -> str:
    """The outbox aggregate of an invitation."""
    return f"{KIND}/{invitation_id}"


def first_state(args: Mapping[str, object]) -> Invited:
    """What a new workflow starts with, from the outbox row's args."""
    return Invited(UUID(str(args["invitation_id"])))
