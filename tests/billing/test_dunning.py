"""A renewal that is not paid and a card that is replaced: on the shop's clock, to the end of the grace."""

from datetime import timedelta

import pytest

from domain.billing.catalogue import Tier
from integrations.payments.errors import PaymentsUnavailable
from temporal.contracts.billing import Standing
from tests.billing.till import Till
from tests.infra.stripe_server.shops import DAY, HOUR

MONTH = 31 * DAY


async def subscribed_and_declined(till: Till, method: str = "pm_card_chargeCustomerFail") -> str:
    """A month after subscribing with a good card, the one that is charged now is declined."""
    customer = await till.join()
    made = await till.shop.subscribe(customer)
    await till.follow()
    await till.shop.replace_method(customer, method)
    await till.shop.box.passes(MONTH + 2 * HOUR)
    assert (await till.shop.subscription(made.id)).status == "past_due"
    await till.tell()
    return str(made.id)


async def days(till: Till, number: float) -> None:
    """As many pass; then a workflow reads."""
    await till.shop.box.passes(int(number * DAY))
    await till.tell()
    await till.follow()


async def test_each_word_is_said_on_its_day_and_the_plan_ends_after_a_fortnight(till: Till) -> None:
    await subscribed_and_declined(till)
    plan = await till.follow()
    first = till.now
    assert (plan.standing, plan.look_at) == (Standing.DUNNING, first + timedelta(days=3))
    for expected in (3, 4, 5):
        await days(till, expected)
        assert await till.tier() is Tier.PLUS
    assert [step for _, step in await till.told()] == ["day_0", "day_3", "day_7", "day_12"]
    await days(till, 2)
    assert await till.tier() is Tier.FREE
    assert {template for template, _ in await till.told()} == {"payment_failed"}


async def test_however_often_it_is_read_each_word_is_said_once(till: Till) -> None:
    await subscribed_and_declined(till)
    for _ in range(4):
        await till.pull()
    assert [step for _, step in await till.told()] == ["day_0"]
    assert await till.value("SELECT count(*) FROM notifications WHERE user_id = :account") == 1


async def test_after_an_outage_only_the_newest_word_is_said(till: Till) -> None:
    await subscribed_and_declined(till)
    await till.pull()
    await days(till, 8)
    assert [step for _, step in await till.told()] == ["day_0", "day_7"]


async def test_a_card_that_is_replaced_is_tried_once_and_ends_it(till: Till) -> None:
    subscription = await subscribed_and_declined(till)
    await till.follow()
    await till.shop.box.passes(2 * DAY)
    card = await till.shop.replace_method(till.customer_id, "pm_card_visa")
    await till.tell()
    plan = await till.pull()
    assert plan.pay is not None
    assert plan.pay.payment_method_id == card
    assert (await till.follow()).standing is Standing.GOOD
    assert (await till.shop.subscription(subscription)).status == "active"
    paid = [each for each in till.shop.account.log.entries if each.path.endswith("/pay")]
    assert len(paid) == 1
    await days(till, 20)
    assert [step for _, step in await till.told()] == ["day_0"]
    assert [entry for entry in await till.ledger() if entry[0] == "charge"] == [("charge", 499, "EUR")] * 2


async def test_a_payment_that_was_made_and_not_answered_is_not_made_again_once_its_key_is_forgotten(till: Till) -> None:
    await subscribed_and_declined(till)
    await till.shop.replace_method(till.customer_id, "pm_card_visa")
    await till.tell()
    plan = await till.pull()
    await till.shop.box.control("faults", method="POST", path="/v1/invoices/.*/pay", when="after", effect="drop")
    with pytest.raises(PaymentsUnavailable):
        await till.act(plan)
    await till.shop.box.passes(2 * DAY)
    assert await till.act(plan)  # as it would after two days without Stripe, without another read
    assert (await till.follow()).standing is Standing.GOOD
    assert len([each for each in till.shop.account.log.entries if each.path.endswith("/pay")]) == 2
    assert [entry for entry in await till.ledger() if entry[0] == "charge"] == [("charge", 499, "EUR")] * 2


