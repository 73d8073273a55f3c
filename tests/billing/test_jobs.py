"""What was left, what never came, what differs, and the balance: found, listed and read anew."""

from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.billing_prices import BillingPriceActivities
from activities.billing_reconcile import BillingReconcileActivities
from activities.billing_resolve import BillingResolveActivities
from activities.billing_sweep import BillingSweepActivities
from core.ids import new_id
from domain.billing.catalogue import CURRENCIES, Tier
from integrations.payments.errors import Refused
from integrations.payments.metrics import FOREIGN
from models.queries import billing_operations, billing_views
from models.queries.billing_operations import Intended
from temporal.contracts.billing_reconcile import CompareMoney, CompareOurs, CompareTheirs, ReadPrices
from temporal.contracts.billing_resolve import ResolveEvent
from temporal.contracts.billing_sweep import FindMissed, NudgeWaiting
from tests.billing.till import Till
from tests.infra.stripe_server.shops import HOUR

RUNG = "SELECT count(*) FROM outbox WHERE user_id = :account AND kind = 'billing' AND done_at IS NULL"
SEARCHED = "SELECT id FROM outbox WHERE kind = 'billing_resolve' AND args ->> 'event_id' = :id AND done_at IS NULL"
DRIFT = "SELECT what, ours, theirs FROM billing_drift WHERE account_id = :account ORDER BY what"


async def run(activity: Any, request: object) -> Any:
    return await ActivityEnvironment().run(activity, request)


async def is_rung(till: Till) -> bool:
    """Whether a worker will read the account; takes the bell."""
    found = await till.value(RUNG)
    await till.execute("DELETE FROM outbox WHERE user_id = :account AND kind = 'billing'")
    return bool(found)


async def reconcile(till: Till) -> int:
    """All of it; how many differences of this account it lists. Other tests' accounts have shops of their own."""
    job = BillingReconcileActivities(till.db.sessions, till.payments)
    before = len(await till.rows(DRIFT))
    await run(job.compare_theirs, CompareTheirs(till.now))
    await run(job.compare_ours, CompareOurs(till.now, 2))
    await run(job.compare_money, CompareMoney(till.now))
    return len(await till.rows(DRIFT)) - before


async def missed(till: Till) -> int:
    """What Stripe lists and nobody told, from where the last reading began."""
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    found: int = (await run(job.find_missed, FindMissed(till.now))).missed
    return found


@pytest.fixture(autouse=True)
async def nobody_has_read_yet(till: Till) -> None:
    """The tests share a database, and each has a clock of its own."""
    await till.execute("DELETE FROM billing_watermarks")


async def settled(till: Till) -> None:
    """Everything is read, and nobody is rung."""
    await till.tell()
    await till.follow()
    await till.execute("DELETE FROM outbox WHERE user_id = :account")
    await till.shop.box.passes(60)


async def test_an_event_that_nobody_handled_rings_its_account(till: Till) -> None:
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    await till.join()
    await till.receive("evt_fresh", "invoice.paid", "in_1")
    await run(job.nudge_waiting, NudgeWaiting(2))
    assert not await is_rung(till)
    await till.execute(
        "UPDATE stripe_events SET received_at = received_at - interval '2 min' WHERE account_id = :account"
    )
    await run(job.nudge_waiting, NudgeWaiting(2))
    assert await is_rung(till)


async def test_whose_an_event_is_is_asked_again_after_stripe_refused_to_say(till: Till) -> None:
    sweep = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    resolve = BillingResolveActivities(till.db.sessions, till.payments)
    made = await till.shop.subscribe(await till.join())
    await till.receive("evt_unsaid", "v1.invoice.paid", made.latest_invoice)
    await till.execute("UPDATE stripe_events SET account_id = NULL WHERE id = 'evt_unsaid'")
    await till.shop.box.control("faults", method="GET", path="/v1/invoices", status=403)
    with pytest.raises(Refused):
        await run(resolve.resolve_event, ResolveEvent("evt_unsaid"))
    await run(sweep.nudge_waiting, NudgeWaiting(1))
    assert not await till.rows(SEARCHED, id="evt_unsaid")
    await till.execute("UPDATE stripe_events SET received_at = now() - interval '2 min' WHERE id = 'evt_unsaid'")
    for _ in range(2):
        await run(sweep.nudge_waiting, NudgeWaiting(1))
    assert len(await till.rows(SEARCHED, id="evt_unsaid")) == 1
    await run(resolve.resolve_event, ResolveEvent("evt_unsaid"))
    assert await is_rung(till)


