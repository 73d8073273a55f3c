"""Firebase Cloud Messaging, HTTP v1 (https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages).

Our own adapter: Google's admin SDK blocks, retries by itself and cannot be pointed elsewhere. FCM knows no idempotency
key; ours travels as data, and the collapse key makes a second message take the place of the first.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import BaseModel, SecretStr, ValidationError

from core.settings import Settings
from integrations.notify.http import client, post, refusal
from integrations.notify.protocol import ProviderUnavailable, Push, Receipt, TargetGone

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EARLY_SECONDS: Final = 60
"""An access token is renewed this long before it expires."""
# projects.messages.send, "FcmError": the app is gone, or the token is another sender's.
_GONE: Final = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH"})


class ServiceAccount(BaseModel, frozen=True):
    """What the console hands out as JSON."""

    project_id: str
    client_email: str
    private_key: SecretStr
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


@dataclass(slots=True)
class _Access:
    token: str = field(default="", repr=False)
    until: float = 0.0


class FcmChannel:
    """See the module. `target` is a registration token."""

    def __init__(
        self, endpoint: str, account: ServiceAccount, connections: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._url = f"{endpoint}/v1/projects/{account.project_id}/messages:send"
        self._account, self._clock = account, clock
        self._key = RSAKey.import_key(account.private_key.get_secret_value())
        self._http = client(connections)
        self._access, self._renewing = _Access(), asyncio.Lock()

    async def push(self, push: Push, target: str, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        message = {"message": _message(push, target, idempotency_key)}
        content = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
        response = await self._send(content)
        if response.status_code == httpx.codes.UNAUTHORIZED:  # revoked, or a clock of ours that is wrong
            self._access = _Access()
            response = await self._send(content)
        if response.status_code == httpx.codes.OK:
            return Receipt(str(_document(response).get("name", "")))
        if _is_gone(response):
            raise TargetGone("the device is not registered any more")
        raise refusal("FCM", response)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _send(self, content: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._token()}", "Content-Type": "application/json"}
        return await post("FCM", self._http, self._url, content=content, headers=headers)

    async def _token(self) -> str:
        async with self._renewing:
            if self._access.until < self._clock():
                self._access = await self._renewed()
            return self._access.token

    async def _renewed(self) -> _Access:
        """RFC 7523 §2.1, as https://developers.google.com/identity/protocols/oauth2/service-account asks."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._account.client_email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + 3600,
        }
        assertion = jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self._key)
        content = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await post("FCM", self._http, self._account.token_uri, content=content, headers=headers)
        answer = _document(response)
        if response.status_code != httpx.codes.OK or not isinstance(answer.get("access_token"), str):
            # Without a token nothing was sent, whatever the reason.
            raise ProviderUnavailable(f"FCM: no access token, status {response.status_code}")
        return _Access(answer["access_token"], now + int(answer.get("expires_in", 3600)) - _EARLY_SECONDS)


def _message(push: Push, target: str, key: UUID) -> Mapping[str, Any]:
    collapse, high = push.collapse_key, push.urgent and not push.withdrawn
    expires = int(time.time()) + push.ttl_seconds
    return {
        "token": target,
        "notification": {"title": push.title, "body": push.body},
        "data": {
            "link": push.link,
            "tag": collapse,
            "delivery": str(key),
            "withdrawn": "true" if push.withdrawn else "false",
        },
        "android": {
            "collapse_key": collapse,
            "priority": "HIGH" if high else "NORMAL",
            "ttl": f"{push.ttl_seconds}s",
            "notification": {"tag": collapse, "notification_priority": "PRIORITY_HIGH" if high else "PRIORITY_LOW"},
        },
        "apns": {
            "headers": {
                "apns-collapse-id": collapse,  # at most 64 bytes; ours is a UUID
                "apns-priority": "10" if high else "5",
                "apns-expiration": str(expires),
            },
            "payload": {"aps": {} if push.withdrawn else {"sound": "default"}},
        },
    }


def _is_gone(response: httpx.Response) -> bool:
    if response.status_code == httpx.codes.NOT_FOUND:
        return True
    error = _document(response).get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        if detail.get("errorCode") in _GONE:
            return True
        # A token that is none: INVALID_ARGUMENT, with the field that is wrong.
        if any(violation.get("field") == "message.token" for violation in detail.get("fieldViolations", ())):
            return True
    return False


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def open_fcm(settings: Settings) -> FcmChannel | None:
    """The adapter of the settings; None where no service account is given. Raises `SystemExit` for one that is none."""
    if settings.fcm_credentials is None:
        return None
    try:
        account = ServiceAccount.model_validate_json(settings.fcm_credentials.get_secret_value())
        return FcmChannel(settings.fcm_endpoint, account, settings.worker.max_concurrent_activities)
    except (ValidationError, ValueError):
        raise SystemExit("Petfolio cannot start. PETFOLIO_FCM_CREDENTIALS is no service account as JSON.") from None
