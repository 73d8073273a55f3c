"""Every way to bend an access token is a 401 with a challenge; only the exact form passes."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey

from api.tokens import TokenRefused, Tokens
from core.db import Database
from core.ids import new_id
from core.settings import AuthSettings, Settings
from integrations.keys.secrets import SigningKey
from models.session import MailTokenKind
from tests.api.signing_in import OPEN, Api, Person, api_process


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    return await api.person()


def encode(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


class Forge:
    """Signs whatever it is told with the platform's own key: what remains wrong is the claim or header itself."""

    def __init__(self, api: Api, token: str) -> None:
        keys = api.identity.tokens._keys
        header, claims, self.signature = token.split(".")
        self.header, self.claims = decode(header), decode(claims)
        key = keys[self.header["kid"]].key
        self.key, self.public = key.as_pem(private=True), key.as_pem(private=False)

    def sign(self, header: dict[str, object] | None = None, **claims: object) -> str:
        merged = {name: value for name, value in (self.claims | claims).items() if value is not ...}
        headers = {name: value for name, value in (header or self.header).items() if name != "alg"}
        return pyjwt.encode(merged, self.key, algorithm="ES256", headers=headers)

    def hmac(self, secret: bytes) -> str:
        """Signed with something public, as if it were a shared secret."""
        signed = f"{encode({**self.header, 'alg': 'HS256'})}.{encode(self.claims)}"
        return f"{signed}.{encode(hmac.digest(secret, signed.encode(), 'sha256'))}"

    def payload(self, claims: bytes) -> str:
        """Properly signed, whatever the claims are."""
        signed = f"{encode(self.header)}.{encode(claims)}"
        key = load_pem_private_key(self.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def der(self) -> str:
        """A right signature in the wrong form."""
        signed, _, signature = self.sign().rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        r, s = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
        return f"{signed}.{encode(encode_dss_signature(r, s))}"

    def raw(self, header: object, claims: object = None, signature: str | None = None) -> str:
        return f"{encode(header)}.{encode(claims or self.claims)}.{signature or self.signature}"


BENT: dict[str, Callable[[Forge], str]] = {
    "empty": lambda f: "",
    "two parts": lambda f: f.sign().rpartition(".")[0],
    "five parts": lambda f: f.sign() + ".a.b",
    "8193 characters": lambda f: f.sign(pad="x" * 8000),
    "not base64": lambda f: "é.é.é",
    "deep header": lambda f: f"{encode(b'[' * 3000)}.{encode({})}.x",
    "header is a list": lambda f: f.raw([]),
    "alg none": lambda f: f.raw({**f.header, "alg": "none"}, signature=""),
    "alg None": lambda f: f.raw({**f.header, "alg": "None"}, signature=""),
    "alg none with the signature": lambda f: f.raw({**f.header, "alg": "none"}),
    "alg HS256 with the public key": lambda f: f.hmac(f.public),
    "alg HS256 with the kid": lambda f: f.hmac(str(f.header["kid"]).encode()),
    "alg HS256 with nothing": lambda f: f.hmac(b""),
    "alg ES384": lambda f: f.raw({**f.header, "alg": "ES384"}),
    "alg ES256K": lambda f: f.raw({**f.header, "alg": "ES256K"}),
    "alg is a list": lambda f: f.raw({**f.header, "alg": ["ES256"]}),
    "no alg": lambda f: f.raw({"kid": f.header["kid"], "typ": "at+jwt"}),
    "another key": lambda f: pyjwt.encode(
        f.claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers=f.header
    ),
    "zero signature": lambda f: f.raw(f.header, signature=encode(bytes(64))),
    "ones for a signature": lambda f: f.raw(f.header, signature=encode(b"\xff" * 64)),
    "signature in DER": lambda f: f.der(),
    "no signature": lambda f: f.sign().rpartition(".")[0] + ".",
    "truncated": lambda f: f.sign()[:-2],
    "a signature and more": lambda f: f.sign() + "AAAA",
    "a space inside": lambda f: f.sign().replace(".", ". ", 1),
    "claims are a list": lambda f: f.payload(b"[]"),
    "claims are null": lambda f: f.payload(b"null"),
    "claims are not JSON": lambda f: f.payload(b"{"),
    "claims are not UTF-8": lambda f: f.payload(b'{"iss": "\xff"}'),
    "claims nest deep": lambda f: f.payload(b"[" * 5000),
    "claims changed": lambda f: f.raw(f.header, {**f.claims, "sub": str(new_id())}),
    "no kid": lambda f: f.sign({"typ": "at+jwt"}),
    "unknown kid": lambda f: f.sign({"typ": "at+jwt", "kid": "other"}),
    "kid is a list": lambda f: f.raw({**f.header, "kid": [f.header["kid"]]}),
    "kid is a number": lambda f: f.raw({**f.header, "kid": 1}),
    "kid is NUL": lambda f: f.sign({"typ": "at+jwt", "kid": "\x00"}),
    "kid is a path": lambda f: f.sign({"typ": "at+jwt", "kid": "../../etc/passwd"}),
    "typ JWT": lambda f: f.sign({**f.header, "typ": "JWT"}),
    "id_token": lambda f: f.sign({"kid": f.header["kid"], "typ": "JWT"}, nonce="n"),
    "no typ": lambda f: pyjwt.encode(f.claims, f.key, algorithm="ES256", headers={"kid": f.header["kid"], "typ": None}),
    "jku": lambda f: f.sign({**f.header, "jku": "https://evil.test/jwks.json"}),
    "x5u": lambda f: f.sign({**f.header, "x5u": "https://evil.test/cert"}),
    "x5c": lambda f: f.sign({**f.header, "x5c": ["AAAA"]}),
    "cty": lambda f: f.sign({**f.header, "cty": "JWT"}),
    "zip": lambda f: f.raw({**f.header, "zip": "DEF"}),
    "unencoded payload": lambda f: f.raw({**f.header, "b64": False, "crit": ["b64"]}),
    "jwk": lambda f: f.sign({**f.header, "jwk": ECKey.generate_key("P-256").as_dict(private=False)}),
    "crit": lambda f: f.sign({**f.header, "crit": ["exp"]}),
    "another issuer": lambda f: f.sign(iss="https://evil.test"),
    "no issuer": lambda f: f.sign(iss=...),
    "another audience": lambda f: f.sign(aud="other"),
    "audience list with ours": lambda f: f.sign(aud=["petfolio-api", "other"]),
    "audience list of ours alone": lambda f: f.sign(aud=["petfolio-api"]),
    "no audience": lambda f: f.sign(aud=...),
    "expired": lambda f: f.sign(exp=int(time.time()) - 31),
    "no exp": lambda f: f.sign(exp=...),
    "exp is a string": lambda f: f.sign(exp="9999999999"),
    "exp is true": lambda f: f.sign(exp=True),
    "exp is null": lambda f: f.sign(exp=None),
    "exp is huge": lambda f: f.sign(exp=-(10**400)),
    "exp is infinite": lambda f: f.sign(exp=float("inf")),
    "not yet valid": lambda f: f.sign(nbf=int(time.time()) + 60),
    "issued in the future": lambda f: f.sign(iat=int(time.time()) + 60),
    "iat is a string": lambda f: f.sign(iat="now"),
    "nbf is a string": lambda f: f.sign(nbf="now"),
    "no iat": lambda f: f.sign(iat=...),
    "no sub": lambda f: f.sign(sub=...),
    "sub is no uuid": lambda f: f.sign(sub="admin"),
    "no sid": lambda f: f.sign(sid=...),
    "sid is no uuid": lambda f: f.sign(sid="1"),
    "session of nobody": lambda f: f.sign(sid=str(new_id())),
    "session of another user": lambda f: f.sign(sub=str(new_id())),
    "no auth_time": lambda f: f.sign(auth_time=...),
    "auth_time is no time": lambda f: f.sign(auth_time=1e30),
    "sub is a list": lambda f: f.sign(sub=[f.claims["sub"]]),
}


@pytest.mark.parametrize("bent", BENT)
async def test_a_bent_token_is_refused(api: Api, person: Person, bent: str) -> None:
    token = BENT[bent](Forge(api, person.access_token))
    answer = await api.http.get("/api/v1/auth/sessions", headers={"Authorization": f"Bearer {token}".encode("latin-1")})
    assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "Bearer")


