"""What Stripe's refusals mean to us (billing.md §4.6). Texts are constant: Stripe's own may quote an address or a card.

PaymentsError
├── Declined            the bank said no: a new card is a new operation
├── Refused             not as it was asked, or not by us; asking again changes nothing
│   └── NotThere        no such object
│       └── Foreign     there is one, but in a currency that we take no money in: none of ours
├── KeyReused           other parameters under a key that was used: a mistake of ours, and an alert
└── PaymentsUnavailable away, or the same key is in flight; what was asked may have been done
    └── Busy            too many requests: nothing was done
"""

from core.errors import PetfolioError


class PaymentsError(PetfolioError):
    """Stripe did not do what was asked. `stripe_code` is its word for programs."""

    code = "payments_refused"
    http_status = 502

    def __init__(self, detail: str, *, stripe_code: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.stripe_code = stripe_code


class Declined(PaymentsError):
    """402. `stripe_code` is the bank's reason (`insufficient_funds`)."""

    code = "card_declined"
    http_status = 402


class Refused(PaymentsError):
    """Invalid, not permitted, or a key that is none. Never retried."""

    code = "payments_refused"


class NotThere(Refused):
    """The object is not, or not any more, at Stripe."""

    code = "payments_not_there"


class Foreign(NotThere):
    """Its amounts would be off by a hundred here, so it is as good as not there."""


class KeyReused(PaymentsError):
    """An operation came again with other parameters. Never retried: somebody has to look at it."""

    code = "payments_key_reused"
    http_status = 500


class PaymentsUnavailable(PaymentsError):
    """No answer, a failure of Stripe's, or the same operation in flight: repeat it under the same key."""

    code = "payments_unavailable"
    http_status = 503
    retryable = True


class Busy(PaymentsUnavailable):
    """429: wait as long as it says."""

    code = "payments_busy"
