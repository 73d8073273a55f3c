"""Twenty rows that were changed here and twenty objects that were changed there, in one night."""

from contextlib import AsyncExitStack
from typing import Final

from temporalio.testing import ActivityEnvironment

from activities.billing_reconcile import BillingReconcileActivities
from core.crypto import FieldCipher
from core.db import Database
from domain.billing.catalogue import Tier
from integrations.keys.store import KeyStore
from temporal.contracts.billing_reconcile import CompareMoney, CompareOurs, CompareTheirs
from tests.billing import till as tills
from tests.billing.till import Till
from tests.infra.stripe_server import shops
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
