"""Changes of a plan: prorations, previews that equal their invoices, changes that wait for their payment, schedules."""

from typing import Any

import pytest
import stripe

from tests.infra.stripe_server.shops import DAY, HOUR, Shop

FAILS_LATER = "pm_card_chargeCustomerFail"


async def at_third(shop: Shop, method: str = "pm_card_visa", **more: Any) -> Any:
    """A subscription to Plus of which a third of the period has passed."""
    subscription = await shop.subscribe(await shop.customer(method), **more)
    item = subscription.items.data[0]
    await shop.box.passes((item.current_period_end - item.current_period_start) // 3)
    return subscription


def to_price(shop: Shop, subscription: Any, key: str, **more: Any) -> dict[str, Any]:
    """The parameters of a change to another price."""
    return {"items": [{"id": subscription.items.data[0].id, "price": shop.prices[key]}], **more}


async def preview(shop: Shop, subscription: Any, **details: Any) -> Any:
    """What the invoice would be."""
    given = {"subscription": subscription.id, "subscription_details": details}
    return await shop.v1.invoices.create_preview_async(given)


async def use(shop: Shop, customer: str, method: str) -> None:
    """The customer's card is another one now, which is not asked when it is saved."""
    await shop.replace_method(customer, method)


async def test_an_upgrade_costs_the_difference_for_the_rest_and_equals_its_preview(shop: Shop) -> None:
    subscription = await at_third(shop)
    at = shop.account.now()
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice", proration_date=at)
    shown = await preview(shop, subscription, **change)
    await shop.box.passes(600)
    changed = await shop.v1.subscriptions.update_async(
        subscription.id, {**change, "payment_behavior": "pending_if_incomplete", "metadata": {"op_id": "7"}}
    )
    invoice = await shop.latest_invoice(subscription.id)
    assert [line.amount for line in shown.lines.data] == [line.amount for line in invoice.lines.data] == [-333, 666]
    assert shown.total == invoice.total == invoice.amount_paid == 333
    assert invoice.parent.subscription_details.subscription_proration_date == at
    assert (changed.items.data[0].price.lookup_key, changed.pending_update) == ("family_month", None)
    assert changed.metadata["op_id"] == "7"
    assert changed.items.data[0].current_period_end == subscription.items.data[0].current_period_end
    credited = invoice.lines.data[0].parent.subscription_item_details.proration_details.credited_items
    assert credited.invoice == subscription.latest_invoice


@pytest.mark.parametrize("currency", ["eur", "usd", "gbp", "chf", "jpy"])
@pytest.mark.parametrize(("before", "after"), [("plus_month", "family_month"), ("plus_month", "family_year")])
async def test_a_preview_equals_its_invoice_in_every_currency(
    shop: Shop, currency: str, before: str, after: str
) -> None:
    await shop.v1.coupons.create_async({"percent_off": 15, "duration": "forever", "id": "FRIEND"})
    customer = await shop.customer(address={"country": "FR"})
    more: dict[str, Any] = {
        "currency": currency,
        "automatic_tax": {"enabled": True},
        "discounts": [{"coupon": "FRIEND"}],
    }
    subscription = await shop.subscribe(customer, before, **more)
    await shop.box.passes(11 * DAY + 12_345)
    change = to_price(shop, subscription, after, proration_behavior="always_invoice", proration_date=shop.account.now())
    shown = await preview(shop, subscription, **change)
    await shop.v1.subscriptions.update_async(subscription.id, change)
    invoice = await shop.latest_invoice(subscription.id)
    assert (shown.subtotal, shown.total, shown.amount_due) == (invoice.subtotal, invoice.total, invoice.amount_due)
    assert [each.amount for each in shown.total_taxes] == [each.amount for each in invoice.total_taxes]
    assert invoice.status == "paid"
    tax = sum(each.amount for each in invoice.total_taxes)
    assert (
        invoice.total
        == sum(line.amount for line in invoice.lines.data)
        - sum(each.amount for each in invoice.total_discount_amounts)
        + tax
    )


async def test_a_change_of_the_interval_begins_a_new_period_and_is_billed_at_once(shop: Shop) -> None:
    subscription = await at_third(shop)
    changed = await shop.v1.subscriptions.update_async(subscription.id, to_price(shop, subscription, "plus_year"))
    invoice = await shop.latest_invoice(subscription.id)
    assert [line.amount for line in invoice.lines.data] == [-333, 4990]
    assert changed.billing_cycle_anchor == changed.items.data[0].current_period_start == shop.account.now()


async def test_prorations_without_an_invoice_wait_for_the_next_one(shop: Shop) -> None:
    subscription = await at_third(shop)
    change = to_price(shop, subscription, "family_month")
    shown = await preview(shop, subscription, **change)
    await shop.v1.subscriptions.update_async(subscription.id, change)
    assert len(shop.account.objects.find("invoice")) == 1
    again = await preview(shop, subscription)
    await shop.box.passes(32 * DAY)
    invoice = (await shop.v1.invoices.list_async({"subscription": subscription.id})).data[0]
    assert [line.amount for line in invoice.lines.data] == [-333, 666, 999]
    assert shown.total == again.total == invoice.total == 1332


async def test_without_prorations_only_the_next_period_costs_more(shop: Shop) -> None:
    subscription = await at_third(shop)
    change = to_price(shop, subscription, "family_month", proration_behavior="none")
    await shop.v1.subscriptions.update_async(subscription.id, change)
    await shop.box.passes(32 * DAY)
    assert (await shop.latest_invoice(subscription.id)).total == 999


async def test_a_downgrade_at_once_leaves_credit_that_pays_the_next_invoice(shop: Shop) -> None:
    customer = await shop.customer()
    subscription = await shop.subscribe(customer, "family_month")
    item = subscription.items.data[0]
    await shop.box.passes((item.current_period_end - item.current_period_start) // 3)
    change = to_price(shop, subscription, "plus_month", proration_behavior="always_invoice")
    await shop.v1.subscriptions.update_async(subscription.id, change)
    settled = await shop.latest_invoice(subscription.id)
    assert (settled.total, settled.amount_due, settled.status, settled.ending_balance) == (-333, 0, "paid", -333)
    await shop.box.passes(32 * DAY)
    renewed = await shop.latest_invoice(subscription.id)
    assert (renewed.total, renewed.starting_balance, renewed.amount_paid) == (499, -333, 166)
    assert (await shop.v1.customers.retrieve_async(customer)).balance == 0


@pytest.mark.parametrize("method", [FAILS_LATER, "pm_card_threeDSecureRequired"])
async def test_an_upgrade_that_is_not_paid_is_pending_and_expires_after_23_hours(shop: Shop, method: str) -> None:
    subscription = await at_third(shop)
    await use(shop, subscription.customer, method)
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice")
    change |= {"payment_behavior": "pending_if_incomplete"}
    pending = await shop.v1.subscriptions.update_async(subscription.id, change)
    assert (pending.status, pending.items.data[0].price.lookup_key) == ("active", "plus_month")
    assert pending.pending_update.expires_at == shop.account.now() + 23 * HOUR
    assert pending.pending_update.subscription_items[0].price.lookup_key == "family_month"
    await shop.box.passes(23 * HOUR)
    after = await shop.subscription(subscription.id)
    assert (after.pending_update, after.items.data[0].price.lookup_key) == (None, "plus_month")
    assert (await shop.latest_invoice(subscription.id)).status == "void"
    assert "customer.subscription.pending_update_expired" in shop.types()


async def test_a_pending_upgrade_is_made_once_it_is_paid(shop: Shop) -> None:
    subscription = await at_third(shop)
    await use(shop, subscription.customer, FAILS_LATER)
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice")
    change |= {"payment_behavior": "pending_if_incomplete", "metadata": {"op_id": "8"}}
    await shop.v1.subscriptions.update_async(subscription.id, change)
    good = await shop.replace_method(subscription.customer, "pm_card_visa")
    invoice = await shop.latest_invoice(subscription.id)
    await shop.v1.invoices.pay_async(invoice.id, {"payment_method": good})
    after = await shop.subscription(subscription.id)
    assert (after.items.data[0].price.lookup_key, after.pending_update) == ("family_month", None)
    assert after.metadata["op_id"] == "8"
    assert "customer.subscription.pending_update_applied" in shop.types()
    await shop.box.passes(DAY)
    assert "customer.subscription.pending_update_expired" not in shop.types()


async def test_only_some_parameters_may_accompany_a_pending_upgrade(shop: Shop) -> None:
    subscription = await at_third(shop)
    change = to_price(shop, subscription, "family_month", payment_behavior="pending_if_incomplete")
    with pytest.raises(stripe.InvalidRequestError, match="default_payment_method"):
        await shop.v1.subscriptions.update_async(subscription.id, change | {"default_payment_method": "pm_1"})


async def test_an_upgrade_that_must_not_fail_changes_nothing_when_it_would(shop: Shop) -> None:
    subscription = await at_third(shop)
    await use(shop, subscription.customer, FAILS_LATER)
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice")
    with pytest.raises(stripe.CardError):
        await shop.v1.subscriptions.update_async(subscription.id, change | {"payment_behavior": "error_if_incomplete"})
    assert (await shop.subscription(subscription.id)).items.data[0].price.lookup_key == "plus_month"
    assert len(shop.account.objects.find("invoice")) == 1


async def test_an_upgrade_that_fails_is_made_nevertheless_unless_it_should_wait(shop: Shop) -> None:
    subscription = await at_third(shop)
    await use(shop, subscription.customer, FAILS_LATER)
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice")
    changed = await shop.v1.subscriptions.update_async(subscription.id, change)
    assert (changed.status, changed.items.data[0].price.lookup_key) == ("past_due", "family_month")


@pytest.mark.parametrize("shift", [-40 * DAY, 40 * DAY])
async def test_a_proration_date_outside_of_the_period_is_refused(shop: Shop, shift: int) -> None:
    subscription = await at_third(shop)
    change = to_price(shop, subscription, "family_month", proration_date=shop.account.now() + shift)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.v1.subscriptions.update_async(subscription.id, change)
    assert caught.value.param == "proration_date"


async def test_a_change_to_a_price_in_another_currency_is_refused(shop: Shop) -> None:
    subscription = await at_third(shop)
    product = await shop.v1.products.create_async({"name": "Dollars only"})
    given = {"product": product.id, "currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    price = await shop.v1.prices.create_async(given)
    change = {"items": [{"id": subscription.items.data[0].id, "price": price.id}]}
    with pytest.raises(stripe.InvalidRequestError, match="usd"):
        await shop.v1.subscriptions.update_async(subscription.id, change)


async def test_a_second_seat_costs_as_much_as_the_first(shop: Shop) -> None:
    subscription = await at_third(shop)
    items = [{"id": subscription.items.data[0].id, "quantity": 2}]
    await shop.v1.subscriptions.update_async(subscription.id, {"items": items, "proration_behavior": "always_invoice"})
    assert [line.amount for line in (await shop.latest_invoice(subscription.id)).lines.data] == [-333, 665]


async def test_the_preview_of_a_subscription_to_come_is_its_first_invoice(shop: Shop) -> None:
    customer = await shop.customer()
    await shop.v1.coupons.create_async({"percent_off": 10, "duration": "once", "id": "TEN"})
    items = [{"price": shop.prices["family_year"]}]
    given = {"customer": customer, "subscription_details": {"items": items}, "discounts": [{"coupon": "TEN"}]}
    given |= {"automatic_tax": {"enabled": True}, "currency": "chf"}
    shown = await shop.v1.invoices.create_preview_async(given)
    more: dict[str, Any] = {"discounts": [{"coupon": "TEN"}], "automatic_tax": {"enabled": True}, "currency": "chf"}
    subscription = await shop.subscribe(customer, "family_year", **more)
    assert shown.total == (await shop.latest_invoice(subscription.id)).total


async def test_nothing_is_to_come_for_one_that_ends(shop: Shop) -> None:
    subscription = await at_third(shop)
    await shop.v1.subscriptions.update_async(subscription.id, {"cancel_at": "min_period_end"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await preview(shop, subscription)
    assert caught.value.code == "invoice_upcoming_none"


async def downgrade(shop: Shop, subscription: Any) -> Any:
    """A schedule: Family to the end of the period, then Plus."""
    schedule = await shop.v1.subscription_schedules.create_async({"from_subscription": subscription.id})
    current = schedule.phases[0]
    phases = [
        {
            "items": [{"price": shop.prices["family_month"], "quantity": 1}],
            "start_date": current.start_date,
            "end_date": current.end_date,
        },
        {"items": [{"price": shop.prices["plus_month"], "quantity": 1}], "duration": {"interval": "month"}},
    ]
    given = {"phases": phases, "end_behavior": "release"}
    return await shop.v1.subscription_schedules.update_async(schedule.id, given)


async def test_a_downgrade_waits_for_the_periods_end_and_then_lets_go(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(), "family_month")
    schedule = await downgrade(shop, subscription)
    assert (await shop.subscription(subscription.id)).schedule == schedule.id
    await shop.box.passes(subscription.items.data[0].current_period_end - shop.account.now() - 1)
    assert (await shop.subscription(subscription.id)).items.data[0].price.lookup_key == "family_month"
    await shop.box.passes(2 * HOUR)
    assert (await shop.subscription(subscription.id)).items.data[0].price.lookup_key == "plus_month"
    invoice = await shop.latest_invoice(subscription.id)
    assert [line.amount for line in invoice.lines.data] == [499]
    await shop.box.passes(32 * DAY)
    after = await shop.v1.subscription_schedules.retrieve_async(schedule.id)
    assert (after.status, after.released_subscription) == ("released", subscription.id)
    assert (await shop.subscription(subscription.id)).schedule is None
    assert (await shop.latest_invoice(subscription.id)).total == 499


async def test_a_downgrade_to_a_year_begins_the_year_at_the_periods_end(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(), "family_month")
    schedule = await shop.v1.subscription_schedules.create_async({"from_subscription": subscription.id})
    current = schedule.phases[0]
    ends = subscription.items.data[0].current_period_end
    phases = [
        {"items": [{"price": shop.prices["family_month"]}], "start_date": current.start_date, "end_date": ends},
        {"items": [{"price": shop.prices["plus_year"]}]},
    ]
    await shop.v1.subscription_schedules.update_async(schedule.id, {"phases": phases})
    await shop.box.passes(ends - shop.account.now() + 2 * HOUR)
    item = (await shop.subscription(subscription.id)).items.data[0]
    assert (item.price.lookup_key, item.current_period_start) == ("plus_year", ends)
    assert item.current_period_end - ends >= 365 * DAY
    assert [line.amount for line in (await shop.latest_invoice(subscription.id)).lines.data] == [4990]


async def test_a_downgrade_that_is_taken_back_never_happens(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(), "family_month")
    schedule = await downgrade(shop, subscription)
    released = await shop.v1.subscription_schedules.release_async(schedule.id)
    assert (released.status, released.subscription) == ("released", None)
    await shop.box.passes(40 * DAY)
    assert (await shop.subscription(subscription.id)).items.data[0].price.lookup_key == "family_month"
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.subscription_schedules.release_async(schedule.id)


async def test_what_has_a_schedule_ends_through_that_alone(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer(), "family_month")
    await downgrade(shop, subscription)
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        await shop.v1.subscriptions.update_async(subscription.id, {"cancel_at": "min_period_end"})
    await shop.v1.subscriptions.cancel_async(subscription.id)
    assert "subscription_schedule.canceled" in shop.types()


async def test_too_little_to_be_charged_is_kept_for_the_next_invoice(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer())
    await shop.box.passes(subscription.items.data[0].current_period_end - shop.account.now() - DAY)
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice")
    shown = await preview(shop, subscription, **change)
    await shop.v1.subscriptions.update_async(subscription.id, change)
    settled = await shop.latest_invoice(subscription.id)
    assert (settled.total, settled.amount_due, settled.status) == (16, 0, "paid")
    assert (shown.total, shown.amount_due) == (16, 0)
    await shop.box.passes(2 * DAY)
    assert (await shop.latest_invoice(subscription.id)).amount_paid == 999 + 16


@pytest.mark.parametrize("quantity", [0, -1])
async def test_less_than_one_seat_is_refused(shop: Shop, quantity: int) -> None:
    subscription = await shop.subscribe(await shop.customer())
    items = [{"id": subscription.items.data[0].id, "quantity": quantity}]
    with pytest.raises(stripe.InvalidRequestError, match="positive integer"):
        await shop.v1.subscriptions.update_async(subscription.id, {"items": items})


async def test_an_upgrade_without_an_address_is_refused_where_tax_is_due_and_changes_nothing(shop: Shop) -> None:
    subscription = await at_third(shop, automatic_tax={"enabled": True})
    await shop.v1.customers.update_async(subscription.customer, {"address": ""})
    change = to_price(shop, subscription, "family_month", proration_behavior="always_invoice", description="New")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.v1.subscriptions.update_async(subscription.id, change)
    after = await shop.subscription(subscription.id)
    assert caught.value.code == "customer_tax_location_invalid"
    assert (after.description, after.items.data[0].price.lookup_key) == (None, "plus_month")
