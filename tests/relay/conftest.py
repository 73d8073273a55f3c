"""A migrated database of one's own for each test of the outbox and the relay."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from core.db import WORKER_POOL, Database, connect
from core.settings import Settings
from models.migrate import upgrade
from tests.services import PostgresServer


@pytest.fixture(scope="session")
async def migrated(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The name of a database at this release's revision, for copying; nobody stays connected to it."""
    name = postgres_server.create_database()
    await upgrade(postgres_server.owner_url(name))
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def database(postgres_server: PostgresServer, migrated: str) -> Iterator[str]:
    """A fresh copy."""
    name = postgres_server.create_database(migrated)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def settings(postgres_server: PostgresServer, database: str) -> Settings:
    """Of a worker on that database. Temporal is named by the tests that need it."""
    return Settings(
        database_url=SecretStr(postgres_server.url(database)),
        redis_url=SecretStr("redis://127.0.0.1:1/0"),
        _env_file=None,
    )


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    """The pools of a worker."""
    async with connect(settings, WORKER_POOL) as database:
        yield database
