"""Bodies of `/staff/accounts/{id}/billing`."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.billing.catalogue import Tier

_ACCOUNT = "019aaf3e-0000-7000-8000-000000000002"


class EntitlementOut(BaseModel):
    """What is stored; until `grace_until` it counts. `fence` is that of the read it follows from."""

    tier: Tier | None
    grace_until: datetime | None
    fence: int | None


class SnapshotOut(BaseModel):
    """What was last read of Stripe."""

    fence: int
    status: str | None
    price_tier: str | None
    subscription_id: str | None
    price_id: str | None
    interval: str | None
    currency: str | None
    period_end: datetime | None
    trial_end: datetime | None
    scheduled_cancel_at: datetime | None
    schedule_id: str | None
    next_price_id: str | None
    pending_update_expires_at: datetime | None
    open_invoice_id: str | None
    payment: str | None
    decline_code: str | None
    first_failed_at: datetime | None
    past_due_since: datetime | None
    alert: str | None
    synced_at: datetime


class EventOut(BaseModel):
    """An event of Stripe's. `attempts`: reads that noted it and did not end."""

    id: str
    format: str
    type: str
    created: datetime
    object_id: str | None
    state: str
    attempts: int
    received_at: datetime
    applied_at: datetime | None


class OperationOut(BaseModel):
    """An intended POST. Its parameters are left out: a link may be among them."""

    op_id: UUID
    kind: str
    idempotency_key: str
    state: str
    stripe_id: str | None
    error: str | None
    first_sent_at: datetime | None
    created_at: datetime


class EntryOut(BaseModel):
    """A movement of money; what goes back is negative."""

    kind: str
    stripe_id: str
    charge_id: str | None
    amount_minor: int
    currency: str
    at: datetime


class StaffChargeOut(BaseModel):
    """A payment that came through."""

    charge_id: str
    payment_intent_id: str
    invoice_id: str | None
    subscription_id: str | None
    amount_minor: int
    currency: str
    is_disputed: bool
    paid_at: datetime


class SumOut(BaseModel):
    """The ledger's sum in one currency."""

    currency: str
    amount_minor: int


class StaffRefundOut(BaseModel):
    """A refund, whoever asked for it."""

    id: UUID
    op_id: UUID
    charge_id: str
    payment_intent_id: str
    amount_minor: int
    currency: str
    state: str
    stripe_refund_id: str | None
    failure: str | None
    origin: str
    cancel_subscription_id: str | None
    created_at: datetime
    updated_at: datetime


class DisputeOut(BaseModel):
    """A payment that its bank took back for now."""

    stripe_dispute_id: str
    charge_id: str
    status: str
    amount_minor: int
    currency: str
    opened_at: datetime


class VisitOut(BaseModel):
    """A wish to subscribe."""

    id: UUID
    lookup_key: str
    currency: str
    checkout_session_id: str | None
    state: str
    created_at: datetime
    expires_at: datetime | None


class AccountBillingOut(BaseModel):
    """An account, the newest of everything first. `why`: one sentence for whoever has to answer its person."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "account_id": _ACCOUNT,
                    "customer_id": "cus_1",
                    "tier": "free",
                    "why": "Read at 2026-11-29 10:00:00 UTC: no subscription, so it is free.",
                    "entitlement": {"tier": "free", "grace_until": None, "fence": 1000},
                    "snapshot": None,
                    "events": [],
                    "operations": [],
                    "ledger": [],
                    "charges": [],
                    "sums": [{"currency": "EUR", "amount_minor": 0}],
                    "refunds": [],
                    "disputes": [],
                    "visits": [],
                    "workflow_id": "{id}",
                }
            ]
        }
    )

    account_id: UUID
    customer_id: str | None
    tier: Tier
    why: str
    entitlement: EntitlementOut
    snapshot: SnapshotOut | None
    events: list[EventOut]
    operations: list[OperationOut]
    ledger: list[EntryOut]
    charges: list[StaffChargeOut]
    sums: list[SumOut]
    refunds: list[StaffRefundOut]
    disputes: list[DisputeOut]
    visits: list[VisitOut]
    workflow_id: str


class ReplayedOut(BaseModel):
    """How many events are to be handled once more, and who does that."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": 3, "workflow_id": "{id}"}]})

    events: int
    workflow_id: str
