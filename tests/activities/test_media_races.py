"""What people do in the moment of a publication: nobody's transaction is given up for it."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api import media
from core.crypto import FieldCipher
from core.db import Database
from domain.media.limits import Purpose
from domain.media.state import AssetState
from integrations.keys.store import KeyStore
from models.queries import media as media_queries
from models.queries import media_use, media_work, pets, storage_usage
from tests.activities.media_home import QUOTA, MediaHome, photo
from tests.activities.reminder_home import move_in


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """A household with a pet."""
    return MediaHome(await move_in(db, keys, cipher), tmp_path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a publication has settled its content and has not committed, for half a second."""
    event, settle = asyncio.Event(), media_work.settle

    async def settle_and_wait(*given: Any, **named: Any) -> None:
        await settle(*given, **named)
        event.set()
        await asyncio.sleep(0.5)  # whoever waits for our locks does so by now, or has taken theirs before

    monkeypatch.setattr(media_work, "settle", settle_and_wait)
    return event


async def examined(milo: MediaHome, **about: Any) -> UUID:
    """All but published."""
    asset_id = await milo.upload(photo(colour=(1, 2, 3)), **about)
    await milo.examine(asset_id)
    return asset_id


async def test_an_upload_may_begin_while_the_photo_of_the_pet_is_published(
    milo: MediaHome, settled: asyncio.Event
) -> None:
    asset_id = await examined(milo, purpose=Purpose.PROFILE_PHOTO)

    async def begin() -> None:
        await settled.wait()
        async with milo.home.db.sessions.begin() as session:
            assert await pets.lock(session, milo.home.user_id, milo.home.pet_id) is not None
            await storage_usage.reserve(session, milo.home.household_id, 10, QUOTA)

    await asyncio.gather(milo.run("publish_media", asset_id), begin())
    assert await milo.usage() == (len(photo(colour=(1, 2, 3))), 10)


async def test_a_document_may_be_deleted_while_its_newer_version_is_published(
    milo: MediaHome, settled: asyncio.Event
) -> None:
    first = await milo.publish(photo())
    (old,) = await milo.links(first)
    settled.clear()
    second = await examined(milo, thread_id=old.thread_id)

    async def delete() -> None:
        await settled.wait()
        async with milo.home.db.sessions.begin() as session:
            found = await media_queries.lock(session, milo.home.user_id, old.id)
            assert found is not None
            await media.delete(session, found[0])

    await asyncio.gather(milo.run("publish_media", second), delete())
    assert await milo.links(first) == []
    (shown,) = await milo.links(second)
    assert shown.is_current, "who deleted a former version did not delete the new one"
    asset = await milo.asset(second)
    assert asset is not None
    assert asset.state == AssetState.READY


async def test_a_deletion_that_waits_until_a_content_is_found_to_be_known_finds_its_file(milo: MediaHome) -> None:
    await milo.publish(photo())
    again = await milo.upload(photo())
    (link,) = await milo.links(again)
    merged = asyncio.Event()

    async def publish() -> None:
        async with milo.home.db.sessions.begin() as session:
            await media_use.hold_pets(session, again)
            row = await media_work.lock(session, again)
            assert row is not None
            assert (await media_use.bring_home(session, row)).id != again
            merged.set()
            await asyncio.sleep(0.5)  # long enough for the other one to wait

    async def delete() -> object:
        await merged.wait()
        async with milo.home.db.sessions.begin() as session:
            return await media_queries.lock(session, milo.home.user_id, link.id)

    _, found = await asyncio.gather(publish(), delete())
    assert found is not None
