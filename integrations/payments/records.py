"""What we read at Stripe, reduced to what anything here depends on. Instants are aware; money is `Money`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from domain.money import Money

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Price:
    """What is sold. `options` are its amounts by currency; empty where they were not asked for."""

    id: str
    lookup_key: str | None
    metadata: Mapping[str, str]
    interval: str
    amount: Money | None
    is_active: bool = True
    product_metadata: Mapping[str, str] = field(default_factory=dict)
    options: tuple[Money, ...] = ()


@dataclass(frozen=True, slots=True)
class InvoicePayment:
    """One attempt's home: `status` is `open`, `paid` or `canceled`."""

    status: str
    payment_intent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """`payments` None: they were not asked for."""

    id: str
    customer_id: str | None
    number: str | None
    status: str | None
    subscription_id: str | None
    total: Money
    amount_due: Money
    tax: Money
    attempt_count: int
    is_retried: bool
    hosted_url: str | None = field(repr=False)
    paid_at: datetime | None
    created: datetime
    payments: tuple[InvoicePayment, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """`period_end` is the earliest of its items'; `cancel_at` whichever way it was scheduled. `now`: what time it is
    for a customer who is on a test clock, where that was asked for; None in live mode, where there are none.
    `account_id` is what its metadata say: whom it was made for, and no proof of it."""

    id: str
    customer_id: str
    account_id: str | None
    status: str
    created: datetime
    currency: str
    item_id: str | None
    price: Price | None
    period_end: datetime | None
    trial_end: datetime | None
    cancel_at: datetime | None
    pending_expires_at: datetime | None
    schedule_id: str | None
    default_payment_method_id: str | None
    latest_invoice: Invoice | None
    latest_invoice_id: str | None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, newest first. `after`: where the rest begins; None: this is the end."""

    items: tuple[T, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A payment, or an attempt to get one. `is_booked`, `is_taken_back`: Stripe's balance has moved. It has that of a
    bank debit from when that is sent to the bank, and gives it back where the bank refuses: such a one is not paid."""

    id: str
    payment_intent_id: str | None
    amount: Money
    captured: Money
    is_paid: bool
    is_booked: bool
    is_disputed: bool
    is_taken_back: bool
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A PaymentIntent, without its client secret. `failed_method_id`: the payment method that was refused last."""

    id: str
    status: str
    decline_code: str | None
    failed_method_id: str | None
    charge: Charge | None
    charge_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """`op_id` is our operation's, where it was ours. `is_booked`, `is_booked_back`: Stripe's balance has moved."""

    id: str
    charge_id: str | None
    payment_intent_id: str | None
    amount: Money
    status: str
    failure: str | None
    op_id: str | None
    is_booked: bool
    is_booked_back: bool
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """`withdrawn` and `reinstated`: what the balance says of it so far."""

    id: str
    charge_id: str
    status: str
    amount: Money
    withdrawn: Money
    reinstated: Money
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A line of Stripe's balance, before its fees. `is_converted`: it was paid in another currency."""

    id: str
    type: str
    source_id: str | None
    amount: Money
    is_converted: bool
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """That something happened, to which object. What the object looked like then is not read."""

    id: str
    type: str
    created: datetime
    api_version: str | None
    is_live: bool
    object_id: str | None
    customer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """`is_deleted`: it cannot be used any more, for ever."""

    id: str
    is_deleted: bool
    currency: str | None
    default_payment_method_id: str | None


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A card, an account, a wallet; nothing of its number."""

    id: str
    type: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSession:
    """`url` is the page; whoever has it can pay."""

    id: str
    status: str | None
    customer_id: str | None
    subscription_id: str | None
    url: str | None = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One line of an invoice to come, and when what it is for begins."""

    description: str | None
    amount: Money
    is_proration: bool
    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An invoice as it would be; it exists nowhere."""

    total: Money
    amount_due: Money
    tax: Money
    lines: tuple[PreviewLine, ...]

    @property
    def prorated_at(self) -> datetime | None:
        """The moment of the change: what is left of the old price is credited from there. None: nothing is prorated."""
        return max((line.start for line in self.lines if line.is_proration), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of a schedule."""

    start: int
    end: int | None
    price_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A change that Stripe makes at the end of a period. `phases`: also those that are over; `current_start`: when the
    one began that is not."""

    id: str
    status: str
    subscription_id: str | None
    phases: tuple[Phase, ...]
    current_start: int | None

    @property
    def current(self) -> Phase | None:
        """The phase that the subscription is in; None: the schedule has not begun, or is over."""
        return next((phase for phase in self.phases if phase.start == self.current_start), None)