async def test_an_account_whose_time_has_come_is_rung_although_its_workflow_was_lost(till: Till) -> None:
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    await till.shop.subscribe(await till.join(), trial_period_days=14)
    await settled(till)
    await run(job.nudge_waiting, NudgeWaiting(2))
    assert not await is_rung(till)
    await till.execute("UPDATE billing_snapshots SET look_at = now() - interval '1 hour' WHERE account_id = :account")
    await run(job.nudge_waiting, NudgeWaiting(2))
    assert await is_rung(till)


async def test_an_operation_that_nobody_goes_on_with_is_given_up_and_its_account_read(till: Till) -> None:
    """The process that made it died; what workers make is tried until it has ended."""
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    async with till.db.sessions.begin() as session:
        for kind in ("subchange", "refund", "portal"):
            await billing_operations.begin(
                session, "test", Intended(account_id=till.account_id, kind=kind, key=f"{kind}:{new_id()}")
            )
    aged = "UPDATE billing_operations SET created_at = now() - interval '1 day' WHERE account_id = :account"
    await till.execute(f"{aged} AND kind <> 'portal'")
    await run(job.nudge_waiting, NudgeWaiting(1))
    states = await till.rows("SELECT kind, state FROM billing_operations WHERE account_id = :account ORDER BY kind")
    assert [tuple(row) for row in states] == [("portal", "sent"), ("refund", "sent"), ("subchange", "ambiguous")]
    assert await is_rung(till)


async def test_what_was_handled_a_month_ago_is_forgotten(till: Till) -> None:
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    for event_id, state in (("evt_old", "applied"), ("evt_open", "received")):
        await till.receive(event_id, "invoice.paid", "in_1")
        await till.execute(
            "UPDATE stripe_events SET state = :state, received_at = now() - interval '31 days' WHERE id = :id",
            state=state,
            id=event_id,
        )
    await run(job.nudge_waiting, NudgeWaiting(1))
    assert [row.id for row in await till.rows("SELECT id FROM stripe_events WHERE account_id = :account")] == [
        "evt_open"
    ]


async def test_what_left_nothing_behind_is_forgotten_after_a_month_and_the_rest_kept(till: Till) -> None:
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    for age in (29, 31):
        for kind in ("portal", "preview", "refund"):
            intended = Intended(account_id=till.account_id, kind=kind, key=f"{kind}:{new_id()}")
            async with till.db.sessions.begin() as session:
                operation = await billing_operations.begin(session, "test", intended)
            await till.execute(
                "UPDATE billing_operations SET created_at = now() - make_interval(days => :age) WHERE op_id = :id",
                age=age,
                id=operation.op_id,
            )
    await run(job.nudge_waiting, NudgeWaiting(1))
    kept = await till.rows("SELECT kind FROM billing_operations WHERE account_id = :account ORDER BY kind")
    assert [row.kind for row in kept] == ["portal", "preview", "refund", "refund"]


