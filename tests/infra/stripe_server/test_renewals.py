"""Renewals and their invoices: a year of them, drafts that wait, retries, and what the account decides in the end."""

from calendar import monthrange
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from tests.infra.stripe_server.shops import DAY, HOUR, Shop
from tests.stripe_servers import Receiver

DECLINE = "insufficient_funds"


def days(*instants: int) -> list[str]:
    """As dates."""
    return [datetime.fromtimestamp(each, UTC).date().isoformat() for each in instants]


async def start_at(shop: Shop, instant: str) -> None:
    """It is this instant."""
    await shop.box.control("clock", set=int(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp()))


async def failing(shop: Shop, code: str = DECLINE) -> Any:
    """A subscription whose next renewal is refused by the bank; its period has just ended."""
    subscription = await shop.subscribe(await shop.customer())
    method = shop.account.objects.find("payment_method")[0]["id"]
    await shop.box.control(f"payment_methods/{method}", decline_code=code)
    await shop.box.passes(subscription.items.data[0].current_period_end - shop.account.now() + HOUR)
    return subscription


async def test_a_year_of_renewals_bills_each_month_on_the_anchors_day(shop: Shop) -> None:
    year = datetime.fromtimestamp(shop.account.now(), UTC).year
    await start_at(shop, f"{year}-01-31T09:00")
    subscription = await shop.subscribe(await shop.customer())
    await start_at(shop, f"{year + 1}-01-31T12:00")
    invoices = [each async for each in (await shop.v1.invoices.list_async({"limit": 5})).auto_paging_iter()]
    periods = [(line.period.start, line.period.end) for each in reversed(invoices) for line in each.lines.data]
    assert [day[8:] for day in days(*(start for start, _ in periods))] == [
        *("31", f"{monthrange(year, 2)[1]}", "31", "30", "31", "30", "31", "31", "30", "31", "30", "31", "31")
    ]
    assert [end for _, end in periods[:-1]] == [start for start, _ in periods[1:]]
    assert [(each.status, each.total) for each in invoices] == [("paid", 499)] * 13
    assert (await shop.subscription(subscription.id)).status == "active"
    shop.sums()


async def test_two_items_with_different_intervals_renew_each_in_its_time(shop: Shop) -> None:
    customer = await shop.customer()
    items = [{"price": shop.prices["plus_month"]}, {"price": shop.prices["family_year"]}]
    subscription = await shop.v1.subscriptions.create_async({"customer": customer, "items": items})
    month, year = (item.current_period_end for item in subscription.items.data)
    assert month < year
    await shop.box.passes(40 * DAY)
    invoice = await shop.latest_invoice(subscription.id)
    assert [line.amount for line in invoice.lines.data] == [499]


async def endpoint(shop: Shop) -> None:
    """We listen to everything."""
    given = {"url": "http://us.test/hook", "enabled_events": ["*"]}
    await shop.v1.webhook_endpoints.create_async(given)


@pytest.mark.parametrize(("status", "hours"), [(200, 1), (500, 72)])
async def test_a_renewal_stays_a_draft_until_its_webhook_was_taken(
    shop: Shop, stripe_receiver: Receiver, status: int, hours: int
) -> None:
    await endpoint(shop)
    subscription = await shop.subscribe(await shop.customer())
    stripe_receiver.status = status
    await shop.box.passes(subscription.items.data[0].current_period_end - shop.account.now())
    assert (await shop.latest_invoice(subscription.id)).status == "draft"
    await shop.box.passes(hours * HOUR - 60)
    assert (await shop.latest_invoice(subscription.id)).status == "draft"
    await shop.box.passes(120)
    assert (await shop.latest_invoice(subscription.id)).status == "paid"


