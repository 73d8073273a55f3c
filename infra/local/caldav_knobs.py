"""What can go wrong with a CalDAV server, on demand: a WSGI layer around a real one (calendar-sync.md §7.3).

`/_control/<knob>` takes and answers JSON: `faults`, `throttle`, `race`, `grant`, `switches`, `expire`, `log`, `reset`.
"""

import json
import shutil
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

from lxml import etree
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

WsgiApp = Callable[[Any, Any], Iterable[bytes]]
CONNECTION: Final = "petfolio.connection"
"""Under which the server puts a request's socket into the environment."""
_DAV: Final = "{DAV:}"
_CTAG: Final = "{http://calendarserver.org/ns/}getctag"
_WRITES: Final = frozenset({"PUT", "DELETE"})
_LOGGED: Final = ("Depth", "If-Match", "If-None-Match", "Content-Length", "User-Agent")
_LOG_LENGTH: Final = 20_000
_WITHOUT_GOODBYE: Final = struct.pack("ii", 1, 0)
_NO_REPORT: Final = b'<?xml version="1.0"?><error xmlns="DAV:"><supported-report/></error>'


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the next `times` requests of `method` (None: any) whose path contains `path`.

    `when`: before anything happened, or after it did. `effect`: an answer of `status`, a reset of the connection, or
    `seconds` of silence and then a reset.
    """

    effect: Literal["status", "reset", "hang"] = "status"
    when: Literal["before", "after"] = "before"
    status: int = 500
    seconds: float = 30.0
    method: str | None = None
    path: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Throttle:
    """The next `times` requests are too many."""

    times: int
    status: int = 429
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Race:
    """Right before the next write to `path` somebody else's happens: `body` is put there, or without one it goes."""

    path: str
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Switches:
    """What the server can do at all."""

    sync_collection: bool = True
    ctag: bool = True
    etag_on_put: bool = True
    weak_etags: bool = False


@dataclass(slots=True)
class _State:
    faults: list[Fault] = field(default_factory=list)
    throttle: Throttle | None = None
    race: Race | None = None
    revoked: set[str] = field(default_factory=set)
    switches: Switches = field(default_factory=Switches)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))


