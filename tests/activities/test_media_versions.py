"""What else lies under the key of an upload or a rendition: versions of a form that was sent again, and a delete
marker."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.media_compare import MediaCompareActivities
from core.crypto import FieldCipher
from core.db import Database
from domain.media import keys as object_keys
from integrations.keys.store import KeyStore
from integrations.storage.protocol import Bucket
from temporal.contracts.media_compare import ComparedPart, ComparePage, PageCompared
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import move_in

PHOTO = photo(64, 64)


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """A household with a pet."""
    return MediaHome(await move_in(db, keys, cipher), tmp_path)


async def compared(milo: MediaHome, part: ComparedPart) -> PageCompared:
    """A page of the night after the next one."""
    activities = MediaCompareActivities(milo.home.db.sessions, milo.storage)
    page = ComparePage(part, None, datetime.now(UTC) + timedelta(days=2))
    return await ActivityEnvironment().run(activities.compare_page, page)


async def bytes_uploaded(milo: MediaHome, asset_id: UUID) -> int:
    """Of all versions."""
    asset = await milo.asset(asset_id)
    assert asset is not None
    key = object_keys.upload(asset.stored_under, asset_id)
    return sum(each.size for each in milo.storage.listed(Bucket.QUARANTINE, key).entries)


async def test_of_a_form_that_was_sent_three_times_one_version_is_kept(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    asset = await milo.asset(asset_id)
    assert asset is not None
    milo.arrive(asset, PHOTO)
    milo.arrive(asset, PHOTO)
    await milo.run("verify_media", asset_id)
    assert await bytes_uploaded(milo, asset_id) == len(PHOTO)
    await milo.run("scan_media", asset_id)


async def test_a_form_that_is_sent_after_publication_leaves_nothing_behind(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    asset = await milo.asset(asset_id)
    assert asset is not None
    milo.arrive(asset, PHOTO)
    await compared(milo, ComparedPart.UPLOADS)
    assert await bytes_uploaded(milo, asset_id) == len(PHOTO)
    await milo.run("scan_media", asset_id)


async def test_a_browser_keeps_what_is_shown_as_long_as_its_address_is_valid(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    key = next(key for key in milo.stored(Bucket.MEDIA) if str(asset_id) in key)
    url = milo.storage.download_url(key, content_type="image/webp", disposition="inline", expires_in=timedelta(hours=1))
    assert milo.storage.get(url)[1]["cache-control"] == "private, max-age=3600"


async def test_a_rendition_behind_a_delete_marker_is_made_anew(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    key = next(key for key in milo.stored(Bucket.MEDIA) if str(asset_id) in key)
    await compared(milo, ComparedPart.ROWS)
    assert (await compared(milo, ComparedPart.ROWS)).orphans == 0
    milo.storage.hide(Bucket.MEDIA, key)
    assert (await compared(milo, ComparedPart.ROWS)).orphans == 1