@pytest.mark.parametrize("after", ["canceled", "unpaid", "past_due"])
async def test_four_failed_attempts_end_as_the_account_decides(shop: Shop, after: str) -> None:
    await shop.box.control("settings", after_retries=after)
    subscription = await failing(shop)
    seen = []
    for gap in (0, 3, 5, 7):
        await shop.box.passes(gap * DAY)
        invoice = await shop.latest_invoice(subscription.id)
        status = (await shop.subscription(subscription.id)).status
        seen.append((status, invoice.attempt_count, invoice.next_payment_attempt is not None))
    assert seen == [("past_due", 1, True), ("past_due", 2, True), ("past_due", 3, True), (after, 4, False)]
    assert shop.types().count("invoice.payment_failed") == 4
    ended = await shop.subscription(subscription.id)
    assert ended.cancellation_details.reason == ("payment_failed" if after == "canceled" else None)


@pytest.mark.parametrize(
    ("after", "recovered"), [("canceled", "canceled"), ("unpaid", "active"), ("past_due", "active")]
)
async def test_paying_the_open_invoice_later_recovers_what_is_not_over(shop: Shop, after: str, recovered: str) -> None:
    await shop.box.control("settings", after_retries=after)
    subscription = await failing(shop)
    await shop.box.passes(15 * DAY)
    invoice = await shop.latest_invoice(subscription.id)
    assert (invoice.status, invoice.attempt_count) == ("open", 4)
    method = await shop.replace_method(subscription.customer, "pm_card_visa")
    await shop.v1.invoices.pay_async(invoice.id, {"payment_method": method})
    assert (await shop.subscription(subscription.id)).status == recovered


async def test_a_card_that_is_replaced_during_dunning_is_used_by_the_next_retry(shop: Shop) -> None:
    subscription = await failing(shop)
    await shop.replace_method(subscription.customer, "pm_card_visa")
    await shop.box.passes(3 * DAY)
    assert (await shop.subscription(subscription.id)).status == "active"
    assert (await shop.latest_invoice(subscription.id)).next_payment_attempt is None
    await shop.box.passes(12 * DAY)
    assert shop.types().count("invoice.payment_failed") == 1


async def test_an_attempt_that_was_asked_for_counts_only_if_it_is_the_first(shop: Shop) -> None:
    subscription = await failing(shop)
    before = await shop.latest_invoice(subscription.id)
    with pytest.raises(stripe.CardError) as caught:
        await shop.v1.invoices.pay_async(before.id)
    after = await shop.latest_invoice(subscription.id)
    assert caught.value.error.decline_code == DECLINE
    assert (after.attempt_count, after.next_payment_attempt) == (1, before.next_payment_attempt)


async def test_a_lost_card_is_not_asked_again_until_there_is_another(shop: Shop) -> None:
    await shop.box.control("settings", after_retries="unpaid")
    subscription = await failing(shop, "lost_card")
    await shop.box.passes(8 * DAY)
    assert shop.types().count("charge.failed") == 1
    assert (await shop.latest_invoice(subscription.id)).attempt_count == 3
    await shop.replace_method(subscription.customer, "pm_card_visa")
    await shop.box.passes(7 * DAY)
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_an_unpaid_one_gets_drafts_that_nobody_sends(shop: Shop) -> None:
    await shop.box.control("settings", after_retries="unpaid")
    subscription = await failing(shop)
    await shop.box.passes(40 * DAY)
    invoice = await shop.latest_invoice(subscription.id)
    assert (invoice.status, invoice.auto_advance, invoice.billing_reason) == ("draft", False, "subscription_cycle")


