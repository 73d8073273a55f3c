"""Bodies of `/billing`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from api.schemas.health_records import Currency
from api.schemas.oauth import NextPath
from domain.billing.catalogue import Tier
from domain.billing.dunning import Said

PlanName = Annotated[
    str,
    StringConstraints(pattern="^[a-z]{1,20}_[a-z]{1,20}$"),
    Field(description="The `lookup_key` of a price in `GET /billing/plans`, like `plus_month`."),
]
_PRICE: JsonValue = {"amount": 490, "currency": "EUR"}
_HOUSEHOLD = "019aaf3e-0000-7000-8000-000000000003"
_SUBSCRIPTION: dict[str, JsonValue] = {
    "tier": "plus",
    "limits": {"pets": 5, "sms_per_month": 100, "storage_bytes": 10_000_000_000},
    "use": {
        "sms_this_month": 12,
        "households": [{"household_id": _HOUSEHOLD, "tier": "plus", "pets": 3, "limit": 5, "read_only": 0}],
    },
    "status": "active",
    "plan": "plus_month",
    "interval": "month",
    "price": _PRICE,
    "currency": "EUR",
    "period_end": "2026-12-29T10:00:00Z",
    "trial_end": None,
    "scheduled_cancel_at": None,
    "next_plan": None,
    "pending_change_until": None,
    "problem": None,
    "synced_at": "2026-11-29T10:00:00Z",
    "workflow": "/api/v1/workflows/{id}",
}


class In(BaseModel):
    """A body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AmountOut(BaseModel):
    """Minor units of an ISO 4217 currency; negative where it is a credit."""

    amount: int
    currency: str


class LimitsOut(BaseModel):
    """What a plan holds: living pets of a household, segments of text messages a month, bytes of media."""

    pets: int
    sms_per_month: int
    storage_bytes: int


class PriceOut(BaseModel):
    """What a plan costs in one currency."""

    lookup_key: str
    interval: str
    amount: AmountOut


class PlanOut(BaseModel):
    """A plan, and all that it is sold for; the free one has no price."""

    tier: Tier
    limits: LimitsOut
    prices: list[PriceOut]


class PlansOut(BaseModel):
    """The plans, the smallest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "tier": "plus",
                            "limits": {"pets": 5, "sms_per_month": 100, "storage_bytes": 10_000_000_000},
                            "prices": [{"lookup_key": "plus_month", "interval": "month", "amount": _PRICE}],
                        }
                    ]
                }
            ]
        }
    )

    items: list[PlanOut]


class CheckoutIn(In):
    """Which plan, in which currency: it stays that of all that is paid later. `next`: the place in the app to come back
    to, one of those that are allowed; default: a page of ours."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan": "plus_month", "currency": "EUR"}]})

    plan: PlanName
    currency: Currency
    next: NextPath | None = None


class CheckoutOut(BaseModel):
    """The page to pay on. There is one per account: asking again answers the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://checkout.stripe.com/c/pay/cs_1", "expires_at": "2026-11-30T10:00:00Z"}]
        }
    )

    url: str
    expires_at: datetime


class PortalIn(In):
    """`next` as with Checkout."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})

    next: NextPath | None = None


class PortalOut(BaseModel):
    """The page on which one's cards, invoices and subscription are managed. It is good for minutes, and once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"url": "https://billing.stripe.com/p/session/bps_1"}]})

    url: str


class HomeUse(BaseModel):
    """A household that the account owns. `tier` is the highest of its owners' plans; `read_only` pets are beyond it."""

    household_id: UUID
    tier: Tier
    pets: int
    limit: int
    read_only: int


class UseOut(BaseModel):
    """What of the limits is used."""

    sms_this_month: int
    households: list[HomeUse]


class NextPlanOut(BaseModel):
    """What the subscription becomes when its period ends."""

    plan: str | None
    tier: Tier | None
    begins_at: datetime | None


class ProblemOut(BaseModel):
    """A payment that failed. `todo`: `wait_or_pay` (it is tried again), `confirm` (the bank wants to hear it from you),
    `replace_card` (it is not tried again). `pay_url` leads to the invoice. Without a payment the plan ends."""

    since: datetime
    todo: Said
    pay_url: str | None
    plan_ends_at: datetime | None


class SubscriptionOut(BaseModel):
    """What the account has and what it pays, as it was last read of Stripe (`synced_at`; null: never). `status` is
    Stripe's word; null: there is no subscription."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUBSCRIPTION]})

    tier: Tier
    limits: LimitsOut
    use: UseOut
    status: str | None
    plan: str | None
    interval: str | None
    price: AmountOut | None
    currency: str | None
    period_end: datetime | None
    trial_end: datetime | None
    scheduled_cancel_at: datetime | None
    next_plan: NextPlanOut | None
    pending_change_until: datetime | None = Field(
        description="A change of plan waits for its payment until then; the plan stays as it was meanwhile."
    )
    problem: ProblemOut | None
    synced_at: datetime | None
    workflow: str


class SettledOut(BaseModel):
    """`done`: the subscription below has the change. `processing`: it was made, or is paid for, and will be seen."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "done", "subscription": _SUBSCRIPTION}]})

    state: Literal["done", "processing"]
    subscription: SubscriptionOut


class ChargeOut(BaseModel):
    """The payment of an invoice. `refundable`: what of it can still be paid back."""

    charge_id: str
    refundable: AmountOut
    disputed: bool


class InvoiceOut(BaseModel):
    """An invoice of Stripe's; `url` shows it, and takes the payment of one that is open."""

    id: str
    number: str | None
    status: str | None
    total: AmountOut
    amount_due: AmountOut
    tax: AmountOut
    created_at: datetime
    url: str | None
    payment: ChargeOut | None


class InvoicePage(BaseModel):
    """One page, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": "in_1",
                            "number": "PF-0001",
                            "status": "paid",
                            "total": _PRICE,
                            "amount_due": _PRICE,
                            "tax": {"amount": 78, "currency": "EUR"},
                            "created_at": "2026-11-29T10:00:00Z",
                            "url": "https://invoice.stripe.com/i/in_1",
                            "payment": {"charge_id": "ch_1", "refundable": _PRICE, "disputed": False},
                        }
                    ],
                    "next_cursor": None,
                }
            ]
        }
    )

    items: list[InvoiceOut]
    next_cursor: str | None
