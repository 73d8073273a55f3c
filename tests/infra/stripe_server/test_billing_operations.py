"""The official client drives every operation about money; what it gets is what the SDK promises."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import stripe

from infra.local.emulators.stripe_server import resources
from infra.local.emulators.stripe_server.operations import Operations
from tests.infra.stripe_server.shapes import problems
from tests.infra.stripe_server.shops import DAY, Shop

Drive = Callable[[Shop], Awaitable[Any]]


async def _subscription(shop: Shop) -> Any:
    expand = ["latest_invoice.payments", "customer", "default_payment_method"]
    return await shop.subscribe(await shop.customer(), expand=expand)


async def _schedule(shop: Shop) -> Any:
    subscription = await _subscription(shop)
    return await shop.v1.subscription_schedules.create_async({"from_subscription": subscription.id})


async def _charge(shop: Shop) -> Any:
    subscription = await _subscription(shop)
    return await shop.charge_of(subscription.latest_invoice.id)


async def _refund(shop: Shop) -> Any:
    return await shop.v1.refunds.create_async({"charge": (await _charge(shop)).id, "amount": 100})


async def _waiting_refund(shop: Shop) -> Any:
    subscription = await shop.subscribe(await shop.customer("pm_card_pendingRefund"))
    charge = await shop.charge_of(subscription.latest_invoice)
    refund = await shop.v1.refunds.create_async({"charge": charge.id, "instructions_email": "ada@example.com"})
    await shop.box.control(f"refunds/{refund.id}", status="requires_action")
    return refund


async def _dispute(shop: Shop) -> Any:
    return await shop.box.control("disputes", charge=(await _charge(shop)).id)


async def _invoice(shop: Shop) -> Any:
    return (await _subscription(shop)).latest_invoice


async def _draft(shop: Shop) -> Any:
    """A renewal's."""
    subscription = await _subscription(shop)
    await shop.box.passes(subscription.items.data[0].current_period_end - shop.account.now())
    return await shop.latest_invoice(subscription.id)


async def _open(shop: Shop) -> Any:
    """An invoice that the bank has refused."""
    subscription = await shop.subscribe(await shop.customer("pm_card_chargeCustomerFail"))
    return await shop.latest_invoice(subscription.id)


async def _note(shop: Shop) -> Any:
    invoice = await _invoice(shop)
    given = {"invoice": invoice.id, "amount": 100, "refund_amount": 100, "reason": "duplicate"}
    return await shop.v1.credit_notes.create_async(given)


async def _session(shop: Shop) -> Any:
    given = {"mode": "subscription", "customer": await shop.customer(None), "success_url": "https://petfolio.test/"}
    given |= {"line_items": [{"price": shop.prices["plus_year"], "quantity": 1}], "expand": ["line_items"]}
    return await shop.v1.checkout.sessions.create_async(given | {"automatic_tax": {"enabled": True}})


async def _configuration(shop: Shop) -> Any:
    features = {"subscription_cancel": {"enabled": True}, "invoice_history": {"enabled": True}}
    return await shop.v1.billing_portal.configurations.create_async({"features": features})


async def _portal(shop: Shop) -> Any:
    subscription = await _subscription(shop)
    await _configuration(shop)
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": subscription.id}}
    given = {"customer": subscription.customer.id, "flow_data": flow, "expand": ["configuration"]}
    return await shop.v1.billing_portal.sessions.create_async(given)


async def _paused(shop: Shop) -> Any:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = await shop.subscribe(await shop.customer(None), trial_period_days=1, trial_settings=settings)
    await shop.box.passes(2 * DAY)
    await shop.replace_method(subscription.customer, "pm_card_visa")
    return subscription


def on(make: Drive, call: Callable[[Any, Any], Awaitable[Any]]) -> Drive:
    """An operation on an object that is there."""

    async def drive(shop: Shop) -> Any:
        return await call(shop.v1, await make(shop))

    return drive


async def _preview(shop: Shop) -> Any:
    subscription = await _subscription(shop)
    item = {"id": subscription.items.data[0].id, "price": shop.prices["family_year"]}
    given = {
        "subscription": subscription.id,
        "subscription_details": {"items": [item]},
        "expand": ["customer", "payments"],
    }
    return await shop.v1.invoices.create_preview_async(given)


