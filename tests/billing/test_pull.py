"""What is read of an account at Stripe, and what it becomes here."""

import asyncio
from datetime import timedelta

import pytest

from core import live
from domain.billing.catalogue import GRACE, Tier
from integrations.payments.client import Payments
from temporal.contracts.billing import Standing
from tests.billing.till import Till
from tests.infra.stripe_server.shops import DAY

SNAPSHOT = "SELECT {} FROM billing_snapshots WHERE account_id = :account"


async def test_an_account_that_was_never_at_stripe_is_free_and_asks_nothing(till: Till) -> None:
    before = len(till.shop.account.log.entries)
    plan = await till.pull()
    assert (plan.standing, plan.look_at) == (Standing.FREE, None)
    assert len(till.shop.account.log.entries) == before


async def test_a_subscription_is_a_plan_its_money_and_handled_events(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    assert await till.tell() > 3
    plan = await till.pull()
    assert (plan.standing, plan.look_at) == (Standing.GOOD, None)
    assert await till.tier() is Tier.PLUS
    assert await till.value("SELECT subscription_tier FROM users WHERE id = :account") == "plus"
    assert await till.ledger() == [("charge", 499, "EUR")]
    assert set(await till.states()) == {"applied"}
    assert await till.value("SELECT currency FROM billing_customers WHERE account_id = :account") == "EUR"


async def test_the_renewal_is_the_end_of_the_items_period(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.pull()
    end = made["items"].data[0].current_period_end
    assert "current_period_end" not in made
    assert (await till.value(SNAPSHOT.format("period_end"))).timestamp() == end


async def test_of_two_items_the_one_that_ends_first_decides(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    items = till.shop.account.objects.get("subscription", made.id)["items"]["data"]
    items.append({**items[0], "id": "si_second", "current_period_end": items[0]["current_period_end"] - 7 * DAY})
    await till.pull()
    assert (await till.value(SNAPSHOT.format("period_end"))).timestamp() == items[1]["current_period_end"]


async def test_a_read_with_nothing_new_is_one_call(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    await till.pull()
    before = len(till.shop.account.log.entries)
    await till.pull()
    assert len(till.shop.account.log.entries) - before == 1


async def test_several_invoices_that_events_are_about_are_read_in_one_call(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    item, prices = made["items"].data[0].id, till.shop.prices
    for dearer in ("family_month", "family_year"):
        change = {"items": [{"id": item, "price": prices[dearer]}], "proration_behavior": "always_invoice"}
        await till.shop.v1.subscriptions.update_async(made.id, change)
    await till.tell()
    before = len(till.shop.account.log.entries)
    await till.pull()
    asked = [entry.path for entry in list(till.shop.account.log.entries)[before:]]
    assert [path for path in asked if path.startswith("/v1/invoices")] == ["/v1/invoices"]
    assert len(await till.ledger()) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"cancel_at": "min_period_end"},
        {"cancel_at_period_end": True},
        {"pause_collection": {"behavior": "void"}},
    ],
    ids=["cancel_at", "cancel_at_period_end", "pause_collection"],
)
async def test_what_is_only_planned_changes_no_plan(till: Till, change: dict[str, object]) -> None:
    made = await till.shop.subscribe(await till.join(), "family_month")
    await till.shop.v1.subscriptions.update_async(made.id, change)
    plan = await till.pull()
    assert await till.tier() is Tier.FAMILY
    is_cancelled = "pause_collection" not in change
    assert (await till.value(SNAPSHOT.format("scheduled_cancel_at")) is not None) is is_cancelled
    assert (plan.look_at is not None) is is_cancelled


async def test_a_dispute_keeps_the_plan_and_moves_the_money(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.pull()
    charge = await till.shop.charge_of(made.latest_invoice)
    dispute = await till.shop.box.control("disputes", charge=charge.id)
    await till.tell()
    await till.pull()
    assert await till.tier() is Tier.PLUS
    assert await till.ledger() == [("charge", 499, "EUR"), ("dispute", -499, "EUR")]
    assert await till.value("SELECT is_disputed FROM billing_charges WHERE account_id = :account")
    await till.shop.box.control(f"disputes/{dispute['id']}", status="won")
    await till.tell()
    await till.pull()
    assert sum(amount for _, amount, _ in await till.ledger()) == 499
    assert not await till.value("SELECT is_disputed FROM billing_charges WHERE account_id = :account")


async def test_a_price_without_a_lookup_key_is_known_by_its_product(till: Till) -> None:
    made = await till.shop.subscribe(await till.join(), "family_month")
    price = till.shop.account.objects.get("price", made["items"].data[0].price.id)
    price |= {"lookup_key": None, "metadata": {}}
    await till.pull()
    assert await till.tier() is Tier.FAMILY


async def test_a_price_that_nobody_knows_keeps_the_plan_and_alerts(till: Till) -> None:
    made = await till.shop.subscribe(await till.join(), "family_month")
    await till.pull()
    price = till.shop.account.objects.get("price", made["items"].data[0].price.id)
    price |= {"lookup_key": None, "metadata": {}}
    till.shop.account.objects.get("product", price["product"])["metadata"] = {}
    plan = await till.pull()
    assert plan.standing is Standing.UNCLEAR
    assert await till.value(SNAPSHOT.format("alert")) == "unknown_price"
    assert await till.tier() is Tier.FAMILY


async def test_a_status_that_nobody_knows_keeps_the_plan_and_alerts(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.pull()
    till.shop.account.objects.get("subscription", made.id)["status"] = "hibernating"
    assert (await till.pull()).standing is Standing.UNCLEAR
    assert await till.tier() is Tier.PLUS


async def test_a_subscription_that_was_cancelled_there_ends_the_plan_here(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.pull()
    await till.shop.v1.subscriptions.cancel_async(made.id)
    assert (await till.pull()).standing is Standing.FREE
    assert await till.tier() is Tier.FREE
    assert await till.value("SELECT subscription_tier FROM users WHERE id = :account") == "free"


async def test_a_customer_who_was_deleted_there_is_free_and_may_come_back(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    await till.pull()
    await till.shop.v1.customers.delete_async(till.customer_id)
    await till.tell()
    assert (await till.pull()).standing is Standing.FREE
    assert await till.tier() is Tier.FREE
    successor = await till.shop.customer()
    await till.belong(successor, generation=2)
    await till.shop.subscribe(successor, "family_month")
    await till.pull()
    assert await till.tier() is Tier.FAMILY


async def test_an_older_attempt_writes_nothing_over_a_newer_one(till: Till) -> None:
    """The attempt was given up and went on all the same, with what it had read before."""
    made = await till.shop.subscribe(await till.join())
    read, go_on = asyncio.Event(), asyncio.Event()
    till.payments, honest = _Stalling(till.payments, read, go_on), till.payments
    zombie = asyncio.create_task(till.pull(seq=1, attempt=1))
    await read.wait()
    till.payments = honest
    await till.shop.v1.subscriptions.cancel_async(made.id)
    await till.pull(seq=1, attempt=2)
    go_on.set()
    assert (await zombie).superseded
    assert await till.tier() is Tier.FREE
    assert await till.value(SNAPSHOT.format("fence")) == 1002


async def test_screens_hear_of_what_was_stored_and_of_nothing_else(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    monkeypatch.setattr("core.live.say", lambda _, people, name, **data: heard.append((*people, name, data["type"])))
    await till.shop.subscribe(await till.join())
    await till.pull()
    await till.pull(seq=till.seq)
    assert heard == [(till.account_id, live.Name.WORKFLOW_UPDATED, "billing")]


async def test_an_event_that_comes_during_a_read_is_left_to_the_next(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    await till.tell()
    read, go_on = asyncio.Event(), asyncio.Event()
    till.payments = _Stalling(till.payments, read, go_on)
    reading = asyncio.create_task(till.pull())
    await read.wait()
    await till.receive("evt_late", "customer.subscription.updated", "sub_x")
    go_on.set()
    await reading
    assert await till.value("SELECT state FROM stripe_events WHERE id = 'evt_late'") == "received"
    await till.pull()
    assert set(await till.states()) == {"applied"}


@pytest.mark.parametrize(
    ("kind", "object_id"),
    [("charge.refunded", "ch_gone"), ("charge.dispute.closed", "du_gone"), ("invoice.paid", "in_gone")],
)
async def test_an_event_about_something_that_is_gone_is_handled_all_the_same(
    till: Till, kind: str, object_id: str
) -> None:
    await till.shop.subscribe(await till.join())
    await till.receive(f"evt_{object_id}", kind, object_id)
    await till.pull()
    assert await till.tier() is Tier.PLUS
    assert await till.states() == {"applied": 1}


async def test_a_refund_in_a_currency_that_is_none_of_ours_does_not_keep_its_account_from_being_read(
    till: Till,
) -> None:
    made = await till.shop.subscribe(await till.join())
    charge = await till.shop.charge_of(made.latest_invoice)
    refund = await till.shop.v1.refunds.create_async({"charge": charge.id, "amount": 200})
    await till.shop.box.control(f"objects/{refund.id}", currency="isk")
    await till.tell()
    await till.pull()
    assert set(await till.states()) == {"applied"}
    assert await till.ledger() == [("charge", 499, "EUR")]


async def test_what_several_events_are_about_is_asked_for_once(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.pull()
    charge = await till.shop.charge_of(made.latest_invoice)
    for number in range(5):
        await till.receive(f"evt_again_{number}", "charge.refunded", charge.id)
    before = len(till.shop.account.log.entries)
    await till.pull()
    asked = [entry.path for entry in list(till.shop.account.log.entries)[before:]]
    assert asked.count(f"/v1/charges/{charge.id}") == 1


async def test_a_read_that_fails_leaves_its_events_to_be_handled(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    await till.tell()
    await till.shop.box.control("faults", method="GET", path="/v1/subscriptions")
    with pytest.raises(Exception, match="Stripe does not answer"):
        await till.pull()
    assert set(await till.states()) == {"received"}
    await till.pull()
    assert set(await till.states()) == {"applied"}


async def test_a_grace_ends_here_although_nobody_reads_stripe(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    till.shop.account.objects.get("subscription", made.id)["status"] = "past_due"
    invoice = till.shop.account.objects.get("invoice", made.latest_invoice)
    invoice |= {"status": "open", "attempt_count": 1}
    await till.pull()
    assert await till.tier() is Tier.PLUS
    grace = await till.value("SELECT grace_until FROM entitlements WHERE account_id = :account")
    assert grace == till.now + GRACE
    await till.shop.box.passes(int((GRACE + timedelta(seconds=1)).total_seconds()))
    assert await till.tier() is Tier.FREE


class _Stalling:
    """Reads the subscriptions, and then waits with what it has read."""

    def __init__(self, payments: Payments, read: asyncio.Event, go_on: asyncio.Event) -> None:
        self._payments, self._read, self._go_on = payments, read, go_on

    def __getattr__(self, name: str) -> object:
        return getattr(self._payments, name)

    async def subscriptions_of(self, customer_id: str) -> object:
        found = await self._payments.subscriptions_of(customer_id)
        self._read.set()
        await self._go_on.wait()
        return found
