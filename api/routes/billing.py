"""/billing: plans, one's subscription, and the pages of Stripe's where one pays."""

from typing import Annotated, Any, Final

from fastapi import Depends, Query, Response

from api import billing, checkout, invoices
from api.auth import CurrentUser, limited
from api.billing_services import AskingStripe, BillingOn
from api.deps import PagingDep, ServicesDep
from api.identity import ClientDep
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.billing import (
    CheckoutIn,
    CheckoutOut,
    InvoicePage,
    PlansOut,
    PortalIn,
    PortalOut,
    SettledOut,
    SubscriptionOut,
)
from models.queries import billing_views

router = make_router("/billing", "billing")
_NOT_NOW: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "description": "`already_subscribed`: change the plan. `payment_due`: pay what is owed, or cancel. "
        "`payment_processing`: the bank is still at it. `other_currency`: a customer's currency does not change. "
        "`not_sold_now`: Stripe does not sell this plan any more; look at the plans again later."
    }
}
SessionId = Annotated[str, Query(pattern="^cs_[A-Za-z0-9_]{1,250}$", description="Of the Checkout page.")]


@router.get("/plans", operation_id="list_plans", response_model=PlansOut, dependencies=[Depends(limited("anonymous"))])
async def list_plans(_: BillingOn, services: ServicesDep) -> Response:
    """The plans, and what they cost in each currency."""
    return computed({"items": billing.present_plans(await billing_views.plans(services.db.reads))})


@router.get("/subscription", operation_id="get_subscription", response_model=SubscriptionOut)
async def get_subscription(caller: CurrentUser, _: BillingOn, services: ServicesDep) -> Response:
    """What you have and what you pay; what is wrong with it, if something is, and what to do. Stripe is not asked."""
    return computed(await billing.present(services, await billing.standing(services.db, caller.user_id)))


@router.post("/checkout", operation_id="start_checkout", response_model=CheckoutOut, responses=_NOT_NOW)
async def start_checkout(
    body: CheckoutIn, caller: CurrentUser, client: ClientDep, payments: AskingStripe, services: ServicesDep
) -> Response:
    """The page on which you subscribe. There is one at a time: whoever asks again, or at once, is answered the same;
    for another plan the former page is closed."""
    return computed(await checkout.start(services, payments, client, caller, body))


@router.get("/return", operation_id="return_from_checkout", response_model=SettledOut)
async def return_from_checkout(
    session_id: SessionId, caller: CurrentUser, _: AskingStripe, services: ServicesDep
) -> Response:
    """Back from the Checkout page: waits a moment for your plan. `processing` is no failure: a bank debit takes days.
    Nothing is granted because you came here. 404 for a page that is none of yours."""
    return computed(await checkout.come_back(services, caller, session_id))


@router.post("/portal", operation_id="open_billing_portal", response_model=PortalOut)
async def open_billing_portal(
    body: PortalIn, caller: CurrentUser, client: ClientDep, payments: AskingStripe, services: ServicesDep
) -> Response:
    """The page on which you manage your cards, your invoices and your subscription."""
    return computed({"url": await checkout.open_portal(services, payments, client, caller, body.next)})


@router.get("/invoices", operation_id="list_invoices", response_model=InvoicePage)
async def list_invoices(
    caller: CurrentUser, payments: AskingStripe, services: ServicesDep, paging: PagingDep
) -> Response:
    """Your invoices, newest first, as Stripe has them; with the payment of each, and what of it can be paid back."""
    page = paging.page(f"invoices:{caller.user_id}")
    part = page.part(await invoices.page(services, payments, caller, page), lambda shown: (shown["id"],))
    return listing(list(part.items), part)
