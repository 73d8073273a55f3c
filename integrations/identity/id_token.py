"""ID tokens and other signed statements of a provider (OIDC Core §3.1.3.7): RS256 under a key it publishes, only."""

import asyncio
import hmac
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from integrations.identity.http import call, words
from integrations.identity.protocol import IdentityRefused, ProviderUnavailable

ALGORITHMS: Final = ("RS256",)
LEEWAY: Final = 30
KEPT: Final = 24 * 3600
"""Seconds. Providers rotate more slowly, and take a key back within a day."""
PAUSE: Final = 60
"""Seconds between two looks for a key we do not know: made-up ids must not make us ask all the time."""
_LONGEST: Final = 16 * 1024
_POINTERS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""Headers by which a token could bring its own key."""


class KeyRing:
    """A provider's public keys (RFC 7517), by id. One fetch at a time."""

    def __init__(self, http: httpx.AsyncClient, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._http, self._url, self._clock = http, url, clock
        self._keys: dict[str, RSAKey] = {}
        self._fetched, self._asked = float("-inf"), float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> RSAKey:
        """Raises `IdentityRefused` for an id that the provider does not publish, `ProviderUnavailable`."""
        async with self._lock:
            now = self._clock()
            if now - self._fetched > KEPT or (kid not in self._keys and now - self._asked > PAUSE):
                self._asked = now
                self._keys = await self._fetch()
                self._fetched = now
        if kid not in self._keys:
            raise IdentityRefused("unknown_key")
        return self._keys[kid]

    async def _fetch(self) -> dict[str, RSAKey]:
        reply = await call(self._http, "GET", self._url)
        listed = reply.document.get("keys")
        usable = [
            entry
            for entry in (listed if reply.ok and isinstance(listed, list) else ())
            if isinstance(entry, dict) and entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig"
        ]
        try:
            keys = KeySet.import_key_set({"keys": usable}).keys
        except (JoseError, ValueError, TypeError, KeyError):
            raise ProviderUnavailable("The provider publishes no keys that can be read.") from None
        return {str(key.kid): key for key in keys if isinstance(key, RSAKey)}


class Statements:
    """What a provider signed for us: for `audience`, in the name of one of `issuers`."""

    def __init__(self, keys: KeyRing, issuers: Collection[str], audience: str) -> None:
        self._keys, self._issuers, self._audience = keys, frozenset(issuers), audience

    async def id_token(self, token: object, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that was made for this attempt. Raises as `read`."""
        claims = await self.read(token, essential=("exp", "iat"))
        if not hmac.compare_digest(_text(claims.get("nonce")).encode(), nonce.encode()):
            raise IdentityRefused("nonce")
        if words(claims.get("sub"), 255) is None:
            raise IdentityRefused("subject")
        return claims

    async def read(self, token: object, *, essential: Collection[str]) -> dict[str, Any]:
        """The claims of anything signed. Raises `IdentityRefused`, and `ProviderUnavailable` while its keys cannot be
        had."""
        if not isinstance(token, str) or len(token) > _LONGEST:
            raise IdentityRefused("form")
        key = await self._keys.key(_key_id(token))
        try:
            claims = dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
            JWTClaimsRegistry(
                leeway=LEEWAY, exp={"essential": "exp" in essential}, iat={"essential": "iat" in essential}
            ).validate(claims)
        except IdentityRefused:
            raise
        except Exception as error:  # a stranger's JSON: whatever it breaks in the parser proves nothing
            raise IdentityRefused(f"token_{type(error).__name__}") from None
        if _text(claims.get("iss")) not in self._issuers:
            raise IdentityRefused("issuer")
        if claims.get("aud") not in (self._audience, [self._audience]):
            raise IdentityRefused("audience")
        if claims.get("azp", self._audience) != self._audience:
            raise IdentityRefused("authorized_party")
        return claims


def flag(value: object) -> bool:
    """A boolean claim; Apple writes some of them as words."""
    return value is True or value == "true"


def _key_id(token: str) -> str:
    try:
        head = token.partition(".")[0]
        header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        kid, algorithm, names = header["kid"], header["alg"], frozenset(header)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IdentityRefused("header") from None
    if algorithm not in ALGORITHMS or not isinstance(kid, str) or names & _POINTERS:
        raise IdentityRefused("header")
    return kid


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
