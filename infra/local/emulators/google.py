"""Google's sign-in for the local stack and the tests: consent page, token endpoint, published keys."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from infra.local.emulators.oidc import OidcApp
from infra.local.emulators.sign_in import BadRequest, Consent, answer, redirected, require_s256


class GoogleApp(OidcApp):
    """See the module."""

    title = "Google"
    boxes: ClassVar[Mapping[str, str]] = {"verified": "the address is verified", "hd": "it belongs to a Workspace"}
    services: ClassVar[Mapping[str, str]] = {"/authorize": "authorize", "/token": "token", "/jwks": "jwks"}
    authorize_path = "/authorize"

    def rules(self) -> Iterable[Rule]:
        """As the base says."""
        return (
            Rule("/token", endpoint=self.token, methods=["POST"]),
            Rule("/jwks", endpoint=self.jwks, methods=["GET"]),
            *self.control_rules(),
        )

    def check(self, asked: Mapping[str, str]) -> None:
        """As the base says."""
        require_s256(asked)
        if "openid" not in asked.get("scope", "").split() or not asked.get("nonce"):
            raise BadRequest("invalid_scope")

    def send_back(self, asked: Mapping[str, str], said: Mapping[str, str]) -> Response:
        """As the base says."""
        return redirected(asked, said)

    def extras(self, consent: Consent) -> dict[str, str]:
        """RFC 9207."""
        return {"iss": self.origin}

    def token(self, request: Request) -> Response:
        """RFC 6749 §4.1.3."""
        form = request.form
        if not self.knows_secret(form["client_id"], form["client_secret"]):
            raise BadRequest("invalid_client", 401)
        consent = self.redeem(form["code"], form["redirect_uri"], form.get("code_verifier"))
        claims: dict[str, object] = {
            "sub": consent.subject,
            "azp": self.app.client_id,
            "nonce": consent.asked["nonce"],
            "email": consent.email,
            "email_verified": consent.says("verified"),
            "given_name": consent.person.get("first_name"),
            "family_name": consent.person.get("last_name"),
        }
        if consent.says("hd") and consent.email:
            claims["hd"] = consent.email.rpartition("@")[2]
        said = {"access_token": "nothing-to-get-with-it", "expires_in": 3599, "token_type": "Bearer"}
        return answer({**said, "id_token": self.signed(claims)})
