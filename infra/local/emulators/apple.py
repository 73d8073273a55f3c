"""Sign in with Apple for the local stack and the tests: form post, client secrets that are checked, revocation, and
server notifications."""

import json
import secrets
import time
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from infra.local.emulators.oidc import OidcApp
from infra.local.emulators.sign_in import PAGES, App, BadRequest, Consent, answer

LONGEST_SECRET: Final = 15_777_000


class AppleApp(OidcApp):
    """See the module. `App.client_secret` is the public key of the application, as PEM; `notices` is where what
    happens to people is told."""

    title = "Apple"
    boxes: ClassVar[Mapping[str, str]] = {"verified": "the address is verified", "private": "hide my address"}
    services: ClassVar[Mapping[str, str]] = {
        "/auth/authorize": "authorize",
        "/auth/token": "token",
        "/auth/revoke": "revoke",
        "/auth/keys": "jwks",
    }
    authorize_path = "/auth/authorize"

    def __init__(self, origin: str, app: App, folder: Path, *, team_id: str, key_id: str, notices: str) -> None:
        self._team_id, self._key_id, self._notices = team_id, key_id, notices
        self._public = ECKey.import_key(app.client_secret)
        self._refresh_tokens: dict[str, str] = {}
        super().__init__(origin, app, folder, "apple")

    def rules(self) -> Iterable[Rule]:
        """As the base says."""
        return (
            Rule("/auth/token", endpoint=self.token, methods=["POST"]),
            Rule("/auth/revoke", endpoint=self.revoke, methods=["POST"]),
            Rule("/auth/keys", endpoint=self.jwks, methods=["GET"]),
            Rule("/_control/notices", endpoint=self.tell, methods=["POST"]),
            *self.control_rules(),
        )

    def check(self, asked: Mapping[str, str]) -> None:
        """As the base says: who asks for name or address gets a form."""
        if asked.get("response_mode") != "form_post" or not asked.get("nonce") or "code_challenge" in asked:
            raise BadRequest("invalid_request")

    def denial(self) -> dict[str, str]:
        """As the base says."""
        return {"error": "user_cancelled_authorize"}

    def send_back(self, asked: Mapping[str, str], said: Mapping[str, str]) -> Response:
        """A page that posts itself."""
        page = PAGES.get_template("form_post.html").render(action=asked["redirect_uri"], said=said)
        return Response(page, mimetype="text/html")

    def extras(self, consent: Consent) -> dict[str, str]:
        """The name, on first consent only, and unsigned."""
        if not self.is_first_consent(consent.subject):
            return {}
        name = {"firstName": consent.person.get("first_name"), "lastName": consent.person.get("last_name")}
        return {"user": json.dumps({"name": name, "email": self._shown(consent)})}

    def token(self, request: Request) -> Response:
        """https://developer.apple.com/documentation/sign_in_with_apple/generate_and_validate_tokens."""
        form = request.form
        self._require_ours(form)
        consent = self.redeem(form["code"], form["redirect_uri"], None)
        claims = {
            "sub": consent.subject,
            "nonce": consent.asked["nonce"],
            "nonce_supported": True,
            "email": self._shown(consent),
            "email_verified": "true" if consent.says("verified") else "false",  # words, as Apple does
            "is_private_email": "true" if consent.says("private") else "false",
        }
        refresh_token = secrets.token_urlsafe(24)
        self._refresh_tokens[refresh_token] = consent.subject
        said = {"access_token": "nothing-to-get-with-it", "expires_in": 3600, "token_type": "Bearer"}
        return answer({**said, "refresh_token": refresh_token, "id_token": self.signed(claims)})

    def revoke(self, request: Request) -> Response:
        """https://developer.apple.com/documentation/sign_in_with_apple/revoke_tokens. 200 for unknown ones, too."""
        self._require_ours(request.form)
        subject = self._refresh_tokens.pop(request.form["token"], None)
        if subject is not None:
            self.forget_consent(subject)
        return Response(status=200)

    def tell(self, request: Request) -> Response:
        """`{"email": …, "kind": "consent-revoked"}`: signed, and posted unless `"send": false`; answers the payload and
        the status that it got."""
        asked = request.get_json(force=True)
        event = {"type": asked["kind"], "sub": self.subject_of(asked["email"]), "event_time": int(time.time() * 1000)}
        payload = self.signed({"jti": secrets.token_hex(16), "events": json.dumps(event), "exp": None})
        status = _posted(self._notices, json.dumps({"payload": payload})) if asked.get("send", True) else None
        return answer({"payload": payload, "status": status})

    def _shown(self, consent: Consent) -> str | None:
        return f"{consent.subject}@privaterelay.appleid.com" if consent.says("private") else consent.email

    def _require_ours(self, form: Mapping[str, str]) -> None:
        """The client secret is a token that the application signed with the key registered here."""
        now = time.time()
        try:
            token = jwt.decode(form["client_secret"], self._public, algorithms=["ES256"])
        except Exception:  # a stranger's words
            raise BadRequest("invalid_client") from None
        claims = token.claims
        wanted = {"iss": self._team_id, "sub": self.app.client_id, "aud": self.origin}
        lasts = claims.get("exp", 0) - now
        right = {name: claims.get(name) for name in wanted} == wanted and token.header.get("kid") == self._key_id
        if not right or not 0 < lasts <= LONGEST_SECRET or form["client_id"] != self.app.client_id:
            raise BadRequest("invalid_client")


def _posted(url: str, body: str) -> int | None:
    """On loopback, without a proxy; None when nobody is there."""
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})  # noqa: S310 - ours
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=15) as said:
            return int(said.status)
    except urllib.request.HTTPError as refused:
        return int(refused.code)
    except OSError:
        return None
