"""Consent to a calendar: OAuth 2.0 with PKCE at Google and Microsoft, and the tokens that follow from it.

An account is known by what its provider never changes: Google's `sub`, Microsoft's tenant and object id. Never by an
address (identity-and-security.md: anybody's administrator can set one). So a reconnect of the same account is known to
be one. The ID token comes straight from the token endpoint over TLS, which proves its issuer (OIDC Core §3.1.3.7, 6).
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import httpx

from core.pkce import challenge_of
from integrations.calendar.calls import called
from integrations.calendar.errors import SCOPE_MISSING
from integrations.calendar.protocol import CalendarError, NeedsReauth, ProviderName, UnknownOutcome
from integrations.identity.http import Reply, call, words
from integrations.identity.protocol import ProviderUnavailable

_EARLY: Final = timedelta(minutes=2)
"""A token is renewed so long before it ends: a call that starts with it must not end after it."""
_SHORTEST: Final = timedelta(minutes=5)
"""What a token is taken to last where the provider does not say."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Petfolio as the provider knows it, and where it is asked."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    revoke_url: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose calendars they are. `label` is for display alone."""

    key: str
    label: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a consent gives. `account` is None where the provider does not say it again (a refresh)."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    scopes: frozenset[str] = frozenset()
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """What differs between them. `needed`: the scope without which there is nothing to do; `scopes`: all we ask for."""

    name: ProviderName
    needed: str
    scopes: tuple[str, ...]
    asked: Mapping[str, str]
    account: Callable[[Mapping[str, Any]], Account | None]


def _google_account(claims: Mapping[str, Any]) -> Account | None:
    subject = words(claims.get("sub"), 255)
    return Account(f"google:{subject}", words(claims.get("email"))) if subject else None


def _microsoft_account(claims: Mapping[str, Any]) -> Account | None:
    tenant, person = words(claims.get("tid"), 64), words(claims.get("oid"), 64)
    label = words(claims.get("preferred_username"))
    return Account(f"microsoft:{tenant}:{person}", label) if tenant and person else None


_GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/calendar.app.created"
_GOOGLE: Final = Vendor(
    ProviderName.GOOGLE,
    needed=_GOOGLE_SCOPE,
    # who it is, and the name by which people tell their accounts apart
    scopes=(_GOOGLE_SCOPE, "openid", "https://www.googleapis.com/auth/userinfo.email"),
    asked={"access_type": "offline", "prompt": "consent"},  # without both there is no refresh token the second time
    account=_google_account,
)
_MICROSOFT: Final = Vendor(
    ProviderName.MICROSOFT,
    needed="Calendars.ReadWrite",
    scopes=("offline_access", "Calendars.ReadWrite", "openid", "profile"),  # `oid` comes with `profile` alone
    asked={"prompt": "select_account"},
    account=_microsoft_account,
)
VENDORS: Final = {each.name: each for each in (_GOOGLE, _MICROSOFT)}


class OAuth:
    """The authorisation server of a vendor. Raises `NeedsReauth` where the person must act, `UnknownOutcome` where
    asking again may help, and `CalendarError` where our own settings are at fault."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        vendor: Vendor,
        client: OAuthClient,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http, self._vendor, self._client, self._now = http, vendor, client, now

    def authorize_url(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Where the browser goes to consent."""
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._vendor.scopes),
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            **self._vendor.asked,
        }
        return f"{self._client.authorize_url}?{urlencode(asked)}"

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> Grant:
        """The grant behind a code. A consent without the calendar, or without an end to its owner, is none."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        reply = await self._ask(form)
        grant = self._grant(reply.document, refresh_token=None)
        if not any(each.endswith(self._vendor.needed) for each in grant.scopes):
            raise NeedsReauth("The consent leaves the calendar out.", code=SCOPE_MISSING)
        account = self._vendor.account(_claims(reply.document.get("id_token"), self._client.client_id))
        if account is None:
            raise CalendarError("The provider does not say whose calendar it is.")
        return replace(grant, account=account)

    async def refresh(self, refresh_token: str) -> Grant:
        """A new access token. The grant has the refresh token to use from now on: some rotate it, some do not."""
        reply = await self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})
        return self._grant(reply.document, refresh_token)

    async def revoke(self, refresh_token: str) -> None:
        """Give the consent back, where the vendor has an endpoint for it; one that is gone already is a success."""
        if self._client.revoke_url is None:
            return
        reply = await self._post(self._client.revoke_url, {"token": refresh_token})
        if not reply.ok and reply.document.get("error") != "invalid_token":
            raise CalendarError("The provider does not take the consent back.")

    async def _ask(self, form: Mapping[str, str]) -> Reply:
        secrets = {"client_id": self._client.client_id, "client_secret": self._client.client_secret}
        reply = await self._post(self._client.token_url, {**form, **secrets})
        if reply.document.get("error") in ("invalid_grant", "interaction_required", "consent_required"):
            raise NeedsReauth("The provider does not honour the consent any more.")
        if not reply.ok:
            raise CalendarError("The provider refuses our own credentials.")
        return reply

    async def _post(self, url: str, form: Mapping[str, str]) -> Reply:
        called(self._vendor.name)
        try:
            return await call(self._http, "POST", url, form=form)
        except ProviderUnavailable:
            raise UnknownOutcome("The provider's authorisation server does not answer.") from None

    def _grant(self, document: Mapping[str, Any], refresh_token: str | None) -> Grant:
        access, lasts = document.get("access_token"), document.get("expires_in")
        refresh, scope = document.get("refresh_token") or refresh_token, document.get("scope")
        if not isinstance(access, str) or not isinstance(refresh, str) or not access or not refresh:
            raise NeedsReauth("The consent gives no lasting access.")
        known = timedelta(seconds=lasts) if isinstance(lasts, int) and 0 < lasts < 10**7 else _SHORTEST
        scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset[str]()
        return Grant(access, refresh, self._now() + known, scopes)


