"""Twenty rows that were changed here and twenty objects that were changed there, in one night; who pays and is
nobody's, what is owed for nothing, and a night that began anew."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

import pytest
from temporalio.testing import ActivityEnvironment

from activities.billing_reconcile import BillingReconcileActivities
from core.crypto import FieldCipher
from core.db import Database
from domain.billing.catalogue import Tier
from integrations.keys.store import KeyStore
from integrations.payments.errors import PaymentsUnavailable
from temporal.contracts.billing_reconcile import CompareMoney, CompareOurs, CompareTheirs
from tests.billing import till as tills
from tests.billing.till import Till
from tests.infra.stripe_server import shops
from tests.infra.stripe_server.shops import DAY
from tests.stripe_servers import Sandbox

HERE: Final = (
    "UPDATE billing_snapshots SET status = 'canceled' WHERE account_id = :account",
    "UPDATE entitlements SET tier = 'family' WHERE account_id = :account",
    "UPDATE users SET subscription_tier = 'free' WHERE id = :account",
    "DELETE FROM billing_snapshots WHERE account_id = :account",
)
THERE: Final = ({"status": "canceled"}, {"status": "unpaid"}, {"cancel_at": 1_900_000_000}, {"status": "paused"})
FOUND: Final = "SELECT count(*) FROM billing_drift WHERE account_id = :account"


async def compare(till: Till) -> None:
    """A night's comparison of everything."""
    job, run = BillingReconcileActivities(till.db.sessions, till.payments), ActivityEnvironment().run
    await run(job.compare_theirs, CompareTheirs(till.now))
    await run(job.compare_ours, CompareOurs(till.now, 7))
    await run(job.compare_money, CompareMoney(till.now))


async def test_each_of_forty_differences_is_listed_and_repaired(
    db: Database, keys: KeyStore, cipher: FieldCipher, stripe_sandbox: Sandbox
) -> None:
    shop = await shops.opened(stripe_sandbox)
    async with AsyncExitStack() as stack:
        accounts = [await stack.enter_async_context(tills.opened(db, keys, cipher, shop)) for _ in range(40)]
        made = {}
        for till in accounts:
            made[till.account_id] = (await shop.subscribe(await till.join())).id
            await till.pull()
        await shop.box.passes(60)
        for number, till in enumerate(accounts[:20]):
            await till.execute(HERE[number % len(HERE)])
        for number, till in enumerate(accounts[20:]):
            await shop.box.control(f"objects/{made[till.account_id]}", **THERE[number % len(THERE)])
        await compare(accounts[0])
        listed = [await till.value(FOUND) for till in accounts]
        assert all(listed)
        await shop.box.passes(60)
        for till in accounts:
            await till.pull()
        await shop.box.passes(60)
        await compare(accounts[0])
        assert [await till.value(FOUND) for till in accounts] == listed
        assert {await till.tier() for till in accounts[:20]} == {Tier.PLUS}
        gone = [await till.tier() is Tier.FREE for till in accounts[20:]]
        assert gone == [number % len(THERE) != 2 for number in range(20)]


LISTED: Final = "SELECT what, object_id, ours, theirs FROM billing_drift WHERE account_id = :account ORDER BY id"


async def settled(till: Till) -> None:
    """Everything is read, and older than a day."""
    await till.tell()
    await till.follow()
    await till.shop.box.passes(2 * DAY)


async def test_who_pays_and_is_nobody_s_is_listed_until_it_ends(till: Till) -> None:
    sold: dict[str, Any] = {"metadata": {"account_id": str(till.account_id)}}
    stranger = await till.shop.customer()
    lost = await till.shop.subscribe(stranger, **sold)
    await till.shop.subscribe(await till.shop.customer())  # somebody uses the same account for something else
    await till.shop.subscribe(await till.join(), **sold)
    await settled(till)
    listed = "SELECT account_id, object_id, ours, theirs FROM billing_drift WHERE theirs = :customer"
    await compare(till)
    await till.shop.v1.subscriptions.cancel_async(lost.id)
    await compare(till)
    found = [tuple(row) for row in await till.rows(listed, customer=stranger)]
    assert found == [(None, lost.id, None, stranger)]
    assert not await till.rows(LISTED)


async def test_what_is_owed_for_a_subscription_that_is_no_more_is_listed(till: Till) -> None:
    old = await till.shop.subscribe(await till.join())
    await till.shop.v1.subscriptions.cancel_async(old.id)
    await till.shop.subscribe(till.customer_id)
    await settled(till)
    await till.shop.box.control(f"objects/{old.latest_invoice}", status="open")
    await compare(till)
    assert [tuple(row) for row in await till.rows(LISTED)] == [
        ("open_invoice_id", old.latest_invoice, None, old.latest_invoice)
    ]
    assert await till.value("SELECT count(*) FROM outbox WHERE user_id = :account AND kind = 'billing'") == 1


async def test_what_is_owed_since_longer_of_the_same_subscription_is_no_drift(till: Till) -> None:
    await till.shop.box.control("settings", after_retries="past_due")
    await till.shop.subscribe(await till.join())
    await till.shop.replace_method(till.customer_id, "pm_card_chargeCustomerFail")
    await till.shop.box.passes(65 * DAY)
    await settled(till)
    owed = till.shop.account.objects.find("invoice", lambda each: each["status"] == "open")
    assert len(owed) == 2
    await compare(till)
    assert not await till.rows(LISTED)


async def test_what_is_written_off_is_asked_for_no_longer(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.shop.replace_method(till.customer_id, "pm_card_chargeCustomerFail")
    await till.shop.box.passes(32 * DAY)
    await till.tell()
    await till.shop.v1.subscriptions.cancel_async(made.id)
    await till.pull()
    (owed,) = till.shop.account.objects.find("invoice", lambda each: each["status"] == "open")
    await till.shop.v1.invoices.mark_uncollectible_async(owed["id"])  # and nobody tells
    await compare(till)
    assert [tuple(row) for row in await till.rows(LISTED)] == [("open_invoice_id", made.id, owed["id"], None)]
    await till.pull()
    await compare(till)
    assert len(await till.rows(LISTED)) == 1


async def test_a_night_that_died_goes_on_with_the_list_that_it_was_at(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await settled(till)
    charge = await till.shop.charge_of(made.latest_invoice)
    await till.shop.v1.refunds.create_async({"charge": charge.id, "amount": 200})
    await till.shop.box.control("faults", method="GET", path="/v1/disputes", status=503)
    job, died, kept = BillingReconcileActivities(till.db.sessions, till.payments), ActivityEnvironment(), []
    died.on_heartbeat = lambda *details: kept.append(details)
    with pytest.raises(PaymentsUnavailable):
        await died.run(job.compare_money, CompareMoney(till.now))
    successor = ActivityEnvironment()
    successor.info = replace(successor.info, heartbeat_details=kept[-1])
    compared = await successor.run(job.compare_money, CompareMoney(till.now))
    assert (compared.rows, compared.drift) == (1, 1)
    assert [row.what for row in await till.rows(LISTED)] == ["refund"]
