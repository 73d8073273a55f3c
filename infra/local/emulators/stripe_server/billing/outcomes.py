"""What a bank says when money is asked for with one of the test methods."""

from dataclasses import dataclass
from typing import Final

from infra.local.emulators.stripe_server import cards
from infra.local.emulators.stripe_server.objects import Document

_OWN_CODES: Final = {
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}
"""Decline codes that are the error's code, too; any other comes as `card_declined`."""
_TEXTS: Final = {"insufficient_funds": "Your card has insufficient funds."}
_HARD: Final = frozenset("incorrect_number lost_card pickup_card stolen_card revocation_of_authorization".split())


@dataclass(frozen=True, slots=True)
class Decline:
    """A no. `decline_code` is the bank's reason."""

    code: str
    decline_code: str | None
    message: str

    @staticmethod
    def of(decline_code: str, *, is_card: bool = True) -> "Decline":
        """What Stripe makes of a bank's reason; a debit's reason is its code."""
        if not is_card:
            return Decline(decline_code, None, "The customer's bank could not debit the account.")
        text = _OWN_CODES.get(decline_code) or _TEXTS.get(decline_code, "Your card was declined.")
        return Decline(decline_code if decline_code in _OWN_CODES else "card_declined", decline_code, text)

    @staticmethod
    def unauthenticated() -> "Decline":
        """The customer did not confirm that it is them."""
        text = "The provided payment method has failed authentication."
        return Decline("payment_intent_authentication_failure", None, text)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to a payment. `needs_action`: first the customer has to confirm it; `is_impossible`: the bank is not
    even asked, because the method does not know the currency."""

    decline: Decline | None
    needs_action: bool = False
    is_impossible: bool = False


def outcome_of(method: Document, currency: str, *, is_authenticated: bool = False) -> Outcome:
    """What happens with this method now."""
    behaviour = cards.behaviour(method)
    if behaviour.currencies and currency not in behaviour.currencies:
        text = f"Payments with {method['type']} are not possible in {currency}."
        return Outcome(Decline("payment_method_currency_mismatch", None, text), is_impossible=True)
    code = behaviour.decline_code
    decline = Decline.of(code, is_card=method["type"] == "card") if code else None
    return Outcome(decline, behaviour.authentication != "never" and not is_authenticated)


def is_hard(decline_code: str | None) -> bool:
    """Whether trying again without another method is pointless."""
    return decline_code in _HARD
