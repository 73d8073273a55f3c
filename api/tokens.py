"""Access tokens: ES256, checked in full once, then recognised by their hash until they expire (§4.2).

What a token says stays true for its lifetime; whether its session still lives is asked on every request by
`api/auth.py`. Roles are never inside.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import extract_compact
from joserfc.jwt import Claims, JWTClaimsRegistry
from prometheus_client import Gauge

from core.errors import Unauthorized
from core.settings import AuthSettings
from domain.auth import assurance_level
from integrations.keys.secrets import SigningKey

LEEWAY = 30
ALGORITHMS = ("ES256",)
_MAX_TOKEN = 8192
_CACHED_TOKENS = 20_000
_HEADER = {"alg", "kid", "typ"}

NEWEST = Gauge("petfolio_signing_key_newest_seconds", "From when on (Unix time) the newest key signs access tokens.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the person, the device session, and when the person last proved it was them."""

    user_id: UUID
    session_id: UUID
    auth_time: datetime


class TokenRefused(Unauthorized):
    """401: not a token of ours, or no longer."""

    code = "invalid_token"


class KeyUnknown(TokenRefused):
    """The token is of our form and names a key that is not known here: perhaps not yet."""


class Tokens:
    """Mints and verifies. `keys` is never empty; all of them verify, the one whose time came last signs."""

    def __init__(
        self, settings: AuthSettings, keys: tuple[SigningKey, ...], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._clock = settings, clock
        self._registry = JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            sid={"essential": True},
        )
        self._checked: dict[bytes, tuple[float, Caller]] = {}
        self._keys: dict[str, SigningKey] = {}
        self.use(keys)

    def use(self, keys: tuple[SigningKey, ...]) -> None:
        """These keys from now on. Tokens of a key that is not among them count no longer. ValueError for none."""
        NEWEST.set(max(key.signs_from for key in keys))
        known, self._keys = self._keys, {key.kid: key for key in keys}
        if known.keys() - self._keys.keys():
            self._checked.clear()

    @property
    def lifetime(self) -> int:
        """Seconds until a new token expires."""
        return self._settings.access_token_seconds

    def mint(self, user_id: UUID, session_id: UUID, auth_time: datetime, amr: list[str]) -> str:
        """A new token for a live session."""
        now = int(self._clock())
        signer = _signer(self._keys.values(), now)
        claims: Claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + self.lifetime,
            "auth_time": int(auth_time.timestamp()),
            "amr": amr,
            "acr": assurance_level(amr),
            "scope": "petfolio",
        }
        header = {"typ": "at+jwt", "alg": "ES256", "kid": signer.kid}
        return jwt.encode(header, claims, signer.key, algorithms=ALGORITHMS)

    def verify(self, token: str) -> Caller:
        """Whose token it is. Raises `TokenRefused` whatever is wrong with it; `KeyUnknown` is one."""
        digest = hashlib.sha256(token.encode()).digest()
        checked = self._checked.get(digest)
        if checked is None:
            checked = self._verified(token)
            if len(self._checked) >= _CACHED_TOKENS:
                del self._checked[next(iter(self._checked))]  # the one checked first expires first
            self._checked[digest] = checked
        if checked[0] <= self._clock():
            self._checked.pop(digest, None)
            raise TokenRefused("The access token has expired.")
        return checked[1]

    def jwks(self) -> dict[str, object]:
        """The public keys (RFC 7517), those that sign later included."""
        return {"keys": [_public(key.key) for key in self._keys.values()]}

    def _verified(self, token: str) -> tuple[float, Caller]:
        try:
            return self._decoded(token)
        except TokenRefused:
            raise
        except Exception as error:  # the header is a stranger's JSON: whatever it breaks in the parser is a 401
            raise TokenRefused("The access token is not valid.") from error

    def _decoded(self, token: str) -> tuple[float, Caller]:
        if len(token) > _MAX_TOKEN or token.count(".") != 2:
            raise TokenRefused("The access token is not valid.")
        header = extract_compact(token.encode()).headers()
        # joserfc alone accepts a token without kid, with an ignored jku, and an audience list that contains ours.
        if set(header) != _HEADER or header["typ"] != "at+jwt" or header["alg"] not in ALGORITHMS:
            raise TokenRefused("The access token is not valid.")
        if header["kid"] not in self._keys:
            raise KeyUnknown("The access token is not valid.")
        claims = jwt.decode(token, self._keys[header["kid"]].key, algorithms=ALGORITHMS).claims
        if claims.get("aud") != self._settings.audience:
            raise TokenRefused("The access token is not valid.")
        self._registry.validate(claims)
        auth_time = datetime.fromtimestamp(int(claims["auth_time"]), UTC)
        return int(claims["exp"]) + LEEWAY, Caller(UUID(claims["sub"]), UUID(claims["sid"]), auth_time)


def _signer(keys: Iterable[SigningKey], now: int) -> SigningKey:
    """The key whose time came last; the first one where no clock has come to it yet."""
    order = sorted(keys, key=lambda key: key.signs_from)
    return next((key for key in reversed(order) if key.signs_from <= now), order[0])


def _public(key: ECKey) -> dict[str, object]:
    return dict(key.as_dict(private=False))
