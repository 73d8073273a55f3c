"""What `/_control/` does to money: disputes, refunds, and what a customer does on a hosted page.

| path | |
|---|---|
| POST `payment_methods/{id}/reissue` | the bank has sent a new card: it pays, and everybody who keeps it is told |
| POST `disputes` | a dispute of `charge`, with a `reason` |
| POST `disputes/{id}` | `status` under_review, won or lost |
| POST `refunds/{id}` | `status` succeeded, failed, requires_action or canceled |
| POST `checkout/{id}/complete` | pay with `payment_method` (an id, `pm_card_…`, a number or an IBAN); `country` and
`promotion_code` as typed; `authenticate`: what the bank is answered, yes by default, null for not yet |
| POST `authenticate/{id}` | what the bank is answered about a payment intent: `passed` |
"""

from collections.abc import Mapping
from typing import Final

from infra.local.emulators.stripe_server import cards, payment_methods
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import checkout, disputes, refunds
from infra.local.emulators.stripe_server.billing.checkout import Submission
from infra.local.emulators.stripe_server.billing.checkout_sessions import KIND
from infra.local.emulators.stripe_server.control import Deed
from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.objects import Document


def open_dispute(account: Account, _: str, asked: Document) -> object:
    """A customer has complained at their bank."""
    charge = account.objects.get("charge", asked["charge"], "charge")
    return public(disputes.open_dispute(account, charge, asked.get("reason", "fraudulent")))


def decide_dispute(account: Account, dispute_id: str, asked: Document) -> object:
    """How it goes on."""
    dispute = account.objects.get("dispute", dispute_id)
    {"under_review": disputes.answer, "won": disputes.win, "lost": disputes.lose}[asked["status"]](account, dispute)
    return public(dispute)


def complete_checkout(account: Account, session_id: str, asked: Document) -> object:
    """A customer pays on the page, and answers the bank if it asks."""
    session = account.objects.get(KIND, session_id)
    method = method_of(account, asked.get("payment_method"))
    checkout.submit(account, session, Submission(method, asked.get("country"), asked.get("promotion_code")))
    passed = asked.get("authenticate", True)
    if passed is not None and (intent := checkout.waiting_intent(account, session)):
        checkout.authenticated(account, intent, passed=passed)
    return public(session)


def authenticate(account: Account, intent_id: str, asked: Document) -> object:
    """A customer answers the bank."""
    intent = account.objects.get("payment_intent", intent_id)
    checkout.authenticated(account, intent, passed=asked["passed"])
    return public(intent)


def method_of(account: Account, named: str | None) -> Document | None:
    """A payment method by id, test name, number or IBAN. Raises `StripeError` for one that there is not."""
    if not named:
        return None
    test = cards.by_number(named) or cards.OTHERS.get(named)
    return payment_methods.make(account, test) if test else payment_methods.resolve(account, named)


def reissue(account: Account, method_id: str, _: Document) -> object:
    """A card is replaced by its bank, which tells Stripe."""
    method = account.objects.get("payment_method", method_id)
    with account.changing(method, "payment_method.automatically_updated"):
        method["card"]["exp_year"] += 5
    method["_decline_code"] = None
    return public(method)


def settle_refund(account: Account, refund_id: str, asked: Document) -> object:
    """How it ends."""
    refund = account.objects.get("refund", refund_id)
    refunds.settle(account, refund, asked["status"])
    return public(refund)


DEEDS: Final[Mapping[str, Deed]] = {
    "authenticate/{id}": authenticate,
    "checkout/{id}/complete": complete_checkout,
    "disputes": open_dispute,
    "disputes/{id}": decide_dispute,
    "payment_methods/{id}/reissue": reissue,
    "refunds/{id}": settle_refund,
}
