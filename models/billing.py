"""Subscription billing: what we last read of each account at Stripe, what it is entitled to, and every movement of
money. Stripe owns all of it but the entitlements (billing.md §3.1); links that pay are sealed under the account's key.

An account is the person who pays: `account_id` is a user's.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Index, func, text
from sqlmodel import Field, SQLModel

from core.ids import new_id
from domain.billing.refund import RefundState as RefundState
from models.base import Identified, Versioned, document, timestamptz, words


def minor_units() -> int:
    """A column of money, beside one of its currency (`domain.money`)."""
    return Field(sa_type=BigInteger)  # type: ignore[no-any-return, unused-ignore]


class EventState(StrEnum):
    """Of a message of Stripe's. `received`: not handled yet, so one that comes again rings again (I4)."""

    RECEIVED = "received"
    APPLIED = "applied"
    ORPHAN = "orphan"
    """About a customer who is none of ours."""
    IGNORED = "ignored"


class OperationState(StrEnum):
    """Of a POST to Stripe. `ambiguous`: it may have been done, and the key that would tell is too old."""

    NEW = "new"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"


class IntentState(StrEnum):
    """Of a visit to the Checkout page. `superseded`: the account subscribed in another one."""

    CREATING = "creating"
    OPEN = "open"
    COMPLETED = "completed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class RefundOrigin(StrEnum):
    """Who wanted it: the person, an operator in Stripe's dashboard, or we, who had charged twice."""

    APP = "app"
    DASHBOARD = "dashboard"
    DUPLICATE = "duplicate"


class EntryKind(StrEnum):
    """Movements of money, each once. What goes back is negative; what came back of that is positive again."""

    CHARGE = "charge"
    REFUND = "refund"
    REFUND_FAILURE = "refund_failure"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"
    PAYMENT_FAILURE = "payment_failure"
    """A bank debit that its bank refused, after the balance had had it."""


class BillingCustomer(SQLModel, table=True):
    """An account's customer at Stripe: the only way from an event to an account. A customer who was deleted there gets
    a successor with the next `generation`, whose idempotency key is another."""

    __tablename__ = "billing_customers"

    account_id: UUID = Field(foreign_key="users.id", primary_key=True)
    stripe_customer_id: str = words(unique=True)
    generation: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    currency: str | None = words(default=None)
    """Fixed by the first subscription or invoice; another one takes another customer."""
    livemode: bool = Field(default=False)
    recount: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The next read goes through all invoices, not only the latest: money is missing in the ledger."""
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class StripeEvent(SQLModel, table=True):
    """A message of Stripe's, for routing: what it said is not kept and never applied. Pruned after 30 days."""

    __tablename__ = "stripe_events"

    id: str = words(primary_key=True)
    format: str = words()
    """`snapshot` or `thin`."""
    type: str = words()
    created: datetime = timestamptz()
    """Of one second's resolution: no order follows from it."""
    api_version: str | None = words(default=None)
    livemode: bool
    object_id: str | None = words(default=None)
    customer_id: str | None = words(default=None)
    account_id: UUID | None = Field(default=None, foreign_key="users.id")
    state: EventState = words(
        default=EventState.RECEIVED, sa_column_kwargs={"server_default": EventState.RECEIVED.value}
    )
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """Reads of the account that noted it and did not end."""
    received_at: datetime = timestamptz(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    applied_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_stripe_events_account", "account_id", text("received_at DESC")),
        Index("ix_stripe_events_open", "account_id", "received_at", postgresql_where=text("state = 'received'")),
        Index("ix_stripe_events_received_at", "received_at"),
    )


