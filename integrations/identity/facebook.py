"""Facebook Login: OAuth with PKCE, then the Graph API (https://developers.facebook.com/docs/facebook-login).

There is no ID token here: `debug_token` says for which app a token was made, so that one of another app cannot be
brought to us. Whether an address was ever verified is not said, so none counts.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import ClassVar, Final
from urllib.parse import urlencode

import httpx

from core.pkce import challenge_of
from core.sign_in_settings import FacebookSettings
from domain.oauth import Provider
from integrations.identity.http import call, refused_us, words
from integrations.identity.protocol import Attempt, ExternalIdentity, IdentityRefused, ProviderUnavailable

SCOPE: Final = "email"
_USED_CODES: Final = frozenset({36007, 36008, 36009})
"""Subcodes of Graph's error 100 for an authorization code that is expired, of another redirect, or used."""


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """Somebody told Facebook that we are to forget what we have from there. `id` is the same for the same request."""

    id: str
    subject: str = field(repr=False)


class FacebookProvider:
    """See the module."""

    name: ClassVar[Provider] = Provider.FACEBOOK
    form_post: ClassVar[bool] = False

    def __init__(self, http: httpx.AsyncClient, settings: FacebookSettings, client_id: str, client_secret: str) -> None:
        self.issuer = settings.issuer
        self._settings, self._client_id, self._client_secret = settings, client_id, client_secret
        self._http = http

    def authorize_url(self, attempt: Attempt) -> str:
        """As the protocol says."""
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "code_challenge": challenge_of(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._settings.authorize_url}?{urlencode(asked)}"

    async def identify(self, attempt: Attempt, code: str, user: str | None = None) -> ExternalIdentity:
        """As the protocol says."""
        token = await self._access_token(attempt, code)
        subject = await self._subject_of(token)
        proof = hmac.new(self._client_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        query = {"fields": "id,email", "appsecret_proof": proof}
        reply = await call(self._http, "GET", self._graph("me"), query=query, bearer=token)
        if not reply.ok:
            raise refused_us("Facebook's Graph", reply)
        if reply.document.get("id") != subject:
            raise IdentityRefused("subject")
        return ExternalIdentity(self.issuer, subject, email=words(reply.document.get("email")))

    async def revoke(self, identity: ExternalIdentity) -> None:
        """As the protocol says: the app's own token suffices."""
        url = self._graph(f"{identity.subject}/permissions")
        reply = await call(self._http, "DELETE", url, bearer=self._app_token)
        error = reply.document.get("error")
        if not reply.ok and not (isinstance(error, dict) and error.get("code") == 100):  # 100: no such grant (any more)
            raise refused_us("Facebook's revocation", reply)

    def read_deletion(self, signed_request: str) -> DeletionRequest:
        """Who is to be forgotten (https://developers.facebook.com/docs/facebook-login/guides/advanced/
        existing-system#parsingsr). Raises `IdentityRefused`."""
        signature, _, payload = signed_request.partition(".")
        expected = hmac.new(self._client_secret.encode(), payload.encode(), hashlib.sha256).digest()
        try:
            if not hmac.compare_digest(_decode(signature), expected):
                raise IdentityRefused("signature")
            document = json.loads(_decode(payload))
            subject, algorithm = document["user_id"], document["algorithm"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise IdentityRefused("form") from None
        if algorithm != "HMAC-SHA256" or words(subject) is None:
            raise IdentityRefused("form")
        digest = hashlib.sha256(expected).digest()[:15]
        return DeletionRequest(base64.b32encode(digest).decode().lower(), subject)

    async def _access_token(self, attempt: Attempt, code: str) -> str:
        form = {
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        reply = await call(self._http, "POST", self._graph("oauth/access_token"), form=form)
        error = reply.document.get("error")
        if isinstance(error, dict) and error.get("code") == 100 and error.get("error_subcode") in _USED_CODES:
            raise IdentityRefused("code")
        token = reply.document.get("access_token")
        if not reply.ok or not isinstance(token, str):
            raise refused_us("Facebook's token endpoint", reply)
        return token

    async def _subject_of(self, token: str) -> str:
        """Whose token it is, if it was made for us."""
        query = {"input_token": token}
        reply = await call(self._http, "GET", self._graph("debug_token"), query=query, bearer=self._app_token)
        about = reply.document.get("data")
        if not reply.ok or not isinstance(about, dict):
            raise refused_us("Facebook's debug_token", reply)
        subject = words(about.get("user_id"))
        if about.get("app_id") != self._client_id or about.get("is_valid") is not True:
            raise IdentityRefused("app")
        if subject is None:
            raise ProviderUnavailable("Facebook does not say whose token it is.")
        return subject

    @property
    def _app_token(self) -> str:
        return f"{self._client_id}|{self._client_secret}"

    def _graph(self, path: str) -> str:
        return f"{self._settings.graph_url}/{path}"


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
