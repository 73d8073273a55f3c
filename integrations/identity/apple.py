"""Sign in with Apple (https://developer.apple.com/documentation/sign_in_with_apple, TN3194).

Asking for name or address makes the browser come back with a cross-site POST. The client secret is a token that we
sign; PKCE is not documented, so state and nonce carry the protection. Apple speaks for every address it asserts, those
of its private relay included.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from core.sign_in_settings import AppleSettings
from domain.oauth import Provider
from integrations.identity.http import Reply, call, refused_us, words
from integrations.identity.id_token import KeyRing, Statements, flag
from integrations.identity.protocol import Attempt, ExternalIdentity, IdentityRefused

SCOPE: Final = "name email"
SECRET_SECONDS: Final = 300
"""How long a client secret lives; Apple takes up to half a year."""


@dataclass(frozen=True, slots=True)
class AppleNotice:
    """A server notification: `kind` is Apple's word (`consent-revoked`, `account-delete`, `email-disabled` …)."""

    id: str
    kind: str
    subject: str = field(repr=False)


class AppleProvider:
    """See the module. `key` signs client secrets."""

    name: ClassVar[Provider] = Provider.APPLE
    form_post: ClassVar[bool] = True

    def __init__(
        self,
        http: httpx.AsyncClient,
        settings: AppleSettings,
        client_id: str,
        team_id: str,
        key: ECKey,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = settings.issuer
        self._settings, self._client_id, self._team_id, self._key = settings, client_id, team_id, key
        self._http, self._clock = http, clock
        self._statements = Statements(KeyRing(self._http, settings.jwks_url), {settings.issuer}, client_id)

    def authorize_url(self, attempt: Attempt) -> str:
        """As the protocol says."""
        asked = {
            "response_type": "code",
            "response_mode": "form_post",
            "client_id": self._client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
        }
        return f"{self._settings.authorize_url}?{urlencode(asked)}"

    async def identify(self, attempt: Attempt, code: str, user: str | None = None) -> ExternalIdentity:
        """As the protocol says."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": attempt.redirect_uri}
        reply = await self._post(self._settings.token_url, form)
        if reply.document.get("error") == "invalid_grant":
            raise IdentityRefused("code")
        if not reply.ok:
            raise refused_us("Apple's token endpoint", reply)
        claims = await self._statements.id_token(reply.document.get("id_token"), attempt.nonce)
        return self._identity(claims, _names(user), reply.document.get("refresh_token"))

    async def revoke(self, identity: ExternalIdentity) -> None:
        """As the protocol says. Apple answers 200 for a token that has ended, too."""
        if identity.refresh_token is not None:
            form = {"token": identity.refresh_token, "token_type_hint": "refresh_token"}
            reply = await self._post(self._settings.revoke_url, form)
            if not reply.ok and reply.document.get("error") != "invalid_grant":
                raise refused_us("Apple's revocation", reply)

    async def read_notice(self, payload: str) -> AppleNotice:
        """What Apple tells about a person, from the `payload` it posts. Raises `IdentityRefused`,
        `ProviderUnavailable`."""
        claims = await self._statements.read(payload, essential=("iat",))
        try:
            events = claims["events"]  # a document within the document
            event = json.loads(events) if isinstance(events, str) else events
            notice = AppleNotice(claims["jti"], event["type"], event["sub"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise IdentityRefused("events") from None
        if None in (words(notice.id), words(notice.kind), words(notice.subject)):
            raise IdentityRefused("events")
        return notice

    async def _post(self, url: str, form: dict[str, str]) -> Reply:
        ours = {"client_id": self._client_id, "client_secret": self._client_secret()}
        return await call(self._http, "POST", url, form=form | ours)

    def _client_secret(self) -> str:
        now = int(self._clock())
        claims = {
            "iss": self._team_id,
            "sub": self._client_id,
            "aud": self._settings.issuer,
            "iat": now,
            "exp": now + SECRET_SECONDS,
        }
        header = {"alg": "ES256", "kid": str(self._settings.key_id)}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])

    def _identity(
        self, claims: dict[str, Any], names: tuple[str | None, str | None], refresh_token: object
    ) -> ExternalIdentity:
        email = words(claims.get("email"))
        verified = email is not None and flag(claims.get("email_verified"))
        first, last = names
        return ExternalIdentity(
            issuer=self.issuer,
            subject=claims["sub"],
            email=email,
            email_verified=verified,
            authoritative=verified,
            first_name=first,
            last_name=last,
            refresh_token=refresh_token if isinstance(refresh_token, str) else None,
        )


def _names(user: str | None) -> tuple[str | None, str | None]:
    """First and last name of the JSON that the browser carries once; anybody could have written it."""
    try:
        name = json.loads(user)["name"] if user else {}
        found = name.get("firstName"), name.get("lastName")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, None
    return words(found[0]), words(found[1])
