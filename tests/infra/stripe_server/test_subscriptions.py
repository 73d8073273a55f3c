"""The life of a subscription, as the official client sees it."""

from typing import Any

import pytest
import stripe

from tests.infra.stripe_server.shops import DAY, HOUR, Shop

THREE_D_SECURE = "pm_card_threeDSecureRequired"
FAILS_LATER = "pm_card_chargeCustomerFail"


async def test_a_card_that_pays_makes_an_active_subscription_with_a_paid_invoice(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer())
    invoice = await shop.latest_invoice(subscription.id)
    assert subscription.status == "active"
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 499, "subscription_create")
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.payments.data[0].status == "paid"


async def test_the_subscription_is_created_incomplete_and_updated_to_active(shop: Shop) -> None:
    await shop.subscribe(await shop.customer())
    events = reversed(
        shop.account.objects.find("event", lambda each: each["data"]["object"]["object"] == "subscription")
    )
    told = [
        (each["type"], each["data"]["object"]["status"], each["data"].get("previous_attributes")) for each in events
    ]
    assert told == [
        ("customer.subscription.created", "incomplete", None),
        ("customer.subscription.updated", "active", {"status": "incomplete"}),
    ]


async def test_no_removed_field_is_shown(shop: Shop) -> None:
    subscription = (await shop.subscribe(await shop.customer())).to_dict()
    invoice = (await shop.latest_invoice(subscription["id"])).to_dict()
    intent = shop.account.objects.find("payment_intent")[0]
    assert not {"current_period_end", "current_period_start", "plan", "quantity", "discount"} & subscription.keys()
    assert not {"subscription", "payment_intent", "charge", "paid", "tax"} & invoice.keys()
    assert "invoice" not in intent
    assert subscription["billing_mode"]["type"] == "flexible"


async def test_payments_of_an_invoice_are_shown_on_demand_alone(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer())
    bare = await shop.v1.invoices.retrieve_async(subscription.latest_invoice)
    assert "payments" not in bare


async def test_without_a_method_nothing_is_subscribed(shop: Shop) -> None:
    customer = await shop.customer(None)
    with pytest.raises(stripe.InvalidRequestError, match="default payment method"):
        await shop.subscribe(customer)
    assert shop.account.objects.find("subscription") == []


async def test_a_declined_card_leaves_it_incomplete_and_expires_after_23_hours(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(FAILS_LATER))
    assert subscription.status == "incomplete"
    await shop.box.passes(23 * HOUR - 1)
    assert (await shop.subscription(subscription.id)).status == "incomplete"
    await shop.box.passes(1)
    assert (await shop.subscription(subscription.id)).status == "incomplete_expired"
    assert (await shop.latest_invoice(subscription.id)).status == "void"
    assert shop.account.ledger.movements == []


async def test_an_incomplete_one_is_active_once_its_invoice_is_paid(shop: Shop) -> None:
    customer = await shop.customer(FAILS_LATER)
    subscription = await shop.subscribe(customer)
    good = await shop.replace_method(customer, "pm_card_visa")
    paid = await shop.v1.invoices.pay_async(subscription.latest_invoice, {"payment_method": good})
    assert paid.status == "paid"
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_a_decline_that_must_not_leave_anything_leaves_nothing(shop: Shop) -> None:
    customer = await shop.customer(FAILS_LATER)
    with pytest.raises(stripe.CardError) as caught:
        await shop.subscribe(customer, payment_behavior="error_if_incomplete")
    assert (caught.value.code, caught.value.error.decline_code) == ("card_declined", "generic_decline")
    assert shop.account.objects.find("subscription") == []


async def test_authentication_makes_it_active_and_without_it_the_payment_fails(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(THREE_D_SECURE))
    intent = shop.account.objects.find("payment_intent")[0]
    assert (subscription.status, intent["status"]) == ("incomplete", "requires_action")
    assert "invoice.payment_action_required" in shop.types()
    await shop.box.control(f"authenticate/{intent['id']}", passed=False)
    assert intent["status"] == "requires_payment_method"
    with pytest.raises(stripe.CardError) as caught:
        await shop.v1.invoices.pay_async(subscription.latest_invoice)
    assert caught.value.code == "invoice_payment_intent_requires_action"
    await shop.box.control(f"authenticate/{intent['id']}", passed=True)
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_the_banks_page_asks_and_its_answer_pays(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(THREE_D_SECURE))
    intent = shop.account.objects.find("payment_intent")[0]
    page = await shop.box.http.get(intent["next_action"]["redirect_to_url"]["url"])
    assert "Yes, it is me" in page.text
    await shop.box.http.post(f"/authenticate/{intent['id']}", data={"decision": "authenticate"})
    assert (await shop.subscription(subscription.id)).status == "active"


