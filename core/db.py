"""Postgres: one place for pools, their sizes and their time limits.

Two ways in, by purpose. `sessions` (SQLAlchemy, SQLModel rows) for everything that locks, decides and writes; `reads`
(asyncpg) for hot reads and for what every sign-in writes, where an ORM costs three times the CPU (local-stack.md §5.3).
Statement, lock and idle limits are set on the database by the migrations, because a transaction pooler refuses them as
start-up parameters.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.read_pool import ReadPool
from core.settings import Settings

SessionFactory = async_sessionmaker[AsyncSession]


@dataclass(frozen=True, slots=True)
class PoolSize:
    """Connections of one process: `writes` through SQLAlchemy, `reads` through asyncpg."""

    writes: int
    reads: int

    @property
    def total(self) -> int:
        """What one process may take of `max_connections`."""
        return self.writes + self.reads


API_POOL = PoolSize(writes=12, reads=18)
WORKER_POOL = PoolSize(writes=34, reads=6)
BILLING_POOL = PoolSize(writes=14, reads=2)
"""Of a worker of billing: its activities wait for Stripe and hold no connection then; what they hold one for is a
transaction of milliseconds."""
CALENDAR_POOL = PoolSize(writes=10, reads=2)
"""Of a worker of calendars: its activities wait for a provider nine tenths of their time, and hold no connection then.
"""
MEDIA_POOL = PoolSize(writes=10, reads=2)
"""Of a worker of media: its activities move bytes and decode, and hold a connection for milliseconds in between."""
ACQUIRE_SECONDS = 2.0
_DIRECT_SECONDS = 10.0

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises while Postgres is away, restarting or failing over. What it calls internal: the server has said
goodbye on this connection, and has not closed it yet."""


class DatabaseUnavailable(Unavailable):
    """No connection could be had in time: the server is away, or every connection is busy."""

    code = "database_unavailable"


class Database:
    """The pools of one process. Made by `connect`, closed by leaving its context.

    A hot read never decides anything: it may run beside a transaction that changes what it sees.
    """

    def __init__(self, engine: AsyncEngine, reads: ReadPool) -> None:
        self.engine = engine
        self.reads = reads
        self.session_class = type("PetfolioSession", (Session,), {})
        """Of this database alone: what is to follow its commits listens here (`core.live`)."""
        self.sessions: SessionFactory = async_sessionmaker(
            engine, expire_on_commit=False, sync_session_class=self.session_class
        )


@asynccontextmanager
async def connect(settings: Settings, size: PoolSize) -> AsyncIterator[Database]:
    """Open both pools lazily: a process starts while Postgres is away and serves as soon as it is back."""
    url = settings.database_url.get_secret_value()
    # Behind a transaction pooler a named statement may meet another server connection (local-stack.md §6.2).
    statement_cache = {} if settings.db.pooler == "none" else {"statement_cache_size": 0}
    connect_args: dict[str, object] = {"ssl": _ssl(settings), "timeout": ACQUIRE_SECONDS, **statement_cache}
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=size.writes,
        max_overflow=0,
        pool_timeout=ACQUIRE_SECONDS,
        connect_args=connect_args,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        hide_parameters=True,
    )

    async def connection() -> asyncpg.Connection:
        made = await asyncpg.connect(url, **connect_args)
        try:
            for name in ("json", "jsonb"):
                await made.set_type_codec(name, encoder=_dumps, decoder=orjson.loads, schema="pg_catalog")
        except BaseException:
            made.terminate()
            raise
        return made

    reads = ReadPool(connection, size=size.reads, wait_seconds=ACQUIRE_SECONDS)
    try:
        yield Database(engine, reads)
    finally:
        await reads.close()
        await engine.dispose()


async def connect_directly(settings: Settings) -> asyncpg.Connection:
    """A connection outside the pools and past any pooler, for LISTEN. Raises `AWAY`; the caller closes it."""
    return await asyncpg.connect(
        settings.direct_url, ssl=_ssl(settings), timeout=ACQUIRE_SECONDS, command_timeout=_DIRECT_SECONDS
    )


def _ssl(settings: Settings) -> object:
    return False if settings.db.ssl == "disable" else settings.db.ssl


@asynccontextmanager
async def single_statement(sessions: SessionFactory) -> AsyncIterator[AsyncSession]:
    """A session for one statement that is its own transaction: BEGIN and COMMIT would be two more round trips."""
    async with sessions() as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


async def raw_connection(session: AsyncSession) -> asyncpg.Connection:
    """The driver's connection inside the session's transaction, for queries that hot reads share with writes.

    The session must have spoken to the database already, or the driver's transaction has not begun.
    """
    connection = await (await session.connection()).get_raw_connection()
    return connection.driver_connection


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()
