"""A pet that moves to another household. Id `household/{from_household_id}/transfer/{transfer_id}`; started, and rung
whenever its row changes, by outbox rows of kind `transfer`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

WORKFLOW: Final = "TransferWorkflow"
KIND: Final = "transfer"
"""Outbox kind and aggregate prefix of the bell."""
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


@dataclass(frozen=True, slots=True)
class Offered:
    """Which row of `pet_transfers`; everything else is read from it."""

    transfer_id: UUID


@dataclass(frozen=True, slots=True)
class TransferChanged:
    """Somebody changed the row. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class ReviewTransfer:
    """Ask what is to be done. `now` is the workflow's clock."""

    transfer_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """`mail` the offer, or `move` the pet; else wait `until` the offer expires. None of them: it is closed."""

    mail: bool = False
    move: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MailOffer:
    """Tell the recipient of the offer."""

    transfer_id: UUID


@dataclass(frozen=True, slots=True)
class MovePet:
    """Let the pet, and what was written about it meanwhile, belong to the household that accepted it."""

    transfer_id: UUID


@dataclass(frozen=True, slots=True)
class ResealPet:
    """Seal what is known of the pet under the key of its new household, `page_size` rows at once."""

    transfer_id: UUID
    page_size: int = 200


def aggregate(transfer_id: UUID) -> str:
    """The outbox aggregate of a transfer."""
    return f"{KIND}/{transfer_id}"


def first_state(args: Mapping[str, object]) -> Offered:
    """What a new workflow starts with, from the outbox row's args."""
    return Offered(UUID(str(args["transfer_id"])))
