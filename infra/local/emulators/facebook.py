"""Facebook Login for the local stack and the tests: dialog, Graph with `appsecret_proof` and `debug_token`, and the
wish to be forgotten."""

import hashlib
import hmac
import json
import secrets
import time
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from infra.local.emulators.sign_in import App, BadRequest, Consent, SignInApp, answer, encode, redirected, require_s256

VERSION = "/v24.0"


class FacebookApp(SignInApp):
    """See the module. `deletions` is where the application wants to hear of people who want to be forgotten."""

    title = "Facebook"
    boxes: ClassVar[Mapping[str, str]] = {"hidden": "keep my address to myself"}
    services: ClassVar[Mapping[str, str]] = {
        f"{VERSION}/dialog/oauth": "authorize",
        f"{VERSION}/oauth/access_token": "token",
        f"{VERSION}/debug_token": "debug_token",
        f"{VERSION}/me": "me",
        rf"{VERSION}/[^/]+/permissions": "permissions",
    }
    authorize_path = f"{VERSION}/dialog/oauth"

    def __init__(self, origin: str, app: App, folder: Path, *, deletions: str) -> None:
        self._deletions = deletions
        self._tokens: dict[str, Consent] = {}
        super().__init__(origin, app, folder, "facebook")

    def rules(self) -> Iterable[Rule]:
        """As the base says."""
        return (
            Rule(f"{VERSION}/oauth/access_token", endpoint=self.token, methods=["POST"]),
            Rule(f"{VERSION}/debug_token", endpoint=self.debug_token, methods=["GET"]),
            Rule(f"{VERSION}/me", endpoint=self.me, methods=["GET"]),
            Rule(f"{VERSION}/<subject>/permissions", endpoint=self.withdraw, methods=["DELETE"]),
            Rule("/_control/deletions", endpoint=self.forget, methods=["POST"]),
        )

    def check(self, asked: Mapping[str, str]) -> None:
        """As the base says."""
        require_s256(asked)

    def send_back(self, asked: Mapping[str, str], said: Mapping[str, str]) -> Response:
        """As the base says."""
        return redirected(asked, said)

    def token(self, request: Request) -> Response:
        """A user access token for a code."""
        form = request.form
        if not self.knows_secret(form["client_id"], form["client_secret"]):
            return _error("Error validating client secret.", 1)
        try:
            consent = self.redeem(form["code"], form["redirect_uri"], form.get("code_verifier"))
        except BadRequest:
            return _error("This authorization code has been used.", 100, 36009)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = consent
        return answer({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944})

    def debug_token(self, request: Request) -> Response:
        """For which app, and whose, a token is."""
        if _bearer(request) != f"{self.app.client_id}|{self.app.client_secret}":
            return _error("Invalid OAuth access token.", 190)
        consent = self._tokens.get(request.args["input_token"])
        wrong = self.twisted("app_id", "invalid", "no_user")
        about: dict[str, object] = {
            "app_id": "another-app" if wrong == "app_id" else self.app.client_id,
            "type": "USER",
            "is_valid": consent is not None and wrong != "invalid",
        }
        if consent is not None and wrong != "no_user":
            about["user_id"] = consent.subject
        return answer({"data": about})

    def me(self, request: Request) -> Response:
        """Who the token speaks for, if the application proves that it holds its secret."""
        token = _bearer(request)
        consent = self._tokens.get(token)
        proof = hmac.new(self.app.client_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if consent is None:
            return _error("Invalid OAuth access token.", 190)
        if not hmac.compare_digest(request.args.get("appsecret_proof", ""), proof):
            return _error("Invalid appsecret_proof provided in the API argument", 100)
        shown = {"id": "4711" if self.twisted("user_id") else consent.subject}
        if consent.email and not consent.says("hidden"):
            shown["email"] = consent.email
        return answer(shown)

    def withdraw(self, request: Request, subject: str) -> Response:
        """The application lets go of somebody."""
        if _bearer(request) != f"{self.app.client_id}|{self.app.client_secret}":
            return _error("Invalid OAuth access token.", 190)
        gone = [token for token, consent in self._tokens.items() if consent.subject == subject]
        for token in gone:
            del self._tokens[token]
        return answer({"success": True}) if gone else _error("Object does not exist.", 100, 33)

    def forget(self, request: Request) -> Response:
        """`{"email": …}`: this person wants the application to forget them. Answers the signed request, and what the
        application said unless `"send": false`."""
        asked = request.get_json(force=True)
        document = {
            "algorithm": "HMAC-SHA256",
            "user_id": self.subject_of(asked["email"]),
            "issued_at": int(time.time()),
            "nonce": secrets.token_hex(8),
        }
        payload = encode(json.dumps(document).encode())
        signature = hmac.new(self.app.client_secret.encode(), payload.encode(), hashlib.sha256).digest()
        signed = f"{encode(signature)}.{payload}"
        said = _posted(self._deletions, signed) if asked.get("send", True) else None
        return answer({"signed_request": signed, "answer": said})


def _bearer(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _error(message: str, code: int, subcode: int | None = None) -> Response:
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    return answer({"error": error | ({"error_subcode": subcode} if subcode else {})}, 400)


def _posted(url: str, signed: str) -> object:
    """On loopback, without a proxy; None when nobody is there or it was refused."""
    request = urllib.request.Request(url, urlencode({"signed_request": signed}).encode())  # noqa: S310 - ours
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=15) as said:
            return json.load(said)
    except (OSError, ValueError):
        return None
