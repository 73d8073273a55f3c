"""`petfolio dump --masked`: a copy of the database that may leave production, with everything personal made up."""

import argparse
import asyncio
import os
from pathlib import Path

from rich.console import Console

from infra.local.environment import read_env_file
from infra.local.errors import StackError
from infra.local.launchers.postgres import program
from infra.local.masking import PASSWORD, dump_masked


def run(arguments: argparse.Namespace) -> int:
    """Raises `StackError` where there is nothing to copy, or the folder exists."""
    source = arguments.database_url or _of_the_stack(arguments.data_dir)
    folder: Path = arguments.output.expanduser().resolve()
    if folder.exists():
        raise StackError(f"{folder} exists already: choose another folder with --output.")
    console = Console(highlight=False, soft_wrap=True)
    asyncio.run(
        dump_masked(source, folder, program("pg_dump"), lambda table, rows: console.print(f"  {table}: {rows:,} rows"))
    )
    console.print(
        f"\nWrote {folder}: load database.sql with psql, and start with PETFOLIO_KEYS__DIRECTORY={folder}/keys."
    )
    console.print(f"Everybody signs in as person-<their id>@example.test with the password: {PASSWORD}")
    return 0


def _of_the_stack(root: Path) -> str:
    if not (root / "env").exists():
        raise StackError("There is no stack: start it with `make up`, or name a database with --database-url.")
    read_env_file(root)
    return os.environ["PETFOLIO_MIGRATION_URL"]