async def debited(shop: Shop, iban: str = "DE89370400440532013000") -> Any:
    """A subscription that is paid with a bank debit, on its way."""
    customer = await shop.customer(None)
    given = {"type": "sepa_debit", "sepa_debit": {"iban": iban}, "billing_details": {"email": "a@b.c", "name": "A"}}
    method = await shop.v1.payment_methods.create_async(given)
    await shop.v1.payment_methods.attach_async(method.id, {"customer": customer})
    return await shop.subscribe(customer, default_payment_method=method.id)


async def test_a_debit_on_its_way_is_neither_asked_for_twice_nor_voided(shop: Shop) -> None:
    subscription = await debited(shop)
    for refused in (
        shop.v1.invoices.pay_async(subscription.latest_invoice),
        shop.v1.invoices.void_invoice_async(subscription.latest_invoice),
    ):
        with pytest.raises(stripe.InvalidRequestError, match="processing"):
            await refused
    url = (await shop.latest_invoice(subscription.id)).hosted_invoice_url
    assert (await shop.box.http.post(url, data={"number": "4242424242424242"})).status_code == 400
    await shop.v1.subscriptions.cancel_async(subscription.id)
    await shop.box.passes(5 * DAY)
    assert (await shop.latest_invoice(subscription.id)).status == "paid"
    assert (await shop.subscription(subscription.id)).status == "incomplete_expired"
    assert len(shop.account.objects.find("charge")) == 1


async def test_a_debit_on_its_way_ends_even_when_its_customer_is_gone(shop: Shop) -> None:
    subscription = await debited(shop)
    await shop.v1.customers.delete_async(subscription.customer)
    await shop.box.passes(5 * DAY)
    assert (await shop.latest_invoice(subscription.id)).status == "paid"
    assert shop.account.ledger.balance("eur") > 0


@pytest.mark.parametrize(
    ("iban", "status", "event"),
    [
        ("DE89370400440532013000", "active", "invoice.paid"),
        ("DE62370400440532013001", "incomplete", "invoice.payment_failed"),
    ],
)
async def test_a_bank_debit_is_known_days_later(shop: Shop, iban: str, status: str, event: str) -> None:
    subscription = await debited(shop, iban)
    assert (subscription.status, event in shop.types()) == ("incomplete", False)
    await shop.box.passes(4 * DAY)
    assert (await shop.subscription(subscription.id)).status == "incomplete"
    await shop.box.passes(DAY + 1)
    assert event in shop.types()
    assert (await shop.subscription(subscription.id)).status == status
    await shop.box.passes(2 * DAY)
    after = (await shop.subscription(subscription.id)).status
    assert after == ("active" if status == "active" else "incomplete_expired")


async def test_a_customer_keeps_the_currency_of_their_first_subscription(shop: Shop) -> None:
    customer = await shop.customer()
    await shop.subscribe(customer, currency="usd")
    assert (await shop.v1.customers.retrieve_async(customer)).currency == "usd"
    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies on a single customer"):
        await shop.subscribe(customer, "family_month", currency="eur")


async def test_a_currency_that_a_price_does_not_have_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="only supports"):
        await shop.subscribe(await shop.customer(), currency="sek")


async def test_an_end_at_the_periods_end_is_a_cancel_at_and_can_be_taken_back(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer())
    period_end = subscription.items.data[0].current_period_end
    ending = await shop.v1.subscriptions.update_async(subscription.id, {"cancel_at": "min_period_end"})
    assert (ending.cancel_at, ending.cancel_at_period_end, ending.status) == (period_end, False, "active")
    again = {"cancel_at": "", "cancel_at_period_end": False}
    resumed = await shop.v1.subscriptions.update_async(subscription.id, again)
    assert (resumed.cancel_at, resumed.canceled_at) == (None, None)
    await shop.v1.subscriptions.update_async(subscription.id, {"cancel_at_period_end": True})
    await shop.box.passes(32 * DAY)
    ended = await shop.subscription(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", period_end)
    assert len(shop.account.objects.find("invoice")) == 1
    assert shop.types().count("customer.subscription.deleted") == 1


async def test_canceling_is_for_good_and_is_found_only_once(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer())
    ended = await shop.v1.subscriptions.cancel_async(subscription.id)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "cancellation_requested")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.v1.subscriptions.cancel_async(subscription.id)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    assert (await shop.v1.subscriptions.list_async()).data == []
    assert len((await shop.v1.subscriptions.list_async({"status": "all"})).data) == 1
    await shop.box.passes(40 * DAY)
    assert len(shop.account.objects.find("invoice")) == 1


