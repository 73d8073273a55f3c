"""Firebase Cloud Messaging and a browsers' push service for the local stack and the tests.

FCM HTTP v1 with its token endpoint (the assertion and the bearer token are checked), and Web Push subscriptions whose
messages are decrypted with their own keys, as a browser would (RFC 8291), after their VAPID token was checked
(RFC 8292). What arrives is in the inbox; every call is in a ledger of its own with its time and idempotency key.
"""

import base64
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from infra.local.faults import Fault, Faults
from infra.local.inbox import Inbox, Message

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (at TEXT NOT NULL, service TEXT, target TEXT, key TEXT, status INTEGER NOT NULL);
"""
_PATHS = {"fcm": "/v1/projects/<project>/messages:send", "webpush": "/push/<subscription>"}


class PushApp:
    """The WSGI application on a port of its own. `account` is the service account as Google hands it out."""

    def __init__(self, origin: str, account: dict[str, str], inbox: Inbox, ledger: Path) -> None:
        self._origin, self._account, self._inbox = origin, account, inbox
        self._key = RSAKey.import_key(account["private_key"])
        self._tokens: set[str] = set()
        self._gone: set[str] = set()
        self._subscriptions: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}
        self._lock = threading.Lock()
        self._faults = Faults()
        self._calls = sqlite3.connect(ledger, check_same_thread=False, isolation_level=None)
        self._calls.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)
        self._routes = Map(
            [
                Rule("/token", endpoint=self.token, methods=["POST"]),
                Rule(_PATHS["fcm"], endpoint=self.fcm, methods=["POST"]),
                Rule(_PATHS["webpush"], endpoint=self.webpush, methods=["POST"]),
                Rule("/_control/subscriptions", endpoint=self.subscribe, methods=["POST"]),
                Rule("/_control/gone", endpoint=self.leave, methods=["POST"]),
                Rule("/_control/revoke", endpoint=self.revoke, methods=["POST"]),
                Rule("/_control/calls", endpoint=self.calls, methods=["GET"]),
                Rule("/_control/faults", endpoint=self.faults, methods=["GET", "POST", "DELETE"]),
            ]
        )
        self._application = self._faults.around(self._answer, _service, _refusal)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request; what a fault made of it is in the ledger as well."""
        return self._application(environ, start_response)

    def token(self, request: Request) -> Response:
        """RFC 7523: an access token for an assertion that the service account signed."""
        try:
            claims = jwt.decode(request.form["assertion"], self._key, algorithms=["RS256"]).claims
        except Exception:  # a stranger's words
            return _json({"error": "invalid_grant"}, 400)
        wanted = {"iss": self._account["client_email"], "aud": self._account["token_uri"]}
        if {name: claims.get(name) for name in wanted} != wanted or not 0 < claims.get("exp", 0) - time.time() <= 3600:
            return _json({"error": "invalid_grant"}, 400)
        token = secrets.token_urlsafe()
        self._tokens.add(token)
        return _json({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def fcm(self, request: Request, project: str) -> Response:
        """projects.messages.send."""
        message = json.loads(request.get_data())["message"]
        target, data = str(message["token"]), dict(message.get("data") or {})
        key = data.get("delivery")
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if bearer not in self._tokens or project != self._account["project_id"]:
            return self._said("fcm", target, key, _fcm_error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"))
        if target in self._gone:
            return self._said("fcm", target, key, _fcm_error(404, "NOT_FOUND", "UNREGISTERED"))
        if len(request.get_data()) > 8_192 or not all(isinstance(value, str) for value in data.values()):
            return self._said("fcm", target, key, _fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"))
        name = f"projects/{project}/messages/{secrets.token_hex(8)}"
        shown = message.get("notification") or {}
        self._keep(name.rpartition("/")[2], target, shown, data | {"android": json.dumps(message.get("android"))})
        return self._said("fcm", target, key, _json({"name": name}))

    def webpush(self, request: Request, subscription: str) -> Response:
        """A message to a browser: opened with the browser's key."""
        if subscription in self._gone or subscription not in self._subscriptions:
            return self._said("webpush", subscription, None, Response(status=410))
        if not self._is_ours(request.headers.get("Authorization", "")):
            return self._said("webpush", subscription, None, Response(status=403))
        if len(request.get_data()) > 4_096:
            return self._said("webpush", subscription, None, Response(status=413))
        private, auth = self._subscriptions[subscription]
        try:
            opened = http_ece.decrypt(request.get_data(), private_key=private, auth_secret=auth, version="aes128gcm")
            shown = json.loads(opened)
        except Exception:  # a stranger's words
            return self._said("webpush", subscription, None, Response(status=400))
        message_id, key = secrets.token_hex(8), shown.pop("delivery", None)
        headers = {name: request.headers[name] for name in ("TTL", "Topic", "Urgency") if name in request.headers}
        rest = {name: json.dumps(value) for name, value in shown.items() if name not in ("title", "body")}
        self._keep(message_id, subscription, shown, headers | rest | {"delivery": str(key)})
        answer = Response(status=201, headers={"Location": f"{self._origin}/message/{message_id}"})
        return self._said("webpush", subscription, key, answer)

    def subscribe(self, _: Request) -> Response:
        """A browser that subscribes; answers what `PushSubscription.toJSON()` would."""
        private, auth, name = (
            ec.generate_private_key(ec.SECP256R1()),
            secrets.token_bytes(16),
            secrets.token_urlsafe(16),
        )
        with self._lock:
            self._subscriptions[name] = (private, auth)
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _encode(point), "auth": _encode(auth)}
        return _json({"endpoint": f"{self._origin}/push/{name}", "expirationTime": None, "keys": keys})

    def leave(self, request: Request) -> Response:
        """`{"target": …}`: this registration token or subscription has ended."""
        self._gone.add(str(request.get_json(force=True)["target"]).rpartition("/")[2])
        return _json({})

    def revoke(self, _: Request) -> Response:
        """Every access token is refused from now on."""
        self._tokens.clear()
        return _json({})

    def calls(self, _: Request) -> Response:
        """The ledger, oldest first."""
        names = ("at", "service", "target", "key", "status")
        with self._lock:
            rows = self._calls.execute(f"SELECT {', '.join(names)} FROM calls ORDER BY rowid").fetchall()  # noqa: S608
        return _json([dict(zip(names, row, strict=True)) for row in rows])

    def faults(self, request: Request) -> Response:
        """What to get wrong next (`infra.local.faults.Fault`; services `fcm` and `webpush`)."""
        try:
            return _json(self._faults.control(request))
        except (TypeError, ValueError) as error:
            return _json({"error": str(error)}, 400)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        response: Response | HTTPException
        try:
            endpoint, values = self._routes.bind_to_environ(environ).match()
            response = endpoint(request, **values)
        except HTTPException as error:
            response = error
        except (ValueError, KeyError, TypeError):
            response = NotFound()
        return response(environ, start_response)

    def _is_ours(self, authorization: str) -> bool:
        """Whether somebody signed for this origin with the key they show. Any key will do: a browser knows which."""
        scheme, _, rest = authorization.partition(" ")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        try:
            point = _decode(parts["k"])
            x, y = _encode(point[1:33]), _encode(point[33:])
            key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            claims = jwt.decode(parts["t"], key, algorithms=["ES256"]).claims
        except Exception:  # a stranger's words
            return False
        lasts = claims.get("exp", 0) - time.time()
        return scheme == "vapid" and claims.get("aud") == self._origin and 0 < lasts <= 24 * 3600

    def _keep(self, message_id: str, target: str, shown: dict[str, Any], rest: dict[str, str]) -> None:
        self._inbox.keep(Message(message_id, "push", target.lower(), shown.get("title"), shown.get("body"), None, rest))

    def _said(self, service: str, target: str, key: str | None, answer: Response) -> Response:
        with self._lock:
            at = datetime.now(UTC).isoformat()
            self._calls.execute(
                "INSERT INTO calls VALUES (?, ?, ?, ?, ?)", (at, service, target, key, answer.status_code)
            )
        return answer


def _service(environ: dict[str, Any]) -> str:
    path = str(environ.get("PATH_INFO", ""))
    if path.startswith("/_control"):
        return "control"
    return "webpush" if path.startswith("/push/") else "fcm" if path.startswith("/v1/") else "token"


def _refusal(fault: Fault, service: str) -> Response | None:
    if fault.status is None:
        return None
    retry = {"Retry-After": "7"} if fault.status in (429, 503) else {}
    if service == "webpush":
        return Response(status=fault.status, headers=retry)
    answer = _fcm_error(fault.status, "ON_DEMAND", "UNAVAILABLE")
    answer.headers.update(retry)
    return answer


def _fcm_error(status: int, name: str, code: str) -> Response:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
    return _json({"error": {"code": status, "status": name, "message": name, "details": details}}, status)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
