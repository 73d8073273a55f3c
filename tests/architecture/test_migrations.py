"""The migrated database is what the tables say."""

import asyncio

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from core.settings import Settings
from models import migrate
from models.queries import schema
from models.tables import metadata
from tests.services import PostgresServer


def differences(connection: Connection) -> list[object]:
    def include(name: str | None, kind: str, parents: object) -> bool:
        return not (kind == "table" and name is not None and (name.startswith("health_records_p")))

    options = {"include_name": include, "compare_type": True, "target_metadata": metadata}
    context = MigrationContext.configure(connection, opts=options)
    return [
        difference for difference in compare_metadata(context, metadata) if "alembic_version" not in str(difference)
    ]


def test_readiness_waits_for_the_newest_migration() -> None:
    """A release that calls itself ready on the former schema fails on its first query."""
    assert migrate.head() == schema.NEEDED


async def test_a_migrated_database_has_exactly_the_tables_of_the_models(settings: Settings) -> None:
    """A column in the model and not in a migration works on the developer's machine and nowhere else."""
    assert settings.migration_url is not None
    url = make_url(settings.migration_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_building_indexes_can_be_interrupted_and_run_again(
    postgres_server: PostgresServer,
) -> None:
    """A deploy that is killed leaves an invalid index, which `IF NOT EXISTS` would keep for ever."""
    name = postgres_server.create_database()
    url, admin = postgres_server.owner_url(name), await asyncpg.connect(postgres_server.admin_url(name))
    await migrate.upgrade(url, to="0003")
    writer = await asyncpg.connect(url)
    async with writer.transaction():
        await writer.execute("LOCK TABLE retired_refresh IN ROW EXCLUSIVE MODE")
        deploy = asyncio.create_task(migrate.upgrade(url))
        building = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query ILIKE 'create index%retired_refresh%'"
        while (pid := await admin.fetchval(building, name)) is None:
            await asyncio.sleep(0.05)
        await admin.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(SQLAlchemyError):
            await deploy
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    assert [row[0] for row in await admin.fetch(invalid)] == ["ix_retired_refresh_retired_at"]
    assert await migrate.upgrade(url) == ("0003", migrate.head())
    assert await admin.fetch(invalid) == []
    await writer.close()
    await admin.close()
    postgres_server.drop_database(name)