async def test_canceling_with_a_final_invoice_credits_the_rest(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer)
    item = subscription.items.data[0]
    await shop.box.passes((item.current_period_end - item.current_period_start) // 2)
    await shop.v1.subscriptions.cancel_async(subscription.id, {"prorate": True, "invoice_now": True})
    invoice = await shop.latest_invoice(subscription.id)
    assert (invoice.total, invoice.amount_due, invoice.status) == (-250, 0, "paid")
    assert (await shop.v1.customers.retrieve_async(customer)).balance == -250


async def test_deleting_the_customer_ends_everything(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer)
    await shop.v1.customers.delete_async(customer)
    assert (await shop.subscription(subscription.id)).status == "canceled"
    await shop.box.passes(60 * DAY)
    assert shop.types().count("invoice.created") == 1


async def trial(shop: Shop, method: str | None, behavior: str) -> Any:
    """A subscription that begins with a trial of ten days."""
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    return await shop.subscribe(await shop.customer(method), trial_period_days=10, trial_settings=settings)


async def test_a_trial_is_free_is_warned_of_and_then_paid(shop: Shop) -> None:
    subscription = await trial(shop, "pm_card_visa", "pause")
    assert (subscription.status, (await shop.latest_invoice(subscription.id)).total) == ("trialing", 0)
    await shop.box.passes(7 * DAY - 1)
    assert "customer.subscription.trial_will_end" not in shop.types()
    await shop.box.passes(1)
    assert shop.types().count("customer.subscription.trial_will_end") == 1
    await shop.box.passes(3 * DAY + 2 * HOUR)
    after = await shop.subscription(subscription.id)
    assert (after.status, after.billing_cycle_anchor) == ("active", subscription.trial_end)
    assert (await shop.latest_invoice(subscription.id)).amount_paid == 499


@pytest.mark.parametrize(
    ("behavior", "status"), [("pause", "paused"), ("cancel", "canceled"), ("create_invoice", "past_due")]
)
async def test_a_trial_that_ends_without_a_method(shop: Shop, behavior: str, status: str) -> None:
    subscription = await trial(shop, None, behavior)
    await shop.box.passes(10 * DAY + 2 * HOUR)
    assert (await shop.subscription(subscription.id)).status == status


@pytest.mark.parametrize("behavior", ["resume_on_payment_attempt", "resume_on_payment_success"])
async def test_a_paused_one_resumes_when_it_is_paid(shop: Shop, behavior: str) -> None:
    subscription = await trial(shop, None, "pause")
    await shop.box.passes(11 * DAY)
    assert "customer.subscription.paused" in shop.types()
    await shop.replace_method(subscription.customer, "pm_card_visa")
    resumed = await shop.v1.subscriptions.resume_async(subscription.id, {"payment_behavior": behavior})
    assert (resumed.status, resumed.status_details) == ("active", None)
    assert resumed.items.data[0].current_period_start == shop.account.now()
    assert "customer.subscription.resumed" in shop.types()


async def test_a_resumption_that_nobody_pays_stays_paused(shop: Shop) -> None:
    subscription = await trial(shop, None, "pause")
    await shop.box.passes(11 * DAY)
    await shop.replace_method(subscription.customer, FAILS_LATER)
    behavior = {"payment_behavior": "resume_on_payment_success"}
    assert (await shop.v1.subscriptions.resume_async(subscription.id, behavior)).status == "paused"
    await shop.box.passes(DAY)
    assert (await shop.subscription(subscription.id)).status == "paused"
    assert (await shop.latest_invoice(subscription.id)).status == "void"


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_payment_method": "pm_1"},
        {"cancel_at": 1},
        {"trial_end": 4_000_000_000},
        {"discounts": [{"coupon": "NOPE"}]},
        {"items": [{"id": "si_1", "quantity": 2}]},
        {"cancel_at": 4_000_000_000, "cancel_at_period_end": True},
    ],
)
async def test_a_change_that_is_refused_has_changed_nothing(shop: Shop, wrong: dict[str, Any]) -> None:
    subscription = await shop.subscribe(await shop.customer())
    before, told = (await shop.subscription(subscription.id)).to_dict(), shop.types()
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.subscriptions.update_async(
            subscription.id, {"description": "New", "metadata": {"a": "b"}, **wrong}
        )
    assert (await shop.subscription(subscription.id)).to_dict() == before
    assert shop.types() == told


async def test_a_beginning_that_is_refused_has_begun_nothing(shop: Shop) -> None:
    customer = await shop.customer()
    await shop.v1.coupons.create_async({"percent_off": 5, "id": "LATE", "redeem_by": shop.account.now() + 1})
    await shop.box.passes(1)
    coupons = ({"discounts": [{"coupon": "NOPE"}]}, {"discounts": [{"coupon": "LATE"}]})
    for wrong in ({"cancel_at": 1}, {"trial_end": 1}, {"currency": "sek"}, *coupons):
        with pytest.raises(stripe.InvalidRequestError):
            await shop.subscribe(customer, **wrong)
    assert shop.account.objects.find("subscription") == shop.account.objects.find("invoice") == []
    assert (await shop.v1.customers.retrieve_async(customer)).currency is None
