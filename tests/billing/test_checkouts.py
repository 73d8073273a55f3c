"""Two pages that were both paid, pages that are of no use any more, and debits that take days."""

from typing import Any
from uuid import UUID

import pytest

from core.ids import new_id
from domain.billing.catalogue import Tier
from integrations.payments import requests
from integrations.payments.errors import PaymentsError, PaymentsUnavailable, Refused
from integrations.payments.requests import Visit
from models.queries import billing_operations
from temporal.contracts.billing import Standing
from tests.billing.till import Till
from tests.infra.stripe_server.shops import DAY, HOUR

INTENT = """INSERT INTO checkout_intents (id, account_id, lookup_key, currency, checkout_session_id, state)
    VALUES (:id, :account, :key, 'EUR', :session, 'open')"""

REFUNDS = """SELECT r.origin, c.subscription_id FROM refunds r JOIN billing_charges c USING (charge_id)
    WHERE r.account_id = :account"""


async def visit(till: Till, key: str = "plus_month", currency: str = "EUR") -> str:
    """A Checkout page, made as we make it; its session."""
    wanted = Visit(
        intent_id=new_id(),
        account_id=till.account_id,
        customer_id=till.customer_id,
        price_id=till.shop.prices[key],
        currency=currency,
        locale="de",
        success_url="https://petfolio.test/billing/return?session_id={CHECKOUT_SESSION_ID}",
        cancel_url="https://petfolio.test/billing",
    )
    page = await till.payments.create_checkout(requests.checkout(wanted), f"pf:test:checkout:{wanted.intent_id}")
    assert page.url is not None
    return page.id


async def complete(till: Till, session_id: str, method: str = "pm_card_visa", **more: Any) -> None:
    """Somebody pays on the page."""
    await till.shop.box.control(f"checkout/{session_id}/complete", payment_method=method, country="DE", **more)
    await till.tell()


async def intend(till: Till, session_id: str, key: str = "plus_month") -> UUID:
    """The row of an open page. Another open one is put away: two are open only after a mistake."""
    await till.execute("UPDATE checkout_intents SET state = 'expired' WHERE account_id = :account AND state = 'open'")
    intent_id = new_id()
    await till.execute(INTENT, id=intent_id, key=key, session=session_id)
    return intent_id


async def test_a_page_that_was_paid_is_a_plan(till: Till) -> None:
    await till.join(None)
    session_id = await visit(till, "family_month")
    intent_id = await intend(till, session_id)
    await complete(till, session_id)
    await till.follow()
    assert await till.tier() is Tier.FAMILY
    assert await till.value("SELECT state FROM checkout_intents WHERE id = :id", id=intent_id) == "completed"


@pytest.mark.parametrize("currency", ["CHF", "EUR", "GBP", "JPY", "USD"])
async def test_every_currency_that_plans_are_sold_in_can_be_paid_in(till: Till, currency: str) -> None:
    await till.join(None)
    await complete(till, await visit(till, currency=currency))
    await till.follow()
    assert await till.tier() is Tier.PLUS
    ((kind, amount, paid_in),) = await till.ledger()
    assert (kind, paid_in, amount > 0) == ("charge", currency, True)


