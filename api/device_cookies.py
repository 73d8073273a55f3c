"""Device cookies: a device on which somebody got in fully does not wait for what strangers try elsewhere (§2.5).

The cookie is a random name and our signature, so that made-up ones cost no query; what it is good for is a row.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

from api.browser import SCOPE
from domain.auth import DEVICE_LIFETIME

NAME: Final = "__Host-device"


class DeviceCookies:
    """Makes and recognises them. `key` is for nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mint(self) -> tuple[str, bytes]:
        """A new one, and the hash that is kept of it."""
        name = secrets.token_urlsafe(32)
        return f"{name}.{self._signature(name)}", _hash(name)

    def read(self, cookie: str | None) -> bytes | None:
        """The hash of one of ours; None for none and for any other."""
        name, _, signature = (cookie or "").partition(".")
        return _hash(name) if hmac.compare_digest(signature.encode(), self._signature(name).encode()) else None

    def _signature(self, name: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self._key, name.encode(), hashlib.sha256)).rstrip(b"=").decode()


def set_cookie(cookie: str) -> str:
    """The value of `Set-Cookie` that has a browser keep it as it keeps its refresh token."""
    return f"{NAME}={cookie}; Max-Age={int(DEVICE_LIFETIME.total_seconds())}; {SCOPE}"


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