class BillingSnapshot(SQLModel, table=True):
    """What was last read of an account: the subscription that counts, and the invoice that it owes. An older read never
    overwrites a newer one: `fence` rises with every read (I3)."""

    __tablename__ = "billing_snapshots"

    account_id: UUID = Field(foreign_key="users.id", primary_key=True)
    fence: int = Field(sa_type=BigInteger)
    status: str | None = words(default=None)
    """Stripe's word; None: there is no subscription."""
    tier: str | None = words(default=None)
    """Of the price; None: nobody knows this price, or there is none."""
    subscription_id: str | None = words(default=None)
    item_id: str | None = words(default=None)
    price_id: str | None = words(default=None)
    interval: str | None = words(default=None)
    currency: str | None = words(default=None)
    period_end: datetime | None = timestamptz(default=None)
    trial_end: datetime | None = timestamptz(default=None)
    scheduled_cancel_at: datetime | None = timestamptz(default=None)
    schedule_id: str | None = words(default=None)
    """A change of plan at the end of the period, to `next_price_id`."""
    next_price_id: str | None = words(default=None)
    pending_update_expires_at: datetime | None = timestamptz(default=None)
    open_invoice_id: str | None = words(default=None)
    """The invoice that is owed."""
    payment: str | None = words(default=None)
    """How its payment stands (`domain.billing.dunning.PaymentState`)."""
    decline_code: str | None = words(default=None)
    is_retried: bool | None = Field(default=None)
    """Whether Stripe has planned another attempt."""
    first_failed_at: datetime | None = timestamptz(default=None)
    """The first read that saw this invoice with a failed attempt. It is never moved."""
    past_due_since: datetime | None = timestamptz(default=None)
    """The same of the first invoice since the subscription was last in good standing: the grace begins here."""
    pay_link_ct: str | None = words(default=None)
    default_pm_id: str | None = words(default=None)
    """The customer's default method when that payment failed: another one was chosen since."""
    alert: str | None = words(default=None)
    """What of it we did not understand (`domain.billing.standing.Alert`): the tier stayed as it was."""
    synced_at: datetime = timestamptz()
    look_at: datetime | None = timestamptz(default=None)
    """When something is due that nobody may tell us of. The workflow sleeps until then; where there is none (Temporal
    lost its database), a sweep rings."""
    confirmed_at: datetime | None = timestamptz(default=None)
    """When the daily comparison last met this subscription at Stripe."""

    __table_args__ = (
        Index("ix_billing_snapshots_subscription_id", "subscription_id"),
        Index("ix_billing_snapshots_look_at", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    )


class Entitlement(SQLModel, table=True):
    """What an account has. Readers compare `grace_until` with their clock; what exceeds a tier is read-only, always."""

    __tablename__ = "entitlements"

    account_id: UUID = Field(foreign_key="users.id", primary_key=True)
    fence: int = Field(sa_type=BigInteger)
    tier: str = words()
    grace_until: datetime | None = timestamptz(default=None)


class BillingOperation(SQLModel, table=True):
    """One intended POST to Stripe, committed before the call. Its parameters are sent byte for byte under its key."""

    __tablename__ = "billing_operations"

    op_id: UUID = Field(default_factory=new_id, primary_key=True)
    account_id: UUID = Field(foreign_key="users.id", index=True)
    kind: str = words()
    params: dict[str, object] = document(default_factory=dict)
    idempotency_key: str = words(unique=True)
    state: OperationState = words(default=OperationState.NEW)
    stripe_id: str | None = words(default=None)
    error: str | None = words(default=None)
    """The code of the refusal."""
    first_sent_at: datetime | None = timestamptz(default=None)
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)

    __table_args__ = (
        Index("ix_billing_operations_open", "created_at", postgresql_where=text("state IN ('new', 'sent')")),
        Index("ix_billing_operations_passing", "created_at", postgresql_where=text("kind IN ('portal', 'preview')")),
    )


class CheckoutIntent(Versioned, table=True):
    """A wish to subscribe: one that is open per account, so that two clicks meet on the same page."""

    __tablename__ = "checkout_intents"

    account_id: UUID = Field(foreign_key="users.id")
    lookup_key: str = words()
    currency: str = words()
    checkout_session_id: str | None = words(default=None, unique=True)
    url_ct: str | None = words(default=None)
    state: IntentState = words(default=IntentState.CREATING)
    expires_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_checkout_intents_open",
            "account_id",
            unique=True,
            postgresql_where=text("state IN ('creating', 'open')"),
        ),
        Index("ix_checkout_intents_account", "account_id", text("id DESC")),
    )