async def test_the_exact_form_passes_within_the_leeway(api: Api, person: Person) -> None:
    forge = Forge(api, person.access_token)
    whole = forge.payload(json.dumps(forge.claims).encode())
    for token in (
        person.access_token,
        whole,
        forge.sign(exp=int(time.time()) - 25),
        forge.sign(iat=int(time.time()) + 25),
    ):
        assert await person.is_let_in(token)


async def test_tokens_are_read_from_one_authorization_header_only(api: Api, person: Person) -> None:
    token, path = person.access_token, "/api/v1/auth/sessions"
    for headers, query in (
        ({}, {"access_token": token}),
        ({}, {"token": token}),
        ({"Cookie": f"access_token={token}"}, {}),
        ({"X-Authorization": f"Bearer {token}"}, {}),
        ({"Authorization": token}, {}),
        ({"Authorization": f"Basic {token}"}, {}),
    ):
        answer = await api.http.get(path, headers=headers, params=query)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    for other in (f"Bearer {token}", "Bearer other", "Basic YTpi", ""):
        for twice in ([f"Bearer {token}", other], [other, f"Bearer {token}"]):
            answer = await api.http.get(path, headers=[("Authorization", each) for each in twice])
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (await api.http.get(path, headers={"authorization": f"bearer {token}"})).status_code == 200


