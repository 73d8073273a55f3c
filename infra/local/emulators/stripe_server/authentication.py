"""The bank's page: the customer confirms that it is them, or does not."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.local.emulators.sign_in import PAGES
from infra.local.emulators.stripe_server import setup_intents
from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.billing import checkout
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.form import fields
from infra.local.emulators.stripe_server.objects import Document

_AUTHENTICATED: Final[Mapping[str, Callable[[Account, Document, bool], None]]] = {
    "payment_intent": lambda account, intent, success: checkout.authenticated(account, intent, passed=success),
    "setup_intent": lambda account, intent, success: setup_intents.authenticated(account, intent, success=success),
}
"""What the answer means, by the `object` that asked for it."""


def routes(accounts: Accounts) -> Iterable[Route]:
    """The page, and what its buttons send."""

    async def show(request: Request) -> Response:
        found = _found(accounts, request)
        if found is None:
            return HTMLResponse("There is nothing to authenticate.", 404)
        return HTMLResponse(PAGES.get_template("stripe_authentication.html").render(intent=found[1]))

    async def decide(request: Request) -> Response:
        found = _found(accounts, request)
        if found is None:
            return HTMLResponse("There is nothing to authenticate.", 404)
        account, intent = found
        back = (intent["next_action"] or {}).get("redirect_to_url", {}).get("return_url")
        decision = fields(await request.body()).get("decision")
        try:
            _AUTHENTICATED[intent["object"]](account, intent, decision == "authenticate")
        except StripeError as error:
            return HTMLResponse(error.message, error.status)
        return RedirectResponse(back or f"/authenticate/{intent['id']}", 303)

    yield Route("/authenticate/{id}", show, methods=["GET"])
    yield Route("/authenticate/{id}", decide, methods=["POST"])


def _found(accounts: Accounts, request: Request) -> tuple[Account, Document] | None:
    intent_id = request.path_params["id"]
    account = accounts.holding(intent_id)
    intent = account.objects.maybe(intent_id) if account else None
    return (account, intent) if account and intent and intent["object"] in _AUTHENTICATED else None
