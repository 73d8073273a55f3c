"""`/auth/oauth`: signing in with Google, Apple or Facebook. The way is described in `api/oauth.py`."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

from fastapi import Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from api import oauth, sign_in
from api.auth import limited
from api.browser import FOREIGN, SESSION_HEADER
from api.deps import ServicesDep
from api.identity import ClientDep, IdentityDep
from api.oauth_tickets import Start
from api.providers import ChosenProvider
from api.round_trip import browser_of, sent
from api.routes.oauth_pages import failure_page, wants_page
from api.routing import router as make_router
from api.schemas.auth import Timezone, Token, TokensOut
from api.schemas.mfa import ChallengeOut
from api.schemas.oauth import Challenge, CodeIn, NextPath, ProvidersOut
from core.errors import Invalid, PetfolioError
from integrations.identity.protocol import IdentityProvider

router = make_router("/auth/oauth", "auth")

OFF: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "`provider_off`: not set up here."}}
_SENT: Final[dict[int | str, dict[str, Any]]] = {303: {"description": "To the provider."}}


@router.get("", operation_id="list_sign_in_providers", dependencies=[Depends(limited("anonymous"))])
async def list_sign_in_providers(services: ServicesDep) -> ProvidersOut:
    """Whom people can sign in with here."""
    return ProvidersOut(providers=list(services.providers))


@router.get(
    "/{provider}/start",
    operation_id="start_oauth",
    status_code=303,
    response_class=RedirectResponse,
    dependencies=[Depends(limited("anonymous"))],
    responses={**OFF, **_SENT},
)
async def start_oauth(
    request: Request,
    provider: ChosenProvider,
    identity: IdentityDep,
    code_challenge: Annotated[Challenge | None, Query()] = None,
    next: Annotated[NextPath, Query()] = "/",
    timezone: Annotated[Timezone, Query(description="Of a new account.")] = "UTC",
    ticket: Annotated[Token | None, Query()] = None,
) -> Response:
    """Open this in a browser. It comes back to `next` in the app, with `#code=…` for `POST /auth/oauth/token` (or, with
    a `ticket`, for `POST /users/identities`), or with `#error=…`: `access_denied`, `provider_error`, `confirm_address`
    (a mail is on its way), `address_needed`, `sign_in_refused`."""
    browser = _browser(request, provider)
    if ticket is not None:
        return _sent(provider, await oauth.begin_linking(identity, provider, ticket, browser))
    if code_challenge is None:
        raise Invalid("Send a `code_challenge`.", code="code_challenge_missing")
    start = Start(provider.name, oauth.check_next(identity, next), code_challenge, timezone)
    return _sent(provider, await oauth.begin(identity, provider, start, browser))


# Not in the document that clients are made from: only providers send anybody here.
@router.get(
    "/{provider}/callback",
    operation_id="finish_oauth",
    include_in_schema=False,
    dependencies=[Depends(limited("anonymous"))],
)
@router.post(
    "/{provider}/callback",
    operation_id="finish_oauth_form",
    include_in_schema=False,
    dependencies=[Depends(limited("anonymous"))],
)
async def finish_oauth(
    request: Request, provider: ChosenProvider, identity: IdentityDep, client: ClientDep
) -> Response:
    """Where a provider sends the browser back to: Apple with a form, the others with a query."""
    try:
        arrival = await _arrival(request, provider)
        place = await oauth.arrive(identity, client, provider, arrival, _browser(request, provider))
    except PetfolioError as error:
        if not wants_page(request):
            raise
        return failure_page(request, identity, error)
    return RedirectResponse(place, 303)


@router.post(
    "/token",
    operation_id="exchange_oauth_code",
    response_model=TokensOut,
    dependencies=[Depends(limited("login"))],
    responses={
        202: {"model": ChallengeOut, "description": "Right, and not enough: answer it at `/auth/mfa/challenge`."},
        400: {"description": "`invalid_code`: used, too old, never ours, or of another app."},
        401: {"description": "`invalid_credentials`: the account cannot be signed in to any more."},
        **FOREIGN,
    },
    openapi_extra=SESSION_HEADER,
)
async def exchange_oauth_code(body: CodeIn, identity: IdentityDep, client: ClientDep) -> Response:
    """The code that the browser brought back, for a session."""
    return sign_in.respond(await oauth.exchange(identity, client, body.code, body.code_verifier))


async def _arrival(request: Request, provider: IdentityProvider) -> oauth.Arrival:
    """Each provider has one form, and the other method is no way around it. Raises `StateRefused`."""
    if (request.method == "POST") != provider.form_post:
        raise oauth.StateRefused("This provider comes back in another way.")
    if not provider.form_post:
        return oauth.Arrival.of(request.query_params)
    form = (await request.body()).decode("utf-8", "replace")
    try:
        return oauth.Arrival.of(dict(parse_qsl(form, max_num_fields=20)))
    except ValueError:
        raise oauth.StateRefused("This is not what a provider sends.") from None


def _cookie(provider: IdentityProvider) -> str:
    return f"__Host-oauth-{provider.name}"


def _browser(request: Request, provider: IdentityProvider) -> str | None:
    return browser_of(request, _cookie(provider))


def _sent(provider: IdentityProvider, departure: oauth.Departure) -> Response:
    samesite: Literal["lax", "none"] = "none" if provider.form_post else "lax"
    return sent(departure.url, _cookie(provider), departure.browser, samesite=samesite)
