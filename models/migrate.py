"""Brings the schema to this release. Run by `python -m workers setup`, as the schema owner, past any pooler.

Forward only. Two deploys at once are safe: an advisory lock lets the second wait and find nothing to do.
"""

import argparse
import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 7_385_466  # any number, as long as every release uses the same
_PAUSE = 0.2


def head() -> str:
    """The revision this release needs; readiness compares the database with it."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("models/migrations holds no revision")
    return revision


async def upgrade(url: str, *, app_role: str = "petfolio", to: str = "head") -> tuple[str | None, str | None]:
    """Run every missing migration up to `to` over `url` (`postgresql://…`, the schema owner). Answers (before, after).

    `app_role` gets rights on rows only. Raises what Postgres raises: then a migration is rolled back whole, or, if it
    builds indexes beside the application and does nothing else, may be run again as it is.
    """
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"), poolclass=NullPool, hide_parameters=True
    )
    try:
        async with engine.connect() as connection:
            # Waiting for another deploy and building an index may take longer than a request's statement may.
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET {limit} = 0"))
            await _locked(connection)
            return await connection.run_sync(_upgrade, app_role, to)
    finally:
        await engine.dispose()


async def _locked(connection: AsyncConnection) -> None:
    """Asked again and again instead of waited for: a statement that waits keeps a snapshot, and an index that another
    deploy builds concurrently waits for every snapshot older than itself."""
    while not (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})).scalar_one():
        await connection.commit()
        await asyncio.sleep(_PAUSE)
    await connection.commit()


def _upgrade(connection: Connection, app_role: str, to: str) -> tuple[str | None, str | None]:
    before = _revision(connection)
    config = _config()
    config.attributes["connection"] = connection
    config.cmd_opts = argparse.Namespace(x=[f"app_role={app_role}"])
    command.upgrade(config, to)
    connection.commit()
    return before, _revision(connection)


def _revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    return revision


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