async def test_a_page_that_is_still_open_is_closed_once_there_is_a_plan(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    session_id = await visit(till)
    intent_id = await intend(till, session_id)
    await till.follow()
    assert till.shop.account.objects.get("checkout.session", session_id)["status"] == "expired"
    assert await till.value("SELECT state FROM checkout_intents WHERE id = :id", id=intent_id) == "superseded"


async def test_a_page_that_nobody_used_expires(till: Till) -> None:
    await till.join(None)
    session_id = await visit(till)
    intent_id = await intend(till, session_id)
    await till.shop.box.passes(25 * HOUR)
    await till.tell()
    await till.follow()
    assert await till.value("SELECT state FROM checkout_intents WHERE id = :id", id=intent_id) == "expired"
    assert await till.tier() is Tier.FREE


async def test_of_two_pages_that_were_paid_one_is_cancelled_and_paid_back(till: Till) -> None:
    await till.join(None)
    first, second = await visit(till, "plus_month"), await visit(till, "family_month")
    await complete(till, first)
    await complete(till, second)
    await till.follow()
    assert await till.tier() is Tier.FAMILY
    live = [each for each in till.shop.account.objects.find("subscription") if each["status"] == "active"]
    assert len(live) == 1
    ((refund_id, amount, origin),) = await till.rows(
        "SELECT id, amount_minor, origin FROM refunds WHERE account_id = :account"
    )
    assert (amount, origin) == (594, "duplicate")  # with a fifth of taxes
    assert (await till.look_at_refund("send_refund", refund_id)).state == "succeeded"
    await till.tell()
    assert (await till.follow()).standing is Standing.GOOD
    assert await till.tier() is Tier.FAMILY
    assert sum(value for _, value, _ in await till.ledger()) == 1189
    till.shop.sums()


async def test_cancelling_the_other_one_twice_pays_back_once(till: Till) -> None:
    await till.join(None)
    for key in ("plus_month", "family_month"):
        await complete(till, await visit(till, key))
    plan = await till.pull()
    await till.act(plan)
    await till.act(plan)
    assert await till.value("SELECT count(*) FROM refunds WHERE account_id = :account") == 1


async def test_a_debit_for_the_other_one_that_comes_through_later_is_paid_back(till: Till) -> None:
    """Its renewal was with the bank when a higher plan began: it cannot be held up."""
    await till.join(None)
    await complete(till, await visit(till, "plus_month"), "DE89370400440532013000")
    await till.shop.box.passes(6 * DAY)
    await till.tell()
    await till.follow()
    await till.shop.box.passes(26 * DAY)
    await till.tell()
    await till.follow()
    assert await till.tier() is Tier.PLUS
    await complete(till, await visit(till, "family_month"))
    await till.follow()
    assert await till.tier() is Tier.FAMILY
    assert await till.rows(REFUNDS) == []
    await till.shop.box.passes(6 * DAY)
    await till.tell()
    await till.follow()
    ((origin, subscription_id),) = await till.rows(REFUNDS)
    assert origin == "duplicate"
    assert (await till.shop.subscription(subscription_id)).status == "canceled"
    assert await till.tier() is Tier.FAMILY


async def test_a_debit_gives_no_plan_before_the_bank_has_paid(till: Till) -> None:
    await till.join(None)
    await complete(till, await visit(till), "DE89370400440532013000")
    assert (await till.follow()).standing is Standing.WAITING
    assert await till.tier() is Tier.FREE
    assert await till.value("SELECT payment FROM billing_snapshots WHERE account_id = :account") == "processing"
    await till.shop.box.passes(6 * DAY)
    await till.tell()
    await till.follow()
    assert await till.tier() is Tier.PLUS
    assert await till.told() == []


async def test_a_debit_that_the_bank_does_not_pay_is_told(till: Till) -> None:
    await till.join(None)
    await complete(till, await visit(till), "DE62370400440532013001")
    await till.follow()
    await till.shop.box.passes(6 * DAY)
    await till.tell()
    await till.follow()
    assert await till.tier() is Tier.FREE
    assert await till.told() == [("first_payment_failed", "due")]


async def test_an_authentication_that_nobody_finishes_leaves_a_free_account(till: Till) -> None:
    await till.join(None)
    await complete(till, await visit(till), "pm_card_authenticationRequired", authenticate=None)
    await till.follow()
    assert await till.tier() is Tier.FREE
    await till.shop.box.passes(24 * HOUR)
    await till.tell()
    assert (await till.follow()).standing is Standing.FREE
    assert await till.told() == []
    await complete(till, await visit(till))
    await till.follow()
    assert await till.tier() is Tier.PLUS


async def two_paid_pages(till: Till) -> None:
    """Somebody paid on both: the smaller plan is one too many."""
    await till.join(None)
    for key in ("plus_month", "family_month"):
        await complete(till, await visit(till, key))


def statuses(till: Till) -> list[str]:
    """Of all subscriptions, sorted."""
    return sorted(each["status"] for each in till.shop.account.objects.find("subscription"))


@pytest.mark.parametrize(
    ("status", "error"), [(400, Refused), (503, PaymentsUnavailable)], ids=["refused", "unanswered"]
)
async def test_a_cancel_that_did_not_work_is_made_again_and_nothing_is_paid_back_before(
    till: Till, status: int, error: type[PaymentsError]
) -> None:
    await two_paid_pages(till)
    await till.shop.box.control("faults", method="DELETE", path="/v1/subscriptions/.*", status=status, code="x")
    with pytest.raises(error):
        await till.follow()
    await till.execute(
        "UPDATE billing_operations SET created_at = created_at - interval '1 day' WHERE account_id = :account"
    )
    async with till.db.sessions.begin() as session:
        assert till.account_id not in await billing_operations.abandon(session, 10_000)
    await till.execute("UPDATE billing_customers SET recount = true WHERE account_id = :account")
    await till.pull()
    assert (statuses(till), await till.rows(REFUNDS)) == (["active", "active"], [])
    assert (await till.follow()).surplus_id is None
    assert statuses(till) == ["active", "canceled"]
    assert await till.value("SELECT count(*) FROM refunds WHERE account_id = :account") == 1
    surplus = "SELECT state, error FROM billing_operations WHERE account_id = :account AND kind = 'surplus'"
    assert await till.rows(surplus) == [("done", None)]


async def test_a_cancel_that_was_done_and_not_answered_is_found_done(till: Till) -> None:
    await two_paid_pages(till)
    await till.shop.box.control("faults", method="DELETE", path="/v1/subscriptions/.*", status=503, when="after")
    with pytest.raises(PaymentsUnavailable):
        await till.follow()
    plan = await till.follow()
    assert (plan.surplus_id, statuses(till)) == (None, ["active", "canceled"])
    assert await till.tier() is Tier.FAMILY
