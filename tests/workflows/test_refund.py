"""A payment on its way back, through its workflow. Time is skipped."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from integrations.payments.errors import PaymentsUnavailable, Refused
from tests.workflows.billing_world import DAY, HOUR, MINUTE, BillingWorld, billing_world


@pytest.fixture
async def world() -> AsyncIterator[BillingWorld]:
    """A refund that was reserved, and one worker."""
    async with billing_world() as opened:
        yield opened


async def lasted(handle: WorkflowHandle[Any, Any]) -> timedelta:
    """From its start to its end."""
    described = await handle.describe()
    assert described.close_time is not None
    return described.close_time - described.start_time


async def test_it_is_sent_once_and_told(world: BillingWorld) -> None:
    world.refund.states = ["reserved", "succeeded"]
    handle = await world.ring_refund()
    await handle.result()
    assert world.refund.done == ["send", "conclude succeeded"]


async def test_the_subscription_ends_before_the_money_goes_back(world: BillingWorld) -> None:
    world.refund.states, world.refund.cancels = ["reserved", "succeeded"], True
    handle = await world.ring_refund()
    await handle.result()
    assert world.refund.done == ["cancel", "send", "conclude succeeded"]


async def test_an_outage_is_outlasted(world: BillingWorld) -> None:
    world.refund.states = ["reserved", "succeeded"]
    world.refund.faults = [PaymentsUnavailable("away") for _ in range(20)]
    handle = await world.ring_refund()
    await handle.result()
    assert world.refund.done == ["send", "conclude succeeded"]


async def test_an_outage_of_a_day_is_outlasted_and_no_attempt_takes_the_key_for_younger_than_it_is(
    world: BillingWorld,
) -> None:
    """Each round of attempts has a clock of its own, so that an old key is not taken for one that Stripe still has."""
    world.refund.states = ["reserved"]
    world.refund.away_until = (began := await world.now()) + 25 * HOUR
    handle = await world.ring_refund()
    await world.env.sleep(25 * HOUR)
    world.refund.states = ["reserved", "succeeded"]
    await handle.result()
    assert 25 * HOUR <= await lasted(handle) < 27 * HOUR
    assert world.refund.done == ["send", "conclude succeeded"]
    clocks = sorted({at - began for at in world.refund.sent_at})
    assert all(later - earlier < 2 * HOUR for earlier, later in pairwise(clocks))


async def test_a_look_that_is_refused_is_taken_again_and_a_bell_does_not_wait_for_it(world: BillingWorld) -> None:
    world.refund.states, world.refund.refusals = ["reserved", "succeeded"], [Refused("no"), Refused("no")]
    await world.ring_refund()
    await world.env.sleep(MINUTE)
    handle = await world.ring_refund()
    await handle.result()
    assert HOUR <= await lasted(handle) < 2 * HOUR
    assert world.refund.done == ["send", "conclude succeeded"]


async def test_a_refund_that_takes_days_is_looked_at_when_somebody_rings(world: BillingWorld) -> None:
    world.refund.states = ["reserved", "pending", "succeeded"]
    await world.ring_refund()
    await world.env.sleep(MINUTE)
    handle = await world.ring_refund()
    await handle.result()
    assert await lasted(handle) < HOUR
    assert world.refund.done == ["send", "conclude succeeded"]


async def test_without_a_word_it_is_looked_at_every_six_hours(world: BillingWorld) -> None:
    world.refund.states = ["reserved", "pending", "pending", "pending", "failed"]
    handle = await world.ring_refund()
    await handle.result()
    assert 12 * HOUR <= await lasted(handle) < 24 * HOUR
    assert world.refund.done == ["send", "conclude failed"]


async def test_after_a_month_it_is_an_operators(world: BillingWorld) -> None:
    world.refund.states = ["reserved", "pending"]
    handle = await world.ring_refund()
    await handle.result()
    assert 30 * DAY <= await lasted(handle) < 31 * DAY
    assert world.refund.done == ["send", "conclude pending"]


async def test_one_that_fails_after_it_was_paid_is_told_once_more(world: BillingWorld) -> None:
    for state in ("succeeded", "failed"):
        world.refund.states = [state]
        await (await world.ring_refund()).result()
    assert world.refund.done == ["conclude succeeded", "conclude failed"]


async def test_a_bell_to_one_that_has_ended_asks_stripe_for_nothing(world: BillingWorld) -> None:
    world.refund.states = ["succeeded"]
    for _ in range(2):
        handle = await world.ring_refund()
        await handle.result()
    assert "send" not in world.refund.done
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
