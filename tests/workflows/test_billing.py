"""An account's subscription through its workflow: one read per burst, nothing lost, each step once. Time is skipped."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.billing import dunning
from domain.billing.catalogue import GRACE
from domain.billing.dunning import Debt, OpenInvoice, PaymentState
from domain.billing.standing import Status
from integrations.payments.errors import PaymentsUnavailable, Refused
from temporal.client import workflow_runner
from temporal.contracts.billing import AccountPlan, NewCard, Standing
from tests.stack import until
from tests.workflows.billing_world import DAY, GOOD, HOUR, MINUTE, SECOND, BillingWorld, billing_world
from workflows.billing import BillingWorkflow

FREE = AccountPlan(Standing.FREE)
DECLINED = OpenInvoice(payment=PaymentState.FAILED, is_retried=True)


@pytest.fixture
async def world() -> AsyncIterator[BillingWorld]:
    """An account, and one worker."""
    async with billing_world() as opened:
        yield opened


@pytest.fixture
async def short_runs(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BillingWorld]:
    """A world in which every third read is the last of its run."""
    monkeypatch.setattr("temporal.contracts.billing.READS_PER_RUN", 3)
    async with billing_world(runner=workflow_runner()) as opened:
        yield opened


async def test_four_hundred_nudges_before_a_worker_is_up_are_one_read() -> None:
    async with billing_world(working=False) as world:
        await world.tell("evt_0")
        await asyncio.gather(*(world.tell(f"evt_{number}") for number in range(1, 400)))
        async with world.worker():
            await world.passes(MINUTE)
            assert len(world.account.reads) == 1
            assert set(world.account.events.values()) == {"applied"}


async def test_a_hundred_events_within_a_second_are_at_most_three_reads(world: BillingWorld) -> None:
    for number in range(100):
        await world.tell(f"evt_{number}")
    await world.passes(MINUTE)
    assert len(world.account.reads) <= 3
    assert set(world.account.events.values()) == {"applied"}


async def test_an_event_that_comes_during_a_read_is_handled_by_the_next(world: BillingWorld) -> None:
    world.account.meanwhile = [lambda: world.tell("evt_late")]
    await world.tell("evt_first")
    await world.passes(MINUTE)
    assert world.account.events == {"evt_first": "applied", "evt_late": "applied"}
    assert len(world.account.reads) == 2


async def test_no_event_of_three_hundred_is_left_while_reads_fail_and_runs_hand_over(
    short_runs: BillingWorld,
) -> None:
    world = short_runs

    async def more() -> None:
        batch = len(world.account.events)
        for number in range(10):
            await world.tell(f"evt_{batch + number}")

    world.account.meanwhile = [more for _ in range(30)]
    world.account.faults = [Refused("no"), PaymentsUnavailable("away"), PaymentsUnavailable("away")]
    await more()
    while len(world.account.events) < 300:
        await world.passes(MINUTE)
    await world.passes(5 * MINUTE)
    assert set(world.account.events.values()) == {"applied"}
    fences = [read.seq for read in world.account.reads]
    assert fences == sorted(set(fences))
    assert len(await world.histories()) > 3


async def test_a_read_that_is_refused_is_made_anew_a_minute_later(world: BillingWorld) -> None:
    world.account.faults = [Refused("no")]
    await world.tell("evt_1")
    await world.passes(30 * SECOND)
    assert world.account.reads == []
    assert (await world.handle.query(BillingWorkflow.status)).standing is Standing.FAILING
    await world.passes(MINUTE)
    assert [read.seq for read in world.account.reads] == [2]


async def test_an_outage_of_stripe_is_outlasted(world: BillingWorld) -> None:
    world.account.faults = [PaymentsUnavailable("away") for _ in range(50)]
    await world.tell("evt_1")
    await world.passes(2 * HOUR)
    assert len(world.account.reads) == 1
    assert world.account.events == {"evt_1": "applied"}


async def test_what_is_due_is_read_although_nobody_nudges(world: BillingWorld) -> None:
    world.account.plans = [AccountPlan(Standing.DUNNING, look_at=await world.now() + 3 * DAY)]
    await world.nudge()
    await world.passes(2 * DAY)
    assert len(world.account.reads) == 1
    await world.passes(2 * DAY)
    assert len(world.account.reads) == 2


async def test_an_account_without_a_subscription_ends_and_is_counted_on_when_it_comes_back(world: BillingWorld) -> None:
    world.account.plan = FREE
    await world.nudge()
    await world.passes(MINUTE)
    assert (await world.handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    world.account.plan = GOOD
    await world.nudge()
    await world.passes(MINUTE)
    assert [read.seq for read in world.account.reads] == [1, 2]
    assert (await world.handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_a_nudge_while_it_ends_is_a_read_all_the_same(world: BillingWorld) -> None:
    world.account.plan = FREE
    world.account.meanwhile = [world.nudge]
    await world.nudge()
    await world.passes(MINUTE)
    assert len(world.account.reads) == 2


async def test_a_run_that_was_terminated_reads_above_everything_that_was_stored(world: BillingWorld) -> None:
    world.account.fence = 7_003
    await world.nudge()
    await world.passes(MINUTE)
    await world.handle.terminate()
    await world.nudge()
    await world.passes(MINUTE)
    assert [read.seq for read in world.account.reads] == [8, 9]


async def test_whoever_was_overtaken_reads_again(world: BillingWorld) -> None:
    """A read of the run before was stored after this run had looked at the fence."""

    async def overtaken() -> None:
        world.account.fence = 1_900

    world.account.meanwhile = [overtaken]
    await world.tell("evt_1")
    await world.passes(MINUTE)
    assert [read.seq for read in world.account.reads] == [2]
    assert world.account.events == {"evt_1": "applied"}


@pytest.mark.parametrize(
    ("plan", "done", "reads"),
    [
        (AccountPlan(Standing.GOOD, surplus_id="sub_2"), ["cancel sub_2"], 2),
        (AccountPlan(Standing.DUNNING, pay=NewCard("in_1", "pm_2")), ["pay in_1 with pm_2"], 2),
        (AccountPlan(Standing.FREE, void_invoice_id="in_1"), ["void in_1"], 2),
        (AccountPlan(Standing.GOOD, has_stale_checkouts=True), ["close"], 1),
        (GOOD, [], 1),
    ],
)
async def test_what_a_read_asks_for_is_done_and_read_afterwards(
    world: BillingWorld, plan: AccountPlan, done: list[str], reads: int
) -> None:
    world.account.plans = [plan]
    await world.nudge()
    await world.passes(MINUTE)
    assert world.account.done == done
    assert len(world.account.reads) == reads


@pytest.mark.parametrize(
    "plan",
    [
        AccountPlan(Standing.GOOD, surplus_id="sub_2"),
        AccountPlan(Standing.DUNNING, pay=NewCard("in_1", "pm_2")),
        AccountPlan(Standing.FREE, void_invoice_id="in_1"),
        AccountPlan(Standing.GOOD, has_stale_checkouts=True),
    ],
    ids=["surplus", "pay", "void", "checkouts"],
)
async def test_what_cannot_be_written_for_a_day_keeps_nobody_from_being_read(
    world: BillingWorld, plan: AccountPlan
) -> None:
    """Under its key Stripe repeats a failure of its own for a day. What is paid at the portal meanwhile is seen."""
    account = world.account
    account.decide = lambda _: GOOD if account.done else plan
    account.refusals = [PaymentsUnavailable("500") for _ in range(300)]

    async def is_read() -> bool:
        """Time goes on: an attempt that a busy machine made late still has its pause before it."""
        await world.env.sleep(10 * SECOND)
        return set(account.events.values()) == {"applied"}

    for number in range(6):
        await world.tell(f"evt_{number}")
        await world.env.sleep(10 * MINUTE)
        await until(is_read, within=30, what="the account was read")
    assert account.refusals
    assert 6 < len(account.reads) < 60, "and nobody hurries"
    await world.passes(3 * HOUR)
    assert len(account.done) == 1


async def test_a_year_of_unpaid_renewals_with_a_new_worker_each_day_says_each_word_once() -> None:
    """Every month a payment fails and is made on the thirteenth day; nothing is said after that."""
    async with billing_world(working=False) as world:
        began, said, debts = await world.now(), list[tuple[str, str, datetime]](), [Debt()]

        def read(as_of: datetime) -> AccountPlan:
            month, into = divmod(as_of - began, 30 * DAY)
            is_owed = into < 13 * DAY
            invoice_id, invoice = (f"in_{month}", DECLINED) if is_owed else (None, None)
            status = Status.PAST_DUE if is_owed else Status.ACTIVE
            debt = dunning.owe(debts[-1], status, invoice_id, invoice, as_of)
            debts.append(debt)
            word = dunning.due(invoice, debt, as_of)
            if word is not None and invoice_id and (invoice_id, word.step) not in {each[:2] for each in said}:
                said.append((invoice_id, word.step, as_of))
            following = began + (month + 1) * 30 * DAY
            paid = began + month * 30 * DAY + 13 * DAY
            instants = (dunning.next_at(debt, as_of), paid, following)
            return AccountPlan(Standing.DUNNING, look_at=min(at for at in instants if at and at > as_of))

        world.account.decide = read
        await world.nudge()
        for _ in range(365):
            async with world.worker(cached=0):
                await world.env.sleep(DAY)
        months = 365 // 30 + 1
        steps = ("day_0", "day_3", "day_7", "day_12")
        wanted = [(f"in_{month}", step) for month in range(months) for step in steps]
        assert [each[:2] for each in said] == wanted[: len(said)]
        assert len(said) >= (months - 1) * 4
        assert all((at - began) % (30 * DAY) < 13 * DAY for _, _, at in said)
        assert timedelta(days=13) < GRACE
