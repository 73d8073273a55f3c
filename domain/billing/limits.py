"""What a plan lets a household keep: room for one more pet, and pets that can be read and not changed.

A household's plan is the highest of its owners'. It keeps its earliest pets; those beyond the limit, after a plan that
ended, are read-only: nothing is deleted, what keeps an animal safe goes on, and a higher plan gives them back at once.
Pets that died, were given away or archived count for nobody and stay as they are. How many there are, and which are
beyond, is asked of the one query of `models/queries/limits.py`.
"""

from typing import Final

from core.errors import Conflict
from domain.billing.catalogue import LIMITS, Tier

PLANS: Final = "/api/v1/billing/plans"
"""Where somebody who needs more room goes."""


class PlanLimit(Conflict):
    """409: the household has as many pets as its plan holds. `limit`, `tier`, and `plans`: where there is more."""

    code = "plan_limit"


class PetReadOnly(Conflict):
    """409: the pet is beyond what its household's plan holds. It can be read, looked after, and let go."""

    code = "pet_read_only"


def check_room(tier: Tier, pets: int) -> None:
    """Whether a household of this plan that has so many pets may have one more. Raises `PlanLimit`."""
    limit = LIMITS[tier].pets
    if pets >= limit:
        raise PlanLimit(
            f"The plan {tier} holds {limit} pets: choose a larger one, or let one of them go.",
            extra={"limit": limit, "tier": tier.value, "plans": PLANS},
        )


def check_writable(*, read_only: bool) -> None:
    """Raises `PetReadOnly` for a pet beyond the limit, and for what belongs to it."""
    if read_only:
        raise PetReadOnly(
            "This pet is beyond what the household's plan holds: an owner can choose a larger plan.",
            extra={"plans": PLANS},
        )
