"""What the emulators of sign-in providers share: consent page, codes, a ledger of calls, and ways to fail on demand.

A person is their e-mail address: the same address has the same subject, also after a restart. Nothing is protected by
a password, because nobody is there to be protected. Everything that the application may get wrong is refused as the
vendor would.
"""

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from infra.local.faults import Fault, Faults

PAGES: Final = Environment(loader=FileSystemLoader(Path(__file__).parents[1] / "pages"), autoescape=True)
CODE_SECONDS: Final = 300
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS calls (at TEXT NOT NULL, service TEXT NOT NULL, fields TEXT NOT NULL, status INTEGER);
CREATE TABLE IF NOT EXISTS consents (subject TEXT PRIMARY KEY);
"""
_HIDDEN: Final = frozenset({"client_secret", "access_token"})


@dataclass(frozen=True, slots=True)
class App:
    """The application as it is registered at the provider."""

    client_id: str
    client_secret: str = field(repr=False)
    callback: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody clicked: who they are, and what the browser had brought along."""

    subject: str
    person: Mapping[str, str]
    asked: Mapping[str, str]
    at: float = field(default_factory=time.time)

    @property
    def email(self) -> str | None:
        """What the provider tells of the address."""
        return self.person.get("email") or None

    def says(self, box: str) -> bool:
        """Whether a box of the page was ticked."""
        return bool(self.person.get(box))


