"""Consent to a calendar: to the provider, back from it, and to a connection (identity-and-security.md §2.7).

As with linking an account, no step is worth anything alone. Whoever is signed in gets a ticket and opens it in a
browser; the browser must be the same one when it is back; and what it comes back with is a code that only the session
which began can turn into a connection. So nobody can have somebody else consent for them, or connect their own
calendar to somebody else's account.
"""

import asyncio
import secrets
from typing import Final, NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from api.calendar_connections import Account, Wish
from api.identity import Identity
from api.oauth import DENIED, Arrival, CodeRefused, Departure, StateRefused, back
from api.oauth_tickets import CalendarCode, CalendarStart, CalendarState, Linking, issue, take
from api.providers import ProviderOff
from api.schemas.calendar_connections import PolicyIn
from api.tokens import Caller
from core.logging import logger
from integrations.calendar.consents import Consents
from integrations.calendar.credentials import OAuthCredential
from integrations.calendar.oauth import Grant, OAuth
from integrations.calendar.protocol import CalendarError, NeedsReauth, ProviderName, UnknownOutcome

log = logger(__name__)

_PATH: Final = "/api/v1/integrations/calendar"


def asked(consents: Consents, provider: ProviderName) -> OAuth:
    """Whom to ask for it. Raises `ProviderOff`."""
    found = consents.get(provider)
    if found is None:
        raise ProviderOff("Calendars of this provider cannot be connected here.")
    return found


def start_of(caller: Caller, provider: ProviderName, path: str, wish: Wish) -> CalendarStart:
    """What the caller begins, in this session. `path`: where in the app the browser comes back to."""
    by = Linking(caller.user_id, caller.session_id)
    policy = wish.policy.model_dump(exclude_none=True)
    return CalendarStart(provider, path, by, wish.household_id, policy, wish.connection_id)


async def begin(session: AsyncSession, identity: Identity, start: CalendarStart) -> dict[str, object]:
    """The document of `ConsentOut`."""
    ticket = await issue(session, identity, start)
    url = f"{identity.settings.public_url}{_PATH}/start?ticket={ticket}"
    return {"authorize_url": url, "expires_in": identity.settings.oauth.state_seconds}


async def depart(identity: Identity, consents: Consents, ticket: str, browser: str | None) -> Departure:
    """Send a browser to the provider. Raises `CodeRefused`, `ProviderOff`."""
    browser, verifier = browser or secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    async with identity.db.sessions.begin() as session:
        start = await take(session, identity, CalendarStart, ticket)
        if start is None:
            raise CodeRefused("The ticket is not valid, or no longer.")
        state = await issue(session, identity, CalendarState(start, verifier), browser=browser)
    provider = asked(consents, start.provider)
    uri = _redirect_uri(identity, start.provider)
    return Departure(provider.authorize_url(redirect_uri=uri, state=state, verifier=verifier), browser)


async def arrive(
    identity: Identity, consents: Consents, name: ProviderName, arrival: Arrival, browser: str | None
) -> str:
    """The address in the app to send the browser on to: with a code, or with the reason why there is none. Raises
    `StateRefused`."""
    state = await _taken_state(identity, name, arrival, browser)
    path = state.start.next
    if arrival.error or not arrival.code:
        return back(identity, path, error="access_denied" if arrival.error in DENIED else "provider_error")
    try:
        async with asyncio.timeout(identity.settings.oauth.provider_seconds):
            uri = _redirect_uri(identity, name)
            grant = await asked(consents, name).exchange(arrival.code, state.verifier, uri)
    except (CalendarError, TimeoutError) as error:
        return back(identity, path, error=_reason(name, error))
    async with identity.db.sessions.begin() as session:
        return back(identity, path, code=await issue(session, identity, CalendarCode(state.start, grant)))


async def finish(
    session: AsyncSession, identity: Identity, caller: Caller, code: str
) -> tuple[Account, OAuthCredential, Wish]:
    """What the code stands for, for the session that began. Raises `CodeRefused`."""
    ticket = await take(session, identity, CalendarCode, code)
    if ticket is None or ticket.start.by != Linking(caller.user_id, caller.session_id):
        _refuse()
    start, grant = ticket.start, ticket.grant
    wish = Wish(start.household_id, PolicyIn.model_validate(start.policy), start.connection_id)
    return _account(start.provider, grant), _credential(grant), wish


async def _taken_state(identity: Identity, name: ProviderName, arrival: Arrival, browser: str | None) -> CalendarState:
    state = None
    if browser is not None:
        async with identity.db.sessions.begin() as session:
            state = await take(session, identity, CalendarState, arrival.state, browser=browser)
    # One path per provider: the answer of one is never taken for another's (RFC 9700 §4.4).
    if state is None or state.start.provider != name:
        raise StateRefused("This was not begun in this browser, or too long ago. Please start again.")
    return state


def _reason(name: ProviderName, error: CalendarError | TimeoutError) -> str:
    """What the app is told. An operator is told where our own settings are at fault."""
    match error:
        case NeedsReauth():
            return error.problem_code if error.problem_code != NeedsReauth.code else "consent_refused"
        case UnknownOutcome() | TimeoutError():
            log.warning("calendar_consent_unavailable", provider=name)
            return "provider_unavailable"
        case _:
            log.error("calendar_consent_failed", provider=name, reason=error.problem_code)
            return "provider_error"


def _redirect_uri(identity: Identity, name: ProviderName) -> str:
    """The one address of ours that this provider sends browsers to, exactly as it is registered there."""
    return f"{identity.settings.public_url}{_PATH}/callback/{name}"


def _account(provider: ProviderName, grant: Grant) -> Account:
    account = grant.account
    if account is None:
        _refuse()
    return Account(provider, account.key, account.label or provider.title())


def _credential(grant: Grant) -> OAuthCredential:
    return OAuthCredential(grant.refresh_token, grant.access_token, grant.expires_at)


def _refuse() -> NoReturn:
    raise CodeRefused("The code is not valid, or no longer.")
