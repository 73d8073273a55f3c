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

Serve = Callable[[Call | Request], Response]
_OURS: Final = re.compile(r"/(?:_control/.*|events|healthz)?")
"""The paths that are no vendor's: for tests and for people."""
_CONCURRENT: Final = 4
"""Requests at once for one mailbox of Graph."""


class Reset(Exception):
    """The connection is to be reset without an answer."""


class Hang(Exception):
    """No answer is to be given for so many seconds, and none after them."""

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
        self._outside = frozenset(self._graph.outside)
        self._busy: Counter[str] = Counter()
        self._busy_lock = threading.Lock()
        store.on_commit = self._notify

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request. Raises `Reset` and `Hang` for the server."""
        request, began = Request(environ), time.monotonic()
        serve, handled = self._endpoint(environ)
        if _OURS.fullmatch(request.path):
            return self._served(request, serve)(environ, start_response)
        call, status = self._call(request), 0
        try:
            response = self._exchange(call, serve)
            status = response.status_code
        finally:
            self._log.note(request, call.asker, status or "no answer", began, handled=handled)
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

    def _exchange(self, call: Call, serve: Serve) -> Response:
        with self._turn(call) as free:
            return self._met(call, serve) if free else _too_many()

    def _met(self, call: Call, serve: Serve) -> Response:
        """The answer, or what was asked to become of it."""
        request, knobs, provider = call.request, self.world.knobs, _provider(call.request)
        fault = knobs.fault(request.method, request.path, call.asker)
        if fault and fault.effect == "slow":
            time.sleep(fault.seconds)
        elif fault and fault.when == "before":
            return _effect(fault)
        if throttle := knobs.throttle(provider, call.asker, request.path):
            return _throttled(throttle, provider)
        response = self._served(call, serve)
        return _effect(fault) if fault and fault.effect != "slow" else response

    def _served(self, asked: Call | Request, serve: Serve) -> Response:
        """The answer of the endpoint; a refusal has changed nothing."""
        request = asked.request if isinstance(asked, Call) else asked
        try:
            if isinstance(asked, Call) and (race := self.world.knobs.race(request.method, request.path)):
                self._person.does(race.remote)
            return serve(asked)
        except Refused as refusal:
            return refusal.response()
        except BadRequest as error:
            return answer({"error": error.error, "error_description": error.error}, error.status)
        except (ValueError, KeyError, TypeError, AttributeError, HTTPException) as error:
            return _malformed(request, error)

    def _endpoint(self, environ: dict[str, Any]) -> tuple[Serve, bool]:
        """What serves a request, and whether that is more than saying that there is nothing."""
        try:
            endpoint, values = self._routes.bind_to_environ(environ).match()
        except HTTPException as error:
            nothing = answer({"error": {"code": error.code, "message": error.name}}, error.code or 404)
            return lambda _: nothing, False

        def serve(asked: Call | Request) -> Response:
            with nullcontext() if endpoint in self._outside else self.world.store.transaction():
                return cast(Response, endpoint(asked, **values))

        return serve, True

    def _call(self, request: Request) -> Call:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        token = given if scheme.lower() == "bearer" else ""
        oauth = self.world.oauth
        with self.world.store.transaction():
            return Call(request, oauth.bearer(token), oauth.asker(token, request.form.to_dict()))

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
    if fault.effect in ("hang", "close"):
        raise Hang(fault.seconds if fault.effect == "hang" else 0)
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
