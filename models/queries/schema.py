"""Which release's schema the database has."""

from core.db import Database


async def revision(db: Database) -> str:
    """The newest migration that ran. Raises `UndefinedTableError` where none ever did."""
    return str(await db.fetch_value("SELECT version_num FROM alembic_version"))
