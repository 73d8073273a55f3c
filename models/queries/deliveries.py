"""The ledger of what was sent, as every sender keeps it: leased while a provider is asked, settled by its answer.

A lease makes sure that two runs of one delivery (one of them stalled and given up on) never ask at the same time. One
that ran out was held by a run that died or stalled: nobody knows whether the provider acted, and the row says so from
then on, whatever becomes of it. R1 of reliability-and-privacy.md is counted from it: what was sent with the reason
`acknowledgement_lost` may have arrived twice, what was withdrawn or has failed with it may have arrived.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Unavailable
from core.ids import new_id
from models.notification import DeliveryEventKind, DeliveryState

LEASE_SECONDS: Final = 20
"""Longer than a provider call can take (connect 2 s, answer 10 s), shorter than an attempt of an activity (30 s)."""
ACKNOWLEDGEMENT_LOST: Final = "acknowledgement_lost"

WAITING: Final = "d.state IN ('planned', 'deferred')"
MAY_LEASE: Final = f"{WAITING} AND (d.claimed_until IS NULL OR d.claimed_until < clock_timestamp())"
TAKE_LEASE: Final = f"""claimed_until = clock_timestamp() + make_interval(secs => {LEASE_SECONDS}),
    attempt = d.attempt + 1,
    reason = CASE WHEN d.claimed_until IS NULL THEN d.reason ELSE '{ACKNOWLEDGEMENT_LOST}' END"""
"""SQL of an UPDATE of `deliveries d`, which each sender joins with what it says."""
ABANDONED_REASON: Final = f"""CASE WHEN d.reason = '{ACKNOWLEDGEMENT_LOST}' OR d.claimed_until IS NOT NULL
    THEN '{ACKNOWLEDGEMENT_LOST}' ELSE :reason END"""
"""SQL: what to write for `:reason` into a row of `deliveries d` that nobody holds any more, whoever held it."""
_REASON: Final = f"CASE WHEN d.reason = '{ACKNOWLEDGEMENT_LOST}' THEN d.reason ELSE :reason END"

_STATE = text("SELECT state FROM deliveries WHERE id = :id")
_FAILURE = text("SELECT state, reason FROM deliveries WHERE id = :id FOR NO KEY UPDATE")
# The row's last word and the line in its diary are one statement: an explanation never lacks the attempt that worked.
_SETTLE = text(
    f"""WITH settled AS (
           UPDATE deliveries d
              SET state = :state, provider_id = :provider_id, claimed_until = NULL, at = clock_timestamp(),
                  folded_into = :into, reason = {_REASON}
            WHERE d.id = :id AND {WAITING}
           RETURNING d.id),
       written AS (
           INSERT INTO delivery_events (id, delivery_id, kind, provider_id, code)
           SELECT :event_id, id, :kind, :provider_id, :reason FROM settled WHERE CAST(:kind AS text) IS NOT NULL)
       SELECT id FROM settled"""  # noqa: S608 - our own words
)
_RELEASE = text(
    f"""WITH released AS (
           UPDATE deliveries d
              SET claimed_until = NULL, not_before = clock_timestamp() + make_interval(secs => :wait),
                  reason = {_REASON}
            WHERE d.id = :id AND {WAITING}
           RETURNING d.id)
       INSERT INTO delivery_events (id, delivery_id, kind, code)
       SELECT :event_id, id, 'unavailable', :reason FROM released"""  # noqa: S608 - our own words
)
_DEFER = text(
    f"""UPDATE deliveries d
          SET state = 'deferred', claimed_until = NULL, not_before = :until, reason = {_REASON}, attempt = attempt - 1
        WHERE d.id = :id AND {WAITING}"""  # noqa: S608 - our own words
)
_KINDS: Final = {DeliveryState.SENT: DeliveryEventKind.ACCEPTED, DeliveryState.FAILED: DeliveryEventKind.REFUSED}
_BACK_OFF: Final = (2, 4, 8, 15, 30)
LONGEST_WAIT: Final = 60
"""Seconds between attempts at most, while a provider is away: what its return may be noticed too late by."""


class DeliveryBusy(Unavailable):
    """Another run of this delivery holds the lease, or died holding it."""

    code = "delivery_busy"

    def __init__(self) -> None:
        super().__init__("another attempt holds the lease", retry_after=5)


async def is_settled(session: AsyncSession, delivery_id: UUID) -> bool:
    """Whether nothing is left to do for it; also when there is no such delivery (any more)."""
    return (await session.execute(_STATE, {"id": delivery_id})).scalar_one_or_none() not in (
        DeliveryState.PLANNED,
        DeliveryState.DEFERRED,
    )


async def failure(session: AsyncSession, delivery_id: UUID) -> str | None:
    """Why it has failed by now; None when it has not. Holds the row until the end of the transaction."""
    row = (await session.execute(_FAILURE, {"id": delivery_id})).one_or_none()
    return str(row.reason) if row is not None and row.state == DeliveryState.FAILED else None


async def settle(
    session: AsyncSession,
    delivery_id: UUID,
    state: DeliveryState,
    *,
    provider_id: str | None = None,
    reason: str | None = None,
    folded_into: UUID | None = None,
) -> bool:
    """`sent` with the provider's id, `failed`, `withdrawn` or `folded` with the reason: the row's last word. False: it
    has had it before.

    `folded_into`: the message that said it instead.
    """
    values = {"id": delivery_id, "state": state, "provider_id": provider_id, "reason": reason, "into": folded_into}
    values |= {"kind": _KINDS.get(state), "event_id": new_id()}
    return (await session.execute(_SETTLE, values)).first() is not None


async def release(session: AsyncSession, delivery_id: UUID, reason: str, *, ambiguous: bool, wait: float = 0) -> None:
    """It did not work this time; the next attempt may begin after `wait` seconds. `ambiguous`: it may have worked."""
    values = {"id": delivery_id, "reason": ACKNOWLEDGEMENT_LOST if ambiguous else reason, "wait": wait}
    await session.execute(_RELEASE, values | {"event_id": new_id()})


async def defer(session: AsyncSession, delivery_id: UUID, until: datetime, reason: str) -> None:
    """Not now: quiet hours, or nobody is there. It was no attempt."""
    await session.execute(_DEFER, {"id": delivery_id, "until": until, "reason": reason})


def back_off(attempt: int, asked: float | None = None) -> float:
    """Seconds until the next attempt after this many; a provider that names a time is obeyed."""
    if asked is not None:
        return asked
    return float(_BACK_OFF[attempt - 1] if attempt <= len(_BACK_OFF) else LONGEST_WAIT)
