"""The hosted Checkout page: what is bought, a method, a promotion code, and the way out."""

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.billing import checkout, checkout_sessions, pages
from infra.local.emulators.stripe_server.billing.checkout import Submission
from infra.local.emulators.stripe_server.billing.checkout_sessions import KIND
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.form import fields
from infra.local.emulators.stripe_server.objects import Document

_TEMPLATE: Final = "stripe_checkout.html"


def routes(accounts: Accounts) -> Iterable[Route]:
    """The page, and what its form sends (`action`: pay, code, authenticate, refuse or abandon)."""
    yield Route("/c/pay/{id}", pages.serving(accounts, KIND, _show), methods=["GET"])
    yield Route("/c/pay/{id}", pages.serving(accounts, KIND, _act), methods=["POST"])


async def _show(account: Account, session: Document, _: Request) -> Response:
    """Who comes back from the bank, or once more, goes on to the shop."""
    if session["status"] == "complete":
        return RedirectResponse(checkout.destination(session), 303)
    return _page(account, session)


async def _act(account: Account, session: Document, request: Request) -> Response:
    """Redirects to the shop once the session is complete or abandoned; otherwise the page again."""
    form = fields(await request.body())
    if session["status"] == "complete":  # the button was pressed twice
        return RedirectResponse(checkout.destination(session), 303)
    if form.get("action") == "abandon":
        return RedirectResponse(session["cancel_url"] or session["url"], 303)
    try:
        _do(account, session, form)
    except StripeError as error:
        return _page(account, session, error)
    if session["status"] == "complete":
        return RedirectResponse(checkout.destination(session), 303)
    return _page(account, session)


def _do(account: Account, session: Document, form: dict[str, str]) -> None:
    action, intent = form.get("action", "pay"), checkout.waiting_intent(account, session)
    if action in ("authenticate", "refuse"):
        if intent:
            checkout.authenticated(account, intent, passed=action == "authenticate")
    elif action == "code":
        checkout.redeem(account, session, form.get("code", ""))
    else:
        is_free = session["payment_method_collection"] == "if_required" and session["amount_total"] == 0
        method = None if is_free and not form.get("number") else pages.method_of(account, form)
        checkout.submit(account, session, Submission(method, form.get("country") or None, form.get("code") or None))


def _page(account: Account, session: Document, error: StripeError | None = None) -> Response:
    lines = checkout_sessions.line_items_of(account, session)["data"]
    customer = account.objects.get("customer", session["customer"])
    return pages.rendered(
        _TEMPLATE,
        error.status if error else 200,
        session=session,
        lines=lines,
        country=(customer["address"] or {}).get("country") or account.settings.country,
        intent=checkout.waiting_intent(account, session),
        error=error and error.message,
    )
