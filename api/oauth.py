"""Signing in with a provider: to it, back from it, and to tokens (identity-and-security.md §2.7, §4.5).

No token ever stands in an address. The app chooses a verifier and shows its S256 challenge at the start (RFC 7636); the
browser comes back to it with a one-time code; whoever has both gets in, through the same door as everybody. So neither
somebody who reads the address nor somebody who sends another person's browser here gets anything.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from prometheus_client import Counter

from api import sign_in
from api.external import Closed, account_of
from api.identity import Client, Identity
from api.oauth_tickets import LinkCode, SignInCode, Start, State, issue, take
from api.sign_in import Answer, CredentialsRefused
from core.errors import Invalid, PetfolioError
from core.logging import logger
from core.pkce import fits
from domain.oauth import Provider
from integrations.identity.protocol import (
    Attempt,
    ExternalIdentity,
    IdentityProvider,
    IdentityRefused,
    ProviderUnavailable,
)
from models.queries import identities, users

log = logger(__name__)

ARRIVALS: Final = Counter(
    "petfolio_provider_sign_ins",
    "Browsers that came back from a provider: entered, linking, denied, closed, refused, unavailable.",
    ["provider", "result"],
)
AMR: Final = ("fed",)
"""How it was proven: by somebody else. RFC 8176 has no word for it; this one is in use."""
DENIED: Final = frozenset({"access_denied", "user_cancelled_authorize", "user_denied"})
"""How providers say that somebody does not want to."""


class StateRefused(PetfolioError):
    """400, the same for a state that is unknown, used, too old, of another provider, or of another browser."""

    code = "invalid_state"
    http_status = 400


class CodeRefused(PetfolioError):
    """400, the same for a code that is unknown, used, too old, or not this app's."""

    code = "invalid_code"
    http_status = 400


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what it is known by when it is back."""

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a provider sends the browser back with (RFC 6749 §4.1.2, RFC 9207)."""

    state: str
    code: str
    error: str
    issuer: str | None
    user: str | None
    """Apple's, once."""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Arrival":
        """From a query or a form."""
        state, code, error = (form.get(name, "") for name in ("state", "code", "error"))
        return cls(state, code, error, form.get("iss"), form.get("user"))


def redirect_uri(identity: Identity, provider: Provider) -> str:
    """The one address of ours that this provider sends browsers to, exactly as it is registered there."""
    return f"{identity.settings.public_url}/api/v1/auth/oauth/{provider}/callback"


def check_next(identity: Identity, path: str) -> str:
    """The path, if a browser may be sent there. Raises `Invalid`."""
    if path not in identity.settings.oauth.next_paths:
        raise Invalid("`next` is none of the paths that are allowed here.", code="next_not_allowed")
    return path


async def begin(identity: Identity, provider: IdentityProvider, start: Start, browser: str | None) -> Departure:
    """Send a browser to the provider. One that has been here within minutes stays the one it is, so that two of its
    windows do not end each other's attempts."""
    browser = browser or secrets.token_urlsafe(32)
    state = State(start, nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48))
    async with identity.db.sessions.begin() as session:
        raw = await issue(session, identity, state, browser=browser)
    return Departure(provider.authorize_url(_attempt(identity, state, raw)), browser)


async def begin_linking(identity: Identity, provider: IdentityProvider, ticket: str, browser: str | None) -> Departure:
    """As `begin`, for the ticket that a signed-in app got. Raises `CodeRefused`."""
    async with identity.db.sessions.begin() as session:
        start = await take(session, identity, Start, ticket)
    if start is None or start.provider != provider.name:
        raise CodeRefused("The ticket is not valid, or no longer.")
    return await begin(identity, provider, start, browser)


