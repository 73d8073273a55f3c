"""The account's balance: each movement of money is one balance transaction, and one or two entries of the ledger.

The net amounts of all balance transactions in a currency are what the ledger comes to.
"""

from fractions import Fraction
from typing import Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.proration import rounded
from infra.local.emulators.stripe_server.ledger import Movement
from infra.local.emulators.stripe_server.objects import Document

DISPUTE_FEE: Final = 1500
_SHARE, _FIXED = Fraction(15, 1000), 25
_AVAILABLE_AFTER: Final = 7 * 86_400
_CATEGORIES: Final = {
    **{"payment": "charge", "payment_refund": "refund", "payment_failure_refund": "charge_failure"},
    **{"refund_failure": "refund_failure", "adjustment": "dispute"},
}


def processing_fee(amount: int) -> int:
    """What Stripe keeps of a payment; never more than it."""
    return min(amount, rounded(amount * _SHARE) + _FIXED)


def move(
    account: Account, kind: str, amount: int, currency: str, source: str, *, fee: int = 0, category: str | None = None
) -> Document:
    """Money comes in (positive) or goes out, in the currency in which the balance is kept. Answers the balance
    transaction."""
    now, into, rate = account.now(), account.settings.settles_in or currency, None
    if into != currency:
        rate = account.settings.exchange_rate
        amount, fee, currency = _converted(amount, rate), _converted(fee, rate), into
    account.ledger.record(Movement(now, kind, source, amount, currency))
    if fee:
        account.ledger.record(Movement(now, "stripe_fee", source, -fee, currency))
    details = [_fee(fee, currency)] if fee else []
    return made(
        account,
        "balance_transaction",
        "txn",
        amount=amount,
        available_on=now + _AVAILABLE_AFTER,
        balance_type="payments",
        currency=currency,
        exchange_rate=rate,
        fee=fee,
        fee_details=details,
        net=amount - fee,
        reporting_category=category or _CATEGORIES.get(kind, kind),
        source=source,
        status="pending" if amount > 0 else "available",
        type=kind,
    )


def _converted(amount: int, rate: float) -> int:
    return rounded(Fraction(str(rate)) * amount)


def _fee(amount: int, currency: str) -> Document:
    about = {"amount": amount, "currency": currency, "description": "Stripe processing fees", "type": "stripe_fee"}
    return {"application": None, **about}
