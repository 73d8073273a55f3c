"""The migrated database is what the tables say."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from core.settings import Settings
from models import migrate
from models.queries import schema
from models.tables import metadata


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
