"""What the hosted pages share: how money looks, where a method comes from, and how a refusal is shown."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from domain.money import exponent
from infra.local.emulators.sign_in import PAGES
from infra.local.emulators.stripe_server import cards, payment_methods
from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document

Serve = Callable[[Account, Document, Request], Awaitable[Response]]


def money(amount: int, currency: str) -> str:
    """`4.99 EUR`, `800 JPY`."""
    decimals = exponent(currency.upper())
    return f"{Decimal(amount).scaleb(-decimals):.{decimals}f} {currency.upper()}"


def day(instant: int) -> str:
    """`2027-01-31`."""
    return datetime.fromtimestamp(instant, UTC).date().isoformat()


def method_of(account: Account, form: Mapping[str, str]) -> Document:
    """The method that was entered: a test number or an IBAN, or a kind that needs none. Raises `StripeError`."""
    number = form.get("number", "").strip()
    test = cards.by_number(number) if number else cards.OTHERS.get(form.get("kind", ""))
    if test is None:
        raise invalid("Your card number is incorrect: take one of the test numbers.", "number", "incorrect_number")
    return payment_methods.make(account, test)


def rendered(template: str, status: int = 200, **about: Any) -> Response:
    """A page."""
    return HTMLResponse(PAGES.get_template(template).render(money=money, day=day, **about), status)


def serving(accounts: Accounts, kind: str, serve: Serve) -> Callable[[Request], Awaitable[Response]]:
    """A page about the object in the path, in whatever account it is; 404 where there is none."""

    async def answer(request: Request) -> Response:
        object_id = request.path_params["id"]
        account = accounts.holding(object_id)
        document = account.objects.maybe(object_id) if account else None
        if account is None or document is None or document["object"] != kind:
            return HTMLResponse("There is no such page.", 404)
        account.tick()
        return await serve(account, document, request)

    return answer
