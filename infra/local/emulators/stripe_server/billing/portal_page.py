"""The hosted portal: a customer's subscriptions, methods and invoices, and what they may do with them."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.billing import pages, portal
from infra.local.emulators.stripe_server.billing.portal_sessions import SESSION, features_of
from infra.local.emulators.stripe_server.errors import StripeError, invalid
from infra.local.emulators.stripe_server.form import fields
from infra.local.emulators.stripe_server.objects import Document


def routes(accounts: Accounts) -> Iterable[Route]:
    """The page, and what its forms send (`action`: cancel, go_on, method, plan or pay)."""
    yield Route("/p/session/{id}", pages.serving(accounts, SESSION, _show), methods=["GET"])
    yield Route("/p/session/{id}", pages.serving(accounts, SESSION, _act), methods=["POST"])


async def _show(account: Account, session: Document, request: Request) -> Response:
    return _page(account, session, request.query_params.get("note"))


async def _act(account: Account, session: Document, request: Request) -> Response:
    form = fields(await request.body())
    try:
        note = _do(account, session, form)
    except StripeError as error:
        return _page(account, session, error.message, error.status)
    return RedirectResponse(f"/p/session/{session['id']}?{urlencode({'note': note})}", 303)


def _do(account: Account, session: Document, form: Mapping[str, str]) -> str:
    """What was asked for; answers what to say of it. Raises `StripeError`."""
    match form.get("action"):
        case "cancel":
            portal.cancel(account, session, form["subscription"])
            return "Your plan will end."
        case "go_on":
            portal.go_on(account, session, form["subscription"])
            return "Your plan goes on."
        case "method":
            portal.use_method(account, session, pages.method_of(account, form))
            return "Your payment method is saved."
        case "plan":
            portal.change_plan(account, session, form["subscription"], form["price"])
            return "Your plan is changed as soon as it is paid."
        case "pay":
            invoice = account.objects.get("invoice", form["invoice"])
            if invoice["customer"] != session["customer"]:
                raise invalid("This invoice belongs to another customer.")
            portal.pay(account, invoice, pages.method_of(account, form))
            return "Your invoice is paid."
        case action:
            raise invalid(f"Unknown action: {action}", "action")


def _page(account: Account, session: Document, note: str | None, status: int = 200) -> Response:
    customer = session["customer"]
    return pages.rendered(
        "stripe_portal.html",
        status,
        session=session,
        note=note,
        features=features_of(account, session),
        subscriptions=portal.subscriptions_of(account, session),
        invoices=portal.invoices_of(account, session),
        plans=portal.plans_of(account, session),
        methods=account.objects.find("payment_method", lambda each: each["customer"] == customer),
        customer=account.objects.get("customer", customer),
        names={each["id"]: each["name"] for each in account.objects.find("product")},
    )
