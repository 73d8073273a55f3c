"""The calendar servers on a port: HTTP/1.1 with connections that stay open.

werkzeug's own server closes every connection after one answer and waits 10 ms for more of the request first, which
would be most of the time of a fast call; so the exchange itself is done here.
"""

import io
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from wsgiref.types import WSGIEnvironment

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from infra.local.emulators.calendar.application import CalendarApp, Hang, Reset
from infra.local.emulators.calendar.oauth import Registration

_IDLE_SECONDS: Final = 120
_MOST_BODY: Final = 10_000_000
_NOTHING: Final[Any] = None  # werkzeug wants an application before the port, which ours wants first


class Server(ThreadedWSGIServer):
    """Knows its connections, so that closing it ends them: what is down must not go on answering."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, apps: Registration, path: str) -> None:
        super().__init__("127.0.0.1", port, _NOTHING, Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.application = CalendarApp(self.url, apps, path)
        self.connections: set[socket.socket] = set()
        self.closing = threading.Event()

    def close(self) -> None:
        """End everything."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.application.close()


class Handler(WSGIRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        """Remember it."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget it."""
        self.server.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def run_wsgi(self) -> None:
        """One request: read whole, answered with its length, in one piece."""
        try:
            body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._whole()
        except ValueError:
            self.close_connection = True
            self.send_error(400)
            return
        environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            self._answer(environ)
        except Reset:
            self._reset()
        except Hang as hang:
            self.server.closing.wait(hang.seconds)
            self.close_connection = True

    def log_error(self, format: str, *args: object) -> None:
        """Nor of connections that were idle for too long."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the log has every request."""

    def _whole(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= _MOST_BODY:
            raise ValueError("too long")
        return self.rfile.read(length) if length else b""

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            if len(body) + size > _MOST_BODY:
                raise ValueError("too long")
            body += self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(1_000).strip():
            pass  # trailers
        return body

    def _answer(self, environ: WSGIEnvironment) -> None:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[..., Any]:
            started[:] = [status, headers]
            return lambda data: None

        content = b"".join(self.server.application(environ, start_response))
        status, headers = started
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers) and code not in ("204", "304"):
            self.send_header("Content-Length", str(len(content)))
        self._headers_buffer.append(b"\r\n" + (b"" if self.command == "HEAD" else content))
        self.flush_headers()

    def _reset(self) -> None:
        """RST instead of FIN, as a server that died."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Running:
    """A server in threads of this process. Use as a context."""

    def __init__(self, apps: Registration, port: int = 0, path: str = ":memory:") -> None:
        self._server = Server(port, apps, path)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; nothing answers any more."""
        self._server.close()
        self._thread.join(5)
