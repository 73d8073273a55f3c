"""The hosted pages: what a browser sends, what comes of it, and the same through `/_control/`."""

from typing import Any

import httpx
import pytest
import stripe

from tests.infra.stripe_server.shops import DAY, HOUR, Shop

SUCCESS = "https://petfolio.test/billing/return?session_id={CHECKOUT_SESSION_ID}"
CANCEL = "https://petfolio.test/billing"


async def session(shop: Shop, customer: str | None = None, key: str = "plus_month", **more: Any) -> Any:
    """An open session for a price."""
    given = {"mode": "subscription", "customer": customer or await shop.customer(None)}
    given |= {"line_items": [{"price": shop.prices[key], "quantity": 1}], "success_url": SUCCESS, "cancel_url": CANCEL}
    return await shop.v1.checkout.sessions.create_async(given | more)


async def send(shop: Shop, url: str, **form: str) -> httpx.Response:
    """What a browser sends."""
    return await shop.box.http.post(url, data=form)


async def now(shop: Shop, open_session: Any) -> Any:
    """The session as it is."""
    return await shop.v1.checkout.sessions.retrieve_async(open_session.id, {"expand": ["line_items", "subscription"]})


async def test_paying_makes_a_subscription_and_leads_back_to_the_shop(shop: Shop) -> None:
    data = {"metadata": {"account_id": "7"}, "billing_mode": {"type": "flexible"}}
    opened = await session(shop, subscription_data=data, client_reference_id="7")
    assert (opened.status, opened.subscription, opened.amount_total) == ("open", None, 499)
    page = await shop.box.http.get(opened.url)
    assert "4.99 EUR" in page.text
    answer = await send(shop, opened.url, number="4242 4242 4242 4242", action="pay")
    assert answer.status_code == 303
    assert answer.headers["location"] == SUCCESS.replace("{CHECKOUT_SESSION_ID}", opened.id)
    after = await now(shop, opened)
    assert (after.status, after.payment_status, after.client_reference_id) == ("complete", "paid", "7")
    assert (after.subscription.status, after.subscription.metadata["account_id"]) == ("active", "7")
    assert after.subscription.default_payment_method is not None
    assert after.line_items.data[0].amount_total == 499
    assert shop.types()[-1] == "checkout.session.completed"
    assert (await send(shop, opened.url, number="4242424242424242")).status_code == 303
    assert len(shop.account.objects.find("subscription")) == 1


async def test_a_declined_card_keeps_the_session_open_for_another(shop: Shop) -> None:
    opened = await session(shop)
    for number in ("4000000000000002", "4000000000000341", "1234"):
        answer = await send(shop, opened.url, number=number)
        assert answer.status_code in (400, 402)
        assert (await now(shop, opened)).status == "open"
    await send(shop, opened.url, number="4242424242424242")
    assert (await now(shop, opened)).payment_status == "paid"
    assert [each["status"] for each in shop.account.objects.find("subscription")] == ["active"]


async def test_the_bank_asks_on_the_page_and_a_yes_completes_the_session(shop: Shop) -> None:
    opened = await session(shop)
    asked = await send(shop, opened.url, number="4000002760003184")
    assert (asked.status_code, "Your bank asks" in asked.text) == (200, True)
    assert [each["status"] for each in shop.account.objects.find("subscription")] == ["incomplete"]
    assert (await send(shop, opened.url, action="authenticate")).status_code == 303
    assert (await now(shop, opened)).subscription.status == "active"


async def test_the_banks_own_page_leads_back_and_on_to_the_shop(shop: Shop) -> None:
    opened = await session(shop)
    await send(shop, opened.url, number="4000002760003184")
    question = shop.account.objects.find("payment_intent")[0]["next_action"]["redirect_to_url"]
    back = await send(shop, question["url"], decision="authenticate")
    assert back.headers["location"] == opened.url
    assert (await shop.box.http.get(opened.url)).headers["location"].endswith(f"session_id={opened.id}")


async def test_a_no_to_the_bank_leaves_the_session_open(shop: Shop) -> None:
    opened = await session(shop)
    await send(shop, opened.url, number="4000002760003184")
    assert (await send(shop, opened.url, action="refuse")).status_code == 200
    assert (await now(shop, opened)).status == "open"
    await send(shop, opened.url, number="4242424242424242")
    assert (await now(shop, opened)).status == "complete"


async def test_a_card_that_was_authenticated_once_renews_by_itself(shop: Shop) -> None:
    opened = await session(shop)
    await shop.box.control(f"checkout/{opened.id}/complete", payment_method="4000002500003155")
    subscription = (await now(shop, opened)).subscription
    assert subscription.status == "active"
    await shop.box.passes(32 * DAY)
    assert (await shop.latest_invoice(subscription.id)).status == "paid"
    assert len(shop.account.objects.find("invoice")) == 2


