"""The jobs that look after media, on real rows: abandoned uploads, rows and objects, and what is outdated."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.media_compare import MediaCompareActivities
from activities.media_renew import MediaRenewActivities
from activities.media_sweep import MediaSweepActivities
from core.crypto import FieldCipher
from core.db import Database
from core.ids import new_id
from domain.media import keys as places
from domain.media.reasons import Reason
from domain.media.state import AssetState
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.limits import Limits
from integrations.keys.store import KeyStore
from integrations.storage.protocol import Bucket
from temporal.contracts.media import Finding, MediaTask
from temporal.contracts.media_compare import ComparedPart, ComparePage, PageCompared
from temporal.contracts.media_renew import OutdatedRung, RingOutdated
from temporal.contracts.media_sweep import MediaSwept, SweepMedia
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import move_in

PHOTO = photo()
LATER = timedelta(days=3)


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """A household with a pet, alone in the world."""
    for table in ("media_uploads", "media_links", "media_assets", "outbox"):
        await db.reads.execute(f"DELETE FROM {table}")
    return MediaHome(await move_in(db, keys, cipher), tmp_path)


async def sweep(milo: MediaHome) -> MediaSwept:
    swept = await ActivityEnvironment().run(MediaSweepActivities(milo.home.db.sessions).sweep_media, SweepMedia(2))
    assert isinstance(swept, MediaSwept)
    return swept


async def compare(milo: MediaHome, part: ComparedPart) -> PageCompared:
    activities = MediaCompareActivities(milo.home.db.sessions, milo.storage)
    page = ComparePage(part, None, datetime.now(UTC) + LATER)
    compared = await ActivityEnvironment().run(activities.compare_page, page)
    assert isinstance(compared, PageCompared)
    return compared


async def rung(milo: MediaHome) -> list[str]:
    rows = await milo.home.rows("SELECT args ->> 'asset_id' AS id FROM outbox WHERE kind = 'media' ORDER BY seq")
    return [row.id for row in rows]


async def abandon(milo: MediaHome) -> UUID:
    """An upload that nobody completed in time."""
    asset_id = await milo.upload(photo(64, 64, (len(milo.stored(Bucket.QUARANTINE)), 0, 0)))
    await milo.home.db.reads.execute("UPDATE media_assets SET state = 'pending' WHERE id = $1", asset_id)
    await milo.home.db.reads.execute(
        "UPDATE media_uploads SET state = 'open', expires_at = clock_timestamp() WHERE asset_id = $1", asset_id
    )
    return asset_id


async def test_uploads_that_nobody_completed_end_and_their_room_is_free(milo: MediaHome) -> None:
    abandoned = [await abandon(milo) for _ in range(3)]
    assert await sweep(milo) == MediaSwept(expired=3, rung=0)
    assert await milo.usage() == (0, 0)
    assert sorted(await rung(milo)) == sorted(map(str, abandoned))
    for asset_id in abandoned:
        await milo.run("remove_media", asset_id)
    assert milo.stored(Bucket.QUARANTINE) == []
    assert await sweep(milo) == MediaSwept(expired=0, rung=0)


async def test_an_upload_that_was_completed_in_time_is_left_alone(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    assert await sweep(milo) == MediaSwept(expired=0, rung=0)
    assert (await milo.run("review_media", asset_id)).task is MediaTask.PUBLISH


async def test_contents_that_wait_for_too_long_have_their_workflow_rung(milo: MediaHome) -> None:
    waiting = [await milo.upload(photo(64, 64, (0, number, 0))) for number in range(3)]
    published = await milo.publish(PHOTO)
    await milo.home.db.reads.execute("UPDATE media_assets SET created_at = created_at - interval '1 day'")
    assert await sweep(milo) == MediaSwept(expired=0, rung=0), "parts may have taken a day; they wait since then"
    await milo.home.db.reads.execute("UPDATE media_assets SET updated_at = updated_at - interval '1 hour'")
    assert await sweep(milo) == MediaSwept(expired=0, rung=3)
    assert sorted(await rung(milo)) == sorted(map(str, waiting))
    assert str(published) not in await rung(milo)


async def test_what_was_refused_can_be_read_about_for_a_month_and_then_nothing_of_it_is_left(milo: MediaHome) -> None:
    refused = [await milo.upload(photo(64, 64, (0, 0, number))) for number in range(3)]
    for asset_id, reason in zip(refused, (Reason.DAMAGED, Reason.THREAT, Reason.ENCRYPTED), strict=True):
        await milo.refuse(asset_id, reason)
    published = await milo.publish(PHOTO)
    assert (await milo.usage(), await sweep(milo)) == ((len(PHOTO), 0), MediaSwept(0, 0, 0))
    await milo.home.db.reads.execute("UPDATE media_assets SET updated_at = updated_at - interval '31 days'")
    assert await sweep(milo) == MediaSwept(0, 0, forgotten=3)
    assert sorted(await rung(milo)) == sorted(map(str, refused))
    for asset_id in refused:
        await milo.run("remove_media", asset_id)
        assert (await milo.asset(asset_id), await milo.links(asset_id)) == (None, [])
    assert await milo.links(published)
    assert await sweep(milo) == MediaSwept(0, 0, 0)


async def test_objects_without_a_row_are_deleted_and_all_others_stay(milo: MediaHome) -> None:
    await milo.publish(PHOTO)
    kept = (milo.stored(Bucket.QUARANTINE), milo.stored(Bucket.MEDIA))
    stray, foreign = places.published(new_id(), new_id(), "480.webp"), "media/what-is-this"
    (milo.folder / "stray").write_bytes(b"stray")
    (name,) = {key.rpartition("/")[0] for key in kept[1]}
    for key in (stray, foreign, f"{name}/9999.webp"):
        milo.storage.put(
            Bucket.MEDIA, key, milo.folder / "stray", content_type="image/webp", disposition="", cache_control=""
        )
    assert (await compare(milo, ComparedPart.PUBLISHED)).orphans == 3
    assert (await compare(milo, ComparedPart.UPLOADS)).orphans == 0
    assert (milo.stored(Bucket.QUARANTINE), milo.stored(Bucket.MEDIA)) == kept


async def test_what_is_sent_again_after_its_refusal_is_deleted(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    await milo.refuse(asset_id, Reason.THREAT)
    asset = await milo.asset(asset_id)
    assert asset is not None
    milo.arrive(asset, PHOTO)
    assert (await compare(milo, ComparedPart.UPLOADS)).orphans == 1
    assert milo.stored(Bucket.QUARANTINE) == []


async def test_what_is_young_is_left_alone(milo: MediaHome) -> None:
    (milo.folder / "stray").write_bytes(b"stray")
    key = places.published(new_id(), new_id(), "480.webp")
    milo.storage.put(Bucket.MEDIA, key, milo.folder / "stray", content_type="x", disposition="", cache_control="")
    activities = MediaCompareActivities(milo.home.db.sessions, milo.storage)
    page = ComparePage(ComparedPart.PUBLISHED, None, datetime.now(UTC))
    assert (await ActivityEnvironment().run(activities.compare_page, page)).orphans == 0


async def test_a_content_whose_renditions_are_gone_is_not_shown_and_made_anew(milo: MediaHome) -> None:
    whole, broken = await milo.publish(PHOTO), await milo.publish(photo(64, 64))
    (lost, *_) = [key for key in milo.stored(Bucket.MEDIA) if str(broken) in key]
    milo.storage.delete(Bucket.MEDIA, [lost])
    compared = await compare(milo, ComparedPart.ROWS)
    assert (compared.looked_at, compared.orphans) == (2, 1)
    assert await rung(milo) == [str(broken)]
    assert (await milo.run("review_media", broken)).task is MediaTask.PUBLISH
    assert (await milo.run("review_media", whole)).task is MediaTask.NOTHING
    await milo.examine(broken)
    await milo.run("publish_media", broken)
    assert lost in milo.stored(Bucket.MEDIA)
    assert await milo.usage() == (len(PHOTO) + len(photo(64, 64)), 0)


async def test_outdated_contents_are_rung_page_by_page(milo: MediaHome) -> None:
    outdated = sorted([await milo.publish(photo(64, 64, (60 * number, 0, 0))) for number in range(3)])
    await milo.publish(PHOTO)
    await milo.home.db.reads.execute("UPDATE media_assets SET signatures = '0' WHERE id = ANY($1)", outdated[:1])
    await milo.home.db.reads.execute("UPDATE media_assets SET plan_version = 0 WHERE id = ANY($1)", outdated[1:])
    activities = MediaRenewActivities(milo.home.db.sessions, milo.scanner)
    first = await ActivityEnvironment().run(activities.ring_outdated, RingOutdated(None, 2))
    assert first == OutdatedRung(outdated[1], 2)
    last = await ActivityEnvironment().run(activities.ring_outdated, RingOutdated(first.after, 2))
    assert last == OutdatedRung(None, 1)
    tasks = [(await milo.run("review_media", each)).task for each in outdated]
    assert tasks == [MediaTask.RESCAN, MediaTask.RENDER, MediaTask.RENDER]


async def test_renditions_of_a_former_release_go_when_the_new_ones_are_shown(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    (folder,) = {key.rpartition("/")[0] for key in milo.stored(Bucket.MEDIA)}
    (milo.folder / "former").write_bytes(b"former")
    milo.storage.put(
        Bucket.MEDIA, f"{folder}/77.gif", milo.folder / "former", content_type="x", disposition="", cache_control=""
    )
    await milo.home.db.reads.execute("UPDATE media_assets SET plan_version = 0 WHERE id = $1", asset_id)
    for step in ("render_media", "publish_media"):
        await milo.run(step, asset_id)
    assert f"{folder}/77.gif" not in milo.stored(Bucket.MEDIA)
    assert (await milo.run("review_media", asset_id)).task is MediaTask.NOTHING


async def test_a_look_anew_leaves_no_file_behind(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    await milo.run("scan_media", asset_id)
    milo.imaging = ConfinedImaging(Limits(pixels=100))
    await milo.run("render_media", asset_id)
    assert [path for path in milo.folder.rglob("*") if path.is_file()] == []


async def test_what_a_newer_decoder_cannot_read_stays_as_it_is(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    before = milo.stored(Bucket.MEDIA)
    await milo.home.db.reads.execute("UPDATE media_assets SET plan_version = 0 WHERE id = $1", asset_id)
    milo.imaging = ConfinedImaging(Limits(pixels=100))
    assert await milo.run("render_media", asset_id) == Finding(is_known=True)
    assert milo.stored(Bucket.MEDIA) == before
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert (asset.state, asset.reason) == (AssetState.READY, "too_many_pixels"), "operators see why"
    assert (await milo.run("review_media", asset_id)).task is MediaTask.NOTHING


async def test_what_cannot_be_made_anew_stays_as_it_is(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    milo.storage.delete(Bucket.QUARANTINE, milo.stored(Bucket.QUARANTINE))
    await milo.home.db.reads.execute("UPDATE media_assets SET plan_version = 0 WHERE id = $1", asset_id)
    await milo.home.db.reads.execute("UPDATE media_assets SET signatures = '0' WHERE id = $1", asset_id)
    assert (await milo.run("render_media", asset_id)).is_known
    looked_at = len(milo.scanner.looked_at)
    assert (await milo.run("review_media", asset_id)).task is MediaTask.RESCAN, "nobody says that it was scanned"
    assert await milo.run("scan_media", asset_id) == Finding()
    assert len(milo.scanner.looked_at) - looked_at == len(milo.stored(Bucket.MEDIA)), "what is shown of it was"
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert asset.state == AssetState.READY
    assert (await milo.run("review_media", asset_id)).task is MediaTask.NOTHING
