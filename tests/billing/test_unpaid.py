"""What nobody paid for in the end: `unpaid`, months of `past_due`, and what has ended with an invoice left open."""

import pytest

from domain.billing.catalogue import Tier
from temporal.contracts.billing import Standing
from tests.billing.test_dunning import days, subscribed_and_declined
from tests.billing.till import Till
from tests.infra.stripe_server.shops import HOUR


async def given_up(till: Till, outcome: str = "unpaid") -> str:
    """Stripe has tried four times, and does this now; the subscription."""
    await till.shop.box.control("settings", after_retries=outcome)
    subscription = await subscribed_and_declined(till)
    await till.follow()
    await days(till, 16)
    return subscription


def tried(till: Till) -> list[str]:
    """The invoices that we had charged."""
    return [each.path for each in till.shop.account.log.entries if each.path.endswith("/pay")]


async def test_what_is_unpaid_is_still_owed_and_operators_see_it(till: Till) -> None:
    await given_up(till)
    owed = "SELECT status, payment, is_retried, pay_link_ct IS NOT NULL, first_failed_at FROM billing_snapshots"
    ((status, payment, is_retried, has_link, since),) = await till.rows(f"{owed} WHERE account_id = :account")
    assert (status, payment, is_retried, has_link) == ("unpaid", "failed", False, True)
    assert (till.now - since).days == 16
    assert (await till.pull()).standing is Standing.DUNNING


async def test_another_card_brings_back_what_is_unpaid_with_one_payment(till: Till) -> None:
    subscription = await given_up(till)
    assert await till.tier() is Tier.FREE
    await till.shop.replace_method(till.customer_id, "pm_card_visa")
    await till.tell()
    assert (await till.follow()).standing is Standing.GOOD
    assert (await till.shop.subscription(subscription)).status == "active"
    assert (await till.tier(), len(tried(till))) == (Tier.PLUS, 1)


async def test_a_plan_that_stripe_ended_before_the_grace_is_not_spoken_of_any_more(till: Till) -> None:
    subscription = await subscribed_and_declined(till)
    await till.follow()
    till.shop.account.objects.get("subscription", subscription)["status"] = "unpaid"
    await days(till, 3)
    assert [step for _, step in await till.told()] == ["day_0"]


async def test_a_second_month_that_is_not_paid_is_not_told_after_the_plan_has_ended(till: Till) -> None:
    await given_up(till, "past_due")
    told = await till.told()
    for _ in range(8):
        await days(till, 4)
    assert len(till.shop.account.objects.find("invoice")) == 3
    assert await till.told() == told
    assert await till.tier() is Tier.FREE


async def test_a_trial_that_ended_without_a_card_waits_for_one(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    till.shop.account.objects.get("subscription", made.id)["status"] = "paused"
    assert (await till.pull()).standing is Standing.WAITING


def open_invoices(till: Till) -> list[str]:
    """What somebody could still pay."""
    return [each["id"] for each in till.shop.account.objects.find("invoice") if each["status"] == "open"]


@pytest.mark.parametrize("by", ["its person", "Stripe"])
async def test_what_has_ended_is_not_owed_any_more(till: Till, by: str) -> None:
    """The link in an old mail still leads to the invoice."""
    subscription = await given_up(till, "unpaid" if by == "its person" else "canceled")
    if by == "its person":
        assert len(open_invoices(till)) == 1
        await till.payments.cancel_now(subscription)
    await days(till, 0)
    assert (await till.pull()).standing is Standing.FREE
    assert open_invoices(till) == []
    operations = "SELECT state FROM billing_operations WHERE account_id = :account AND kind = 'void'"
    assert await till.value(operations) == "done"


async def test_an_older_invoice_behind_a_draft_is_voided_as_well(till: Till) -> None:
    """Of months that Stripe has given up on the invoices are drafts."""
    subscription = await given_up(till)
    (owed,) = open_invoices(till)
    older = till.shop.account.objects.get("invoice", owed)
    draft = till.shop.account.objects.put({**older, "id": "in_draft", "status": "draft"})
    till.shop.account.objects.get("subscription", subscription)["latest_invoice"] = draft["id"]
    await till.payments.cancel_now(subscription)
    await days(till, 0)
    assert open_invoices(till) == []


async def test_a_debit_that_cannot_be_held_up_is_left_alone_after_one_try(till: Till) -> None:
    subscription = await given_up(till)
    await till.payments.cancel_now(subscription)
    await till.shop.box.control("faults", method="POST", path="/void$", status=400)
    for _ in range(3):
        await till.follow()
    voids = [each.path for each in till.shop.account.log.entries if each.path.endswith("/void")]
    assert len(voids) == 1


async def test_an_account_that_owes_nothing_is_read_in_one_call_after_its_end(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.shop.v1.subscriptions.cancel_async(made.id)
    await till.follow()
    before = len(till.shop.account.log.entries)
    await till.shop.box.passes(HOUR)
    await till.pull()
    assert len(till.shop.account.log.entries) - before == 1
