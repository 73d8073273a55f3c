"""Somebody on this machine who listens to what the calendar servers push."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass(slots=True)
class Heard:
    """One message that arrived."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def items(self) -> list[dict[str, Any]]:
        """Of Graph's messages."""
        found: list[dict[str, Any]] = json.loads(self.body)["value"] if self.body else []
        return found


@dataclass(slots=True)
class Listener:
    """Where pushes arrive. `statuses`: what the next messages are answered with, then 202; `echoes`: whether Graph's
    handshake is answered rightly."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    echo: Callable[[str], tuple[int, str, str]] = lambda token: (200, "text/plain", token)

    def wait(self, number: int, within: float = 5) -> list[Heard]:
        """The messages once there are so many; handshakes do not count."""
        deadline = time.monotonic() + within
        while len(self.messages) < number:
            assert time.monotonic() < deadline, f"{len(self.messages)} messages instead of {number}"
            time.sleep(0.01)
        return self.messages

    @property
    def messages(self) -> list[Heard]:
        """Those that are no handshakes."""
        return [each for each in self.heard if "validationToken" not in each.query]

    @property
    def handshakes(self) -> list[Heard]:
        """Those that are."""
        return [each for each in self.heard if "validationToken" in each.query]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Somebody who listens on this machine."""
    found = Listener("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            heard = Heard(parts.path, parse_qs(parts.query), dict(self.headers), body)
            found.heard.append(heard)
            status, kind, text = found.statuses.pop(0) if found.statuses else 202, "text/plain", ""
            if "validationToken" in heard.query:
                status, kind, text = found.echo(heard.query["validationToken"][0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()
