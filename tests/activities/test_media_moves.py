"""A pet that moves to another household takes its files along, wherever they are on their way. The pet of the home is
the one that moves."""

from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image

from core.crypto import FieldCipher
from core.db import Database
from core.ids import new_id
from domain.media.reasons import Reason
from integrations.keys.store import KeyStore
from integrations.storage.protocol import Bucket
from models.media import MediaLink
from models.pet import Pet
from models.queries import media_use, resealing, transfers
from temporal.contracts.media import Finding, MediaTask
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import Home, move_in

PHOTO = photo()


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """Where the pet lives at first."""
    return MediaHome(await move_in(db, keys, cipher), tmp_path / "old")


@pytest.fixture
async def theirs(db: Database, keys: KeyStore, cipher: FieldCipher, milo: MediaHome, tmp_path: Path) -> MediaHome:
    """Where it moves to, with the same store."""
    return MediaHome(await move_in(db, keys, cipher), tmp_path / "new", storage=milo.storage, scanner=milo.scanner)


async def move(milo: MediaHome, to: Home) -> None:
    """As `TransferActivities.move_pet` does."""
    async with milo.home.db.sessions.begin() as session:
        await transfers.move_all(session, milo.home.pet_id, to.household_id)
        await media_use.move_pet(session, milo.home.pet_id)


async def reseal(milo: MediaHome, to: Home) -> None:
    """As `TransferActivities.reseal_pet` does afterwards."""
    async with milo.home.db.sessions.begin() as session:
        for table in resealing.TABLES:
            await resealing.reseal(session, milo.home.cipher, table, milo.home.pet_id, to.household_id, 100)


async def give_to_a_sibling(milo: MediaHome, asset_id: UUID) -> UUID:
    """Another pet of the household has the same paper; answers its link."""
    (link,), pet_id, link_id = await milo.links(asset_id), new_id(), new_id()
    async with milo.home.db.sessions.begin() as session:
        columns = {name: getattr(link, name) for name in ("household_id", "purpose", "name_ct", "by_user_id")}
        session.add(Pet(id=pet_id, household_id=milo.home.household_id, name_ct=link.name_ct))
        await session.flush()
        session.add(MediaLink(id=link_id, asset_id=asset_id, pet_id=pet_id, thread_id=link_id, **columns))
    return link_id


async def test_what_is_published_is_counted_where_the_pet_lives(milo: MediaHome, theirs: MediaHome) -> None:
    await milo.publish(PHOTO)
    for _ in range(2):
        await move(milo, theirs.home)
    assert (await milo.usage(), await theirs.usage()) == ((0, 0), (len(PHOTO), 0))


@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_what_is_under_way_is_counted_there_when_it_is_published(
    milo: MediaHome, theirs: MediaHome, done: int
) -> None:
    steps = ("verify_media", "scan_media", "render_media", "publish_media")
    asset_id = await milo.upload(PHOTO)
    for step in steps[:done]:
        await milo.run(step, asset_id)
    await move(milo, theirs.home)
    assert (await milo.usage(), await theirs.usage()) == ((0, len(PHOTO)), (0, 0))
    for step in steps[done:]:
        await milo.run(step, asset_id)
    assert (await milo.usage(), await theirs.usage()) == ((0, 0), (len(PHOTO), 0))
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert (asset.household_id, asset.stored_under) == (theirs.home.household_id, milo.home.household_id)
    assert all(f"/{milo.home.household_id}/" in key for key in milo.stored(Bucket.MEDIA)), "objects stay where they are"


async def test_what_is_refused_after_the_move_takes_no_room_anywhere(milo: MediaHome, theirs: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    await move(milo, theirs.home)
    await milo.refuse(asset_id, Reason.DAMAGED)
    assert (await milo.usage(), await theirs.usage()) == ((0, 0), (0, 0))


async def test_what_both_have_is_one_content_of_the_new_household(milo: MediaHome, theirs: MediaHome) -> None:
    known = await theirs.publish(PHOTO)
    asset_id = await milo.publish(PHOTO)
    await move(milo, theirs.home)
    assert (await milo.usage(), await theirs.usage()) == ((0, 0), (len(PHOTO), 0))
    assert len(await milo.links(known)) == 2
    assert (await milo.run("review_media", asset_id)).task is MediaTask.REMOVE


async def test_what_arrives_after_the_move_is_looked_for_in_the_new_household(
    milo: MediaHome, theirs: MediaHome
) -> None:
    known = await theirs.publish(PHOTO)
    asset_id = await milo.upload(PHOTO)
    await move(milo, theirs.home)
    assert await milo.examine(asset_id) == Finding(is_known=True)
    assert len(await milo.links(known)) == 2
    assert (await milo.usage(), await theirs.usage()) == ((0, 0), (len(PHOTO), 0))


async def test_what_the_former_household_uses_too_is_counted_there_until_it_gives_it_up(
    milo: MediaHome, theirs: MediaHome
) -> None:
    asset_id = await milo.publish(PHOTO)
    kept = await give_to_a_sibling(milo, asset_id)
    await move(milo, theirs.home)
    assert (await milo.usage(), await theirs.usage()) == ((len(PHOTO), 0), (0, 0))
    async with milo.home.db.sessions.begin() as session:
        assert not await media_use.delete_links(session, "id", kept)
    assert await theirs.usage() == (len(PHOTO), 0)
    assert [link.pet_id for link in await milo.links(asset_id)] == [milo.home.pet_id]


@pytest.mark.parametrize("moves_before", ["render_media", "publish_media"])
async def test_the_date_of_a_photo_is_sealed_for_the_new_household(
    milo: MediaHome, theirs: MediaHome, moves_before: str
) -> None:
    """After the move `reseal_pet` seals what had its words before."""
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09"}
    asset_id = await milo.upload(photo(exif=exif), keeps_captured_at=True)
    for step in ("verify_media", "scan_media", "render_media", "publish_media"):
        if step == moves_before:
            await move(milo, theirs.home)
            await reseal(milo, theirs.home)
        await milo.run(step, asset_id)
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert asset.captured_at_ct is not None
    assert asset.captured_at_ct.startswith(f"v1.household:{theirs.home.household_id}:")


async def test_what_moved_is_removed_with_every_version(milo: MediaHome, theirs: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    await move(milo, theirs.home)
    async with milo.home.db.sessions.begin() as session:
        (doomed,) = await media_use.delete_links(session, "pet_id", milo.home.pet_id)
    assert doomed.stored_under == milo.home.household_id, "its workflow is the one that it always had"
    await theirs.run("remove_media", asset_id)
    assert (milo.stored(Bucket.QUARANTINE), milo.stored(Bucket.MEDIA)) == ([], [])
    assert await theirs.usage() == (0, 0)
