"""Months that pass at Stripe alone, by its own mechanism: whoever is on a test clock is read as of what that shows."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment

from domain.billing.catalogue import GRACE, Tier
from temporal.contracts.billing import AccountPlan, PullAccount, Standing
from tests.billing.test_dunning import MONTH
from tests.billing.till import Till
from tests.infra.stripe_server.shops import DAY, HOUR

OURS = datetime(2026, 11, 29, 10, tzinfo=UTC)
"""Our time, which stands still."""


async def pull(till: Till) -> AccountPlan:
    till.seq += 1
    request = PullAccount(till.account_id, till.seq, OURS)
    return await ActivityEnvironment().run(till.activities.pull_and_apply, request)


async def advanced(till: Till, clock: Any, seconds: int) -> datetime:
    """It is that much later there; answers what the clock shows then."""
    clocks = till.shop.v1.test_helpers.test_clocks
    target = (await clocks.retrieve_async(clock.id)).frozen_time + seconds
    await clocks.advance_async(clock.id, {"frozen_time": target})
    while (await clocks.retrieve_async(clock.id)).status != "ready":
        await asyncio.sleep(0)
    await till.tell()
    return datetime.fromtimestamp(target, UTC)


async def test_dunning_and_the_grace_go_by_the_test_clock_of_the_customer(till: Till) -> None:
    clock = await till.shop.v1.test_helpers.test_clocks.create_async({"frozen_time": till.shop.account.now()})
    await till.shop.subscribe(await till.join())
    await pull(till)
    await till.shop.replace_method(till.customer_id, "pm_card_chargeCustomerFail")
    failed_at = await advanced(till, clock, MONTH + 2 * HOUR)
    plan = await pull(till)
    assert (plan.standing, plan.look_at) == (Standing.DUNNING, OURS + timedelta(days=3))
    row = "SELECT {} FROM billing_snapshots WHERE account_id = :account"
    assert await till.value(row.format("first_failed_at")) == failed_at
    assert await till.value(row.format("synced_at")) == OURS
    for days, steps in ((3, ["day_0", "day_3"]), (5, ["day_0", "day_3", "day_7"])):
        await advanced(till, clock, days * DAY)
        await pull(till)
        assert [step for _, step in await till.told()] == steps
    assert await till.tier() is Tier.PLUS
    await advanced(till, clock, int(GRACE.total_seconds()) - 8 * DAY)
    await pull(till)
    assert await till.tier() is Tier.FREE


async def test_while_a_test_clock_is_moved_its_time_is_where_it_is_moved_to(till: Till) -> None:
    """What happens on the way is told before the clock is there."""
    made = await till.shop.v1.test_helpers.test_clocks.create_async({"frozen_time": till.shop.account.now()})
    await till.shop.subscribe(await till.join())
    target = made.frozen_time + DAY
    clock = till.shop.account.objects.get("test_helpers.test_clock", made.id)
    clock |= {"status": "advancing", "status_details": {"advancing": {"target_frozen_time": target}}}
    (read,) = await till.payments.subscriptions_of(till.customer_id)
    assert read.now == datetime.fromtimestamp(target, UTC)


async def test_who_is_on_no_test_clock_is_read_as_of_our_time(till: Till) -> None:
    await till.shop.subscribe(await till.join())
    (read,) = await till.payments.subscriptions_of(till.customer_id)
    assert read.now is None
