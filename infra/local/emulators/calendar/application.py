"""The WSGI application: every request is noted, meets what tests have asked to go wrong, and is served as one
transaction."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, cast

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map
from werkzeug.wrappers import Request, Response

from infra.local.emulators.calendar.call import Call, World
from infra.local.emulators.calendar.clock import Clock
from infra.local.emulators.calendar.control import Control
from infra.local.emulators.calendar.emitter import Emitter
from infra.local.emulators.calendar.errors import Refused, answer, google, graph
from infra.local.emulators.calendar.google import Google
from infra.local.emulators.calendar.graph import Graph
from infra.local.emulators.calendar.knobs import Fault, Knobs, Throttle
from infra.local.emulators.calendar.log import Log
from infra.local.emulators.calendar.oauth import OAuth, Registration
from infra.local.emulators.calendar.page import Page
from infra.local.emulators.calendar.person import Person
from infra.local.emulators.calendar.store import Changed, Store
from infra.local.emulators.calendar.tokens import TokenPaths
from infra.local.emulators.sign_in import BadRequest

_OURS: Final = re.compile(r"/(?:_control/.*|events|healthz)?")
"""The paths that are no vendor's: for tests and for people."""
_CONCURRENT: Final = 4
"""Requests at once for one mailbox of Graph."""


class Reset(Exception):
    """The connection is to be reset without an answer."""


class Hang(Exception):
    """No answer is to be given for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class CalendarApp:
    """See the module."""

    def __init__(self, origin: str, apps: Registration, path: str) -> None:
        store, clock = Store(path), Clock()
        oauth, emitter = OAuth(store, clock, apps), Emitter()
        self.world = world = World(origin, apps, store, clock, Knobs(), oauth, emitter)
        self._google, self._graph, self._log = Google(world), Graph(world), Log()
        self._person = Person(world, self._google.events, self._graph.events)
        self._control = Control(world, self._person, self._log, self._google.channels, self._graph.subscriptions)
        page, tokens = Page(world, self._person), TokenPaths(world)
        self._routes = Map(
            [
                *(rule for part in (self._google, self._graph) for rule in part.rules()),
                *(rule for part in (self._control, page, tokens) for rule in part.rules()),
            ],
            merge_slashes=False,
        )
        self._slow = {*self._graph.outside}
        self._busy: Counter[str] = Counter()
        self._busy_lock = threading.Lock()
        store.on_commit = self._notify

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request. Raises `Reset` and `Hang` for the server."""
        request, began = Request(environ), time.monotonic()
        if _OURS.fullmatch(request.path):
            return self._served(request)(environ, start_response)
        call = Call(request, self._bearer(request))
        account = call.bearer.account if call.bearer else None
        status: int | str = "no answer"
        handled = self._is_known(environ)
        try:
            response = self._exchange(call)
            status = response.status_code
        finally:
            self._log.note(request, account, status, began, handled=handled)
        return response(environ, start_response)

    def close(self) -> None:
        """Nothing may follow."""
        self.world.emitter.close()
        self.world.store.close()

    def _notify(self, changes: Iterable[Changed]) -> None:
        found = list(changes)
        with self.world.store.transaction():
            self._google.channels.notify([each for each in found if each.calendar.provider == "google"])
            self._graph.subscriptions.notify([each for each in found if each.calendar.provider == "microsoft"])

    def _exchange(self, call: Call) -> Response:
        with self._turn(call) as free:
            return self._met(call) if free else _too_many()

    def _met(self, call: Call) -> Response:
        """The answer, or what was asked to become of it."""
        request, knobs, provider = call.request, self.world.knobs, _provider(call.request)
        account = call.bearer.account if call.bearer else None
        fault = knobs.fault(request.method, request.path, account)
        if fault and fault.effect == "slow":
            time.sleep(fault.seconds)
        elif fault and fault.when == "before":
            return _effect(fault)
        if throttle := knobs.throttle(provider, account, request.path):
            return _throttled(throttle, provider)
        if race := knobs.race(request.method, request.path):
            self._person.does(race.remote)
        response = self._served(request, call)
        return _effect(fault) if fault and fault.effect != "slow" else response

    def _served(self, request: Request, call: Call | None = None) -> Response:
        """The answer of the endpoint; a refusal has changed nothing."""
        try:
            endpoint, values = self._routes.bind_to_environ(request.environ).match()
            guard = nullcontext() if endpoint in self._slow else self.world.store.transaction()
            with guard:
                return cast(Response, endpoint(call or request, **values))
        except Refused as refusal:
            return refusal.response()
        except BadRequest as error:
            return answer({"error": error.error, "error_description": error.error}, error.status)
        except HTTPException as error:
            return answer({"error": {"code": error.code, "message": error.name}}, error.code or 500)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _malformed(request, error)

    def _bearer(self, request: Request) -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        with self.world.store.transaction():
            return self.world.oauth.bearer(token)

    def _is_known(self, environ: dict[str, Any]) -> bool:
        try:
            self._routes.bind_to_environ(environ).match()
        except HTTPException:
            return False
        return True

    @contextmanager
    def _turn(self, call: Call) -> Iterator[bool]:
        """Whether there is room for one more request in this mailbox."""
        mailbox = call.bearer.account if call.bearer and call.bearer.provider == "microsoft" else None
        if mailbox is None:
            yield True
            return
        with self._busy_lock:
            self._busy[mailbox] += 1
            free = self._busy[mailbox] <= _CONCURRENT
        try:
            yield free
        finally:
            with self._busy_lock:
                self._busy[mailbox] -= 1


def _provider(request: Request) -> str:
    return "google" if re.match(r"/(?:calendar/v3/|token|revoke|o/)", request.path) else "microsoft"


def _effect(fault: Fault) -> Response:
    if fault.effect == "reset":
        raise Reset
    if fault.effect == "hang":
        raise Hang(fault.seconds)
    body = fault.body or {"error": {"code": fault.status, "message": "fault on demand"}}
    return answer(body, fault.status, fault.headers)


def _throttled(throttle: Throttle, provider: str) -> Response:
    later = {} if throttle.retry_after is None else {"Retry-After": str(throttle.retry_after)}
    if provider == "google":
        return google(throttle.status, throttle.reason, "Rate Limit Exceeded", "usageLimits", headers=later).response()
    code = "ServiceUnavailable" if throttle.status == 503 else "ApplicationThrottled"
    return graph(throttle.status, code, "Application is over its limit.", headers=later).response()


def _too_many() -> Response:
    text = "Application is over its MailboxConcurrency limit."
    return graph(429, "ApplicationThrottled", text, headers={"Retry-After": "1"}).response()


def _malformed(request: Request, error: Exception) -> Response:
    if _provider(request) == "google":
        return google(400, "badRequest", f"Bad Request: {error}").response()
    return graph(400, "ErrorInvalidRequest", f"Bad Request: {error}").response()
