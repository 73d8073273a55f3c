"""Money on its way back: asked for once whatever happens, never more than was taken, and the same here as at Stripe."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from temporalio.testing import ActivityEnvironment

from activities.billing_entries import record_refund
from activities.billing_sweep import BillingSweepActivities
from core.errors import NotFound
from domain.billing.catalogue import Tier
from domain.billing.refund import RefundRefused, RefundState
from domain.money import Money
from integrations.payments.errors import PaymentsUnavailable
from models.queries import refunds
from models.queries.refunds import Wanted
from temporal.contracts.billing_sweep import NudgeWaiting
from temporal.contracts.refund import LookAtRefund, RefundStanding
from tests.billing.test_checkouts import complete, visit
from tests.billing.till import Till
from tests.infra.stripe_server.shops import DAY, HOUR

STATE = "SELECT state FROM refunds WHERE id = :id"


class Dying(Exception):
    """A process is gone."""

    @staticmethod
    async def here(*_: object, **__: object) -> bool:
        raise Dying


async def paid(till: Till, method: str = "pm_card_visa") -> str:
    """A payment; its charge."""
    await till.shop.subscribe(await till.join(method))
    await till.tell()
    await till.pull()
    return str(await till.value("SELECT charge_id FROM billing_charges WHERE account_id = :account"))


async def reserved(till: Till, charge_id: str, amount: int | None = None, *, cancel: bool = False) -> UUID:
    """A wish, granted."""
    async with till.db.sessions.begin() as session:
        money = None if amount is None else Money(amount, "EUR")
        wanted = Wanted(account_id=till.account_id, charge_id=charge_id, now=till.now, amount=money, cancel=cancel)
        return (await refunds.reserve(session, wanted)).id


async def sent(till: Till, refund_id: UUID) -> RefundStanding:
    standing: RefundStanding = await till.look_at_refund("send_refund", refund_id)
    return standing


async def sweep(till: Till) -> None:
    job = BillingSweepActivities(till.db.sessions, till.payments, livemode=False)
    await ActivityEnvironment().run(job.nudge_waiting, NudgeWaiting(1))


def stuck() -> float:
    """How often an operator has heard of one that was not asked for."""
    return REGISTRY.get_sample_value("petfolio_billing_refunds_stuck_total", {"state": "reserved"}) or 0


def at_stripe(till: Till) -> list[int]:
    """The amounts of all refunds there."""
    return [each["amount"] for each in till.shop.account.objects.find("refund")]


async def test_a_refund_is_paid_and_told_and_in_the_ledger(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    assert await sent(till, refund_id) == RefundStanding(RefundState.SUCCEEDED, is_over=True)
    await till.look_at_refund("conclude_refund", refund_id)
    assert await till.ledger() == [("charge", 499, "EUR"), ("refund", -499, "EUR")]
    assert await till.told() == [("refund_paid", "succeeded")]


async def test_a_part_leaves_the_rest_and_no_more(till: Till) -> None:
    charge = await paid(till)
    await sent(till, await reserved(till, charge, 200))
    with pytest.raises(RefundRefused) as refused:
        await reserved(till, charge, 300)
    assert refused.value.problem_code == "refund_too_high"
    await sent(till, await reserved(till, charge, 299))
    assert sorted(at_stripe(till)) == [200, 299]


async def test_parallel_wishes_never_exceed_what_was_taken(till: Till) -> None:
    charge = await paid(till)
    granted = await asyncio.gather(*(reserved(till, charge, 200) for _ in range(10)), return_exceptions=True)
    assert len([each for each in granted if isinstance(each, UUID)]) == 2
    assert {type(each) for each in granted} == {UUID, RefundRefused}


async def test_the_payment_of_somebody_else_is_none(till: Till) -> None:
    charge = await paid(till)
    with pytest.raises(NotFound):
        async with till.db.sessions.begin() as session:
            await refunds.reserve(session, Wanted(account_id=UUID(int=7), charge_id=charge, now=till.now))


async def test_however_often_it_is_sent_it_is_paid_once(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    for _ in range(3):
        await sent(till, refund_id)
    assert at_stripe(till) == [499]


@pytest.mark.parametrize("effect", ["drop", "status"])
async def test_an_answer_that_is_lost_after_it_was_done_is_not_paid_twice(till: Till, effect: str) -> None:
    refund_id = await reserved(till, await paid(till))
    fault = {"method": "POST", "path": "/v1/refunds", "when": "after", "effect": effect, "saved": False}
    await till.shop.box.control("faults", **fault)
    with pytest.raises(PaymentsUnavailable):
        await sent(till, refund_id)
    assert await till.value(STATE, id=refund_id) == "reserved"
    assert (await sent(till, refund_id)).state == "succeeded"
    assert at_stripe(till) == [499]


async def test_after_a_day_without_stripe_it_is_looked_up_before_it_is_made(till: Till) -> None:
    """The key is forgotten by then: made again, it would be paid twice."""
    refund_id = await reserved(till, await paid(till))
    fault = {"method": "POST", "path": "/v1/refunds", "when": "after", "effect": "drop"}
    await till.shop.box.control("faults", **fault)
    with pytest.raises(PaymentsUnavailable):
        await sent(till, refund_id)
    await till.shop.box.passes(25 * HOUR)
    assert (await sent(till, refund_id)).state == "succeeded"
    assert at_stripe(till) == [499]


async def test_after_a_day_in_which_nothing_was_done_it_is_made(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    await till.shop.box.control("faults", method="POST", path="/v1/refunds", when="before", effect="drop")
    with pytest.raises(PaymentsUnavailable):
        await sent(till, refund_id)
    await till.shop.box.passes(25 * HOUR)
    assert (await sent(till, refund_id)).state == "succeeded"
    assert at_stripe(till) == [499]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_failure_that_its_key_repeats_for_a_day_is_outlasted(till: Till, when: str) -> None:
    """Whether it was done or not; half of the payment, so that Stripe would give the other half too."""
    refund_id = await reserved(till, await paid(till), 200)
    await till.shop.box.control("faults", method="POST", path="/v1/refunds", status=500, when=when, saved=True)
    states = []
    for _ in range(8):
        with suppress(PaymentsUnavailable):
            await sent(till, refund_id)
        states.append((await till.look_at_refund("check_refund", refund_id)).state)
        await till.shop.box.passes(4 * HOUR)
    assert states == (["reserved"] * 6 + ["succeeded"] * 2 if when == "before" else ["succeeded"] * 8)
    assert at_stripe(till) == [200]


async def test_one_that_nobody_asked_for_within_a_day_is_rung_and_counted_once_a_day(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    rung = "SELECT args ->> 'refund_id' FROM outbox WHERE user_id = :account AND kind = 'refund' AND done_at IS NULL"
    before = stuck()
    await sweep(till)
    assert await till.rows(rung) == []
    await till.execute("UPDATE refunds SET updated_at = now() - interval '25 hours' WHERE account_id = :account")
    await sweep(till)
    assert (await till.value(rung), stuck() - before) == (str(refund_id), 1)
    await till.execute("DELETE FROM outbox WHERE user_id = :account")
    await sweep(till)
    assert await till.rows(rung) == []


async def test_an_event_that_beats_our_own_commit_makes_no_second_row(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    fault = {"method": "POST", "path": "/v1/refunds", "when": "after", "effect": "drop"}
    await till.shop.box.control("faults", **fault)
    with pytest.raises(PaymentsUnavailable):
        await sent(till, refund_id)
    await till.tell()
    await till.pull()
    assert [
        tuple(row) for row in await till.rows("SELECT id, state, origin FROM refunds WHERE account_id = :account")
    ] == [(refund_id, "succeeded", "app")]
    assert (await sent(till, refund_id)).is_over
    assert at_stripe(till) == [499]


async def test_one_made_at_the_dashboard_is_adopted_once(till: Till) -> None:
    charge = await paid(till)
    for amount in (100, 150):
        await till.shop.v1.refunds.create_async({"charge": charge, "amount": amount})
        await till.tell()
        await till.pull()
    await till.receive("evt_again", "charge.refunded", charge)
    await till.pull()
    rows = await till.rows("SELECT amount_minor, origin, state FROM refunds WHERE account_id = :account ORDER BY 1")
    assert [tuple(row) for row in rows] == [(100, "dashboard", "succeeded"), (150, "dashboard", "succeeded")]
    with pytest.raises(RefundRefused):
        await reserved(till, charge, 250)
    assert sum(amount for _, amount, _ in await till.ledger()) == 249


async def test_a_disputed_payment_is_not_paid_back(till: Till) -> None:
    charge = await paid(till)
    await till.shop.box.control("disputes", charge=charge)
    await till.tell()
    await till.pull()
    with pytest.raises(RefundRefused) as refused:
        await reserved(till, charge)
    assert refused.value.problem_code == "charge_disputed"


async def test_a_dispute_that_came_first_at_stripe_releases_the_reservation(till: Till) -> None:
    charge = await paid(till)
    refund_id = await reserved(till, charge)
    await till.shop.box.control("disputes", charge=charge)
    standing = await sent(till, refund_id)
    assert (standing.state, standing.is_over) == ("failed", True)
    assert await till.value("SELECT failure FROM refunds WHERE id = :id", id=refund_id) == "charge_disputed"
    await till.look_at_refund("conclude_refund", refund_id)
    assert await till.told() == [("refund_failed", "failed")]


async def test_a_refusal_is_not_forgotten_by_whoever_dies_before_the_row_says_it(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = await paid(till)
    refund_id = await reserved(till, charge)
    await till.shop.box.control("disputes", charge=charge)
    with monkeypatch.context() as dying:
        dying.setattr(refunds, "settle", Dying.here)
        with pytest.raises(Dying):
            await sent(till, refund_id)
    assert await till.value(STATE, id=refund_id) == "reserved"
    assert await sent(till, refund_id) == RefundStanding(RefundState.FAILED, is_over=True)
    assert await till.value("SELECT failure FROM refunds WHERE id = :id", id=refund_id) == "charge_disputed"


async def test_a_refusal_of_what_had_been_made_is_none(till: Till) -> None:
    """The answer was lost, and who asks again takes the key for younger than it is: nothing is left of the payment."""
    refund_id, began = await reserved(till, await paid(till)), till.now
    fault = {"method": "POST", "path": "/v1/refunds", "when": "after", "effect": "drop"}
    await till.shop.box.control("faults", **fault)
    with pytest.raises(PaymentsUnavailable):
        await sent(till, refund_id)
    await till.shop.box.passes(25 * HOUR)
    standing = await ActivityEnvironment().run(till.refunds.send_refund, LookAtRefund(refund_id, began))
    assert (standing.state, at_stripe(till)) == ("succeeded", [499])


async def test_a_refund_that_fails_later_gives_the_reservation_back(till: Till) -> None:
    charge = await paid(till)
    refund_id = await reserved(till, charge)
    await sent(till, refund_id)
    await till.look_at_refund("conclude_refund", refund_id)
    (made,) = till.shop.account.objects.find("refund")
    await till.shop.box.control(f"refunds/{made['id']}", status="failed")
    await till.tell()
    await till.pull()
    assert await till.value(STATE, id=refund_id) == "failed"
    assert [kind for kind, _, _ in await till.ledger()] == ["charge", "refund", "refund_failure"]
    assert sum(amount for _, amount, _ in await till.ledger()) == 499
    for _ in range(2):
        await till.look_at_refund("conclude_refund", refund_id)
    assert await till.told() == [("refund_paid", "succeeded"), ("refund_failed", "failed")]
    await reserved(till, charge)


async def test_other_parameters_under_the_same_key_are_an_alert_and_not_a_retry(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    await till.shop.v1.refunds.create_async(
        {"charge": await till.value("SELECT charge_id FROM refunds WHERE id = :id", id=refund_id), "amount": 1},
        {"idempotency_key": f"pf:test:refund:{refund_id}"},
    )
    standing = await sent(till, refund_id)
    assert (standing.state, standing.is_over) == ("ambiguous", False)
    assert at_stripe(till) == [1]


async def test_whoever_cancels_with_it_is_not_renewed_in_between(till: Till) -> None:
    charge = await paid(till)
    subscription = await till.value("SELECT subscription_id FROM billing_snapshots WHERE account_id = :account")
    refund_id = await reserved(till, charge, 100, cancel=True)
    assert (await till.look_at_refund("check_refund", refund_id)).cancels
    await till.look_at_refund("cancel_before_refund", refund_id)
    await till.look_at_refund("cancel_before_refund", refund_id)
    assert (await till.shop.subscription(subscription)).status == "canceled"
    assert (await sent(till, refund_id)).state == "succeeded"


async def test_whoever_gets_all_of_a_payment_back_keeps_nothing_that_it_was_for(till: Till) -> None:
    charge = await paid(till)
    part, rest = await reserved(till, charge, 200), await reserved(till, charge, 299)
    assert not (await till.look_at_refund("check_refund", part)).cancels
    assert (await till.look_at_refund("check_refund", rest)).cancels
    for step in ("cancel_before_refund", "send_refund"):
        await till.look_at_refund(step, rest)
    await till.pull()
    assert (at_stripe(till), await till.tier()) == ([299], Tier.FREE)


@pytest.mark.parametrize("amount", [None, 200])
async def test_nothing_is_cancelled_for_a_refund_that_will_be_refused(till: Till, amount: int | None) -> None:
    """Something has happened to the payment that was not read yet."""
    charge = await paid(till)
    refund_id = await reserved(till, charge, amount, cancel=True)
    if amount is None:
        await till.shop.box.control("disputes", charge=charge)
    else:
        await till.shop.v1.refunds.create_async({"charge": charge, "amount": 300})
    await till.look_at_refund("cancel_before_refund", refund_id)
    (subscription,) = till.shop.account.objects.find("subscription")
    assert subscription["status"] == "active"
    assert await sent(till, refund_id) == RefundStanding(RefundState.FAILED, is_over=True)
    failure = await till.value("SELECT failure FROM refunds WHERE id = :id", id=refund_id)
    assert failure == ("charge_disputed" if amount is None else "refund_too_high")


async def test_a_subscription_that_was_never_paid_for_cannot_be_ended_with_a_refund(till: Till) -> None:
    charge = await paid(till)
    await till.execute("UPDATE billing_charges SET subscription_id = NULL WHERE account_id = :account")
    with pytest.raises(RefundRefused) as refused:
        await reserved(till, charge, cancel=True)
    assert refused.value.problem_code == "refund_no_subscription"
    await reserved(till, charge)


async def test_a_read_that_comes_late_changes_nothing_of_what_came_of_a_refund(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    await sent(till, refund_id)
    (made,) = till.shop.account.objects.find("refund")
    earlier = await till.payments.refund(made["id"])
    await till.shop.box.control(f"refunds/{made['id']}", status="failed")
    await till.tell()
    await till.pull()
    async with till.db.sessions.begin() as session:
        await record_refund(session, till.account_id, earlier)
    assert await till.value(STATE, id=refund_id) == "failed"


@pytest.mark.parametrize(("end", "left"), [("won", 499), ("lost", 0)])
async def test_what_a_bank_took_back_for_good_is_not_paid_back_too(till: Till, end: str, left: int) -> None:
    charge = await paid(till)
    dispute = await till.shop.box.control("disputes", charge=charge)
    await till.tell()
    await till.pull()
    assert await till.ledger() == [("charge", 499, "EUR"), ("dispute", -499, "EUR")]
    await till.shop.box.control(f"disputes/{dispute['id']}", status=end)
    await till.tell()
    await till.pull()
    assert sum(amount for _, amount, _ in await till.ledger()) == left
    if left:
        assert (await sent(till, await reserved(till, charge))).state == "succeeded"
        return
    with pytest.raises(RefundRefused) as refused:
        await reserved(till, charge)
    assert refused.value.problem_code == "charge_disputed"


async def test_the_window_of_a_debit_begins_when_it_has_come_through(till: Till) -> None:
    await till.join(None)
    await complete(till, await visit(till), "DE89370400440532013000")
    await till.tell()
    await till.pull()
    await till.shop.box.passes(6 * DAY)
    await till.tell()
    await till.pull()
    charge = str(await till.value("SELECT charge_id FROM billing_charges WHERE account_id = :account"))
    await till.shop.box.passes(10 * DAY)
    await reserved(till, charge, 100)
    await till.shop.box.passes(4 * DAY)
    with pytest.raises(RefundRefused):
        await reserved(till, charge, 100)


async def test_the_window_is_that_of_the_payment(till: Till) -> None:
    charge = await paid(till)
    await till.shop.box.passes(int(timedelta(days=15).total_seconds()))
    with pytest.raises(RefundRefused) as refused:
        await reserved(till, charge)
    assert refused.value.problem_code == "refund_window_over"
