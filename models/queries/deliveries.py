"""The ledger of what was sent, as every sender keeps it: leased while a provider is asked, settled by its answer.

A lease makes sure that two runs of one delivery (one of them stalled and given up on) never ask at the same time. One
that ran out was held by a run that died or stalled: nobody knows whether the provider acted, and the row says so from
then on. R1 of reliability-and-privacy.md is counted from it: what was sent with the reason `acknowledgement_lost` may
have arrived twice.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Unavailable
from models.notification import DeliveryState

LEASE_SECONDS: Final = 20
"""Longer than a provider call can take (connect 2 s, answer 10 s), shorter than an attempt of an activity (30 s)."""
ACKNOWLEDGEMENT_LOST: Final = "acknowledgement_lost"

MAY_LEASE: Final = "d.state = 'planned' AND (d.claimed_until IS NULL OR d.claimed_until < clock_timestamp())"
TAKE_LEASE: Final = f"""claimed_until = clock_timestamp() + make_interval(secs => {LEASE_SECONDS}),
    attempt = d.attempt + 1,
    reason = CASE WHEN d.claimed_until IS NULL THEN d.reason ELSE '{ACKNOWLEDGEMENT_LOST}' END"""
"""SQL of an UPDATE of `deliveries d`, which each sender joins with what it says."""

_STATE = text("SELECT state FROM deliveries WHERE id = :id")
_SETTLE = text(
    """UPDATE deliveries SET state = :state, provider_id = :provider_id, claimed_until = NULL, at = clock_timestamp(),
              reason = CASE WHEN :state = 'sent' AND reason = :lost THEN reason ELSE :reason END
        WHERE id = :id AND state = 'planned'"""
)
_RELEASE = text(
    """UPDATE deliveries SET claimed_until = NULL, reason = CASE WHEN reason = :lost THEN reason ELSE :reason END
        WHERE id = :id AND state = 'planned'"""
)


class DeliveryBusy(Unavailable):
    """Another run of this delivery holds the lease, or died holding it."""

    code = "delivery_busy"

    def __init__(self) -> None:
        super().__init__("another attempt holds the lease", retry_after=5)


async def is_settled(session: AsyncSession, delivery_id: UUID) -> bool:
    """Whether nothing is left to do for it; also when there is no such delivery (any more)."""
    return (await session.execute(_STATE, {"id": delivery_id})).scalar_one_or_none() != DeliveryState.PLANNED


async def settle(
    session: AsyncSession,
    delivery_id: UUID,
    state: DeliveryState,
    *,
    provider_id: str | None = None,
    reason: str | None = None,
) -> None:
    """`sent` with the provider's id, `failed` or `withdrawn` with the reason: the row's last word."""
    values = {"id": delivery_id, "state": state, "provider_id": provider_id, "reason": reason}
    await session.execute(_SETTLE, values | {"lost": ACKNOWLEDGEMENT_LOST})


async def release(session: AsyncSession, delivery_id: UUID, reason: str, *, ambiguous: bool) -> None:
    """It did not work this time; the next attempt need not wait for the lease. `ambiguous`: it may have."""
    values = {"id": delivery_id, "reason": ACKNOWLEDGEMENT_LOST if ambiguous else reason}
    await session.execute(_RELEASE, values | {"lost": ACKNOWLEDGEMENT_LOST})