@pytest.mark.parametrize(
    ("behavior", "status"), [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")]
)
async def test_a_pause_of_collection_leaves_the_status_alone(shop: Shop, behavior: str, status: str) -> None:
    subscription = await shop.subscribe(await shop.customer())
    until = shop.account.now() + 45 * DAY
    paused = {"pause_collection": {"behavior": behavior, "resumes_at": until}}
    await shop.v1.subscriptions.update_async(subscription.id, paused)
    await shop.box.passes(40 * DAY)
    assert (await shop.latest_invoice(subscription.id)).status == status
    assert (await shop.subscription(subscription.id)).status == "active"
    await shop.box.passes(10 * DAY)
    assert (await shop.subscription(subscription.id)).pause_collection is None


async def test_a_bank_that_asks_at_a_renewal_makes_it_past_due(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer)
    await shop.replace_method(customer, "pm_card_threeDSecureRequired")
    await shop.box.passes(32 * DAY)
    assert (await shop.subscription(subscription.id)).status == "past_due"
    assert "invoice.payment_action_required" in shop.types()
    intent = shop.account.objects.find("payment_intent")[0]
    await shop.box.control(f"authenticate/{intent['id']}", passed=True)
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_a_debit_on_its_way_leaves_a_renewal_active(shop: Shop) -> None:
    customer = await shop.customer(None)
    given = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}}
    given |= {"billing_details": {"email": "a@b.c", "name": "A"}}
    method = await shop.v1.payment_methods.create_async(given)
    await shop.v1.payment_methods.attach_async(method.id, {"customer": customer})
    subscription = await shop.subscribe(customer, default_payment_method=method.id)
    await shop.box.passes(5 * DAY)
    method_here = shop.account.objects.get("payment_method", method.id)
    await shop.box.passes(subscription.items.data[0].current_period_end - shop.account.now() + 2 * HOUR)
    invoice = await shop.latest_invoice(subscription.id)
    assert (invoice.status, invoice.attempted) == ("open", True)
    assert (await shop.subscription(subscription.id)).status == "active"
    method_here["_decline_code"] = "debit_not_authorized"
    await shop.box.passes(5 * DAY)
    assert (await shop.subscription(subscription.id)).status == "past_due"


async def test_a_coupon_for_three_months_lowers_three_invoices(shop: Shop) -> None:
    given = {"percent_off": 50, "duration": "repeating", "duration_in_months": 3, "id": "HALF"}
    await shop.v1.coupons.create_async(given)
    subscription = await shop.subscribe(await shop.customer(), discounts=[{"coupon": "HALF"}])
    await shop.box.passes(130 * DAY)
    invoices = (await shop.v1.invoices.list_async({"subscription": subscription.id})).data
    assert [each.total for each in reversed(invoices)] == [250, 250, 250, 499, 499]


async def test_a_coupon_for_once_lowers_one_invoice(shop: Shop) -> None:
    await shop.v1.coupons.create_async({"amount_off": 100, "currency": "eur", "duration": "once", "id": "ONE"})
    subscription = await shop.subscribe(await shop.customer(), discounts=[{"coupon": "ONE"}])
    await shop.box.passes(32 * DAY)
    invoices = (await shop.v1.invoices.list_async({"subscription": subscription.id})).data
    assert [each.total for each in reversed(invoices)] == [399, 499]
    assert invoices[1].total_discount_amounts[0].amount == 100


async def test_a_coupon_over_everything_needs_no_payment(shop: Shop) -> None:
    await shop.v1.coupons.create_async({"percent_off": 100, "duration": "forever", "id": "FREE"})
    subscription = await shop.subscribe(await shop.customer(None), discounts=[{"coupon": "FREE"}])
    assert subscription.status == "active"
    assert shop.account.objects.find("payment_intent") == []


@pytest.mark.parametrize(("country", "tax"), [("DE", 95), ("CH", 40), ("US", None)])
async def test_tax_follows_the_customers_country(shop: Shop, country: str, tax: int | None) -> None:
    customer = await shop.customer(address={"country": country})
    subscription = await shop.subscribe(customer, automatic_tax={"enabled": True})
    invoice = await shop.latest_invoice(subscription.id)
    assert (invoice.subtotal, invoice.total) == (499, 499 + (tax or 0))
    assert [each.amount for each in invoice.total_taxes] == ([tax] if tax else [])
    assert invoice.amount_paid == invoice.total
    assert invoice.automatic_tax.status == "complete"


