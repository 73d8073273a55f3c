"""Every test of the outbox starts with an empty one."""

import pytest

from core.db import Database


@pytest.fixture(autouse=True)
async def empty_outbox(db: Database) -> None:
    """The module's tests share a database."""
    await db.reads.execute("DELETE FROM outbox")
