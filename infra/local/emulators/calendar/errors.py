"""How the two vendors say no."""

import json
from collections.abc import Mapping

from werkzeug.wrappers import Response


class Refused(Exception):
    """An answer instead of what was asked for. What the request had changed is rolled back."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return answer(self.body, self.status, self.headers)


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON, with its length."""
    return Response(json.dumps(body), status, dict(headers or {}), mimetype="application/json")


Headers = Mapping[str, str]


def google(status: int, reason: str, message: str, domain: str = "global", headers: Headers | None = None) -> Refused:
    """An error of Google's APIs."""
    one = {"domain": domain, "reason": reason, "message": message}
    body = {"error": {"errors": [one], "code": status, "message": message}}
    return Refused(status, body, headers)


def graph(
    status: int, code: str, message: str, more: Mapping[str, object] | None = None, headers: Headers | None = None
) -> Refused:
    """An error of Graph."""
    body = {"error": {"code": code, "message": message, **(more or {})}}
    return Refused(status, body, headers)