async def test_tax_without_a_country_is_refused(shop: Shop) -> None:
    customer = await shop.customer(address={"city": "Nowhere"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.subscribe(customer, automatic_tax={"enabled": True})
    assert caught.value.code == "customer_tax_location_invalid"


async def test_a_void_invoice_lets_the_subscription_go_on(shop: Shop) -> None:
    subscription = await failing(shop)
    invoice = await shop.latest_invoice(subscription.id)
    voided = await shop.v1.invoices.void_invoice_async(invoice.id)
    assert voided.status == "void"
    assert (await shop.subscription(subscription.id)).status == "active"
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.invoices.pay_async(invoice.id)


async def test_money_that_came_outside_of_stripe_pays_an_invoice_without_moving_any(shop: Shop) -> None:
    subscription = await failing(shop)
    moved = len(shop.account.ledger.movements)
    invoice = await shop.latest_invoice(subscription.id)
    paid = await shop.v1.invoices.pay_async(invoice.id, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_paid) == ("paid", 0)
    assert len(shop.account.ledger.movements) == moved
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_the_page_of_an_invoice_takes_a_card_and_pays_it(shop: Shop) -> None:
    subscription = await failing(shop)
    url = (await shop.latest_invoice(subscription.id)).hosted_invoice_url
    assert "4.99 EUR" in (await shop.box.http.get(url)).text
    declined = await shop.box.http.post(url, data={"number": "4000000000000002"})
    assert (declined.status_code, "declined" in declined.text) == (402, True)
    paid: httpx.Response = await shop.box.http.post(url, data={"number": "4242 4242 4242 4242"})
    assert paid.status_code == 303
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_a_method_that_does_not_know_the_currency_is_a_decline_and_stops_nothing(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer, currency="usd")
    given = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}}
    given |= {"billing_details": {"email": "a@b.c", "name": "A"}}
    method = await shop.v1.payment_methods.create_async(given)
    await shop.replace_method(customer, method.id)
    await shop.box.passes(32 * DAY)
    assert (await shop.subscription(subscription.id)).status == "past_due"
    assert shop.account.objects.find("payment_intent")[0]["last_payment_error"]["code"] == (
        "payment_method_currency_mismatch"
    )


async def test_an_invoice_whose_customer_has_moved_to_nowhere_is_not_finalized(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer, automatic_tax={"enabled": True})
    await shop.v1.customers.update_async(customer, {"address": ""})
    await shop.box.passes(32 * DAY)
    invoice = await shop.latest_invoice(subscription.id)
    assert (invoice.status, invoice.last_finalization_error.code) == ("draft", "customer_tax_location_invalid")
    assert "invoice.finalization_failed" in shop.types()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.v1.invoices.finalize_invoice_async(invoice.id)
    assert caught.value.code == "customer_tax_location_invalid"


async def test_what_was_taken_away_silently_does_not_stop_the_clock(shop: Shop) -> None:
    gone = await failing(shop)
    other, third = await shop.subscribe(await shop.customer()), await shop.subscribe(await shop.customer())
    await shop.box.control(f"objects/{gone.id}", "DELETE")
    await shop.box.control(f"objects/{third.customer}", "DELETE")
    await shop.box.passes(40 * DAY)
    assert (await shop.latest_invoice(other.id)).billing_reason == "subscription_cycle"


async def test_a_card_that_its_bank_replaces_pays_the_next_retry(shop: Shop) -> None:
    subscription = await failing(shop)
    method = shop.account.objects.find("payment_method")[0]["id"]
    await shop.box.control(f"payment_methods/{method}/reissue")
    assert shop.types()[-1] == "payment_method.automatically_updated"
    await shop.box.passes(3 * DAY)
    assert (await shop.subscription(subscription.id)).status == "active"
