"""OAuth 2 of both vendors: codes with PKCE, access tokens that end, refresh tokens, what was consented to.

Google gives a refresh token for `access_type=offline` with `prompt=consent` alone; Microsoft for the scope
`offline_access`, and a new one at each use (the one before works for `OVERLAP` seconds more, because its answer may
have been lost). Scopes are what the person left ticked on the page.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from infra.local.emulators.calendar.clock import Clock
from infra.local.emulators.calendar.discovery import SCOPES
from infra.local.emulators.calendar.store import Document, Provider, Store
from infra.local.emulators.sign_in import CODE_SECONDS, App, BadRequest, Consent, s256

ACCESS_SECONDS: Final = 3_599
OVERLAP: Final = 60
_KEPT_SECONDS: Final = 86_400
"""For how long an ended access token is remembered, so that the log can say whose it was."""
DEFAULT_SCOPES: Final[Mapping[str, str]] = {
    "google": f"{SCOPES}calendar",
    "microsoft": "Calendars.ReadWrite User.Read offline_access",
}
_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
GrantState = Literal["ok", "invalid_grant", "revoked"]


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks, for what they may be asked for."""

    provider: Provider
    account: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Registration:
    """The application as it is registered at both vendors."""

    google: App
    microsoft: App

    def of(self, provider: Provider) -> App:
        """At one of them."""
        return self.google if provider == "google" else self.microsoft


@dataclass(slots=True)
class _Codes:
    waiting: dict[str, tuple[Provider, Consent]] = field(default_factory=dict)