async def test_an_abandoned_question_expires_and_one_can_subscribe_again(shop: Shop) -> None:
    customer = await shop.customer(None)
    opened = await session(shop, customer)
    done = {"payment_method": "4000002760003184", "authenticate": None}
    assert (await shop.box.control(f"checkout/{opened.id}/complete", **done))["status"] == "open"
    assert (await send(shop, opened.url, action="abandon")).headers["location"] == CANCEL
    await shop.box.passes(23 * HOUR)
    assert [each["status"] for each in shop.account.objects.find("subscription")] == ["incomplete_expired"]
    await shop.box.passes(HOUR)
    expired = await now(shop, opened)
    assert (expired.status, expired.url) == ("expired", None)
    assert shop.types()[-1] == "checkout.session.expired"
    again = await session(shop, customer)
    await shop.box.control(f"checkout/{again.id}/complete", payment_method="pm_card_visa")
    assert (await now(shop, again)).subscription.status == "active"


@pytest.mark.parametrize(
    ("iban", "event", "status", "payment"),
    [
        ("DE89370400440532013000", "checkout.session.async_payment_succeeded", "active", "paid"),
        ("DE62370400440532013001", "checkout.session.async_payment_failed", "incomplete", "unpaid"),
    ],
)
async def test_a_debit_completes_the_session_before_it_is_paid(
    shop: Shop, iban: str, event: str, status: str, payment: str
) -> None:
    opened = await session(shop)
    assert (await send(shop, opened.url, number=iban)).status_code == 303
    complete = await now(shop, opened)
    assert (complete.status, complete.payment_status) == ("complete", "unpaid")
    assert complete.subscription.status == "incomplete"
    await shop.box.passes(5 * DAY)
    after = await now(shop, opened)
    assert event in shop.types()
    assert (after.subscription.status, after.payment_status) == (status, payment)


async def test_a_session_that_was_expired_takes_nothing_and_expires_once(shop: Shop) -> None:
    opened = await session(shop)
    url = opened.url
    await shop.v1.checkout.sessions.expire_async(opened.id)
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        await shop.v1.checkout.sessions.expire_async(opened.id)
    assert (await send(shop, url, number="4242424242424242")).status_code == 400
    assert shop.account.objects.find("subscription") == []


async def test_a_promotion_code_lowers_the_price_before_it_is_paid(shop: Shop) -> None:
    await shop.v1.coupons.create_async({"percent_off": 20, "duration": "once", "id": "SPRING"})
    promotion = {"type": "coupon", "coupon": "SPRING"}
    await shop.v1.promotion_codes.create_async({"promotion": promotion, "code": "SPRING20"})
    opened = await session(shop, allow_promotion_codes=True)
    assert (await send(shop, opened.url, action="code", code="NOPE")).status_code == 400
    page = await send(shop, opened.url, action="code", code="spring20")
    assert "3.99 EUR" in page.text
    await send(shop, opened.url, number="4242424242424242")
    after = await now(shop, opened)
    assert (after.amount_total, after.total_details.amount_discount) == (399, 100)
    assert (await shop.latest_invoice(after.subscription.id)).amount_paid == 399
    assert (await shop.v1.coupons.retrieve_async("SPRING")).times_redeemed == 1


async def test_the_page_asks_for_the_country_that_the_tax_needs(shop: Shop) -> None:
    customer = await shop.customer(None, address="")
    tax = {"automatic_tax": {"enabled": True}}
    with pytest.raises(stripe.InvalidRequestError):
        await session(shop, customer, **tax)
    opened = await session(shop, customer, customer_update={"address": "auto"}, **tax)
    await send(shop, opened.url, number="4242424242424242", country="FR")
    after = await now(shop, opened)
    assert (after.amount_total, after.total_details.amount_tax) == (599, 100)
    assert (await shop.latest_invoice(after.subscription.id)).total_taxes[0].amount == 100
    assert (await shop.v1.customers.retrieve_async(customer)).address.country == "FR"


async def test_a_page_that_computes_tax_takes_the_shops_country_unless_another_is_given(shop: Shop) -> None:
    customer = await shop.customer(None, address="")
    update = {"customer_update": {"address": "auto"}, "automatic_tax": {"enabled": True}}
    opened = await session(shop, customer, **update)
    await shop.box.control(f"checkout/{opened.id}/complete", payment_method="pm_card_visa")
    after = await now(shop, opened)
    assert (after.payment_status, after.total_details.amount_tax) == ("paid", 95)
    assert (await shop.v1.customers.retrieve_async(customer)).address.country == "DE"


