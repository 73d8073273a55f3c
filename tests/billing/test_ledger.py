"""The ledger is Stripe's balance, movement by movement: what debits, disputes and conversions do to it included."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.billing_ledger import BillingLedgerActivities
from domain.billing.catalogue import Tier
from integrations.payments.errors import PaymentsUnavailable
from temporal.contracts.billing_ledger import BalanceCompared, CompareBalance
from tests.billing.till import Till
from tests.infra.stripe_server.shops import DAY

DRIFT = "SELECT object_id FROM billing_drift WHERE account_id = :account"
GOOD_IBAN, BAD_IBAN = "DE89370400440532013000", "DE62370400440532013001"


async def compare_balance(till: Till, environment: ActivityEnvironment | None = None) -> BalanceCompared:
    job = BillingLedgerActivities(till.db.sessions, till.payments)
    until = till.now + timedelta(seconds=1)
    request = CompareBalance(until - timedelta(days=60), until)
    found: BalanceCompared = await (environment or ActivityEnvironment()).run(job.compare_balance, request)
    return found


async def settled(till: Till) -> None:
    await till.tell()
    await till.follow()


async def debited(till: Till, iban: str) -> str:
    """A subscription whose first payment is a bank debit, on its way."""
    customer = await till.join(None)
    given = {"type": "sepa_debit", "sepa_debit": {"iban": iban}, "billing_details": {"email": "a@b.c", "name": "A"}}
    method = await till.shop.v1.payment_methods.create_async(given)
    await till.shop.v1.payment_methods.attach_async(method.id, {"customer": customer})
    made = await till.shop.subscribe(customer, default_payment_method=method.id)
    return str(made.id)


async def test_the_ledger_has_the_sums_of_the_balance(till: Till) -> None:
    made = await till.shop.subscribe(await till.join())
    await till.shop.box.passes(32 * DAY)
    charge = await till.shop.charge_of(made.latest_invoice)
    await till.shop.v1.refunds.create_async({"charge": charge.id, "amount": 200})
    latest = await till.shop.charge_of((await till.shop.subscription(made.id)).latest_invoice)
    await till.shop.box.control("disputes", charge=latest.id)
    await till.tell()
    await till.follow()
    compared = await compare_balance(till)
    assert (compared.missing, compared.difference) == (0, {})
    assert compared.movements == 4


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ledger_entries WHERE account_id = :account AND kind = 'charge'",
        "UPDATE ledger_entries SET amount_minor = 7 WHERE account_id = :account AND kind = 'charge'",
        "DELETE FROM ledger_entries WHERE account_id = :account AND kind = 'refund'",
    ],
)
async def test_what_is_missing_in_the_ledger_is_found_and_counted_anew(till: Till, change: str) -> None:
    made = await till.shop.subscribe(await till.join())
    charge = await till.shop.charge_of(made.latest_invoice)
    await till.shop.v1.refunds.create_async({"charge": charge.id, "amount": 200})
    await settled(till)
    await till.execute(change)
    assert (await compare_balance(till)).missing == 1
    await till.follow()
    assert (await compare_balance(till)).missing == 0


async def test_a_debit_is_in_the_ledger_from_when_it_is_sent_and_can_be_paid_back_once_it_has_come(till: Till) -> None:
    await debited(till, GOOD_IBAN)
    await settled(till)
    assert await till.ledger() == [("charge", 499, "EUR")]
    assert not await till.rows("SELECT charge_id FROM billing_charges WHERE account_id = :account")
    assert (await compare_balance(till)).missing == 0
    await till.shop.box.passes(6 * DAY)
    await settled(till)
    assert await till.ledger() == [("charge", 499, "EUR")]
    assert await till.value("SELECT amount_minor FROM billing_charges WHERE account_id = :account") == 499
    assert (await compare_balance(till)).missing == 0
    assert await till.tier() is Tier.PLUS


async def test_a_debit_that_the_bank_refuses_is_taken_out_of_the_ledger_again(till: Till) -> None:
    await debited(till, BAD_IBAN)
    await till.shop.box.passes(6 * DAY)
    await settled(till)
    assert sorted(await till.ledger()) == [("charge", 499, "EUR"), ("payment_failure", -499, "EUR")]
    compared = await compare_balance(till)
    assert (compared.movements, compared.missing, compared.difference) == (2, 0, {})
    assert not await till.rows("SELECT charge_id FROM billing_charges WHERE account_id = :account")


async def test_a_debit_that_failed_unseen_before_a_card_paid_is_found_and_counted_anew(till: Till) -> None:
    made = await debited(till, GOOD_IBAN)
    await till.shop.box.passes(6 * DAY)
    await settled(till)
    (debit,) = till.shop.account.objects.find("payment_method", lambda each: each["type"] == "sepa_debit")
    debit["_decline_code"] = "debit_not_authorized"
    await till.shop.box.passes(32 * DAY)
    card = await till.shop.replace_method(till.customer_id, "pm_card_visa")
    invoice = await till.shop.latest_invoice(made)
    await till.shop.v1.invoices.pay_async(invoice.id, {"payment_method": card})
    await settled(till)
    assert await till.tier() is Tier.PLUS
    assert (await compare_balance(till)).missing == 2
    await till.follow()
    assert (await compare_balance(till)).missing == 0
    assert sum(amount for _, amount, _ in await till.ledger()) == 2 * 499


@pytest.mark.parametrize(("status", "left"), [("won", 599), ("lost", 0)])
@pytest.mark.parametrize("kept_in", ["usd", "eur"])
async def test_a_dispute_is_in_the_currency_that_was_paid_in_whatever_the_balance_is_kept_in(
    till: Till, kept_in: str, status: str, left: int
) -> None:
    await till.shop.box.control("settings", settles_in=kept_in)
    made = await till.shop.subscribe(await till.join(), currency="usd")
    charge = await till.shop.charge_of(made.latest_invoice)
    dispute = await till.shop.box.control("disputes", charge=charge.id)
    await till.shop.box.control(f"disputes/{dispute['id']}", status=status)
    await settled(till)
    ledger = await till.ledger()
    assert {currency for _, _, currency in ledger} == {"USD"}
    assert sum(amount for _, amount, _ in ledger) == left
    assert (await compare_balance(till)).missing == 0
    till.shop.sums()


async def test_a_comparison_that_died_goes_on_where_it_was(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.payments.reads.PAGE", 1)
    await till.shop.subscribe(await till.join())
    await till.shop.box.passes(32 * DAY)
    await settled(till)
    await till.execute("DELETE FROM ledger_entries WHERE account_id = :account")
    await till.shop.box.control("faults", method="GET", path="/v1/balance_transactions", skip=1, status=503)
    died, kept = ActivityEnvironment(), []
    died.on_heartbeat = lambda *details: kept.append(details)
    with pytest.raises(PaymentsUnavailable):
        await compare_balance(till, died)
    assert len(await till.rows(DRIFT)) == 1
    successor = ActivityEnvironment()
    successor.info = replace(successor.info, heartbeat_details=kept[-1])
    compared = await compare_balance(till, successor)
    assert (compared.movements, compared.missing, compared.difference) == (2, 2, {"EUR": 998})
    assert len(await till.rows(DRIFT)) == 2
