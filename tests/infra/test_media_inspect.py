"""`petfolio media inspect` on real rows."""

import json
from pathlib import Path

import pytest

from core.crypto import FieldCipher
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from infra.local.cli import main
from infra.local.commands.media import inspect
from infra.local.errors import StackError
from integrations.keys.store import KeyStore
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import move_in


async def test_a_file_is_found_by_each_of_its_ids_without_anything_personal(
    db: Database, keys: KeyStore, cipher: FieldCipher, settings: Settings, tmp_path: Path
) -> None:
    milo = MediaHome(await move_in(db, keys, cipher), tmp_path)
    asset_id = await milo.publish(photo(64, 64))
    (link,) = await milo.links(asset_id)
    (upload,) = await milo.home.rows("SELECT id FROM media_uploads WHERE asset_id = :id", id=asset_id)
    url = settings.database_url.get_secret_value()
    told = [await inspect(url, each) for each in (asset_id, link.id, upload.id)]
    assert told[0] == told[1] == told[2]
    assert told[0]["workflow"].endswith(f"/media/{asset_id}")
    assert (told[0]["asset"]["state"], len(told[0]["renditions"])) == ("ready", 3)
    assert "v1.household" not in json.dumps(told[0], default=str)
    with pytest.raises(StackError):
        await inspect(url, new_id())


def test_without_a_stack_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["media", "inspect", str(new_id()), "--data-dir", str(tmp_path)]) == 1
    assert "There is no stack" in capsys.readouterr().err