async def test_a_trial_without_a_method_needs_nothing_now(shop: Shop) -> None:
    data = {"trial_period_days": 14, "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}
    opened = await session(shop, payment_method_collection="if_required", subscription_data=data)
    assert (await send(shop, opened.url, action="pay")).status_code == 303
    after = await now(shop, opened)
    assert (after.payment_status, after.subscription.status) == ("no_payment_required", "trialing")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types"),
        ({"mode": "payment"}, "mode"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price]"),
        ({"expires_at": 1}, "expires_at"),
        ({"allowed_payment_method_types": ["bacs_debit"]}, "allowed_payment_method_types"),
        ({"subscription_data": {"billing_mode": {"type": "classic"}}}, "subscription_data[billing_mode][type]"),
        ({"subscription_data": {"on_behalf_of": "acct_1"}}, "subscription_data[on_behalf_of]"),
    ],
)
async def test_what_cannot_be_paid_is_refused_when_it_is_made(shop: Shop, more: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await session(shop, **more)
    assert caught.value.param == param


async def test_a_method_that_the_session_excludes_is_refused(shop: Shop) -> None:
    opened = await session(shop, excluded_payment_method_types=["sepa_debit"])
    assert opened.payment_method_types == ["card", "link", "paypal"]
    assert (await send(shop, opened.url, number="DE89370400440532013000")).status_code == 400
    assert (await send(shop, opened.url, kind="paypal")).status_code == 303


FEATURES = {
    "subscription_cancel": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "invoice_history": {"enabled": True},
}


async def portal(shop: Shop, customer: str, **features: Any) -> str:
    """The address of an open portal."""
    product = (await shop.v1.prices.retrieve_async(shop.prices["family_month"])).product
    update = {
        "enabled": True,
        "default_allowed_updates": ["price"],
        "proration_behavior": "always_invoice",
        "products": [{"product": product, "prices": [shop.prices["family_month"]]}],
    }
    given = {"features": {**FEATURES, "subscription_update": update, **features}}
    await shop.v1.billing_portal.configurations.create_async(given)
    opened = await shop.v1.billing_portal.sessions.create_async({"customer": customer, "return_url": CANCEL})
    return str(opened.url)


async def test_the_portal_cancels_at_the_periods_end_and_takes_it_back(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer)
    url = await portal(shop, customer)
    assert "Plus" in (await shop.box.http.get(url)).text
    await send(shop, url, action="cancel", subscription=subscription.id)
    ending = await shop.subscription(subscription.id)
    assert ending.cancel_at == subscription.items.data[0].current_period_end
    assert ending.cancel_at_period_end is False
    assert "Go on with it" in (await shop.box.http.get(url)).text
    await send(shop, url, action="go_on", subscription=subscription.id)
    assert (await shop.subscription(subscription.id)).cancel_at is None


async def test_the_portal_changes_the_plan_and_the_card(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer)
    url = await portal(shop, customer)
    await send(shop, url, action="plan", subscription=subscription.id, price=shop.prices["family_month"])
    changed = await shop.subscription(subscription.id)
    assert changed.items.data[0].price.lookup_key == "family_month"
    before = (await shop.v1.customers.retrieve_async(customer)).invoice_settings.default_payment_method
    assert (await send(shop, url, action="method", number="4000000000000002")).status_code == 402
    await send(shop, url, action="method", number="5555555555554444")
    after = (await shop.v1.customers.retrieve_async(customer)).invoice_settings.default_payment_method
    assert before != after
    refused = await send(shop, url, action="plan", subscription=subscription.id, price=shop.prices["plus_year"])
    assert refused.status_code == 400


async def test_a_card_that_is_replaced_in_the_portal_is_the_subscriptions_too(shop: Shop) -> None:
    customer = await shop.customer(None)
    opened = await session(shop, customer)
    await shop.box.control(f"checkout/{opened.id}/complete", payment_method="pm_card_visa")
    before = (await now(shop, opened)).subscription
    await send(shop, await portal(shop, customer), action="method", number="5555555555554444")
    assert (await shop.subscription(before.id)).default_payment_method != before.default_payment_method


async def test_the_portal_pays_an_open_invoice(shop: Shop) -> None:
    customer = await shop.customer("pm_card_chargeCustomerFail")
    subscription = await shop.subscribe(customer)
    url = await portal(shop, customer)
    await send(shop, url, action="pay", invoice=subscription.latest_invoice, number="4242424242424242")
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_the_portal_does_only_what_it_is_configured_for_and_for_its_own_customer(shop: Shop) -> None:
    customer, other = await shop.customer(), await shop.customer()
    theirs = await shop.subscribe(other)
    mine = await shop.subscribe(customer)
    url = await portal(shop, customer, subscription_cancel={"enabled": False})
    assert (await send(shop, url, action="cancel", subscription=mine.id)).status_code == 400
    assert (await send(shop, url, action="go_on", subscription=theirs.id)).status_code == 400
    pays = {"invoice": theirs.latest_invoice, "number": "4242424242424242"}
    assert (await send(shop, url, action="pay", **pays)).status_code == 400


async def test_a_portal_needs_a_configuration(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="default configuration"):
        await shop.v1.billing_portal.sessions.create_async({"customer": await shop.customer()})


async def test_pages_of_nothing_are_not_found(shop: Shop) -> None:
    for path in ("/c/pay/cs_test_1", "/p/session/bps_1", "/i/in_1"):
        assert (await shop.box.http.get(path)).status_code == 404


async def test_the_page_of_the_account_leads_to_the_pages_of_its_sessions_and_invoices(shop: Shop) -> None:
    opened = await session(shop)
    paid = await shop.subscribe(await shop.customer())
    url = (await shop.latest_invoice(paid.id)).hosted_invoice_url
    page = (await shop.box.http.get("/", params={"account": shop.box.key})).text
    assert f'href="{opened.url}"' in page
    assert f'href="{url}"' in page
