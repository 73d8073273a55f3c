"""Sign in with Google: OpenID Connect with PKCE (https://developers.google.com/identity/openid-connect/openid-connect).

Google speaks for an address of its own mail service, and for those of a Workspace domain (`hd`); that it once saw a
mail arrive at another address says nothing about whose it is today.
"""

from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import httpx

from core.pkce import challenge_of
from core.sign_in_settings import GoogleSettings
from domain.oauth import Provider
from integrations.identity.http import call, refused_us, words
from integrations.identity.id_token import KeyRing, Statements, flag
from integrations.identity.protocol import Attempt, ExternalIdentity, IdentityRefused

SCOPE: Final = "openid email profile"


class GoogleProvider:
    """See the module."""

    name: ClassVar[Provider] = Provider.GOOGLE
    form_post: ClassVar[bool] = False

    def __init__(self, http: httpx.AsyncClient, settings: GoogleSettings, client_id: str, client_secret: str) -> None:
        self.issuer = settings.issuer
        self._settings, self._client_id, self._client_secret = settings, client_id, client_secret
        self._http = http
        # Google writes its issuer in two ways; people are the same people.
        issuers = {settings.issuer, settings.issuer.removeprefix("https://")}
        self._statements = Statements(KeyRing(self._http, settings.jwks_url), issuers, client_id)

    def authorize_url(self, attempt: Attempt) -> str:
        """As the protocol says."""
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge_of(attempt.verifier),
            "code_challenge_method": "S256",
            "prompt": "select_account",
        }
        return f"{self._settings.authorize_url}?{urlencode(asked)}"

    async def identify(self, attempt: Attempt, code: str, user: str | None = None) -> ExternalIdentity:
        """As the protocol says."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        reply = await call(self._http, "POST", self._settings.token_url, form=form)
        if reply.document.get("error") == "invalid_grant":
            raise IdentityRefused("code")
        if not reply.ok:
            raise refused_us("Google's token endpoint", reply)
        return self._identity(await self._statements.id_token(reply.document.get("id_token"), attempt.nonce))

    async def revoke(self, identity: ExternalIdentity) -> None:
        """Nothing is kept of Google's tokens."""

    def _identity(self, claims: dict[str, Any]) -> ExternalIdentity:
        email = words(claims.get("email"))
        verified = email is not None and flag(claims.get("email_verified"))
        own = email is not None and (email.lower().endswith("@gmail.com") or bool(claims.get("hd")))
        return ExternalIdentity(
            issuer=self.issuer,
            subject=claims["sub"],
            email=email,
            email_verified=verified,
            authoritative=verified and own,
            first_name=words(claims.get("given_name")),
            last_name=words(claims.get("family_name")),
        )
