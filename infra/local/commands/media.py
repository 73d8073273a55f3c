"""`petfolio media inspect`: all that is known of an uploaded file, by the id of the media, its asset or its upload.

Nothing personal: its name is sealed, and stays so.
"""

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from domain.media import keys
from infra.local.environment import read_env_file
from infra.local.errors import StackError
from temporal import ids

_ASSET: Final = """
SELECT m.* FROM media_assets m
 WHERE m.id IN (SELECT $1 UNION SELECT asset_id FROM media_links WHERE id = $1
                UNION SELECT asset_id FROM media_uploads WHERE id = $1)"""
_BESIDE: Final = {
    "links": "SELECT id, pet_id, record_id, purpose, thread_id, is_current, by_user_id, created_at, deleted_at"
    " FROM media_links WHERE asset_id = $1 ORDER BY id",
    "uploads": "SELECT id, user_id, state, multipart_id IS NOT NULL AS in_parts, created_at, expires_at"
    " FROM media_uploads WHERE asset_id = $1 ORDER BY id",
    "renditions": "SELECT name, content_type, size, width, height FROM media_variants"
    " WHERE asset_id = $1 ORDER BY name",
}
_SEALED: Final = ("captured_at_ct",)


def run(arguments: argparse.Namespace) -> int:
    """Raises `StackError` where there is no such thing, or no database."""
    print(json.dumps(asyncio.run(inspect(_source(arguments), arguments.id)), indent=2, default=str))
    return 0


async def inspect(url: str, wanted: UUID) -> dict[str, Any]:
    """The asset with its places, uploads and renditions, and where its objects and its workflow are."""
    connection = await asyncpg.connect(url)
    try:
        asset = await connection.fetchrow(_ASSET, wanted)
        if asset is None:
            raise StackError(f"There is no media, asset or upload {wanted}.")
        found = {name: await connection.fetch(query, asset["id"]) for name, query in _BESIDE.items()}
    finally:
        await connection.close()
    known = {name: value for name, value in asset.items() if name not in _SEALED}
    return {
        "asset": known | {"sha256": asset["sha256"].hex()},
        **{name: [dict(row) for row in rows] for name, rows in found.items()},
        "workflow": ids.media(asset["stored_under"], asset["id"]),
        "upload_key": keys.upload(asset["stored_under"], asset["id"]),
        "published_below": keys.published_prefix(asset["stored_under"], asset["id"]),
    }


def _source(arguments: argparse.Namespace) -> str:
    if arguments.database_url:
        return str(arguments.database_url)
    root: Path = arguments.data_dir
    if not (root / "env").exists():
        raise StackError("There is no stack: start it with `make up`, or name a database with --database-url.")
    read_env_file(root)
    return os.environ["PETFOLIO_DATABASE_URL"]
