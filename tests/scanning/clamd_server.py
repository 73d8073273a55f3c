"""A server that speaks clamd's protocol (man clamd: INSTREAM, VERSION, `n`-commands), and one that is clamd itself."""

import shutil
import socketserver
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SHUT_RDWR, create_connection, socket
from time import monotonic, sleep

from integrations.scanning.memory import EICAR

VERSION = b"ClamAV 1.4.6/27500/Sun Nov 29 08:00:00 2026\n"
Answer = Callable[["Session"], None]


class Clamd(socketserver.ThreadingTCPServer):
    """`misbehave`: what it does instead of answering to INSTREAM. `limit` is its StreamMaxLength."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, limit: int = 210_000_000) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.limit = limit
        self.misbehave: Answer | None = None
        self.version = VERSION
        self.received: list[int] = []
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Session(socketserver.StreamRequestHandler):
    """One command. What is read is read from `rfile`: it may have all of a small stream before anybody asks."""

    server: Clamd

    def handle(self) -> None:
        command = self.rfile.readline()
        if command == b"nVERSION\n":
            self.wfile.write(self.server.version)
        elif command == b"nINSTREAM\n":
            if self.server.misbehave:
                self.server.misbehave(self)
            else:
                self.wfile.write(self.scanned())

    def scanned(self) -> bytes:
        """The answer to the stream, once it is read."""
        body = b""
        while size := struct.unpack("!L", self.rfile.read(4))[0]:
            body += self.rfile.read(size)
            if len(body) > self.server.limit:
                return b"INSTREAM size limit exceeded. ERROR\n"
        self.server.received.append(len(body))
        return b"stream: Eicar-Test-Signature FOUND\n" if EICAR in body else b"stream: OK\n"


@contextmanager
def clamd_protocol(limit: int = 210_000_000) -> Iterator[Clamd]:
    with Clamd(limit) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def closes(session: Session) -> None:
    session.connection.shutdown(SHUT_RDWR)


def resets(session: Session) -> None:
    """What a client sees that goes on sending above StreamMaxLength."""
    session.rfile.read(4)
    session.connection.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER of no time: RST instead of FIN
    session.connection.close()


def is_silent(session: Session) -> None:
    session.server.released.wait(20)


def says(words: bytes) -> Answer:
    def answer(session: Session) -> None:
        session.scanned()
        session.wfile.write(words)

    return answer


REAL = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
# EICAR as a signature of an offline database, anywhere in a file (`*`).
_SIGNATURE = "Petfolio.Eicar-Test:0:*:58354f2150254041505b345c505a58353428505e2937434329377d24454943\n"


@contextmanager
def real_clamd(folder: Path, limit: str = "210M") -> Iterator[str]:
    """The daemon of this machine, with a database of one signature; its address."""
    (folder / "db").mkdir(parents=True)
    (folder / "db/eicar.ndb").write_text(_SIGNATURE)
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DatabaseDirectory": folder / "db", "TCPSocket": port, "TCPAddr": "127.0.0.1", "Foreground": "yes"}
    config = folder / "clamd.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in {**settings, "StreamMaxLength": limit}.items()))
    process = subprocess.Popen([str(REAL), f"--config-file={config}"], stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    until = monotonic() + 20
    while True:
        try:
            create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if monotonic() > until:
                raise
            sleep(0.05)
        else:
            return