async def _phases(v1: Any, schedule: Any) -> Any:
    current = schedule.phases[0]
    items = [{"price": current.items[0].price, "quantity": 1}] if isinstance(current.items, list) else []
    items = items or [{"price": current["items"][0].price, "quantity": 1}]
    phases = [{"items": items, "start_date": current.start_date, "end_date": current.end_date}, {"items": items}]
    return await v1.subscription_schedules.update_async(schedule.id, {"phases": phases})


INVOICE = ["data.customer", "data.parent.subscription_details.subscription", "data.payments"]
DRIVES: dict[str, Drive] = {
    "POST /v1/subscriptions": _subscription,
    "GET /v1/subscriptions": on(
        _subscription, lambda v1, _: v1.subscriptions.list_async({"status": "all", "expand": ["data.latest_invoice"]})
    ),
    "GET /v1/subscriptions/{subscription_exposed_id}": on(
        _subscription, lambda v1, it: v1.subscriptions.retrieve_async(it.id, {"expand": ["items.data.price.product"]})
    ),
    "POST /v1/subscriptions/{subscription_exposed_id}": on(
        _subscription, lambda v1, it: v1.subscriptions.update_async(it.id, {"metadata": {"op_id": "1"}})
    ),
    "DELETE /v1/subscriptions/{subscription_exposed_id}": on(
        _subscription, lambda v1, it: v1.subscriptions.cancel_async(it.id, {"prorate": True})
    ),
    "POST /v1/subscriptions/{subscription}/resume": on(_paused, lambda v1, it: v1.subscriptions.resume_async(it.id)),
    "POST /v1/subscription_schedules": _schedule,
    "GET /v1/subscription_schedules": on(_schedule, lambda v1, _: v1.subscription_schedules.list_async()),
    "GET /v1/subscription_schedules/{schedule}": on(
        _schedule, lambda v1, it: v1.subscription_schedules.retrieve_async(it.id, {"expand": ["phases.items.price"]})
    ),
    "POST /v1/subscription_schedules/{schedule}": on(_schedule, _phases),
    "POST /v1/subscription_schedules/{schedule}/release": on(
        _schedule, lambda v1, it: v1.subscription_schedules.release_async(it.id)
    ),
    "GET /v1/invoices": on(_invoice, lambda v1, _: v1.invoices.list_async({"status": "paid", "expand": INVOICE})),
    "GET /v1/invoices/{invoice}": on(
        _open, lambda v1, it: v1.invoices.retrieve_async(it.id, {"expand": ["confirmation_secret"]})
    ),
    "POST /v1/invoices/{invoice}": on(
        _draft, lambda v1, it: v1.invoices.update_async(it.id, {"auto_advance": False, "description": "Later"})
    ),
    "POST /v1/invoices/create_preview": _preview,
    "POST /v1/invoices/{invoice}/finalize": on(_draft, lambda v1, it: v1.invoices.finalize_invoice_async(it.id)),
    "POST /v1/invoices/{invoice}/pay": on(_draft, lambda v1, it: v1.invoices.pay_async(it.id)),
    "POST /v1/invoices/{invoice}/void": on(_open, lambda v1, it: v1.invoices.void_invoice_async(it.id)),
    "POST /v1/invoices/{invoice}/mark_uncollectible": on(
        _open, lambda v1, it: v1.invoices.mark_uncollectible_async(it.id)
    ),
    "GET /v1/invoice_payments": on(
        _invoice, lambda v1, it: v1.invoice_payments.list_async({"invoice": it.id, "expand": ["data.invoice"]})
    ),
    "GET /v1/invoice_payments/{invoice_payment}": on(
        _invoice, lambda v1, it: v1.invoice_payments.retrieve_async(it.payments.data[0].id)
    ),
    "GET /v1/payment_intents": on(_invoice, lambda v1, it: v1.payment_intents.list_async({"customer": it.customer})),
    "GET /v1/payment_intents/{intent}": on(
        _charge, lambda v1, it: v1.payment_intents.retrieve_async(it.payment_intent, {"expand": ["latest_charge"]})
    ),
    "GET /v1/charges": on(_charge, lambda v1, _: v1.charges.list_async()),
    "GET /v1/charges/{charge}": on(
        _charge, lambda v1, it: v1.charges.retrieve_async(it.id, {"expand": ["balance_transaction", "refunds"]})
    ),
    "POST /v1/refunds": _refund,
    "GET /v1/refunds": on(_refund, lambda v1, it: v1.refunds.list_async({"payment_intent": it.payment_intent})),
    "GET /v1/refunds/{refund}": on(_refund, lambda v1, it: v1.refunds.retrieve_async(it.id, {"expand": ["charge"]})),
    "POST /v1/refunds/{refund}": on(_refund, lambda v1, it: v1.refunds.update_async(it.id, {"metadata": {"a": "b"}})),
    "POST /v1/refunds/{refund}/cancel": on(_waiting_refund, lambda v1, it: v1.refunds.cancel_async(it.id)),
    "GET /v1/disputes": on(_dispute, lambda v1, _: v1.disputes.list_async({"expand": ["data.charge"]})),
    "GET /v1/disputes/{dispute}": on(_dispute, lambda v1, it: v1.disputes.retrieve_async(it["id"])),
    "GET /v1/balance_transactions": on(
        _refund, lambda v1, _: v1.balance_transactions.list_async({"type": "refund", "expand": ["data.source"]})
    ),
    "GET /v1/balance_transactions/{id}": on(
        _charge, lambda v1, it: v1.balance_transactions.retrieve_async(it.balance_transaction)
    ),
    "POST /v1/credit_notes": _note,
    "GET /v1/credit_notes": on(_note, lambda v1, it: v1.credit_notes.list_async({"invoice": it.invoice})),
    "GET /v1/credit_notes/{id}": on(_note, lambda v1, it: v1.credit_notes.retrieve_async(it.id)),
    "POST /v1/checkout/sessions": _session,
    "GET /v1/checkout/sessions": on(_session, lambda v1, _: v1.checkout.sessions.list_async({"status": "open"})),
    "GET /v1/checkout/sessions/{session}": on(
        _session, lambda v1, it: v1.checkout.sessions.retrieve_async(it.id, {"expand": ["customer"]})
    ),
    "POST /v1/checkout/sessions/{session}/expire": on(
        _session, lambda v1, it: v1.checkout.sessions.expire_async(it.id)
    ),
    "POST /v1/billing_portal/configurations": _configuration,
    "GET /v1/billing_portal/configurations": on(
        _configuration, lambda v1, _: v1.billing_portal.configurations.list_async({"is_default": True})
    ),
    "GET /v1/billing_portal/configurations/{configuration}": on(
        _configuration, lambda v1, it: v1.billing_portal.configurations.retrieve_async(it.id)
    ),
    "POST /v1/billing_portal/configurations/{configuration}": on(
        _configuration, lambda v1, it: v1.billing_portal.configurations.update_async(it.id, {"name": "Main"})
    ),
    "POST /v1/billing_portal/sessions": _portal,
}


