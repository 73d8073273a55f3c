"""What every test stands on: pinned zone data, real servers (`tests/services.py`), a migrated database."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import pytest
from pydantic import SecretStr

from core.clock import pin_zone_data
from core.crypto import FieldCipher
from core.db import WORKER_POOL, Database, connect
from core.settings import ApiSettings, KeySettings, Settings
from integrations.keys.factory import open_keys
from integrations.keys.secrets import ensure_secrets, ensure_system_key
from integrations.keys.store import KeyStore
from models.migrate import upgrade
from models.queries.keys import KeyTable

if TYPE_CHECKING:
    from tests.services import PostgresServer

pin_zone_data()

EXPLORE = bool(os.environ.get("PETFOLIO_EXPLORE"))
"""Whether to look for new examples. Otherwise a run repeats itself, and a red one is about the change (`make fuzz`)."""
hypothesis.settings.register_profile("repeatable", derandomize=not EXPLORE)
hypothesis.settings.load_profile("repeatable")

pytest_plugins = [
    "tests.services",
    "tests.caldav_servers",
    "tests.sign_in_providers",
    "tests.calendar_servers",
    "tests.calendar_listener",
    "tests.stripe_servers",
    "tests.whole",
]

ALARM_AGAIN: Final = 15.0
"""Seconds between two alarms of a test that has had its time."""


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(settings: Any) -> Generator[None, object, object]:
    """The alarm of a test comes again: the first one may end some task of the test's loop in place of the test, which
    then waits for that task for ever."""
    done = yield
    if settings.method == "signal":
        signal.setitimer(signal.ITIMER_REAL, settings.timeout, ALARM_AGAIN)
    return done


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """A database at this release's schema that nobody connects to: what the others are copied from."""
    name = postgres_server.create_database()
    postgres_server.run(upgrade(postgres_server.owner_url(name), app_role="petfolio"))
    return name


@pytest.fixture(scope="session")
def key_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Master keys and secrets of this run."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def database_name(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A database of the module's own; its tests share it the way households share production."""
    name = postgres_server.create_database(template=migrated_template)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def settings(
    postgres_server: PostgresServer, database_name: str, key_directory: Path, redis_url: str, temporal_address: str
) -> Settings:
    """Settings of a process on the test servers. A test changes them with `model_copy(update=…)`."""
    return Settings(
        database_url=postgres_server.url(database_name),
        migration_url=postgres_server.owner_url(database_name),
        redis_url=redis_url,
        temporal_address=temporal_address,
        # Signing needs keys, and no server; what is really stored has a fixture of its own (`s3`).
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key_id=SecretStr("nobody"),
        s3_secret_access_key=SecretStr("nothing"),
        keys=KeySettings(provider="file", directory=key_directory),
        api=ApiSettings(docs=True, drain_delay=0),
    )


@pytest.fixture(scope="module")
async def db(settings: Settings) -> AsyncIterator[Database]:
    """The pools of a worker process on the module's database, with the platform's key and secrets in place."""
    async with connect(settings, WORKER_POOL) as database:
        _, secrets = open_keys(settings)
        await ensure_secrets(secrets)
        await ensure_system_key(_key_store(settings, database))
        yield database


@pytest.fixture(scope="module")
def keys(settings: Settings, db: Database) -> KeyStore:
    """The key store over the module's database."""
    return _key_store(settings, db)


@pytest.fixture(scope="module")
def cipher(keys: KeyStore) -> FieldCipher:
    """Field encryption with the module's keys."""
    return FieldCipher(keys)


def _key_store(settings: Settings, database: Database) -> KeyStore:
    provider, _ = open_keys(settings)
    return KeyStore(provider, KeyTable(database.reads))
