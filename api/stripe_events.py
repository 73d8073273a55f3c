"""What Stripe's webhook says: checked, written down with one bell for its account, answered (billing.md §4.1).

Nothing of a payload is ever applied. It says who may have changed; what is true is read from Stripe by the account's
workflow, which finds what it has to handle in `stripe_events`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from prometheus_client import Counter

from api.mail_feedback import REFUSED
from core.db import AWAY, Database
from core.logging import logger
from domain.billing import events
from domain.billing.events import BillingEvent
from integrations.payments.signature import BodyTooLarge, SignatureRejected, verify
from models.billing import EventState
from models.queries import stripe_inbox
from models.queries.stripe_inbox import SOMEBODY, Bell, Ring
from temporal import ids, outbox
from temporal.contracts import billing, billing_resolve

log = logger(__name__)

EVENTS: Final = Counter(
    "petfolio_stripe_events",
    "Events of Stripe's webhook by what became of them: received, orphan, ignored, or duplicate (handled before).",
    ["result"],
)


def _json(args: Mapping[str, object]) -> str:
    return orjson.dumps(args).decode()


async def receive(db: Database, secrets: Sequence[str], *, livemode: bool, raw: bytes, header: str | None) -> None:
    """Keep one event. Raises `SignatureRejected` and `BodyTooLarge` for what is not Stripe's, and what the database
    raises: Stripe tries again."""
    try:
        event = verify(raw, header, secrets, time.time())
    except (SignatureRejected, BodyTooLarge) as rejected:
        REFUSED.labels("stripe", rejected.code).inc()
        raise
    try:
        await _keep(db, event, livemode=livemode)
    except AWAY:
        if events.name_of(event.type) != events.NEVER_HELD_UP:
            raise
        log.warning("stripe_event_not_kept", type=event.type)


async def _keep(db: Database, event: BillingEvent, *, livemode: bool) -> None:
    known = unknown = EventState.IGNORED
    if event.livemode == livemode and events.is_handled(event.type):
        known, unknown = EventState.RECEIVED, _nobody_s(event)
    ring = Ring(channel=outbox.CHANNEL, account=_NUDGE, search=_search(event.id))
    kept = await stripe_inbox.keep(db.reads, event, known=known, unknown=unknown, ring=ring)
    EVENTS.labels(kept or "duplicate").inc()
    if kept is EventState.ORPHAN:
        log.warning("stripe_event_of_nobody", event_id=event.id, type=event.type)


def _nobody_s(event: BillingEvent) -> EventState:
    """An event that names a customer who is none of ours is nobody's; one that names none is to be asked about."""
    is_orphan = event.customer_id is not None or event.object_id is None
    return EventState.ORPHAN if is_orphan else EventState.RECEIVED


_NUDGE: Final = Bell(
    aggregate=billing.aggregate(SOMEBODY),
    kind=billing.KIND,
    workflow_id=ids.billing(SOMEBODY),
    args=_json(billing.nudge_args(SOMEBODY)),
)


def _search(event_id: str) -> Bell:
    return Bell(
        aggregate=billing_resolve.aggregate(event_id),
        kind=billing_resolve.KIND,
        workflow_id=ids.billing_resolve(event_id),
        args=_json({"event_id": event_id}),
    )
