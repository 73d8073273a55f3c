"""The connections of hot reads.

asyncpg's own pool costs as much as the query it serves: of the 110 µs of CPU that the SELECT of `GET /pets/{id}` took
with it, 57 went into a task, a proxy and two timers. Here a use is a pop and an append.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final

import asyncpg

IDLE_SECONDS: Final = 300.0
"""A connection nobody needed for this long is closed; the last used is used first, so that spare ones can age."""

_ANSWERED = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""The server refused, or asyncpg did before anything was sent. A cancelled call leaves its answer under way."""


class ReadPool:
    """At most `size` connections, made when they are needed.

    Whoever finds none waits in line, at most `wait_seconds`, then gets `TimeoutError`. A connection comes back only
    when the server has answered on it and no transaction is open; after anything else it is dropped.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], *, size: int, wait_seconds: float) -> None:
        self._connect, self._size, self._wait_seconds = connect, size, wait_seconds
        self._idle: deque[tuple[asyncpg.Connection, float]] = deque()
        self._taken = 0
        self._line: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._closed = False

    def acquire(self) -> "_Lease":
        """`async with pool.acquire() as connection`. Raises `TimeoutError`, and what connecting raises."""
        return _Lease(self)

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows."""
        async with _Lease(self) as connection:
            return list(await connection.fetch(query, *arguments))

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row, if there is one."""
        async with _Lease(self) as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """The first column of the first row, None if there is none."""
        async with _Lease(self) as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: object) -> str:
        """Run a statement; its status, e.g. `INSERT 0 1`."""
        async with _Lease(self) as connection:
            return str(await connection.execute(query, *arguments))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection in a transaction, committed at the end and rolled back by an error."""
        async with _Lease(self) as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._closed = True
        while self._idle:
            await self._idle.pop()[0].close()

    async def take(self) -> asyncpg.Connection:
        """A connection of the caller's own, to be given back with `put`."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                self._taken += 1
                return connection
        if self._taken >= self._size:
            passed_on = await self._turn()
            if passed_on is not None:
                return passed_on
        else:
            self._taken += 1
        try:
            return await self._connect()
        except BaseException:
            self._pass_on(None)
            raise

    def put(self, connection: asyncpg.Connection, *, sound: bool) -> None:
        """Back, if it is `sound`: then the next in line or the next caller has it."""
        if not sound or self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._pass_on(None)
        else:
            self._pass_on(connection)

    async def _turn(self) -> asyncpg.Connection | None:
        """What somebody passed on: a connection, or (None) the right to make one."""
        turn: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it came in the very moment the caller gave up
                self._pass_on(turn.result())
            raise

    def _pass_on(self, connection: asyncpg.Connection | None) -> None:
        while self._line:
            if not (turn := self._line.popleft()).done():
                return turn.set_result(connection)
        self._taken -= 1
        now = asyncio.get_running_loop().time()
        if connection is not None:
            self._idle.append((connection, now))
        if self._idle and self._idle[0][1] < now - IDLE_SECONDS:
            self._idle.popleft()[0].terminate()


class _Lease:
    """One use of a connection."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await self._pool.take()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.put(self._connection, sound=error is None or isinstance(error, _ANSWERED))