async def test_events_that_never_came_are_found_and_ring_their_account(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    assert await missed(till) > 3
    assert await is_rung(till)
    await till.follow()
    assert await till.tier() is Tier.PLUS
    assert set(await till.states()) == {"applied"}
    assert await missed(till) == 0
    await till.shop.box.passes(2 * HOUR)
    await till.shop.replace_method(till.customer_id, "pm_card_visa")
    assert await missed(till) == 2


async def test_an_event_of_a_customer_who_is_nobodys_is_an_orphan(till: Till) -> None:
    stranger = await till.shop.customer()
    await missed(till)
    states = await till.rows("SELECT DISTINCT state FROM stripe_events WHERE customer_id = :id", id=stranger)
    assert [row.state for row in states] == ["orphan"]


async def test_an_event_of_the_other_mode_is_ignored(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=True)
    await run(job.find_missed, FindMissed(till.now))
    assert set(await till.states()) == {"ignored"}
    assert not await is_rung(till)


async def test_an_event_that_names_nobody_is_given_to_whose_object_it_is(till: Till) -> None:
    job = BillingResolveActivities(till.db.sessions, till.payments)
    made = await till.shop.subscribe(await till.join())
    for object_id in (made.id, made.latest_invoice):
        event_id = f"evt_thin_{object_id}"
        await till.receive(event_id, "v1.invoice.paid", object_id)
        await till.execute("UPDATE stripe_events SET account_id = NULL WHERE id = :id", id=event_id)
        await run(job.resolve_event, ResolveEvent(event_id))
        assert await till.value("SELECT account_id FROM stripe_events WHERE id = :id", id=event_id) == till.account_id
        assert await is_rung(till)


@pytest.mark.parametrize("object_id", ["sub_of_nobody", "prod_1", None])
async def test_an_event_whose_object_leads_nowhere_is_an_orphan(till: Till, object_id: str | None) -> None:
    event_id = f"evt_{object_id}"
    await till.receive(event_id, "v1.invoice.paid", object_id)
    await till.execute("UPDATE stripe_events SET account_id = NULL WHERE id = :id", id=event_id)
    await run(BillingResolveActivities(till.db.sessions, till.payments).resolve_event, ResolveEvent(event_id))
    assert await till.value("SELECT state FROM stripe_events WHERE id = :id", id=event_id) == "orphan"


async def test_in_a_normal_night_nothing_differs(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    await settled(till)
    assert await reconcile(till) == 0
    assert not await is_rung(till)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE billing_snapshots SET status = 'canceled' WHERE account_id = :account", "status"),
        ("UPDATE billing_snapshots SET price_id = 'price_x' WHERE account_id = :account", "price_id"),
        ("UPDATE billing_snapshots SET period_end = now() WHERE account_id = :account", "period_end"),
        ("UPDATE billing_snapshots SET subscription_id = 'sub_x' WHERE account_id = :account", "subscription"),
        ("UPDATE billing_snapshots SET open_invoice_id = 'in_x' WHERE account_id = :account", "open_invoice_id"),
        ("UPDATE entitlements SET tier = 'family' WHERE account_id = :account", "entitlement"),
        ("UPDATE users SET subscription_tier = 'free' WHERE id = :account", "subscription_tier"),
        ("DELETE FROM billing_snapshots WHERE account_id = :account", "subscription"),
    ],
)
async def test_a_row_that_was_changed_here_is_listed_and_repaired(till: Till, change: str, what: str) -> None:
    await till.shop.subscribe(await till.join())
    await settled(till)
    await till.execute(change)
    assert await reconcile(till) >= 1
    assert what in {row.what for row in await till.rows(DRIFT)}
    assert await is_rung(till)
    await till.shop.box.passes(60)
    await till.follow()
    await till.shop.box.passes(60)
    assert await reconcile(till) == 0
    assert await till.tier() is Tier.PLUS


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": "canceled"}, "status"),
        ({"cancel_at": 1_900_000_000}, "scheduled_cancel_at"),
        ({"status": "unpaid"}, "status"),
    ],
)
async def test_what_was_changed_there_without_a_word_is_listed_and_taken_over(
    till: Till, change: dict[str, Any], what: str
) -> None:
    made = await till.shop.subscribe(await till.join())
    await settled(till)
    await till.shop.box.control(f"objects/{made.id}", **change)
    assert await reconcile(till) >= 1
    assert what in {row.what for row in await till.rows(DRIFT)}
    assert await is_rung(till)
    await till.follow()
    assert (await till.tier() is Tier.FREE) is ("status" in change)


