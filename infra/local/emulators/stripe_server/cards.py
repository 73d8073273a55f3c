"""The test methods of billing.md §6.3 as data: numbers, IBANs, and the ids that stand for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from infra.local.emulators.stripe_server.objects import Document

Authentication = Literal["never", "unless_set_up", "always"]
Refunds = Literal["succeed", "pend", "fail_later"]


@dataclass(frozen=True, slots=True)
class TestMethod:
    """How money behaves that is taken with a method.

    `decline_code`: None pays. `declines_attaching`: the bank says no already when the method is saved.
    `authentication`: when the customer must confirm (3-D Secure). `is_delayed`: `processing` for some days, then paid
    or, with a `decline_code`, failed. `disputed`: every charge is disputed once it is paid.
    """

    type: str
    number: str = ""
    brand: str = ""
    decline_code: str | None = None
    declines_attaching: bool = True
    authentication: Authentication = "never"
    disputed: bool = False
    refunds: Refunds = "succeed"
    is_delayed: bool = False
    currencies: frozenset[str] | None = None

    @property
    def refuses_saving(self) -> bool:
        """Whether the bank says no when the method is attached or set up."""
        is_known_then = self.authentication == "never" and not self.is_delayed
        return bool(self.decline_code) and is_known_then and self.declines_attaching

    @property
    def last4(self) -> str:
        """What may be shown of the number."""
        return self.number[-4:]


def _card(number: str, **how: object) -> TestMethod:
    return TestMethod("card", number, how.pop("brand", "visa"), **how)  # type: ignore[arg-type]


def _debit(number: str, **how: object) -> TestMethod:
    return TestMethod("sepa_debit", number, is_delayed=True, currencies=frozenset({"eur"}), **how)  # type: ignore[arg-type]


VISA: Final = _card("4242424242424242")
CARDS: Final[Mapping[str, TestMethod]] = {
    each.number: each
    for each in (
        VISA,
        _card("5555555555554444", brand="mastercard"),
        _card("378282246310005", brand="amex"),
        _card("4000000000000002", decline_code="generic_decline"),
        _card("4000000000009995", decline_code="insufficient_funds"),
        _card("4000000000009987", decline_code="lost_card"),
        _card("4000000000009979", decline_code="stolen_card"),
        _card("4000000000000069", decline_code="expired_card"),
        _card("4000000000000341", decline_code="generic_decline", declines_attaching=False),
        _card("4000002500003155", authentication="unless_set_up"),
        _card("4000002760003184", authentication="always"),
        _card("4000008260003178", authentication="always", decline_code="insufficient_funds"),
        _card("4000000000000259", disputed=True),
        _card("4000000000007726", refunds="pend"),
        _card("4000000000005126", refunds="fail_later"),
    )
}
IBANS: Final[Mapping[str, TestMethod]] = {
    each.number: each
    for each in (
        _debit("DE89370400440532013000"),
        _debit("DE62370400440532013001", decline_code="debit_not_authorized"),
    )
}
OTHERS: Final[Mapping[str, TestMethod]] = {
    "us_bank_account": TestMethod("us_bank_account", "000123456789", is_delayed=True, currencies=frozenset({"usd"})),
    "bacs_debit": TestMethod("bacs_debit", "00012345", is_delayed=True, currencies=frozenset({"gbp"})),
    "link": TestMethod("link"),
    "paypal": TestMethod("paypal"),
}
"""Methods without a number that tells how they behave, by type."""

_BY_NAME: Final[Mapping[str, str]] = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedLostCard": "4000000000009987",
    "chargeDeclinedLostCard": "4000000000009987",
    "visa_chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequiredOnSetup": "4000002500003155",
    "threeDSecureRequired": "4000002760003184",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "createDispute": "4000000000000259",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
}


def behaviour(method: Document) -> TestMethod:
    """How money behaves that is taken with a stored method; `/_control/payment_methods` may have changed its bank's
    mind, and one that was set up needs no authentication again unless it always does."""
    found = by_number(method["_number"]) or OTHERS[method["type"]]
    if found.authentication == "unless_set_up" and method["_is_set_up"]:
        found = replace(found, authentication="never")
    return replace(found, decline_code=method["_decline_code"]) if "_decline_code" in method else found


def by_name(name: str) -> TestMethod | None:
    """The card that `pm_card_…` or `tok_…` stands for."""
    prefix, _, short = name.partition("_")
    short = short.removeprefix("card_") if prefix == "pm" else short
    return CARDS.get(_BY_NAME.get(short, "")) if prefix in ("pm", "tok") else None


def by_number(number: str) -> TestMethod | None:
    """The card or bank account with a number, however it was grouped."""
    plain = number.replace(" ", "").replace("-", "").upper()
    return CARDS.get(plain) or IBANS.get(plain)
