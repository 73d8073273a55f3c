"""The hosted page of an invoice: what it is for, and a way to pay it."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.billing import invoices, pages, portal
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.form import fields
from infra.local.emulators.stripe_server.objects import Document


def routes(accounts: Accounts) -> Iterable[Route]:
    """The page, also for who wants to print it, and what its form sends (`number` or `kind`)."""
    yield Route("/i/{id}", pages.serving(accounts, "invoice", _show), methods=["GET"])
    yield Route("/i/{id}", pages.serving(accounts, "invoice", _pay), methods=["POST"])
    yield Route("/i/{id}/pdf", pages.serving(accounts, "invoice", _show), methods=["GET"])


async def _show(account: Account, invoice: Document, _: Request) -> Response:
    return _page(account, invoice)


async def _pay(account: Account, invoice: Document, request: Request) -> Response:
    """Where the bank asks something, its page comes next."""
    try:
        portal.pay(account, invoice, pages.method_of(account, fields(await request.body())))
    except StripeError as error:
        if action := _question(account, invoice):
            return RedirectResponse(action, 303)
        return _page(account, invoice, error)
    return RedirectResponse(f"/i/{invoice['id']}", 303)


def _question(account: Account, invoice: Document) -> str | None:
    """The bank's page, if it waits for an answer."""
    if not invoice.get("_payment"):
        return None
    action = invoices.intent_of(account, invoice)["next_action"]
    return action and str(action["redirect_to_url"]["url"])


def _page(account: Account, invoice: Document, error: StripeError | None = None) -> Response:
    status, message = (error.status, error.message) if error else (200, None)
    question = _question(account, invoice)
    return pages.rendered("stripe_invoice.html", status, invoice=invoice, question=question, error=message)