async def test_a_subscription_that_is_gone_there_is_missed(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await settled(till)
    till.shop.account.objects.delete("subscription", made.id)
    assert await reconcile(till) == 1
    assert [tuple(row) for row in await till.rows(DRIFT)] == [("subscription", "active", None)]
    await till.follow()
    assert await till.tier() is Tier.FREE


async def test_an_account_that_is_about_to_be_read_has_no_drift(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await settled(till)
    await till.shop.v1.subscriptions.cancel_async(made.id)
    await till.tell()
    assert await reconcile(till) == 0


async def test_a_refund_that_nobody_told_of_is_listed_and_counted(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await settled(till)
    charge = await till.shop.charge_of(made.latest_invoice)
    await till.shop.v1.refunds.create_async({"charge": charge.id, "amount": 200})
    assert await reconcile(till) == 1
    await till.follow()
    assert ("refund", -200, "EUR") in await till.ledger()
    assert await reconcile(till) == 0


async def test_what_is_in_a_currency_that_is_none_of_ours_is_left_out_of_a_comparison_and_counted(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    other = await till.shop.subscribe(await till.shop.customer())
    charge = await till.shop.charge_of(other.latest_invoice)
    refund = await till.shop.v1.refunds.create_async({"charge": charge.id, "amount": 200})
    await settled(till)
    for foreign in (refund.id, other.latest_invoice):
        await till.shop.box.control(f"objects/{foreign}", currency="isk")
    await till.execute("UPDATE billing_snapshots SET status = 'unpaid' WHERE account_id = :account")
    kinds = ("refund", "subscription")
    before = [FOREIGN.labels(kind)._value.get() for kind in kinds]
    assert await reconcile(till) == 1
    assert [FOREIGN.labels(kind)._value.get() - was for kind, was in zip(kinds, before, strict=True)] == [1, 1]
    assert made.id == await till.value("SELECT object_id FROM billing_drift WHERE account_id = :account")


async def test_a_price_in_a_currency_that_is_none_of_ours_keeps_no_other_from_being_read(till: Till) -> None:
    job, v1 = BillingPriceActivities(till.db.sessions, till.payments), till.shop.v1
    product = await v1.products.create_async({"name": "Horse", "metadata": {"tier": "family"}})
    for currency in ("isk", "eur"):
        recurring = {"unit_amount": 70_000, "recurring": {"interval": "year"}}
        await v1.prices.create_async({"product": product.id, "currency": currency, **recurring})
    options = {"currency_options": {"isk": {"unit_amount": 70_000}}}
    await v1.prices.update_async(till.shop.prices["plus_month"], options)
    await run(job.read_prices, ReadPrices(till.now))
    of_price = "SELECT count(*) FROM billing_prices WHERE price_id = :id"
    assert await till.value(of_price, id=till.shop.prices["plus_month"]) == len(CURRENCIES)
    assert await till.value("SELECT currency FROM billing_prices WHERE amount_minor = 70000") == "EUR"


async def test_prices_are_read_in_every_currency_and_end_with_what_is_sold(till: Till) -> None:
    job = BillingPriceActivities(till.db.sessions, till.payments)
    await run(job.read_prices, ReadPrices(till.now))
    sold = await billing_views.plans(till.db.reads)
    assert {(row["lookup_key"], row["currency"]) for row in sold} == {
        (key, currency) for key in till.shop.prices for currency in CURRENCIES
    }
    assert {row["amount_minor"] for row in sold if row["lookup_key"] == "plus_year"} == {4990, 5990, 4490, 5500, 8000}
    await till.shop.v1.prices.update_async(till.shop.prices["plus_year"], {"active": False})
    await till.shop.box.passes(60)
    await run(job.read_prices, ReadPrices(till.now))
    assert "plus_year" not in {row["lookup_key"] for row in await billing_views.plans(till.db.reads)}
