"""What `/_control/` does to money: disputes, refunds, and what a customer does on a hosted page.

| path | |
|---|---|
| POST `disputes` | a dispute of `charge`, with a `reason` |
| POST `disputes/{id}` | `status` under_review, won or lost |
| POST `refunds/{id}` | `status` succeeded, failed, requires_action or canceled |
| POST `checkout/{id}/complete` | pay with `payment_method` (`pm_card_visa`); `authenticate` false: the bank's question stays open; `country`, `promotion_code` |
| POST `authenticate/{id}` | the bank's question about a payment intent: `passed` |
"""

from collections.abc import Mapping
from typing import Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, disputes, refunds
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


def settle_refund(account: Account, refund_id: str, asked: Document) -> object:
    """How it ends."""
    refund = account.objects.get("refund", refund_id)
    refunds.settle(account, refund, asked["status"])
    return public(refund)


DEEDS: Final[Mapping[str, Deed]] = {
    "disputes": open_dispute,
    "disputes/{id}": decide_dispute,
    "refunds/{id}": settle_refund,
}
