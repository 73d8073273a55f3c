"""A bad network for the tests of faults: a TCP proxy that is slow, breaks connections, or lets nobody through."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

_PIECE_BYTES: Final = 65_536
_PIECES_UNDER_WAY: Final = 64
"""After so many the sender has to wait, as it would for a full window."""
_WITHOUT_GOODBYE: Final = struct.pack("ii", 1, 0)

_Line: TypeAlias = asyncio.Queue[tuple[float, bytes]]
"""What is under way, with the time of its arrival; an empty piece is the end."""


class Toxic:
    """Hands every connection on to `upstream`. What is wrong may change while connections are open:

    `delay` is how many seconds a piece is under way, in each direction; what is sent after it does not wait for it.
    `reset` is the probability (0 to 1) that a piece of at most 64 kB resets its connection instead of arriving.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.delay = self.reset = 0.0
        self.port = 0
        """Where it listens on loopback, once it has started."""
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset every connection, and each new one at once, until `mend`."""
        self._is_cut = True
        for writer in tuple(self._open):
            _reset(writer)

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    def stop(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            return _reset(writer)
        ends = {writer}
        self._open.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection(*self.upstream)
            ends.add(there_writer)
            self._open.add(there_writer)
            async with asyncio.TaskGroup() as both_ways:
                for source, target in ((reader, there_writer), (there_reader, writer)):
                    line: _Line = asyncio.Queue(_PIECES_UNDER_WAY)
                    both_ways.create_task(self._take(source, line))
                    both_ways.create_task(_give(line, target))
        except* OSError:
            for end in ends:
                _reset(end)
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _take(self, reader: asyncio.StreamReader, line: _Line) -> None:
        loop, piece = asyncio.get_running_loop(), b"-"
        while piece:
            piece = await reader.read(_PIECE_BYTES)
            if random.random() < self.reset:  # noqa: S311 - chance, no secret
                raise ConnectionResetError("as asked for")
            await line.put((loop.time() + self.delay, piece))


async def _give(line: _Line, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        arrives, piece = await line.get()
        await asyncio.sleep(arrives - loop.time())
        if not piece:
            return writer.write_eof()
        writer.write(piece)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN: the other side gets an error, not an end."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() != -1:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_GOODBYE)
    writer.transport.abort()


@asynccontextmanager
async def toxic(upstream: tuple[str, int]) -> AsyncIterator[Toxic]:
    """A proxy in front of `upstream` (host, port) while the context is open; at first nothing is wrong with it."""
    proxy = Toxic(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