class BadRequest(Exception):
    """What the application got wrong, in the vendor's words."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status


class SignInApp(ABC):
    """The WSGI application of one provider, on a port of its own. `origin` is its issuer's address."""

    title: str
    authorize_path: str
    """Where browsers are sent."""
    boxes: ClassVar[Mapping[str, str]] = {}
    """Check boxes of the consent page: name and words."""
    services: ClassVar[Mapping[str, str]] = {}
    """Paths that the application calls, with the names by which faults are asked for and calls are noted."""

    def __init__(self, origin: str, app: App, folder: Path, name: str) -> None:
        self.origin, self.app, self.folder, self.name = origin, app, folder, name
        self._callbacks = {app.callback}
        self._codes: dict[str, Consent] = {}
        self._twists: list[str] = []
        self._lock = threading.Lock()
        self._faults = Faults()
        self._db = sqlite3.connect(folder / f"{name}.db", check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)
        self._routes = Map(
            [
                Rule(self.authorize_path, endpoint=self.consent_page, methods=["GET"]),
                Rule(self.authorize_path, endpoint=self.decide, methods=["POST"]),
                Rule("/_control/calls", endpoint=self.calls, methods=["GET"]),
                Rule("/_control/faults", endpoint=self.faults, methods=["GET", "POST", "DELETE"]),
                Rule("/_control/twists", endpoint=self.twists, methods=["GET", "POST", "DELETE"]),
                Rule("/_control/callbacks", endpoint=self.register_callback, methods=["POST"]),
                *self.rules(),
            ]
        )
        self._application = self._faults.around(self._answer, self._service, lambda fault, _: _failed(fault))

    @abstractmethod
    def rules(self) -> Iterable[Rule]:
        """The vendor's own paths."""

    @abstractmethod
    def check(self, asked: Mapping[str, str]) -> None:
        """What the vendor insists on in the address that the browser brings. Raises `BadRequest`."""

    @abstractmethod
    def send_back(self, asked: Mapping[str, str], answer: Mapping[str, str]) -> Response:
        """The browser on its way to the application, with the answer."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        return self._application(environ, start_response)

    def consent_page(self, request: Request) -> Response:
        """The page one can click."""
        asked = request.args.to_dict()
        self._check(asked)
        page = PAGES.get_template("consent.html").render(title=self.title, boxes=self.boxes, asked=asked)
        return Response(page, mimetype="text/html")

    def decide(self, request: Request) -> Response:
        """What somebody clicked there. What the browser brought along comes in the query, the person in the form."""
        asked, person = request.args.to_dict(), request.form.to_dict()
        self._check(asked)
        if person.get("decision") != "allow":
            return self.send_back(asked, self.denial() | {"state": asked["state"]})
        consent = Consent(self.subject_of(person["email"]), person, asked)
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = consent
        return self.send_back(asked, {"code": code, "state": asked["state"]} | self.extras(consent))

    def denial(self) -> dict[str, str]:
        """The answer of somebody who does not want to."""
        return {"error": "access_denied"}

    def extras(self, consent: Consent) -> dict[str, str]:
        """What the vendor adds to the answer."""
        return {}

    def subject_of(self, email: str) -> str:
        """Who somebody is here, for ever."""
        return str(int(hashlib.sha256(f"{self.name}|{email.lower()}".encode()).hexdigest()[:15], 16))

    def redeem(self, code: str, redirect_uri: str, verifier: str | None) -> Consent:
        """What a code stands for, once, within minutes, for the same redirect and, where one was shown, the challenge.
        Raises `BadRequest`."""
        with self._lock:
            consent = self._codes.pop(code, None)
        if consent is None or time.time() - consent.at > CODE_SECONDS or consent.asked["redirect_uri"] != redirect_uri:
            raise BadRequest("invalid_grant")
        challenge = consent.asked.get("code_challenge")
        if challenge is not None and (verifier is None or s256(verifier) != challenge):
            raise BadRequest("invalid_grant")
        return consent

    def knows_secret(self, client_id: str, client_secret: str) -> bool:
        """Whether it is the application that asks."""
        same = hmac.compare_digest(client_secret.encode(), self.app.client_secret.encode())
        return same and client_id == self.app.client_id

    def is_first_consent(self, subject: str) -> bool:
        """Whether this person never agreed before; from now on they have."""
        with self._lock:
            added = self._db.execute("INSERT OR IGNORE INTO consents VALUES (?)", [subject])
        return added.rowcount == 1

    def forget_consent(self, subject: str) -> None:
        """The next time is the first again."""
        with self._lock:
            self._db.execute("DELETE FROM consents WHERE subject = ?", [subject])

    def twisted(self, *names: str) -> str | None:
        """What of these was asked to be wrong this time."""
        with self._lock:
            found = next((twist for twist in self._twists if twist in names), None)
            if found is not None:
                self._twists.remove(found)
        return found

    def calls(self, _: Request) -> Response:
        """The ledger, oldest first; secrets are left out."""
        with self._lock:
            rows = self._db.execute("SELECT at, service, fields, status FROM calls ORDER BY rowid").fetchall()
        return answer([dict(at=at, service=name, fields=json.loads(it), status=code) for at, name, it, code in rows])

    def faults(self, request: Request) -> Response:
        """What to get wrong next (`infra.local.faults.Fault`), by the names of `services`."""
        try:
            return answer(self._faults.control(request))
        except (TypeError, ValueError) as error:
            return answer({"error": str(error)}, 400)

    def twists(self, request: Request) -> Response:
        """`{"what": …, "count": 1}`: what the next answer gets wrong in its content. DELETE forgets all."""
        with self._lock:
            if request.method == "POST":
                asked = request.get_json(force=True)
                self._twists += [str(asked["what"])] * int(asked.get("count", 1))
            elif request.method == "DELETE":
                self._twists.clear()
            return answer(self._twists)

    def register_callback(self, request: Request) -> Response:
        """`{"url": …}`: one more place that browsers may be sent back to."""
        self._callbacks.add(str(request.get_json(force=True)["url"]))
        return answer(sorted(self._callbacks))

    def _check(self, asked: Mapping[str, str]) -> None:
        if asked.get("client_id") != self.app.client_id:
            raise BadRequest("unauthorized_client")
        if asked.get("redirect_uri") not in self._callbacks:
            raise BadRequest("redirect_uri_mismatch")
        if asked.get("response_type") != "code" or len(asked.get("state", "")) < 22:
            raise BadRequest("invalid_request")
        self.check(asked)

    def _service(self, environ: dict[str, Any]) -> str:
        path = str(environ.get("PATH_INFO", ""))
        return next((name for pattern, name in self.services.items() if re.fullmatch(pattern, path)), "control")

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request, response = Request(environ), Response()
        try:
            endpoint, values = self._routes.bind_to_environ(environ).match()
            response = endpoint(request, **values)
        except HTTPException as error:
            response = error.get_response(environ)
        except BadRequest as error:
            response = answer({"error": error.error}, error.status)
        except (ValueError, KeyError, TypeError):
            response = NotFound().get_response(environ)
        self._note(request, self._service(environ), response.status_code)
        return response(environ, start_response)

    def _note(self, request: Request, service: str, status: int) -> None:
        if service == "control":
            return
        fields = {name: value for name, value in {**request.args, **request.form}.items() if name not in _HIDDEN}
        with self._lock:
            values = (datetime.now(UTC).isoformat(), service, json.dumps(fields), status)
            self._db.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", values)


def require_s256(asked: Mapping[str, str]) -> None:
    """A challenge of RFC 7636, and not the plain kind. Raises `BadRequest`."""
    if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
        raise BadRequest("invalid_request")


def redirected(asked: Mapping[str, str], said: Mapping[str, str]) -> Response:
    """By a GET with a query."""
    return Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(said)}"})


def answer(value: object, status: int = 200) -> Response:
    """JSON."""
    return Response(json.dumps(value), status, mimetype="application/json")


def s256(verifier: str) -> str:
    """RFC 7636 §4.2."""
    return encode(hashlib.sha256(verifier.encode()).digest())


def encode(raw: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _failed(fault: Fault) -> Response | None:
    return None if fault.status is None else answer({"error": "server_error"}, fault.status)
