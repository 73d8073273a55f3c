"""What Stripe's webhook says: checked, written down with one bell for its account, answered (billing.md §4.1).

Nothing of a payload is ever applied. It says who may have changed; what is true is read from Stripe by the account's
workflow, which finds what it has to handle in `stripe_events`.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from api.mail_feedback import REFUSED
from core.db import AWAY, Database
from core.logging import logger
from domain.billing import events
from integrations.payments.signature import BodyTooLarge, SignatureRejected, verify
from models.billing import EventState
from models.queries import stripe_inbox
from models.queries.stripe_inbox import Arrived, Bell
from temporal import ids, outbox
from temporal.contracts import billing, billing_resolve

log = logger(__name__)

EVENTS: Final = Counter(
    "petfolio_stripe_events",
    "Events of Stripe's webhook by what became of them: received, orphan, ignored, or duplicate (handled before).",
    ["result"],
)


async def receive(db: Database, secrets: Sequence[str], *, livemode: bool, raw: bytes, header: str | None) -> None:
    """Keep one event. Raises `SignatureRejected` and `BodyTooLarge` for what is not Stripe's, and what the database
    raises: Stripe tries again."""
    try:
        event = Arrived(**asdict(verify(raw, header, secrets, time.time())))
    except (SignatureRejected, BodyTooLarge) as rejected:
        REFUSED.labels("stripe", rejected.code).inc()
        raise
    try:
        await _keep(db, event, livemode=livemode)
    except AWAY:
        if events.name_of(event.type) != events.NEVER_HELD_UP:
            raise
        log.warning("stripe_event_not_kept", type=event.type)


async def _keep(db: Database, event: Arrived, *, livemode: bool) -> None:
    ours = event.livemode == livemode and events.is_handled(event.type)
    account_id = await stripe_inbox.account_of(db.reads, event) if ours else None
    state = _state(event, account_id) if ours else EventState.IGNORED
    kept = await stripe_inbox.keep(db.reads, event, account_id, state, _bell(event.id, account_id))
    EVENTS.labels(kept or "duplicate").inc()
    if kept is EventState.ORPHAN:
        log.warning("stripe_event_of_nobody", event_id=event.id, type=event.type)


def _state(event: Arrived, account_id: UUID | None) -> EventState:
    """An event that names a customer who is none of ours is nobody's; one that names none is to be asked about."""
    is_nobody_s = account_id is None and (event.customer_id is not None or event.object_id is None)
    return EventState.ORPHAN if is_nobody_s else EventState.RECEIVED


def _bell(event_id: str, account_id: UUID | None) -> Bell:
    if account_id is None:
        return Bell(
            aggregate=billing_resolve.aggregate(event_id),
            kind=billing_resolve.KIND,
            workflow_id=ids.billing_resolve(event_id),
            args={"event_id": event_id},
            coalescing=False,
            channel=outbox.CHANNEL,
        )
    return Bell(
        aggregate=billing.aggregate(account_id),
        kind=billing.KIND,
        workflow_id=ids.billing(account_id),
        args=billing.nudge_args(account_id),
        coalescing=True,
        channel=outbox.CHANNEL,
    )
