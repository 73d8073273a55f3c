"""One call of Stripe's SDK: its answer as a plain document, its failure in our words, its lists a page at a time."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import stripe

from domain.billing.currency import ForeignCurrency
from integrations.payments.errors import (
    Busy,
    Declined,
    Foreign,
    KeyReused,
    NotThere,
    PaymentsError,
    PaymentsUnavailable,
    Refused,
)
from integrations.payments.metrics import FOREIGN
from integrations.payments.records import Page

T = TypeVar("T")
PAGE: Final = 100
"""The most that Stripe lists at once."""

# The SDK tells its logger the text of every refusal, which may quote an address or the digits of a card.
logging.getLogger("stripe").setLevel(logging.WARNING)


class Answer(Protocol):
    """What every object of the SDK can become."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, plain."""
        ...


class Listed(Protocol):
    """A page of the SDK."""

    data: Any
    has_more: bool

    def auto_paging_iter(self) -> Any:
        """This page and the following ones."""
        ...


async def asked(call: Awaitable[Answer], read: Callable[[Mapping[str, Any]], T]) -> T:
    """The answer, as a record. Raises `PaymentsError`."""
    with in_our_words():
        answer = await call
        return read(answer.to_dict())


async def all_of(call: Awaitable[Listed], read: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    """Every page of a short list: what one customer has, but for what is foreign. Raises `PaymentsError`."""
    with in_our_words():
        found = await call
        items = [item async for item in found.auto_paging_iter()]
    return tuple(_ours(items, read))


async def page_of(call: Awaitable[Listed], read: Callable[[Mapping[str, Any]], T]) -> Page[T]:
    """One page of a long list, but for what is foreign. Raises `PaymentsError`."""
    with in_our_words():
        found = await call
    last = found.data[-1].id if found.has_more and found.data else None
    return Page(tuple(_ours(found.data, read)), last)


def _ours(items: Iterable[Answer], read: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    """What is foreign is left out and counted: one such object must not keep the others from being read."""
    for item in items:
        document = item.to_dict()
        try:
            yield read(document)
        except ForeignCurrency:
            FOREIGN.labels(document["object"]).inc()


@contextmanager
def in_our_words() -> Iterator[None]:
    """Whatever the SDK raises inside is raised as `PaymentsError`, without its text; what is foreign as `Foreign`."""
    try:
        yield
    except ForeignCurrency:
        raise Foreign("in a currency that we take no money in") from None
    except stripe.StripeError as error:
        raise refusal(error) from None


def refusal(error: stripe.StripeError) -> PaymentsError:
    """What a failure of the SDK's means. The one place where its classes are known (billing.md §4.6)."""
    match error:
        case stripe.CardError():
            return Declined("the payment was declined", stripe_code=_declined(error))
        case stripe.IdempotencyError():
            return KeyReused("the same operation came with other parameters", stripe_code=error.code)
        case stripe.InvalidRequestError() if error.http_status == 404 or error.code == "resource_missing":
            return NotThere("Stripe has no such object", stripe_code=error.code)
        case stripe.RateLimitError():
            return Busy("Stripe asks for a pause", retry_after=_retry_after(error))
        case stripe.APIConnectionError() | stripe.APIError():
            return PaymentsUnavailable("Stripe does not answer", retry_after=_retry_after(error))
        case _:
            return Refused("Stripe refused the request", stripe_code=error.code)


def _declined(error: stripe.CardError) -> str | None:
    details = error.error
    return getattr(details, "decline_code", None) or error.code


def _retry_after(error: stripe.StripeError) -> int | None:
    value = {name.lower(): value for name, value in (error.headers or {}).items()}.get("retry-after", "")
    return int(value) if value.isdigit() else None
