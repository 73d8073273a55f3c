"""The platform's own secrets: the root from which purposes are derived, and the keys that sign access tokens.

Made once by `python -m workers setup` (`ensure_secrets`, `ensure_system_key`); the processes only read them, but for
the rotation of the signing keys, which is a job.
"""

import base64
import json
import os
import time
from dataclasses import dataclass, field

from joserfc.jwk import ECKey

from core.crypto import SYSTEM, derive
from domain.signing_keys import plan_rotation
from integrations.keys.protocols import SecretStore
from integrations.keys.store import KeyExists, KeyMissing, KeyStore

ROOT = "application-root"
SIGNING = "token-signing"
VAPID = "web-push-vapid"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ES256 key with its `kid`. Published as soon as it exists, signs from `signs_from` (Unix seconds) on: verifiers
    must have seen a key before the first token made with it."""

    key: ECKey = field(repr=False)
    kid: str
    signs_from: int


@dataclass(frozen=True, slots=True)
class ApplicationSecrets:
    """What a process keeps in memory. `signing` is never empty; a key leaves it when its last token has expired."""

    root: bytes = field(repr=False)
    signing: tuple[SigningKey, ...]
    vapid: ECKey = field(repr=False)
    """Who we are to browsers' push services (RFC 8292). Subscriptions are bound to it: it is never exchanged."""

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key of its own for each purpose, e.g. `"blind-index"`, `"cursor"`."""
        return derive(self.root, purpose)


async def load_secrets(store: SecretStore) -> ApplicationSecrets:
    """Read what `ensure_secrets` made. Raises `SecretMissing`, `KeysUnavailable`."""
    root = base64.urlsafe_b64decode(await store.get(ROOT))
    vapid = ECKey.import_key(json.loads(await store.get(VAPID)))
    return ApplicationSecrets(root, await load_signing_keys(store), vapid)


async def load_signing_keys(store: SecretStore) -> tuple[SigningKey, ...]:
    """The keys of access tokens as they are now. Raises as `load_secrets`."""
    return tuple(map(_signing_key, _entries(await store.get(SIGNING))))


async def rotate_signing_keys(store: SecretStore, *, token_seconds: int, now: int) -> tuple[SigningKey, ...]:
    """Do what `plan_rotation` says is due at `now` (Unix seconds). Answers the keys that are published from now on.

    Running it again, or twice at once, makes one key: the second to write is refused. Raises `SecretChanged`,
    `SecretMissing`, `KeysUnavailable`.
    """
    former = await store.get(SIGNING)
    entries = _entries(former)
    keys = [_signing_key(entry) for entry in entries]
    plan = plan_rotation({key.kid: key.signs_from for key in keys}, token_seconds=token_seconds, now=now)
    kept = [entry for entry, key in zip(entries, keys, strict=True) if key.kid not in plan.retired]
    if plan.next_signs_from is not None:
        kept.append(new_signing_entry(signs_from=plan.next_signs_from))
    if kept != entries:
        await store.rotate(SIGNING, json.dumps({"keys": kept}), former=former)
    return tuple(map(_signing_key, kept))


async def replace_signing_keys(store: SecretStore, *, now: int) -> tuple[SigningKey, ...]:
    """A key has leaked: one new key signs from now on, and no other counts. Raises as `rotate_signing_keys`."""
    entry = new_signing_entry(signs_from=now)
    await store.rotate(SIGNING, json.dumps({"keys": [entry]}), former=await store.get(SIGNING))
    return (_signing_key(entry),)


async def ensure_secrets(store: SecretStore) -> None:
    """Make the secrets that are missing; running it again, or twice at once, changes nothing."""
    await store.create(ROOT, base64.urlsafe_b64encode(os.urandom(32)).decode())
    await store.create(SIGNING, json.dumps({"keys": [new_signing_entry(signs_from=int(time.time()))]}))
    await store.create(VAPID, json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=True)))


async def ensure_system_key(keys: KeyStore) -> None:
    """Make the platform's own data key if it has none. The one key that is looked for before it is made: nobody can
    ask for its erasure."""
    try:
        await keys.current(SYSTEM)
    except KeyMissing:
        try:
            await keys.create(SYSTEM)
        except KeyExists:
            return  # another setup run was quicker


def public_point(key: ECKey) -> str:
    """The key as browsers take it (`applicationServerKey`): the uncompressed point (SEC 1 §2.3.3), base64url."""
    numbers = key.as_dict(private=False)
    x, y = (base64.urlsafe_b64decode(f"{numbers[name]}=") for name in ("x", "y"))
    return base64.urlsafe_b64encode(b"\x04" + x + y).rstrip(b"=").decode()


def new_signing_entry(*, signs_from: int) -> dict[str, object]:
    """A fresh key in the form the secret holds: `{"signs_from", "jwk"}`, its `kid` the RFC 7638 thumbprint."""
    key = ECKey.generate_key("P-256", private=True)
    jwk = {**key.as_dict(private=True), "use": "sig", "alg": "ES256", "kid": key.thumbprint()}
    return {"signs_from": signs_from, "jwk": jwk}


def _entries(document: str) -> list[dict[str, object]]:
    return list(json.loads(document)["keys"])


def _signing_key(entry: dict[str, object]) -> SigningKey:
    jwk = entry["jwk"]
    if not isinstance(jwk, dict) or not isinstance(entry["signs_from"], int):
        raise ValueError("the signing secret is not in the form of new_signing_entry")
    return SigningKey(ECKey.import_key(jwk), jwk["kid"], entry["signs_from"])
