"""Faults of the mail provider on demand: slow, refusing, or acknowledging nothing after it has acted."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Literal

from werkzeug.wrappers import Request, Response

WsgiApp = Callable[[Any, Any], Iterable[bytes]]


@dataclass(slots=True)
class Fault:
    """What to get wrong for the next `count` calls of `service` (`ses`, `sns`, `fcm`, `webpush`; None: any).

    `before`: nothing is sent. `after`: it is sent, and the caller learns nothing of it. `delay` is in seconds;
    without a `status` the call is only slow.
    """

    status: int | None = None
    delay: float = 0.0
    count: int = 1
    when: Literal["before", "after"] = "before"
    service: str | None = None

    def __post_init__(self) -> None:
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError("status must be an error, 400-599")
        if self.when not in ("before", "after"):
            raise ValueError("when must be 'before' or 'after'")
        if not 0 <= self.delay <= 300 or self.count < 1:
            raise ValueError("delay must lie between 0 and 300 seconds, count must be at least 1")


class Faults:
    """The faults that still have to happen, in the order they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Fault] = []
        self.honours_keys = False
        """Whether the provider takes a second message of one delivery for the first, as SES does not."""

    def control(self, request: Request) -> object:
        """`/_control/faults`: GET lists, POST adds one, DELETE forgets all. Raises for what is no fault.

        POST `{"honour_keys": true}` makes the provider one that honours idempotency keys, until told otherwise.
        """
        with self._lock:
            if request.method == "POST":
                asked = request.get_json(force=True)
                if asked.keys() == {"honour_keys"}:
                    self.honours_keys = bool(asked["honour_keys"])
                else:
                    self._pending.append(Fault(**asked))
            elif request.method == "DELETE":
                self._pending.clear()
            return [asdict(fault) for fault in self._pending]

    def around(
        self,
        application: WsgiApp,
        service_of: Callable[[Any], str] | None = None,
        refusal_of: Callable[[Fault, str], Response | None] | None = None,
    ) -> WsgiApp:
        """The application with the faults in front of it, or behind it. `service_of` names the service of a request,
        `refusal_of` makes its refusals: those of AWS unless others are given. `control` is spared."""
        name, refuse = service_of or _service, refusal_of or _refusal

        def call(environ: Any, start_response: Any) -> Iterable[bytes]:
            service = name(environ)
            fault = self._take(service) if service != "control" else None
            if fault is None:
                return application(environ, start_response)
            if fault.when == "after":
                answer = Response.from_app(application, environ, buffered=True)  # it acts here
                time.sleep(fault.delay)
                return (refuse(fault, service) or answer)(environ, start_response)
            time.sleep(fault.delay)
            refusal = refuse(fault, service)
            return refusal(environ, start_response) if refusal else application(environ, start_response)

        return call

    def _take(self, service: str) -> Fault | None:
        with self._lock:
            for fault in self._pending:
                if fault.service in (None, service):
                    fault.count -= 1
                    if fault.count == 0:
                        self._pending.remove(fault)
                    return fault
        return None


def _refusal(fault: Fault, service: str) -> Response | None:
    if fault.status is None:
        return None
    if service == "sns":  # speaks the query protocol, whose errors are XML
        code = "Throttled" if fault.status == HTTPStatus.TOO_MANY_REQUESTS else "InternalError"
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>fault on demand</Message></Error></ErrorResponse>"
        return Response(body, fault.status, mimetype="text/xml")
    code = "TooManyRequestsException" if fault.status == HTTPStatus.TOO_MANY_REQUESTS else "InternalFailure"
    headers = {"x-amzn-ErrorType": code}
    return Response(f'{{"message": "fault on demand: {code}"}}', fault.status, headers, mimetype="application/json")


def _service(environ: Any) -> str:
    """The service that the caller signed for: `Credential=<key>/<date>/<region>/<service>/aws4_request`."""
    scope = str(environ.get("HTTP_AUTHORIZATION", "")).partition("Credential=")[2].partition(",")[0].split("/")
    return scope[3] if len(scope) > 3 else ""
