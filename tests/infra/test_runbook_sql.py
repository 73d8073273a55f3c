"""What the runbooks tell operators to ask of Postgres can be asked of this release's schema."""

import re
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from tests.services import PostgresServer

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs/runbooks.md"
SOMETHING = UUID(int=1)
_NO_PLAN = ("BEGIN", "COMMIT", "NOTIFY")


def statements() -> list[str]:
    """Those of every block, with an id wherever the reader is to enter one."""
    blocks = re.findall(r"^```sql\n(.*?)^```", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL)
    found = [each.strip() for block in blocks for each in re.sub(r"--.*", "", block).split(";")]
    return [each.replace("…", str(SOMETHING)) for each in found if each and not each.startswith(_NO_PLAN)]


@pytest.mark.parametrize("statement", statements(), ids=lambda statement: " ".join(statement.split()[:4]))
async def test_a_statement_fits_the_schema(statement: str, postgres_server: PostgresServer, database_name: str) -> None:
    connection = await asyncpg.connect(postgres_server.owner_url(database_name), ssl=False)
    try:
        assert await connection.fetch(f"EXPLAIN {statement}")
    finally:
        await connection.close()
