"""What accounts and refunds live through, for `record.py`."""

from collections.abc import Awaitable, Callable
from typing import Final

from temporalio.client import WorkflowHistory

from integrations.payments.errors import PaymentsUnavailable, Refused
from temporal.contracts.billing import AccountPlan, NewCard, Standing
from tests.workflows.billing_world import DAY, GOOD, HOUR, MINUTE, BillingWorld

BillingScenario = Callable[[BillingWorld], Awaitable[list[WorkflowHistory]]]


async def subscribed_and_cancelled(world: BillingWorld) -> list[WorkflowHistory]:
    """Waits for the bank, is good, a burst, ends; comes back."""
    world.account.plans = [AccountPlan(Standing.WAITING), GOOD, GOOD]
    await world.tell("evt_1")
    await world.passes(MINUTE)
    await world.tell("evt_2")
    await world.passes(HOUR)
    for number in range(5):
        await world.tell(f"evt_burst_{number}")
    await world.passes(MINUTE)
    world.account.plan = AccountPlan(Standing.FREE)
    await world.tell("evt_3")
    await world.passes(MINUTE)
    ended = await world.handle.fetch_history()
    world.account.plan = GOOD
    await world.tell("evt_4")
    await world.passes(MINUTE)
    return [ended, await world.handle.fetch_history()]


async def dunned_and_paid(world: BillingWorld) -> list[WorkflowHistory]:
    """Four steps, one missed for an outage, then another card."""
    began = await world.now()
    days = [AccountPlan(Standing.DUNNING, look_at=began + day * DAY) for day in (3, 7, 12)]
    world.account.plans = [*days, AccountPlan(Standing.DUNNING, pay=NewCard("in_1", "pm_2"), look_at=began + 14 * DAY)]
    await world.tell("evt_1")
    await world.passes(2 * DAY)
    world.account.faults = [PaymentsUnavailable("away") for _ in range(4)]
    await world.passes(6 * DAY)
    asleep = await world.handle.fetch_history()
    await world.passes(5 * DAY)
    return [asleep, await world.handle.fetch_history()]


async def refused_and_overtaken(world: BillingWorld) -> list[WorkflowHistory]:
    """A read that is refused for good, one that another run had overtaken, a second subscription, open pages."""
    world.account.faults = [Refused("no")]

    async def overtaken() -> None:
        world.account.fence = 2_900

    async def nothing() -> None:
        """The first read."""

    world.account.meanwhile = [nothing, overtaken]
    world.account.plans = [
        AccountPlan(Standing.GOOD, surplus_id="sub_2"),
        AccountPlan(Standing.GOOD, has_stale_checkouts=True),
    ]
    await world.tell("evt_1")
    await world.passes(5 * MINUTE)
    return [await world.handle.fetch_history()]


async def given_up_and_voided(world: BillingWorld) -> list[WorkflowHistory]:
    """What is owed cannot be charged for a while, and is given up; its invoice is voided at the second try."""
    owed = AccountPlan(Standing.DUNNING, pay=NewCard("in_1", "pm_2"))
    world.account.plans = [owed, owed, AccountPlan(Standing.FREE, void_invoice_id="in_1")]
    world.account.plan = AccountPlan(Standing.FREE)
    away = [PaymentsUnavailable("500") for _ in range(9)]
    world.account.refusals = [*away[1:], Refused("no"), away[0]]
    await world.tell("evt_1")
    await world.passes(HOUR)
    return [await world.handle.fetch_history()]


async def handed_over(world: BillingWorld) -> list[WorkflowHistory]:
    """So many reads that a new run takes over: recorded is that one."""
    for number in range(203):
        await world.tell(f"evt_{number}")
        await world.passes(2 * MINUTE)
    return (await world.histories())[-1:]


async def paid_back(world: BillingWorld) -> list[WorkflowHistory]:
    """Cancelled first, sent after an outage, pending for a day, rung, succeeded."""
    world.refund.states = ["reserved", "pending", "pending", "pending", "succeeded"]
    world.refund.cancels = True
    world.refund.faults = [PaymentsUnavailable("away")]
    await world.ring_refund()
    await world.env.sleep(DAY / 3)
    handle = await world.ring_refund()
    asleep = await handle.fetch_history()
    await handle.result()
    return [asleep, await handle.fetch_history()]


async def never_settled(world: BillingWorld) -> list[WorkflowHistory]:
    """Pending for a month."""
    world.refund.states = ["reserved", "pending"]
    handle = await world.ring_refund()
    await handle.result()
    return [await handle.fetch_history()]


async def outlasted(world: BillingWorld) -> list[WorkflowHistory]:
    """A look that is refused, rounds of attempts that come to nothing, a bell between them; then paid."""
    world.refund.refusals, world.refund.states = [Refused("no")], ["reserved"]
    world.refund.away_until = await world.now() + 4 * HOUR
    await world.ring_refund()
    await world.env.sleep(2 * HOUR + 45 * MINUTE)
    world.refund.states = ["reserved", "succeeded"]
    handle = await world.ring_refund()
    await handle.result()
    return [await handle.fetch_history()]


ACCOUNTS: Final[tuple[BillingScenario, ...]] = (
    subscribed_and_cancelled,
    dunned_and_paid,
    refused_and_overtaken,
    given_up_and_voided,
    handed_over,
)
REFUNDS: Final[tuple[BillingScenario, ...]] = (paid_back, never_settled, outlasted)
