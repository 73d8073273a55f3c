"""A bad way to storage: a proxy that knows where an HTTP request begins, in front of one that knows only bytes."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from infra.local.toxic import Toxic, toxic

_REQUEST: Final = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")
_GOES_ON: Final = b"HTTP/1.1 100"
_PIECE_BYTES: Final = 65_536


def _says(status: bytes, code: bytes) -> bytes:
    body = b"<Error><Code>%b</Code></Error>" % code
    return b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


REFUSED: Final = _says(b"503 Service Unavailable", b"SlowDown")
LOST: Final = _says(b"500 Internal Server Error", b"InternalError")


class _Answered(Exception):
    """There is nothing more to hand on."""


class StoreWire:
    """Hands requests on. What is wrong may change at any time:

    `refuses` is the probability (0 to 1) that a request is answered with 503 and goes no further; `loses` that it is
    done, and answered with 500 all the same. `line` has what is wrong with bytes. `on_request` hears the method and
    the path of every request before it goes on.
    """

    def __init__(self, line: Toxic, dice: random.Random) -> None:
        self.line, self._dice = line, dice
        self.refuses = self.loses = 0.0
        self.failed = 0
        """Requests that were refused or lost."""
        self.on_request: Callable[[str, str], None] = lambda method, path: None
        self._server: asyncio.Server | None = None
        self._lost: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens, once it has started."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Let requests through."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def mend(self) -> None:
        """Nothing is wrong any more."""
        self.refuses = self.loses = self.line.delay = self.line.reset = 0.0
        self.line.mend()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.line.port)
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._ask(reader, there_writer, writer))
                both_ways.create_task(self._answer(there_reader, writer))
        except* _Answered:
            pass
        except* OSError:
            writer.transport.abort()
        finally:
            self._lost.discard(writer)
            for end in (there_writer, writer):
                with suppress(OSError):
                    end.close()

    async def _ask(self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            if (request := _REQUEST.match(piece)) is not None:
                self.on_request(request[1].decode(), request[2].decode())
                if self._dice.random() < self.refuses:
                    return await self._fail(REFUSED, back)
                if self._dice.random() < self.loses:
                    self._lost.add(back)
            there.write(piece)
            await there.drain()
        there.write_eof()

    async def _answer(self, there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while piece := await there.read(_PIECE_BYTES):
            if back in self._lost and not piece.startswith(_GOES_ON):
                return await self._fail(LOST, back)
            back.write(piece)
            await back.drain()
        back.write_eof()

    async def _fail(self, answer: bytes, back: asyncio.StreamWriter) -> None:
        self.failed += 1
        back.write(answer)
        await back.drain()
        raise _Answered


@asynccontextmanager
async def store_wire(upstream: tuple[str, int], dice: random.Random) -> AsyncIterator[StoreWire]:
    """A way to `upstream` (host, port) while the context is open; at first nothing is wrong with it."""
    async with toxic(upstream) as line:
        wire = StoreWire(line, dice)
        await wire.start()
        try:
            yield wire
        finally:
            await wire.stop()