class TokenSource:
    """The access token of one account. Renewals are one at a time, and a refresh token that was rotated is handed to
    `keep` before the new access token is used: whoever loses it has lost the account."""

    def __init__(
        self,
        oauth: OAuth,
        refresh_token: str,
        keep: Callable[[str], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._oauth, self._refresh_token, self._keep, self._now = oauth, refresh_token, keep, now
        self._grant: Grant | None = None
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """One that lasts for a call. Raises as `OAuth.refresh`."""
        async with self._lock:
            if self._grant is None or self._grant.expires_at - _EARLY <= self._now():
                await self._renew()
            return self._current()

    async def authorized(self, call: Callable[[str], Awaitable[_T]]) -> _T:
        """The call under a token; once more under a new one where the provider refuses the first. A call that was
        refused has done nothing. Raises `NeedsReauth` when the new one is refused as well."""
        token = await self.token()
        try:
            return await call(token)
        except NeedsReauth as refused:
            if refused.problem_code == SCOPE_MISSING:
                raise
        return await call(await self._instead_of(token))

    async def _instead_of(self, refused: str) -> str:
        async with self._lock:
            if self._grant is None or self._grant.access_token == refused:
                await self._renew()
            return self._current()

    async def _renew(self) -> None:
        grant = await self._oauth.refresh(self._refresh_token)
        if grant.refresh_token != self._refresh_token:
            await self._keep(grant.refresh_token)
        self._grant, self._refresh_token = grant, grant.refresh_token

    def _current(self) -> str:
        if self._grant is None:
            raise NeedsReauth("There is no access.")
        return self._grant.access_token


def _claims(token: object, audience: str) -> Mapping[str, Any]:
    """What an ID token says that was made for us; empty for anything else."""
    if not isinstance(token, str) or token.count(".") != 2:
        return {}
    body = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) and claims.get("aud") == audience else {}
