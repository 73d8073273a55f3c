"""One-click unsubscribe (RFC 8058): signed links that stop one category on one channel for one person.

A token is `version | user | day of issue | category/channel | HMAC-SHA-256`, base64url. Nothing is stored: it works
for as long as the mail is kept, and says nothing but ids and words of ours. Workers mint, the api reads; both derive
the key from the application's secrets with `KEY_PURPOSE`.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

KEY_PURPOSE: Final = "unsubscribe"
PAGE: Final = "/unsubscribe"
"""What a person opens: its button posts to `ENDPOINT`. A GET changes nothing, because mail scanners follow links."""
ENDPOINT: Final = "/api/v1/unsubscribe"
_VERSION: Final = b"\x01"
_FIXED: Final = 1 + 16 + 3
_MAC: Final = 32
_LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class Wish:
    """What a token stands for. `category` and `channel` are those of `domain.notification` when it was minted."""

    user_id: UUID
    category: str
    channel: str
    issued: date


class Unsubscriber:
    """Mints and reads tokens under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mint(self, wish: Wish) -> str:
        """The token of a wish: the same one for the same wish, so a retried mail is the same mail."""
        body = _VERSION + wish.user_id.bytes + wish.issued.toordinal().to_bytes(3, "big")
        body += f"{wish.category}/{wish.channel}".encode("ascii")
        return _encode(body + self._mac(body))

    def read(self, token: str) -> Wish | None:
        """The wish, or None for anything that is not exactly a token of ours."""
        raw = _decode(token)
        if raw is None or len(raw) <= _FIXED + _MAC:
            return None
        body, mac = raw[:-_MAC], raw[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(body)) or body[:1] != _VERSION:
            return None
        category, _, channel = body[_FIXED:].decode("ascii").partition("/")
        issued = date.fromordinal(int.from_bytes(body[17:_FIXED], "big"))
        return Wish(UUID(bytes=body[1:17]), category, channel, issued)

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)


def page_link(public_url: str, token: str) -> str:
    """The link at the foot of a mail."""
    return f"{public_url}{PAGE}?token={token}"


def headers(public_url: str, token: str) -> dict[str, str]:
    """What makes the mail program show its own button (RFC 2369, RFC 8058 §3.1)."""
    return {
        "List-Unsubscribe": f"<{public_url}{ENDPOINT}/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(token: str) -> bytes | None:
    """The bytes of their one spelling: base64 alone would accept several of the same."""
    if len(token) > _LONGEST or not token.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if _encode(raw) == token else None
