"""Money that goes back: refunds, disputes, credit notes; and the balance that adds up."""

from typing import Any

import httpx
import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.emulators.stripe_server.application import StripeServer
from tests.infra.stripe_server import shops
from tests.infra.stripe_server.shops import DAY, Shop
from tests.stripe_servers import ADDRESS, opened


async def paid(shop: Shop, method: str = "pm_card_visa", key: str = "plus_month") -> Any:
    """The charge of a subscription's first invoice."""
    subscription = await shop.subscribe(await shop.customer(method), key)
    return await shop.charge_of(subscription.latest_invoice)


async def again(shop: Shop, charge: Any) -> Any:
    """The charge as it is now, with its refunds."""
    return await shop.v1.charges.retrieve_async(charge.id, {"expand": ["refunds"]})


async def test_parts_of_a_charge_go_back_until_nothing_is_left(shop: Shop) -> None:
    charge = await paid(shop)
    first = await shop.v1.refunds.create_async({"charge": charge.id, "amount": 200, "metadata": {"op_id": "1"}})
    assert (first.status, first.amount) == ("succeeded", 200)
    with pytest.raises(
        stripe.InvalidRequestError, match=r"\(300\) is greater than unrefunded amount on charge \(299\)"
    ):
        await shop.v1.refunds.create_async({"charge": charge.id, "amount": 300})
    rest = await shop.v1.refunds.create_async({"payment_intent": charge.payment_intent})
    assert rest.amount == 299
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.v1.refunds.create_async({"charge": charge.id})
    assert caught.value.code == "charge_already_refunded"
    after = await again(shop, charge)
    assert (after.refunded, after.amount_refunded, len(after.refunds.data)) == (True, 499, 2)
    found = await shop.v1.refunds.list_async({"payment_intent": charge.payment_intent})
    assert [each.metadata.to_dict() for each in found.data] == [{}, {"op_id": "1"}]
    shop.sums()


async def test_a_pending_refund_succeeds_days_later(shop: Shop) -> None:
    charge = await paid(shop, "pm_card_pendingRefund")
    refund = await shop.v1.refunds.create_async({"charge": charge.id})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    await shop.box.passes(3 * DAY)
    after = await shop.v1.refunds.retrieve_async(refund.id)
    assert (after.status, after.pending_reason) == ("succeeded", None)
    assert shop.types("refund") == ["refund.created", "refund.updated"]


async def test_a_refund_that_fails_later_gives_its_amount_back_to_the_charge(shop: Shop) -> None:
    charge = await paid(shop, "pm_card_refundFail")
    refund = await shop.v1.refunds.create_async({"charge": charge.id})
    assert refund.status == "succeeded"
    await shop.box.passes(3 * DAY)
    after = await shop.v1.refunds.retrieve_async(refund.id)
    assert (after.status, after.failure_balance_transaction is not None) == ("failed", True)
    assert (await again(shop, charge)).amount_refunded == 0
    assert shop.types("refund") == ["refund.created", "refund.updated", "refund.failed"]
    shop.sums()


@pytest.mark.parametrize(("end", "left"), [("succeeded", 499), ("failed", 0)])
async def test_a_refund_can_wait_for_the_customer(shop: Shop, end: str, left: int) -> None:
    charge = await paid(shop, "pm_card_pendingRefund")
    refund = await shop.v1.refunds.create_async({"charge": charge.id})
    await shop.box.control(f"refunds/{refund.id}", status="requires_action")
    waiting = await shop.v1.refunds.retrieve_async(refund.id)
    assert (waiting.status, waiting.next_action.type) == ("requires_action", "display_details")
    await shop.box.control(f"refunds/{refund.id}", status=end)
    assert (await shop.v1.refunds.retrieve_async(refund.id)).status == end
    assert (await again(shop, charge)).amount_refunded == left
    shop.sums()


async def test_a_refund_that_waits_for_the_customer_can_be_canceled(shop: Shop) -> None:
    charge = await paid(shop, "pm_card_pendingRefund")
    refund = await shop.v1.refunds.create_async({"charge": charge.id})
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.refunds.cancel_async(refund.id)
    await shop.box.control(f"refunds/{refund.id}", status="requires_action")
    assert (await shop.v1.refunds.cancel_async(refund.id)).status == "canceled"
    assert (await again(shop, charge)).amount_refunded == 0