async def test_the_field_that_failed_is_the_one_that_is_set(till: Till) -> None:
    """Checkout leaves the card with the subscription; another one of the customer's would never be charged."""
    customer = await till.join()
    made = await till.shop.subscribe(customer)
    bad = await till.shop.v1.payment_methods.attach_async("pm_card_chargeCustomerFail", {"customer": customer})
    await till.shop.v1.subscriptions.update_async(made.id, {"default_payment_method": bad.id})
    await till.follow()
    await till.shop.box.passes(MONTH + 2 * HOUR)
    await till.tell()
    await till.follow()
    card = await till.shop.replace_method(customer, "pm_card_visa")
    await till.tell()
    await till.follow()
    subscription = await till.shop.subscription(made.id)
    assert (subscription.status, subscription.default_payment_method) == ("active", card)


async def test_an_older_card_that_nobody_chose_is_not_charged(till: Till) -> None:
    customer = await till.join()
    made = await till.shop.subscribe(customer)
    bad = await till.shop.v1.payment_methods.attach_async("pm_card_chargeCustomerFail", {"customer": customer})
    await till.shop.v1.subscriptions.update_async(made.id, {"default_payment_method": bad.id})
    await till.shop.box.passes(MONTH + 2 * HOUR)
    await till.tell()
    await till.follow()
    assert (await till.shop.subscription(made.id)).status == "past_due"
    assert not [each for each in till.shop.account.log.entries if each.path.endswith("/pay")]


async def test_another_card_that_is_declined_is_not_tried_again(till: Till) -> None:
    await subscribed_and_declined(till)
    await till.follow()
    await till.shop.replace_method(till.customer_id, "pm_card_chargeCustomerFail")
    await till.tell()
    for _ in range(3):
        await till.follow()
    paid = [each for each in till.shop.account.log.entries if each.path.endswith("/pay")]
    assert len(paid) == 1
    operation = "SELECT state, error FROM billing_operations WHERE account_id = :account AND kind = 'pay'"
    ((state, _),) = await till.rows(operation)
    assert state == "failed"


async def test_an_invoice_that_was_paid_in_the_meantime_is_not_spoken_of(till: Till) -> None:
    subscription = await subscribed_and_declined(till)
    await till.follow()
    invoice = (await till.shop.latest_invoice(subscription)).id
    card = await till.shop.v1.payment_methods.attach_async("pm_card_visa", {"customer": till.customer_id})
    await till.shop.v1.invoices.pay_async(invoice, {"payment_method": card.id})
    await days(till, 3)
    assert [step for _, step in await till.told()] == ["day_0"]
    assert await till.tier() is Tier.PLUS


@pytest.mark.parametrize("outcome", ["canceled", "unpaid", "past_due"])
async def test_what_stripe_does_after_the_last_attempt_is_what_stands(till: Till, outcome: str) -> None:
    await till.shop.box.control("settings", after_retries=outcome)
    subscription = await subscribed_and_declined(till)
    await till.follow()
    await days(till, 16)
    assert (await till.shop.subscription(subscription)).status == outcome
    assert await till.tier() is Tier.FREE
    assert await till.value("SELECT status FROM billing_snapshots WHERE account_id = :account") == outcome


@pytest.mark.parametrize("outcome", ["unpaid", "past_due"])
async def test_paying_what_is_owed_recovers_at_any_time(till: Till, outcome: str) -> None:
    await till.shop.box.control("settings", after_retries=outcome)
    subscription = await subscribed_and_declined(till)
    await days(till, 16)
    invoice = (await till.shop.latest_invoice(subscription)).id
    card = await till.shop.v1.payment_methods.attach_async("pm_card_visa", {"customer": till.customer_id})
    await till.shop.v1.invoices.pay_async(invoice, {"payment_method": card.id})
    await days(till, 0)
    assert await till.tier() is Tier.PLUS


async def test_the_trial_is_told_three_days_before_it_ends(till: Till) -> None:
    await till.shop.subscribe(await till.join(), trial_period_days=14)
    plan = await till.follow()
    assert await till.tier() is Tier.PLUS
    assert plan.look_at == till.now + timedelta(days=11)
    await days(till, 11)
    await days(till, 1)
    assert await till.told() == [("trial_ending", "due")]
    await days(till, 3)
    assert await till.told() == [("trial_ending", "due")]
    assert (await till.ledger())[-1] == ("charge", 499, "EUR")