class OAuth:
    """See the module. Tokens are documents of the store, so they outlive a restart."""

    def __init__(self, store: Store, clock: Clock, apps: Registration) -> None:
        self._store, self._clock, self._apps = store, clock, apps
        self._codes = _Codes()

    def check(self, provider: Provider, asked: Mapping[str, str]) -> None:
        """What the browser brings: our client, a registered redirect, a challenge. Raises `BadRequest`."""
        app = self._apps.of(provider)
        if asked.get("client_id") != app.client_id:
            raise BadRequest("unauthorized_client")
        if asked.get("redirect_uri") != app.callback:
            raise BadRequest("redirect_uri_mismatch")
        if asked.get("response_type") != "code" or asked.get("response_mode", "query") != "query":
            raise BadRequest("invalid_request")
        if not asked.get("scope") or not asked.get("state"):
            raise BadRequest("invalid_request")
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            raise BadRequest("invalid_request")

    def consented(self, provider: Provider, consent: Consent) -> str:
        """A code for what somebody agreed to; it can be redeemed once, within minutes."""
        code = secrets.token_urlsafe(24)
        now = time.time()
        fresh = {key: each for key, each in self._codes.waiting.items() if now - each[1].at < CODE_SECONDS}
        self._codes.waiting = {**fresh, code: (provider, consent)}
        return code

    def token(self, provider: Provider, form: Mapping[str, str]) -> Document:
        """The token endpoint. Raises `BadRequest`."""
        app = self._apps.of(provider)
        same = hmac.compare_digest(form.get("client_secret", "").encode(), app.client_secret.encode())
        if form.get("client_id") != app.client_id or not same:
            raise BadRequest("invalid_client", 401)
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(provider, form)
            case "refresh_token":
                return self._refresh(provider, form.get("refresh_token", ""))
            case _:
                raise BadRequest("unsupported_grant_type")

    def mint(self, provider: Provider, account: str, scopes: str, *, refresh: bool) -> Document:
        """Tokens for somebody who agreed to these scopes."""
        about: Document = {"provider": provider, "account": account, "scopes": scopes}
        answer = self._access(about)
        if refresh:
            answer["refresh_token"] = f"1//{secrets.token_urlsafe(40)}"
            self._store.keep("refresh", answer["refresh_token"], about)
        return answer

    def bearer(self, token: str) -> Bearer | None:
        """Whom an access token is for; None once it has ended, or its consent was withdrawn."""
        about = self._store.document("access", token)
        if about is None or about["until"] <= self._clock.seconds():
            return None
        if self.state(about["provider"], about["account"]) == "revoked":
            return None
        return Bearer(about["provider"], about["account"], frozenset(about["scopes"].split()))

    def asker(self, token: str, form: Mapping[str, str]) -> str | None:
        """Whom a request is about, by its access token, also one that has ended, or by what it asks tokens for."""
        if waiting := self._codes.waiting.get(form.get("code", "")):
            return waiting[1].subject
        refresh = form.get("refresh_token", "")
        about = self._store.document("access", token) or self._store.document("refresh", refresh)
        return str(about["account"]) if about else None

    def revoke(self, token: str) -> None:
        """Google's: all that came of the consent ends. Raises `BadRequest` for an unknown token."""
        about = self._store.document("refresh", token) or self._store.document("access", token)
        if about is None:
            raise BadRequest("invalid_token")
        self.end_access(about["provider"], about["account"])
        for name, each in self._store.documents("refresh").items():
            if (each["provider"], each["account"]) == (about["provider"], about["account"]):
                self._store.forget("refresh", name)

    def end_access(self, provider: Provider | None, account: str | None) -> int:
        """Access tokens end now; answers how many."""
        ended = 0
        for name, each in self._store.documents("access").items():
            if provider in (None, each["provider"]) and account in (None, each["account"]):
                self._store.keep("access", name, each | {"until": 0})
                ended += 1
        return ended

    def set_state(self, provider: Provider, account: str, state: GrantState) -> None:
        """What becomes of an account's consent."""
        self._store.keep("grant", f"{provider}:{account}", {"state": state})

    def state(self, provider: Provider, account: str) -> str:
        """`ok`, `invalid_grant` (no new tokens), `revoked` (the old ones are refused as well)."""
        return str((self._store.document("grant", f"{provider}:{account}") or {}).get("state", "ok"))

    def _redeem(self, provider: Provider, form: Mapping[str, str]) -> Document:
        known = self._codes.waiting.pop(form.get("code", ""), None)
        if known is None or known[0] != provider:
            raise BadRequest("invalid_grant")
        consent = known[1]
        late = time.time() - consent.at > CODE_SECONDS
        if late or consent.asked["redirect_uri"] != form.get("redirect_uri"):
            raise BadRequest("invalid_grant")
        if s256(form.get("code_verifier", "")) != consent.asked["code_challenge"]:
            raise BadRequest("invalid_grant")
        scopes = " ".join(scope for scope in consent.asked["scope"].split() if consent.says(scope))
        account = consent.subject
        self.set_state(provider, account, "ok")
        given = self.mint(provider, account, scopes, refresh=_gives_refresh(provider, consent.asked, scopes))
        return given | ({"id_token": self._id_token(provider, account)} if "openid" in scopes.split() else {})

    def _id_token(self, provider: Provider, account: str) -> str:
        """Who it is, for who asked for `openid`. Unsigned: it goes straight to whom it is for."""
        person = hashlib.sha256(account.encode()).hexdigest()
        claims: Document = {"aud": self._apps.of(provider).client_id, "iat": int(self._clock.seconds())}
        if provider == "google":
            claims |= {"iss": "https://accounts.google.com", "sub": str(int(person[:16], 16)), "email": account}
        else:
            claims |= {"oid": str(UUID(person[:32])), "tid": _TENANT, "preferred_username": account}
        return ".".join((_base64url({"alg": "none"}), _base64url(claims), ""))

    def _refresh(self, provider: Provider, token: str) -> Document:
        about = self._store.document("refresh", token)
        if about is None or about["provider"] != provider or about.get("until", float("inf")) < self._clock.seconds():
            raise BadRequest("invalid_grant")
        if self.state(provider, about["account"]) != "ok":
            raise BadRequest("invalid_grant")
        if provider == "google":
            return self._access(about)
        self._store.keep("refresh", token, {"until": self._clock.seconds() + OVERLAP, **about})
        return self.mint(provider, about["account"], about["scopes"], refresh=True)

    def _access(self, about: Document) -> Document:
        token, now = f"ya29.{secrets.token_urlsafe(32)}", self._clock.seconds()
        for name, each in self._store.documents("access").items():
            if each["until"] < now - _KEPT_SECONDS:
                self._store.forget("access", name)
        kept = {name: about[name] for name in ("provider", "account", "scopes")}
        self._store.keep("access", token, kept | {"until": now + ACCESS_SECONDS})
        return {
            "access_token": token,
            "expires_in": ACCESS_SECONDS,
            "scope": about["scopes"],
            "token_type": "Bearer",
        }


def _base64url(document: Document) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _gives_refresh(provider: Provider, asked: Mapping[str, Any], scopes: str) -> bool:
    if provider == "microsoft":
        return "offline_access" in scopes.split()
    return asked.get("access_type") == "offline" and "consent" in asked.get("prompt", "").split()
