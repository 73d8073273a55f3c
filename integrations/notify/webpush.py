"""Web Push: RFC 8030 for the way, RFC 8291 for the envelope, RFC 8292 (VAPID) for who we are.

`http_ece` is the encryption of pywebpush without its HTTP clients, which cost 10 MB of each worker; httpx sends.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import http_ece
import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from core.settings import Settings
from domain.push import is_push_service
from integrations.keys.secrets import ApplicationSecrets, public_point
from integrations.notify.http import client, post, refusal
from integrations.notify.protocol import ProviderRefused, Push, Receipt, TargetGone

_VAPID_SECONDS: Final = 12 * 3600
"""RFC 8292 §2 allows a day."""
_GONE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
_ACCEPTED: Final = frozenset({httpx.codes.OK, httpx.codes.CREATED, httpx.codes.ACCEPTED, httpx.codes.NO_CONTENT})


class WebPushChannel:
    """See the module. `target` is the browser's subscription as JSON."""

    def __init__(
        self,
        key: ECKey,
        contact: str,
        services: tuple[str, ...],
        connections: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key, self._contact, self._services, self._clock = key, contact, services, clock
        self._http = client(connections)
        self._vapid: dict[str, tuple[float, str]] = {}

    async def push(self, push: Push, target: str, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        endpoint, content = self._sealed(push, target, idempotency_key)
        headers = {
            "Authorization": self._authorization(endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(push.ttl_seconds),
            "Topic": _topic(push.collapse_key),
            "Urgency": "low" if push.withdrawn else "high" if push.urgent else "normal",
        }
        response = await post("the push service", self._http, endpoint, content=content, headers=headers)
        if response.status_code in _ACCEPTED:
            return Receipt(response.headers.get("location", "")[:500])
        if response.status_code in _GONE:
            raise TargetGone("the subscription has ended")
        raise refusal("the push service", response)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    def _sealed(self, push: Push, target: str, key: UUID) -> tuple[str, bytes]:
        try:
            subscription = json.loads(target)
            endpoint, keys = str(subscription["endpoint"]), subscription["keys"]
            if not is_push_service(endpoint, self._services):
                raise TargetGone("not the address of a push service")
            sealed = http_ece.encrypt(
                _payload(push, key),
                private_key=ec.generate_private_key(ec.SECP256R1()),
                dh=_decode(keys["p256dh"]),
                auth_secret=_decode(keys["auth"]),
                version="aes128gcm",
            )
        except ProviderRefused:
            raise
        except Exception as error:  # the browser's words: whatever they break in the parser, it can never be reached
            raise TargetGone(f"the subscription is none: {type(error).__name__}") from None
        return endpoint, sealed

    def _authorization(self, endpoint: str) -> str:
        """RFC 8292 §3. One token per push service and half a day: signing costs more than encrypting."""
        place = urlsplit(endpoint)
        audience, now = f"{place.scheme}://{place.netloc}", self._clock()
        until, value = self._vapid.get(audience, (0.0, ""))
        if until < now + _VAPID_SECONDS / 2:
            until = now + _VAPID_SECONDS
            claims = {"aud": audience, "exp": int(until), "sub": self._contact}
            token = jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, self._key)
            value = f"vapid t={token}, k={public_point(self._key)}"
            self._vapid[audience] = (until, value)
        return value


def _payload(push: Push, key: UUID) -> bytes:
    """What our service worker shows: well below the 4,096 bytes that every service takes."""
    document = {
        "title": push.title,
        "body": push.body,
        "link": push.link,
        "tag": push.collapse_key,
        "delivery": str(key),
        "withdrawn": push.withdrawn,
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _topic(collapse_key: str) -> str:
    """At most 32 characters of the URL-safe alphabet (RFC 8030 §5.4): a UUID without its hyphens."""
    return collapse_key.replace("-", "")[:32]


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_webpush(settings: Settings, secrets: ApplicationSecrets) -> WebPushChannel:
    """The adapter of the settings and the platform's own key."""
    contact = f"mailto:{settings.mail.sender.rpartition('<')[2].rstrip('>')}"
    return WebPushChannel(secrets.vapid, contact, settings.web_push_services, settings.worker.max_concurrent_activities)