class Knobs:
    """The server with the knobs in front of it. `folder` is where Radicale keeps its collections."""

    def __init__(self, application: WsgiApp, folder: Path) -> None:
        self._application, self._folder = application, folder
        self._lock = threading.Lock()
        self._state = _State()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """One request."""
        request = Request(environ)
        request.get_data()  # all of it, whoever answers: the next request follows on the same connection
        respond = self._control if request.path.startswith("/_control/") else self._serve
        return respond(request)(environ, start_response)

    def _control(self, request: Request) -> Response:
        knob = getattr(self, f"_set_{request.path.removeprefix('/_control/')}", None)
        if knob is None:
            return Response(status=404)
        try:
            asked = request.get_json(force=True) if request.method == "POST" and request.content_length else {}
            with self._lock:
                answer = knob(asked)
        except (TypeError, ValueError, LookupError, HTTPException):
            return Response(status=400)
        return _json(answer)

    def _set_faults(self, asked: Mapping[str, Any]) -> object:
        if asked:
            self._state.faults.append(Fault(**asked))
        return [asdict(each) for each in self._state.faults]

    def _set_throttle(self, asked: Mapping[str, Any]) -> object:
        self._state.throttle = Throttle(**asked)
        return asdict(self._state.throttle)

    def _set_race(self, asked: Mapping[str, Any]) -> object:
        self._state.race = Race(**asked)
        return asdict(self._state.race)

    def _set_grant(self, asked: Mapping[str, Any]) -> object:
        (self._state.revoked.discard if asked["allowed"] else self._state.revoked.add)(asked["user"])
        return sorted(self._state.revoked)

    def _set_switches(self, asked: Mapping[str, Any]) -> object:
        self._state.switches = replace(self._state.switches, **asked)
        return asdict(self._state.switches)

    def _set_expire(self, asked: Mapping[str, Any]) -> object:
        """Every sync token given so far is forgotten."""
        for kept in self._folder.glob("collection-root/*/*/.Radicale.cache/sync-token"):
            shutil.rmtree(kept, ignore_errors=True)
        return {}

    def _set_log(self, asked: Mapping[str, Any]) -> object:
        return list(self._state.log)

    def _set_reset(self, asked: Mapping[str, Any]) -> object:
        self._state = _State()
        return {}

    def _serve(self, request: Request) -> Response:
        request.environ["wsgi.input"] = BytesIO(body := request.get_data())
        with self._lock:
            self._state.log.append(_entry(request))
            refusal = self._refusal(request, body)
            fault = None if refusal else self._due(request)
            race = None if refusal else self._due_race(request)
            switches = self._state.switches
        if refusal is not None:
            return refusal
        if fault and fault.when == "before":
            return _break(fault, request)
        if race:
            self._run_race(race, request)
        answer = Response.from_app(self._application, request.environ, buffered=True)
        return _break(fault, request) if fault else _as_switched(answer, request.method, switches)

    def _refusal(self, request: Request, body: bytes) -> Response | None:
        state, user = self._state, request.authorization and request.authorization.username
        if user in state.revoked:
            return Response(status=401, headers={"WWW-Authenticate": 'Basic realm="Radicale"'})
        if state.throttle and state.throttle.times > 0:
            state.throttle = replace(told := state.throttle, times=state.throttle.times - 1)
            headers = {} if told.retry_after is None else {"Retry-After": str(told.retry_after)}
            return Response(status=told.status, headers=headers)
        if request.method == "REPORT" and b"sync-collection" in body and not state.switches.sync_collection:
            return Response(_NO_REPORT, status=403, mimetype="application/xml")
        if state.switches.weak_etags and "If-Match" in request.headers:
            return Response(status=412)  # If-Match compares strongly, and a weak etag equals nothing so (RFC 9110)
        return None

    def _due(self, request: Request) -> Fault | None:
        for fault in self._state.faults:
            if fault.method in (None, request.method) and fault.path in request.path:
                self._state.faults.remove(fault)
                if fault.times > 1:
                    self._state.faults.insert(0, replace(fault, times=fault.times - 1))
                return fault
        return None

    def _due_race(self, request: Request) -> Race | None:
        race = self._state.race
        if race is None or request.method not in _WRITES or race.path not in request.path:
            return None
        self._state.race = None
        return race

    def _run_race(self, race: Race, request: Request) -> None:
        """With the credentials of the write that it is quicker than."""
        body = (race.body or "").encode()
        method = "DELETE" if race.body is None else "PUT"
        conditions = {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"}
        environ = {name: value for name, value in request.environ.items() if name not in conditions}
        environ |= {"REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
        Response.from_app(self._application, environ, buffered=True)


def _break(fault: Fault, request: Request) -> Response:
    """An answer that is none."""
    if fault.effect == "status":
        return Response(status=fault.status)
    if fault.effect == "hang":
        time.sleep(min(fault.seconds, 60))
    connection: socket.socket = request.environ[CONNECTION]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_GOODBYE)
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError  # the server closes what is left


def _as_switched(answer: Response, method: str, switches: Switches) -> Response:
    """The answer of a server that can do only so much."""
    if method in _WRITES and not switches.etag_on_put:
        answer.headers.pop("ETag", None)
    if switches.weak_etags and "ETag" in answer.headers:
        answer.headers["ETag"] = f"W/{answer.headers['ETag']}"
    if answer.status_code == 207 and switches != Switches():
        answer.set_data(_switched_xml(answer.get_data(), switches))
    return answer


def _switched_xml(body: bytes, switches: Switches) -> bytes:
    tree = etree.fromstring(body)
    hidden = [_CTAG] * (not switches.ctag) + [f"{_DAV}sync-token"] * (not switches.sync_collection)
    for element in [each for name in hidden for each in tree.iter(name) if each.getparent() is not tree]:
        element.getparent().remove(element)
    for element in tree.iter(f"{_DAV}getetag") if switches.weak_etags else ():
        element.text = f"W/{element.text}"
    changed: bytes = etree.tostring(tree, xml_declaration=True, encoding="utf-8")
    return changed


def _entry(request: Request) -> dict[str, Any]:
    kept = {name: request.headers[name] for name in _LOGGED if name in request.headers}
    return {"method": request.method, "path": request.path, "headers": kept}


def _json(answer: object) -> Response:
    return Response(json.dumps(answer), mimetype="application/json")
