"""ID tokens of the emulators: RS256 under a key that is published, and every way to get one wrong."""

import hmac
import json
import time
from pathlib import Path
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from infra.local.emulators.sign_in import SignInApp, answer, encode

LIFETIME: Final = 600
CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "nonce": {"nonce": "of-somebody-else"},
    "no_nonce": {"nonce": None},
    "aud": {"aud": "another-app"},
    "aud_list": {"aud": ["another-app", "and-another"]},
    "azp": {"azp": "another-app"},
    "iss": {"iss": "https://issuer.example"},
    "expired": {"exp": 1_600_000_000, "iat": 1_599_999_400},
    "no_exp": {"exp": None},
    "future": {"iat": 4_000_000_000, "exp": 4_000_000_600},
    "no_sub": {"sub": None},
}
"""What a twist makes of the claims; None takes one away."""
FORMS: Final = ("alg_none", "alg_hs256", "kid", "no_kid", "jwk", "signature", "garbage")
"""Twists of the token itself."""


class OidcApp(SignInApp):
    """A provider that signs what it says."""

    _key: RSAKey | None = None

    @property
    def key(self) -> RSAKey:
        """Made when it is needed first, and kept: people who restart a stack need not sign in anew."""
        path = self._key_path
        with self._lock:
            if self._key is None:
                self._key = RSAKey.import_key(json.loads(path.read_text())) if path.exists() else self._new_key()
            return self._key

    def jwks(self, _: Request) -> Response:
        """The public key."""
        if self.twisted("jwks_garbage"):
            return answer({"keys": "none"})
        return answer({"keys": [{**self.key.as_dict(private=False), "use": "sig", "alg": "RS256"}]})

    def rotate(self, _: Request) -> Response:
        """Sign with a new key from now on; the old one is not published any more."""
        with self._lock:
            self._key = self._new_key()
        return answer({"kid": self._key.kid})

    def control_rules(self) -> tuple[Rule, ...]:
        """Beside those of every provider."""
        return (Rule("/_control/rotate", endpoint=self.rotate, methods=["POST"]),)

    def signed(self, claims: dict[str, Any]) -> str:
        """The statement as a token, wrong in what was asked to be wrong."""
        now = int(time.time())
        claims = {"iss": self.origin, "aud": self.app.client_id, "iat": now, "exp": now + LIFETIME, **claims}
        if (wrong := self.twisted(*CLAIMS)) is not None:
            claims |= CLAIMS[wrong]
        claims = {name: value for name, value in claims.items() if value is not None}
        return self._sealed(claims, self.twisted(*FORMS))

    def _sealed(self, claims: dict[str, Any], wrong: str | None) -> str:
        header = {"alg": "RS256", "typ": "JWT", "kid": str(self.key.kid)}
        match wrong:
            case "garbage":
                return "not.a.token"
            case "alg_none":
                return f"{_part({**header, 'alg': 'none'})}.{_part(claims)}."
            case "alg_hs256":  # the public key as a password, as a library that looks at the header would
                signed = f"{_part({**header, 'alg': 'HS256'})}.{_part(claims)}"
                return f"{signed}.{encode(hmac.digest(self.key.as_pem(private=False), signed.encode(), 'sha256'))}"
            case "kid":
                header["kid"] = "nobody-published-this"
            case "no_kid":
                del header["kid"]
            case "jwk":
                own = RSAKey.generate_key(2048, private=True)
                registry = jws.JWSRegistry(strict_check_header=False)
                brought = {**header, "jwk": own.as_dict(private=False)}
                return jwt.encode(brought, claims, own, algorithms=["RS256"], registry=registry)
        token = jwt.encode(header, claims, self.key, algorithms=["RS256"])
        return token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB") if wrong == "signature" else token

    def _new_key(self) -> RSAKey:
        key = RSAKey.generate_key(2048, private=True)
        document = {**key.as_dict(private=True), "kid": key.thumbprint()}
        self._key_path.write_text(json.dumps(document))
        return RSAKey.import_key(document)

    @property
    def _key_path(self) -> Path:
        return self.folder / f"{self.name}.key.json"


def _part(value: object) -> str:
    return encode(json.dumps(value).encode())