async def arrive(
    identity: Identity, client: Client, provider: IdentityProvider, arrival: Arrival, browser: str | None
) -> str:
    """The address in the app to send the browser on to: with a code, or with the reason why there is none. Raises
    `StateRefused`, `IdentityRefused`, `ProviderUnavailable`."""
    state = await _taken_state(identity, provider, arrival, browser)
    start = state.start
    if arrival.error or not arrival.code:
        denied = arrival.error in DENIED
        ARRIVALS.labels(provider.name, "denied" if denied else "refused").inc()
        return back(identity, start.next, error="access_denied" if denied else "provider_error")
    external = await _identified(identity, provider, state, arrival)
    if start.linking is not None:
        ARRIVALS.labels(provider.name, "linking").inc()
        return await _back_with(identity, start, LinkCode(start.challenge, provider.name, start.linking, external))
    found = await account_of(identity, client, provider.name, external, start.timezone)
    if isinstance(found, Closed):
        ARRIVALS.labels(provider.name, "closed").inc()
        return back(identity, start.next, error=found)
    ARRIVALS.labels(provider.name, "entered").inc()
    code = SignInCode(start.challenge, found.user_id, found.epoch, external.issuer, external.subject)
    return await _back_with(identity, start, code)


async def exchange(identity: Identity, client: Client, code: str, verifier: str) -> Answer:
    """The code for tokens, or for the question for a second factor. Raises `CodeRefused`, `CredentialsRefused`."""
    async with identity.db.sessions.begin() as session:
        ticket = await take(session, identity, SignInCode, code)
        opens = ticket and await identities.owner(session, ticket.issuer, ticket.subject)
    if ticket is None or opens != ticket.user_id or not fits(verifier, ticket.challenge):
        raise CodeRefused("The code is not valid, or no longer.")
    account = await users.credentials_by_id(identity.db.reads, ticket.user_id)
    if account is None or not account.may_sign_in:
        raise CredentialsRefused("The account cannot be signed in to.")
    if account.epoch != ticket.epoch:  # signed out everywhere meanwhile
        raise CodeRefused("The code is not valid, or no longer.")
    return await sign_in.enter(identity, client, account, AMR)


async def _taken_state(identity: Identity, provider: IdentityProvider, arrival: Arrival, browser: str | None) -> State:
    state = None
    if browser is not None:
        async with identity.db.sessions.begin() as session:
            state = await take(session, identity, State, arrival.state, browser=browser)
    # One path per provider: the answer of one is never taken for another's (RFC 9700 §4.4).
    if state is None or state.start.provider != provider.name or arrival.issuer not in (None, provider.issuer):
        ARRIVALS.labels(provider.name, "refused").inc()
        raise StateRefused("This sign-in was not begun in this browser, or too long ago. Please start again.")
    return state


async def _identified(
    identity: Identity, provider: IdentityProvider, state: State, arrival: Arrival
) -> ExternalIdentity:
    try:
        async with asyncio.timeout(identity.settings.oauth.provider_seconds):
            attempt = _attempt(identity, state, arrival.state)
            return await provider.identify(attempt, arrival.code, arrival.user)
    except IdentityRefused as refused:
        ARRIVALS.labels(provider.name, "refused").inc()
        log.warning("identity_refused", provider=provider.name, reason=refused.why)
        raise
    except (ProviderUnavailable, TimeoutError) as error:
        ARRIVALS.labels(provider.name, "unavailable").inc()
        reason = error.detail if isinstance(error, ProviderUnavailable) else "The provider does not answer in time."
        log.error("provider_unavailable", provider=provider.name, reason=reason)
        raise ProviderUnavailable("The provider cannot be asked at the moment. Please try again.") from None


def _attempt(identity: Identity, state: State, raw: str) -> Attempt:
    return Attempt(redirect_uri(identity, state.start.provider), raw, state.nonce, state.verifier)


async def _back_with(identity: Identity, start: Start, content: SignInCode | LinkCode) -> str:
    async with identity.db.sessions.begin() as session:
        return back(identity, start.next, code=await issue(session, identity, content))


def back(identity: Identity, path: str, **said: str) -> str:
    """The address in the app, with what is said in the fragment, which browsers keep to themselves."""
    app = identity.settings.oauth.app_url or identity.settings.public_url
    return f"{app}{path}#{urlencode(said)}"
