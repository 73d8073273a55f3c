"""Which release's schema the database has, and which one this release needs."""

from typing import Final

from core.db import Database

NEEDED: Final = "0016"
"""The newest migration. Written down because Alembic, which could tell, costs each api process 13 MB."""


async def revision(db: Database) -> str:
    """The newest migration that ran. Raises `UndefinedTableError` where none ever did."""
    return str(await db.reads.fetchval("SELECT version_num FROM alembic_version"))
