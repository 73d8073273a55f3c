"""The inbox of the local stack: what was sent, for people (a page) and programs (JSON), on loopback only.

A message is committed before its sender sees a 2xx, so what the application counts as sent is never missing here.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from jinja2 import Environment, FileSystemLoader
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from infra.local.ses_events import Feedback

Channel = Literal["email", "sms", "push"]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, message_id TEXT NOT NULL, channel TEXT NOT NULL, recipient TEXT,
    subject TEXT, text TEXT, html TEXT, headers TEXT NOT NULL, sent_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_recipient ON messages (recipient, channel);
"""
CERTIFICATE = "/certificate.pem"
_LOOPBACK = {"localhost", "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one recipient; `message_id` is the provider's and shared by all recipients of one call."""

    message_id: str
    channel: Channel
    to: str
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as `GET /api/messages` shows it."""

    id: str
    channel: str
    to: str
    subject: str | None
    text: str | None
    html: str | None
    headers: Mapping[str, str]
    sent_at: str


class Inbox:
    """The store: SQLite in WAL mode, committed per message; it survives the end of the process, not a power cut."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)

    def keep(self, message: Message) -> None:
        """Commit one message."""
        sent_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        content = (message.channel, message.to, message.subject, message.text, message.html)
        with self._lock:
            copies = self._db.execute("SELECT count(*) FROM messages WHERE message_id = ?", [message.message_id])
            copy = copies.fetchone()[0]
            row_id = f"{message.message_id}.{copy}" if copy else message.message_id
            headers = json.dumps(dict(message.headers or {}))
            self._db.execute(
                "INSERT INTO messages (id, message_id, channel, recipient, subject, text, html, headers, sent_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row_id, message.message_id, *content, headers, sent_at],
            )

    def find(self, to: str | None = None, channel: str | None = None, limit: int = -1) -> list[Kept]:
        """Newest first; every filter is optional."""
        where = "(?1 IS NULL OR recipient = lower(?1)) AND (?2 IS NULL OR channel = ?2)"
        return self._select(f"WHERE {where} ORDER BY seq DESC LIMIT ?3", [to, channel, limit])

    def get(self, message: str) -> Kept | None:
        """One message by its id."""
        return next(iter(self._select("WHERE id = ?1", [message])), None)

    def provider_id(self, message: str) -> str:
        """What the provider called it, for its notifications."""
        with self._lock:
            found = self._db.execute("SELECT message_id FROM messages WHERE id = ?", [message]).fetchone()
        return str(found[0])

    def _select(self, where: str, values: list[str | int | None]) -> list[Kept]:
        columns = "id, channel, recipient, subject, text, html, headers, sent_at"
        with self._lock:
            rows = self._db.execute(f"SELECT {columns} FROM messages {where}", values).fetchall()  # noqa: S608
        return [Kept(**{**dict(zip(_FIELDS, row, strict=True)), "headers": json.loads(row[6])}) for row in rows]


_KINDS = ", ".join(get_args(Feedback))
_FIELDS = tuple(Kept.__dataclass_fields__)


class InboxApp:
    """The WSGI application. `report` tells the platform what became of a mail and answers how many listeners took it;
    `control` handles `/_control/faults`; `certificate` is what the reports are verified with."""

    def __init__(
        self,
        inbox: Inbox,
        report: Callable[[Feedback, Kept, str], int],
        control: Callable[[Request], object],
        certificate: Callable[[], bytes],
    ) -> None:
        self.inbox, self.report, self.control, self.certificate = inbox, report, control, certificate
        self._pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True)
        self._routes = Map(
            [
                Rule("/", endpoint=self.page, methods=["GET"]),
                Rule("/healthz", endpoint=lambda _: Response("ok"), methods=["GET"]),
                Rule("/messages/<message>", endpoint=self.message_page, methods=["GET"]),
                Rule("/api/messages", endpoint=self.messages, methods=["GET"]),
                Rule(f"/api/messages/<message>/<any({_KINDS}):kind>", endpoint=self.feedback, methods=["POST"]),
                Rule(CERTIFICATE, endpoint=lambda _: Response(self.certificate()), methods=["GET"]),
                Rule("/_control/faults", endpoint=self.faults, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> object:
        """Answer one request; a page of another site can neither read nor send here."""
        request = Request(environ)
        try:
            _require_own_page(request)
            endpoint, values = self._routes.bind_to_environ(environ).match()
            response = endpoint(request, **values)
        except HTTPException as error:
            response = error
        return response(environ, start_response)

    def messages(self, request: Request) -> Response:
        """`GET /api/messages?to=&channel=&limit=`."""
        limit = request.args.get("limit", -1, type=int)
        found = self.inbox.find(request.args.get("to"), request.args.get("channel"), limit)
        return _json([asdict(message) for message in found])

    def feedback(self, request: Request, message: str, kind: Feedback) -> Response:
        """Say what became of this mail, in SES' name; answers how many listeners took it."""
        kept = self.inbox.get(message)
        if kept is None or kept.channel != "email":
            raise NotFound("There is no such mail.")
        told = self.report(kind, kept, self.inbox.provider_id(message))
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return self.message_page(request, message, f"Reported ({kind}); {told} listeners took it.")
        return _json({"listeners": told})

    def faults(self, request: Request) -> Response:
        """What the provider should get wrong next."""
        try:
            return _json(self.control(request))
        except (TypeError, ValueError) as error:
            raise BadRequest(str(error)) from error

    def page(self, request: Request) -> Response:
        """The list for people."""
        messages = self.inbox.find(request.args.get("to") or None, limit=200)
        return self._page("inbox.html", messages=messages, to=request.args.get("to", ""))

    def message_page(self, request: Request, message: str, note: str = "") -> Response:
        """One message for people: as it looks, as plain text, and its headers."""
        kept = self.inbox.get(message)
        if kept is None:
            raise NotFound("There is no such message.")
        return self._page("message.html", message=kept, note=note)

    def _page(self, template: str, **values: object) -> Response:
        response = Response(self._pages.get_template(template).render(**values), mimetype="text/html")
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; frame-src 'self'; form-action 'self'"
        )
        return response


def _require_own_page(request: Request) -> None:
    """Refuse what a foreign page or a rebound name sends to loopback (mails hold working links)."""
    origin = request.headers.get("Origin")
    foreign = origin not in (None, "null") and origin != request.host_url.rstrip("/")
    if request.host.rsplit(":", 1)[0] not in _LOOPBACK or (foreign and request.method != "GET"):
        raise Forbidden("Only pages of the inbox itself may do this.")


def _json(value: object) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), mimetype="application/json")