async def test_what_else_we_hand_out_is_no_access_token(api: Api, person: Person) -> None:
    mailed = [await api.mailed_token(person.email, kind) for kind in MailTokenKind]
    for token in (person.refresh_token, *mailed):
        answer = await api.get("/auth/sessions", token)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_the_published_keys_verify_tokens_and_hold_nothing_private(api: Api, person: Person) -> None:
    answer = await api.http.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "max-age=300"
    keys = {key["kid"]: key for key in answer.json()["keys"]}
    for key in keys.values():
        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    kid = pyjwt.get_unverified_header(person.access_token)["kid"]
    public = pyjwt.PyJWK(keys[kid]).key
    claims = pyjwt.decode(person.access_token, public, algorithms=["ES256"], audience="petfolio-api", issuer="petfolio")
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "amr", "acr", "scope"}
    assert claims["exp"] - claims["iat"] == 600


def signing_key(kid: str, signs_from: int) -> SigningKey:
    return SigningKey(ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"}), kid, signs_from)


def test_a_new_key_is_published_before_it_signs_and_the_old_one_still_verifies() -> None:
    now = 1_000_000.0
    old, new = signing_key("old", 0), signing_key("new", 1_086_400)
    tokens = Tokens(AuthSettings(), (old, new), clock=lambda: now)
    user, session, signed_in = new_id(), new_id(), datetime.fromtimestamp(999_000, UTC)
    before = tokens.mint(user, session, signed_in, ["pwd"])
    assert pyjwt.get_unverified_header(before)["kid"] == "old"
    assert [key["kid"] for key in tokens.jwks()["keys"]] == ["old", "new"]  # type: ignore[attr-defined]
    now = 1_086_401.0
    after = tokens.mint(user, session, signed_in, ["pwd"])
    assert pyjwt.get_unverified_header(after)["kid"] == "new"
    assert tokens.verify(after).user_id == user


def test_a_clock_that_is_behind_the_first_key_signs_with_it_all_the_same() -> None:
    tokens = Tokens(
        AuthSettings(), (signing_key("first", 1_000_060), signing_key("next", 2_000_000)), clock=lambda: 1e6
    )
    token = tokens.mint(new_id(), new_id(), datetime.fromtimestamp(1e6, UTC), ["pwd"])
    assert pyjwt.get_unverified_header(token)["kid"] == "first"


def test_a_token_recognised_by_its_hash_still_expires() -> None:
    now = 1_000_000.0
    tokens = Tokens(AuthSettings(), (signing_key("a", 0),), clock=lambda: now)
    token = tokens.mint(new_id(), new_id(), datetime.fromtimestamp(now, UTC), ["pwd"])
    for later in (0, 300, 629):
        now = 1_000_000.0 + later
        assert tokens.verify(token) == tokens.verify(token)
    now = 1_000_000.0 + 631
    for _ in range(2):
        with pytest.raises(TokenRefused):
            tokens.verify(token)


def test_recognising_a_token_costs_less_than_30_microseconds() -> None:
    tokens = Tokens(AuthSettings(), (signing_key("a", 0),))
    token = tokens.mint(new_id(), new_id(), datetime.now(UTC), ["pwd"])
    tokens.verify(token)
    start = time.process_time()
    for _ in range(2000):
        tokens.verify(token)
    assert timedelta(seconds=(time.process_time() - start) / 2000) < timedelta(microseconds=30)
