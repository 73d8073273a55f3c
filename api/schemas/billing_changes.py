"""Bodies of `/billing` that change a plan or give money back."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from api.schemas.billing import AmountOut, In, PlanName
from api.schemas.health_records import Currency

_PRICE: JsonValue = {"amount": 490, "currency": "EUR"}
_REFUND = "019aaf3e-0000-7000-8000-0000000000c0"


class PreviewIn(In):
    """The plan to change to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan": "family_month"}]})

    plan: PlanName


class PreviewLineOut(BaseModel):
    """A line of the invoice: what is credited and what is charged."""

    description: str | None
    amount: AmountOut


class PreviewOut(BaseModel):
    """What the change would do. `upgrade`: now, for `amount_due` now; send the `quote` along within half an hour, and
    the invoice is this one to the cent. `downgrade`: at `at`, when the period that is paid ends. `undo`: it was to
    change, and does not."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "upgrade",
                    "plan": "family_month",
                    "at": None,
                    "total": {"amount": 333, "currency": "EUR"},
                    "amount_due": {"amount": 333, "currency": "EUR"},
                    "tax": {"amount": 0, "currency": "EUR"},
                    "lines": [
                        {"description": "Unused time on Plus", "amount": {"amount": -327, "currency": "EUR"}},
                        {"description": "Remaining time on Family", "amount": {"amount": 660, "currency": "EUR"}},
                    ],
                    "quote": "b3BhcXVl",
                }
            ]
        }
    )

    kind: Literal["upgrade", "downgrade", "undo"]
    plan: str
    at: datetime | None
    total: AmountOut | None
    amount_due: AmountOut | None
    tax: AmountOut | None
    lines: list[PreviewLineOut]
    quote: str | None


class ChangeIn(In):
    """The plan to change to; that which it is takes a planned change back. `quote`: of the preview."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan": "family_month", "quote": "b3BhcXVl"}]})

    plan: PlanName
    quote: Annotated[str, StringConstraints(max_length=512)] | None = None


class RefundAmount(In):
    """A part of the payment, in its currency."""

    amount: int = Field(gt=0, le=10**15)
    currency: Currency


class RefundIn(In):
    """Which payment, and how much of it; default: the last one, all that is left. `cancel`: end the subscription that
    it was for, before it is paid back; it also ends when nothing of the payment is left."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"charge_id": "ch_1", "amount": _PRICE, "cancel": True}]})

    charge_id: Annotated[str, StringConstraints(pattern="^[a-z]{2,4}_[A-Za-z0-9_]{1,250}$")] | None = None
    amount: RefundAmount | None = None
    cancel: bool = False


class RefundOut(BaseModel):
    """Money on its way back. `reserved` until Stripe was asked; then Stripe's words. `cancels`: the subscription that
    it was paid for ends first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _REFUND,
                    "charge_id": "ch_1",
                    "amount": _PRICE,
                    "state": "reserved",
                    "failure": None,
                    "origin": "app",
                    "cancels": False,
                    "workflow": "/api/v1/workflows/{id}",
                    "created_at": "2026-11-29T10:00:00Z",
                    "updated_at": "2026-11-29T10:00:00Z",
                }
            ]
        }
    )

    id: UUID
    charge_id: str
    amount: AmountOut
    state: str
    failure: str | None
    origin: str
    cancels: bool
    workflow: str
    created_at: datetime
    updated_at: datetime


class RefundPage(BaseModel):
    """One page, newest first."""

    items: list[RefundOut]
    next_cursor: str | None