def test_every_operation_about_money_is_driven() -> None:
    mine = [module for module in resources.MODULES if ".billing." in module.__name__]
    assert {f"{each.route.method} {each.route.path}" for each in Operations(mine)} == set(DRIVES)


@pytest.mark.parametrize("operation", DRIVES)
async def test_an_answer_is_what_the_sdk_promises(operation: str, shop: Shop) -> None:
    found = await DRIVES[operation](shop)
    assert problems(found.to_dict()) == []
    assert found.to_dict().get("object") != "list" or found.data
    last = shop.account.log.entries[-1]
    assert (last.method, last.status) == (operation.split()[0], 200)


@pytest.mark.parametrize(
    ("call", "param"),
    [
        (
            lambda v1: v1.subscriptions.create_async({"customer": "cus_1", "items": [{"quantiy": 1}]}),
            "items[0][quantiy]",
        ),
        (lambda v1: v1.subscriptions.create_async({"items": []}), "customer"),
        (
            lambda v1: v1.subscriptions.update_async("sub_1", {"payment_behavior": "default_incomplet"}),
            "payment_behavior",
        ),
        (lambda v1: v1.refunds.create_async({"charge": "ch_1", "amount": "4.5"}), "amount"),
        (
            lambda v1: v1.subscriptions.create_async({"customer": "c", "items": [{"price": "p"}], "on_behalf_of": "a"}),
            "on_behalf_of",
        ),
        (lambda v1: v1.subscriptions.retrieve_async("sub_1"), "id"),
        (lambda v1: v1.invoices.pay_async("in_1"), "id"),
    ],
)
async def test_what_stripe_refuses_is_refused(call: Callable[[Any], Awaitable[Any]], param: str, shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await call(shop.v1)
    assert caught.value.param == param
