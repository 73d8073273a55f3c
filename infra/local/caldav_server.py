"""Radicale for the local stack, behind the knobs of `caldav_knobs.py`: a real CalDAV server that can be made to fail.

A process of its own, and the only one that imports Radicale, whose licence (GPLv3) ends with it.
`python -m infra.local.caldav_server --port 8042 --folder <data>/caldav/collections --users <data>/caldav/users`
"""

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import IO, ClassVar, Final, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer, make_server

from radicale import config
from radicale.app import Application

from infra.local.caldav_knobs import CONNECTION, Knobs

_LONGEST_LINE: Final = 65_537
TOKEN_AGE: Final = 30 * 24 * 3600
"""Seconds for which a sync token is known."""


class _Answer(ServerHandler):
    """An answer whose connection stays open."""

    http_version = "1.1"
    os_environ: ClassVar[dict[str, str]] = {}  # type: ignore[misc]  # a class variable there, too


class _Handler(WSGIRequestHandler):
    """HTTP/1.1: a connection serves many requests, which `wsgiref` alone does not do. `Knobs` reads every body, so none
    is taken for the next request. Head and body leave together, else the client would wait for the second of them.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def handle(self) -> None:
        """Requests until one side has had enough."""
        BaseHTTPRequestHandler.handle(self)

    def handle_one_request(self) -> None:
        """The next request of the connection."""
        try:
            self.raw_requestline = self.rfile.readline(_LONGEST_LINE)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            environ = self.get_environ() | {CONNECTION: self.connection}
            streams = cast(IO[bytes], self.rfile), cast(IO[bytes], self.wfile), self.get_stderr()
            answer = _Answer(*streams, environ)
            answer.request_handler = self  # type: ignore[attr-defined]  # as wsgiref's own handler does
            answer.run(self.server.get_app())  # type: ignore[attr-defined]
            self.wfile.flush()  # an answer without a body is not flushed by its handler
        except OSError:  # the other side, or a fault, has ended the connection
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """One line per request would bury what matters."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Without asking the resolver for our own name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ended in the middle is no news."""


def application(folder: Path, users: Path, token_age: int = TOKEN_AGE) -> Knobs:
    """Radicale over this folder, for the users of an htpasswd file."""
    settings = config.load()
    settings.update(
        {
            "auth": {
                "type": "htpasswd",
                "htpasswd_filename": str(users),
                "htpasswd_encryption": "sha512",
                "cache_logins": "True",
                "delay": "0",  # after a wrong password; nobody guesses passwords on loopback
            },
            "rights": {"type": "owner_only"},
            "storage": {
                "filesystem_folder": str(folder),
                "max_sync_token_age": str(token_age),
                "_filesystem_fsync": "False",
            },
            "web": {"type": "none"},
            "logging": {"level": "error"},
        },
        "the local stack",
        privileged=True,
    )
    return Knobs(Application(settings), folder)


def server(knobs: Knobs, port: int = 0) -> WSGIServer:
    """A server on loopback; port 0 takes a free one."""
    return make_server("127.0.0.1", port, knobs, server_class=_Server, handler_class=_Handler)


@contextmanager
def serving(knobs: Knobs) -> Iterator[int]:
    """The server in a thread of this process, for tests; gives its port."""
    running = server(knobs)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield running.server_port
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--users", type=Path, required=True)
    parser.add_argument("--token-age", type=int, default=TOKEN_AGE)
    options = parser.parse_args()
    running = server(application(options.folder, options.users, options.token_age), options.port)
    # `shutdown` waits for the loop that the handler interrupts, so it is called from beside it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=running.shutdown).start())
    running.serve_forever(0.1)
    running.server_close()


if __name__ == "__main__":
    main()