@pytest.mark.parametrize(("end", "balance"), [("won", -1500), ("lost", -1999)])
async def test_a_dispute_takes_the_money_and_gives_it_back_if_it_is_won(shop: Shop, end: str, balance: int) -> None:
    charge = await paid(shop)
    before = shop.account.ledger.balance("eur")
    dispute = await shop.box.control("disputes", charge=charge.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.v1.refunds.create_async({"charge": charge.id})
    assert caught.value.code == "charge_disputed"
    await shop.box.control(f"disputes/{dispute['id']}", status="under_review")
    await shop.box.control(f"disputes/{dispute['id']}", status=end)
    found = (await shop.v1.disputes.list_async({"charge": charge.id})).data[0]
    assert (found.status, (await again(shop, charge)).disputed) == (end, True)
    assert shop.account.ledger.balance("eur") - before == balance
    assert ("charge.dispute.funds_reinstated" in shop.types()) == (end == "won")
    assert shop.types()[-1] == "charge.dispute.closed"
    shop.sums()
    if end == "won":
        await shop.v1.refunds.create_async({"charge": charge.id})
        return
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.refunds.create_async({"charge": charge.id})


async def test_a_card_may_dispute_every_charge(shop: Shop) -> None:
    charge = await paid(shop, "pm_card_createDispute")
    assert charge.disputed
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn"} <= set(shop.types())


async def test_a_credit_note_of_a_paid_invoice_says_where_the_money_goes(shop: Shop) -> None:
    charge = await paid(shop)
    invoice = (await shop.v1.invoices.list_async()).data[0]
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.credit_notes.create_async({"invoice": invoice.id, "amount": 300, "refund_amount": 100})
    note = await shop.v1.credit_notes.create_async(
        {"invoice": invoice.id, "amount": 300, "refund_amount": 200, "credit_amount": 100}
    )
    assert (note.status, note.post_payment_amount, note.refunds[0].amount_refunded) == ("issued", 300, 200)
    assert (await again(shop, charge)).amount_refunded == 200
    assert (await shop.v1.customers.retrieve_async(invoice.customer)).balance == -100
    assert (await shop.v1.invoices.retrieve_async(invoice.id)).post_payment_credit_notes_amount == 300
    with pytest.raises(stripe.InvalidRequestError, match="between 1 and 199"):
        await shop.v1.credit_notes.create_async({"invoice": invoice.id, "amount": 200, "refund_amount": 200})


async def test_a_credit_note_lowers_an_open_invoice(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.customer("pm_card_chargeCustomerFail"))
    given: dict[str, Any] = {"invoice": subscription.latest_invoice, "amount": 100}
    await shop.v1.credit_notes.create_async(given)
    lowered = await shop.v1.invoices.retrieve_async(subscription.latest_invoice)
    assert (lowered.amount_remaining, lowered.pre_payment_credit_notes_amount) == (399, 100)
    await shop.v1.credit_notes.create_async(given | {"amount": 399})
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_every_payment_is_a_balance_transaction_with_its_fee(shop: Shop) -> None:
    charge = await paid(shop)
    moved = await shop.v1.balance_transactions.retrieve_async(charge.balance_transaction)
    assert (moved.type, moved.amount, moved.fee, moved.net) == ("charge", 499, 32, 467)
    ledger = await shop.box.control("ledger", "GET")
    assert [(each["kind"], each["amount"]) for each in ledger] == [("charge", 499), ("stripe_fee", -32)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(1, 700)),
        st.tuples(st.just("settle"), st.sampled_from(["succeeded", "failed"])),
        st.tuples(st.just("dispute"), st.sampled_from(["won", "lost"])),
        st.tuples(st.just("pass"), st.integers(1, 40)),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.sampled_from(["pm_card_visa", "pm_card_pendingRefund", "pm_card_refundFail"]))
async def test_whatever_happens_no_charge_gives_back_more_than_it_took(
    steps: list[tuple[str, Any]], method: str
) -> None:
    async with opened(StripeServer(ADDRESS, httpx.MockTransport(lambda _: httpx.Response(200)))) as box:
        box.account.clock.freeze()
        shop = await shops.opened(box)
        charge = await paid(shop, method)
        for what, how in steps:
            await _step(shop, charge, what, how)
            shop.sums()
        counted = ("pending", "requires_action", "succeeded")
        for each in shop.account.objects.find("charge"):
            refunds = shop.account.objects.find("refund", lambda refund, each=each: refund["charge"] == each["id"])
            given_back = sum(refund["amount"] for refund in refunds if refund["status"] in counted)
            assert given_back == each["amount_refunded"] <= each["amount"]


async def _step(shop: Shop, charge: Any, what: str, how: Any) -> None:
    """One thing that happens; what is refused happens not."""
    try:
        if what == "refund":
            await shop.v1.refunds.create_async({"charge": charge.id, "amount": how})
        elif what == "pass":
            await shop.box.passes(how * DAY)
        elif what == "settle":
            for refund in shop.account.objects.find("refund")[:1]:
                await shop.box.control(f"refunds/{refund['id']}", status=how)
        else:
            dispute = await shop.box.control("disputes", charge=charge.id)
            await shop.box.control(f"disputes/{dispute['id']}", status=how)
    except (stripe.InvalidRequestError, httpx.HTTPStatusError):
        pass
