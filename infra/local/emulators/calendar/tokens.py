"""The OAuth paths of both vendors, with a consent page one can click."""

from collections.abc import Callable, Iterable
from typing import Final

from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from infra.local.emulators.calendar.call import Call, World
from infra.local.emulators.calendar.errors import answer
from infra.local.emulators.calendar.store import Provider
from infra.local.emulators.sign_in import PAGES, BadRequest, Consent, redirected

_TITLES: Final[dict[Provider, str]] = {"google": "Google Calendar", "microsoft": "Outlook"}


class TokenPaths:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world

    def rules(self) -> Iterable[Rule]:
        """Google's paths and Microsoft's, which name a tenant."""
        yield from self._pair("google", "/o/oauth2/v2/auth", "/token")
        yield from self._pair("microsoft", "/<tenant>/oauth2/v2.0/authorize", "/<tenant>/oauth2/v2.0/token")
        yield Rule("/revoke", endpoint=self.revoke, methods=["POST"])

    def consent_page(self, provider: Provider, call: Call) -> Response:
        """The page one can click."""
        asked = call.request.args.to_dict()
        self._world.oauth.check(provider, asked)
        scopes = asked["scope"].split()
        page = PAGES.get_template("calendar_consent.html").render(title=_TITLES[provider], scopes=scopes)
        return Response(page, mimetype="text/html")

    def decide(self, provider: Provider, call: Call) -> Response:
        """What somebody clicked there: who they are, and which scopes they left ticked."""
        asked, person = call.request.args.to_dict(), call.request.form.to_dict()
        self._world.oauth.check(provider, asked)
        if person.get("decision") != "allow":
            return redirected(asked, {"error": "access_denied", "state": asked["state"]})
        account = person["email"].strip().lower()
        self._world.primary(provider, account)
        code = self._world.oauth.consented(provider, Consent(account, person, asked))
        return redirected(asked, {"code": code, "state": asked["state"]})

    def token(self, provider: Provider, call: Call) -> Response:
        """The token endpoint."""
        return answer(self._world.oauth.token(provider, call.request.form.to_dict()))

    def revoke(self, call: Call) -> Response:
        """Google's revocation, by an access or a refresh token."""
        given = call.request.values.get("token")
        if not given:
            raise BadRequest("invalid_request")
        self._world.oauth.revoke(given)
        return answer({})

    def _pair(self, provider: Provider, authorize: str, token: str) -> Iterable[Rule]:
        def of(endpoint: Callable[[Provider, Call], Response]) -> Callable[..., Response]:
            return lambda call, tenant=None: endpoint(provider, call)

        yield Rule(authorize, endpoint=of(self.consent_page), methods=["GET"])
        yield Rule(authorize, endpoint=of(self.decide), methods=["POST"])
        yield Rule(token, endpoint=of(self.token), methods=["POST"])