class BillingCharge(SQLModel, table=True):
    """A payment that came through: what refunds are taken from, under the lock of this row."""

    __tablename__ = "billing_charges"

    charge_id: str = words(primary_key=True)
    account_id: UUID = Field(foreign_key="users.id")
    payment_intent_id: str = words(unique=True)
    invoice_id: str | None = words(default=None)
    subscription_id: str | None = words(default=None)
    amount_minor: int = minor_units()
    currency: str = words()
    is_disputed: bool = Field(default=False)
    paid_at: datetime = timestamptz()

    __table_args__ = (
        Index("ix_billing_charges_account", "account_id", text("paid_at DESC")),
        Index("ix_billing_charges_invoice_id", "invoice_id"),
    )


class Refund(Versioned, table=True):
    """Money on its way back. Its reservation is committed before Stripe is asked (I7)."""

    __tablename__ = "refunds"

    op_id: UUID = Field(unique=True)
    account_id: UUID = Field(foreign_key="users.id")
    charge_id: str = words(foreign_key="billing_charges.charge_id", index=True)
    payment_intent_id: str = words()
    amount_minor: int = minor_units()
    currency: str = words()
    state: RefundState = words(default=RefundState.RESERVED)
    stripe_refund_id: str | None = words(default=None, unique=True)
    origin: RefundOrigin = words(default=RefundOrigin.APP)
    cancel_subscription_id: str | None = words(default=None)
    """Cancelled first, so that no renewal slips in between."""
    failure: str | None = words(default=None)
    """Why it was not paid back: a code."""

    __table_args__ = (
        Index("ix_refunds_account", "account_id", text("id DESC")),
        Index("ix_refunds_reserved", "updated_at", postgresql_where=text("state = 'reserved'")),
    )


class Dispute(SQLModel, table=True):
    """A payment that its bank took back for now. It decides about the money of its charge."""

    __tablename__ = "disputes"

    stripe_dispute_id: str = words(primary_key=True)
    account_id: UUID = Field(foreign_key="users.id", index=True)
    charge_id: str = words(index=True)
    status: str = words()
    amount_minor: int = minor_units()
    currency: str = words()
    opened_at: datetime = timestamptz()


class LedgerEntry(SQLModel, table=True):
    """A movement of money, as Stripe's balance has it: the sums per currency are the same."""

    __tablename__ = "ledger_entries"

    kind: EntryKind = words(primary_key=True)
    stripe_id: str = words(primary_key=True)
    account_id: UUID = Field(foreign_key="users.id")
    charge_id: str | None = words(default=None)
    amount_minor: int = minor_units()
    currency: str = words()
    at: datetime = timestamptz()

    __table_args__ = (Index("ix_ledger_entries_account", "account_id", text("at DESC")),)


class BillingPrice(SQLModel, table=True):
    """What a plan costs in one currency, as Stripe says it: read for `GET /billing/plans` only, never to charge."""

    __tablename__ = "billing_prices"

    price_id: str = words(primary_key=True)
    currency: str = words(primary_key=True)
    lookup_key: str | None = words(default=None)
    tier: str = words()
    interval: str = words()
    amount_minor: int = minor_units()
    active: bool
    synced_at: datetime = timestamptz()


class BillingDrift(Identified, table=True):
    """Where we and Stripe said different things of the same account, found by a comparison and repaired since."""

    __tablename__ = "billing_drift"

    account_id: UUID | None = Field(default=None, foreign_key="users.id", index=True)
    what: str = words()
    """A field, or the kind of object that one side did not know."""
    object_id: str | None = words(default=None)
    ours: str | None = words(default=None)
    theirs: str | None = words(default=None)


class BillingWatermark(SQLModel, table=True):
    """How far a job has read Stripe."""

    __tablename__ = "billing_watermarks"

    name: str = words(primary_key=True)
    at: datetime = timestamptz()
