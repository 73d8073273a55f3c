"""The steps of an upload on real rows with the real decoder: each may run twice, and nothing half-done is shown."""

import hashlib
from pathlib import Path

import orjson
import pytest
from PIL import Image

from activities.media_examination import SLOW_SCANS
from core.crypto import FieldCipher
from core.db import Database
from domain.media.limits import Purpose
from domain.media.reasons import GERMAN, SENTENCES, Reason, reason_of
from domain.media.state import AssetState
from integrations.imaging.protocol import Reason as DecoderSays
from integrations.keys.store import KeyStore
from integrations.scanning.protocol import Scanned, ScannerUnavailable, ScanTooSlow, Verdict
from integrations.storage.protocol import Bucket, StorageUnavailable
from models.media import MediaLink
from models.queries import media, media_use, media_work
from temporal.contracts.media import Finding, MediaStanding, MediaTask
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import move_in

PHOTO = photo()


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """A household with a pet."""
    return MediaHome(await move_in(db, keys, cipher), tmp_path)


async def test_a_photo_is_published_whole(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert (asset.state, asset.percent, asset.width, asset.height) == (AssetState.READY, 100, 640, 480)
    assert (asset.content_type, asset.scan_engine, asset.signatures) == ("image/jpeg", "scripted", "1")
    assert asset.thumbhash
    published = {key.rpartition("/")[2] for key in milo.stored(Bucket.MEDIA)}
    assert published == {f"{edge}.{kind}" for edge in (160, 480, 1080) for kind in ("avif", "webp", "jpg")}
    (link,) = await milo.links(asset_id)
    assert link.is_current
    assert await milo.usage() == (len(PHOTO), 0)
    assert (await milo.run("review_media", asset_id)).task is MediaTask.NOTHING


async def test_every_step_may_run_twice(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    for step in ("verify_media", "scan_media", "render_media", "publish_media"):
        for _ in range(2):
            await milo.run(step, asset_id)
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert asset.state == AssetState.READY
    assert len(milo.stored(Bucket.MEDIA)) == 9
    assert await milo.usage() == (len(PHOTO), 0)


@pytest.mark.parametrize(
    ("content", "declared", "content_type", "reason"),
    [
        (PHOTO + b"x", PHOTO, "image/jpeg", "size_mismatch"),
        (PHOTO[:-1] + b"x", PHOTO, "image/jpeg", "hash_mismatch"),
        (PHOTO, None, "image/png", "type_mismatch"),
        (b"MZ" + bytes(3_000), None, "image/jpeg", "unknown_type"),
        (b"<svg onload='alert(1)'/>", None, "image/jpeg", "unknown_type"),
    ],
)
async def test_what_is_not_what_was_promised_is_refused(
    milo: MediaHome, content: bytes, declared: bytes | None, content_type: str, reason: str
) -> None:
    asset_id = await milo.upload(content, declared=declared, content_type=content_type)
    assert await milo.examine(asset_id) == Finding(Reason(reason))


async def test_what_is_of_another_kind_and_a_threat_is_called_one(milo: MediaHome) -> None:
    milo.scanner.answers = [ScannerUnavailable("away"), Scanned(Verdict.INFECTED, "Eicar-Test", "scripted", "1")]
    asset_id = await milo.upload(b"MZ" + bytes(3_000))
    with pytest.raises(ScannerUnavailable):
        await milo.examine(asset_id)
    assert await milo.examine(asset_id) == Finding(Reason.THREAT)
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert (asset.threat, asset.scan_engine) == ("Eicar-Test", "scripted")


async def test_what_is_of_another_kind_is_refused_for_that_where_the_scanner_comes_to_no_end(milo: MediaHome) -> None:
    milo.scanner.answers = [ScanTooSlow("slow")]
    asset_id = await milo.upload(b"MZ" + bytes(3_000))
    assert await milo.examine(asset_id) == Finding(Reason.UNKNOWN_TYPE)


async def test_what_did_not_arrive_is_refused(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    milo.storage.delete(Bucket.QUARANTINE, milo.stored(Bucket.QUARANTINE))
    assert await milo.examine(asset_id) == Finding(Reason.MISSING)


async def test_a_damaged_file_is_refused_by_the_decoder(milo: MediaHome) -> None:
    asset_id = await milo.upload(photo(200, 200)[:300])
    assert await milo.examine(asset_id) == Finding(Reason.DAMAGED)


@pytest.mark.parametrize(
    ("verdict", "name", "reason", "state"),
    [
        (Verdict.INFECTED, "Eicar-Test", "threat", AssetState.QUARANTINED),
        (Verdict.REFUSED, "archive", "forbidden_content", AssetState.REJECTED),
        (Verdict.REFUSED, "encrypted", "encrypted", AssetState.REJECTED),
    ],
)
async def test_what_the_scanner_refuses_is_deleted_told_and_on_record(
    milo: MediaHome, verdict: Verdict, name: str, reason: str, state: AssetState
) -> None:
    milo.scanner.answers = [Scanned(verdict, name, "scripted", "1")]
    asset_id = await milo.upload(PHOTO)
    assert await milo.examine(asset_id) == Finding(Reason(reason))
    for _ in range(2):
        await milo.refuse(asset_id, Reason(reason))
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert (asset.state, asset.reason) == (state, reason)
    assert (milo.stored(Bucket.QUARANTINE), milo.stored(Bucket.MEDIA)) == ([], [])
    assert await milo.usage() == (0, 0)
    (link,) = await milo.links(asset_id)
    assert not link.is_current
    rows = await milo.home.rows("SELECT action FROM audit_log WHERE object = :object", object=f"media:{link.id}")
    assert [row.action for row in rows] == [f"media.{state}"]


async def test_who_uploaded_what_was_refused_is_told_once_with_the_reason_in_both_languages(milo: MediaHome) -> None:
    asset_id = await milo.upload(photo(200, 200)[:300])
    for _ in range(2):
        await milo.refuse(asset_id, Reason.DAMAGED)
    rows = await milo.home.rows(
        "SELECT id, channel, state, category, params_ct FROM deliveries"
        " WHERE template = 'media_refused' AND user_id = :id ORDER BY channel",
        id=milo.home.user_id,
    )
    assert [(row.channel, row.state, row.category) for row in rows] == [
        ("email", "planned", "media"),
        ("in_app", "sent", "media"),
    ]
    for row in rows:
        assert orjson.loads(await milo.home.cipher.open("deliveries.params_ct", row.id, row.params_ct)) == {
            "name": "Milo.jpg",
            "why": {"en": SENTENCES[Reason.DAMAGED], "de": GERMAN[Reason.DAMAGED]},
        }
    mails = "SELECT 1 FROM outbox WHERE args ->> 'delivery_id' = :id"
    assert len(await milo.home.rows(mails, id=str(rows[0].id))) == 1


@pytest.mark.parametrize("word", sorted(set(DecoderSays) - {DecoderSays.EMPTY}))
def test_every_word_of_the_decoder_is_a_reason_that_people_read(word: str) -> None:
    assert reason_of(word).value == word


async def test_without_a_scanner_nothing_is_published(milo: MediaHome) -> None:
    milo.scanner.answers = [ScannerUnavailable("away")]
    asset_id = await milo.upload(PHOTO)
    with pytest.raises(ScannerUnavailable):
        await milo.examine(asset_id)
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert (asset.state, asset.stage) == (AssetState.SCANNING, "scanning")
    assert milo.stored(Bucket.MEDIA) == []


async def test_a_file_that_the_rules_come_to_no_end_with_is_refused_in_the_end(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    await milo.run("verify_media", asset_id)
    for answer in [ScanTooSlow("slow"), *[ScannerUnavailable("away")] * 6, *[ScanTooSlow("slow")] * (SLOW_SCANS - 2)]:
        milo.scanner.answers = [answer]
        with pytest.raises(type(answer)):
            await milo.run("scan_media", asset_id)
    milo.scanner.answers = [ScanTooSlow("slow")]
    assert await milo.run("scan_media", asset_id) == Finding(Reason.TOO_SLOW)


async def test_what_is_published_stays_where_newer_rules_come_to_no_end_with_it(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    milo.scanner.answers = [ScanTooSlow("slow")] * SLOW_SCANS
    for _ in range(SLOW_SCANS - 1):
        with pytest.raises(ScanTooSlow):
            await milo.run("scan_media", asset_id)
    assert await milo.run("scan_media", asset_id) == Finding(is_known=True)
    assert await milo.run("review_media", asset_id) == MediaStanding(MediaTask.NOTHING, AssetState.READY)


async def test_an_outage_of_storage_is_an_error_and_no_verdict(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    milo.storage.fail_next = 1
    with pytest.raises(StorageUnavailable):
        await milo.run("verify_media", asset_id)
    assert await milo.examine(asset_id) == Finding()


async def test_a_rendition_that_is_not_there_keeps_it_from_being_shown(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    await milo.examine(asset_id)
    milo.storage.delete(Bucket.MEDIA, milo.stored(Bucket.MEDIA)[:1])
    await milo.run("publish_media", asset_id)
    assert (await milo.run("review_media", asset_id)).task is MediaTask.PUBLISH


async def test_the_same_content_twice_is_one_asset_with_two_places(milo: MediaHome) -> None:
    first = await milo.publish(PHOTO)
    second = await milo.upload(PHOTO)
    assert await milo.examine(second) == Finding(is_known=True)
    assert [link.is_current for link in await milo.links(first)] == [True, True]
    assert (await milo.run("review_media", second)).task is MediaTask.REMOVE
    await milo.run("remove_media", second)
    assert await milo.asset(second) is None
    assert len(await milo.links(first)) == 2
    assert await milo.usage() == (len(PHOTO), 0)


async def test_two_that_are_published_at_once_become_one(milo: MediaHome) -> None:
    first, second = await milo.upload(PHOTO), await milo.upload(PHOTO)
    for asset_id in (first, second):
        assert await milo.examine(asset_id) == Finding()
    for asset_id in (first, second):
        await milo.run("publish_media", asset_id)
    assert len(await milo.links(first)) == 2
    assert (await milo.run("review_media", second)).task is MediaTask.REMOVE
    assert await milo.usage() == (len(PHOTO), 0)


async def test_a_newer_photo_replaces_the_former_one_which_is_kept(milo: MediaHome) -> None:
    first = await milo.publish(PHOTO, purpose=Purpose.PROFILE_PHOTO)
    (old,) = await milo.links(first)
    second = await milo.publish(photo(colour=(1, 2, 3)), purpose=Purpose.PROFILE_PHOTO, thread_id=old.thread_id)
    assert [link.is_current for link in await milo.links(first)] == [False]
    assert [link.is_current for link in await milo.links(second)] == [True]


async def test_two_first_photos_become_versions_of_each_other(milo: MediaHome) -> None:
    first = await milo.publish(PHOTO, purpose=Purpose.PROFILE_PHOTO)
    second = await milo.publish(photo(colour=(1, 2, 3)), purpose=Purpose.PROFILE_PHOTO)
    (old,), (new,) = await milo.links(first), await milo.links(second)
    assert (old.is_current, new.is_current, old.thread_id) == (False, True, new.thread_id)


@pytest.mark.parametrize("looked_at_anew", ["scan_media", "render_media"])
async def test_what_is_looked_at_anew_leaves_the_version_that_people_chose(
    milo: MediaHome, looked_at_anew: str
) -> None:
    first = await milo.publish(PHOTO)
    (chosen,) = await milo.links(first)
    second = await milo.publish(photo(colour=(1, 2, 3)), thread_id=chosen.thread_id)
    async with milo.home.db.sessions.begin() as session:
        link = await session.get(MediaLink, chosen.id)
        assert link is not None
        await media_work.make_current(session, link)
    for step in (looked_at_anew, "publish_media"):
        await milo.run(step, second)
    assert [link.is_current for link in await milo.links(first)] == [True]
    assert [link.is_current for link in await milo.links(second)] == [False]


async def test_what_nobody_uses_is_removed_with_every_version(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    async with milo.home.db.sessions.begin() as session:
        (doomed,) = await media_use.delete_links(session, "pet_id", milo.home.pet_id)
    assert doomed.asset_id == asset_id
    assert await milo.usage() == (0, 0)
    assert (await milo.run("review_media", asset_id)).task is MediaTask.REMOVE
    for _ in range(2):
        await milo.run("remove_media", asset_id)
    assert await milo.asset(asset_id) is None
    assert (milo.stored(Bucket.QUARANTINE), milo.stored(Bucket.MEDIA)) == ([], [])


async def test_what_somebody_began_to_use_in_the_moment_of_its_end_stays(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    await milo.home.db.reads.execute("UPDATE media_assets SET doomed_at = clock_timestamp() WHERE id = $1", asset_id)
    await milo.run("remove_media", asset_id)
    assert len(milo.stored(Bucket.MEDIA)) == 9
    assert (await milo.run("review_media", asset_id)).task is MediaTask.NOTHING
    assert await milo.usage() == (len(PHOTO), 0)


async def test_what_is_published_anew_in_the_moment_of_its_end_takes_the_place_of_the_former_one(
    milo: MediaHome,
) -> None:
    first = await milo.publish(PHOTO)
    await milo.home.db.reads.execute(
        "UPDATE media_assets SET doomed_at = clock_timestamp(), held = 'nothing' WHERE id = $1", first
    )
    second = await milo.publish(PHOTO)
    await milo.run("remove_media", first)
    assert (await milo.asset(first), len(await milo.links(second))) == (None, 2)


async def test_what_is_given_up_meanwhile_is_not_published(milo: MediaHome) -> None:
    asset_id = await milo.upload(PHOTO)
    await milo.examine(asset_id)
    async with milo.home.db.sessions.begin() as session:
        await media_use.delete_links(session, "pet_id", milo.home.pet_id)
    await milo.run("publish_media", asset_id)
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert asset.state == AssetState.SCANNING


def dated() -> bytes:
    """A photo that says when it was taken."""
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09"}
    return photo(exif=exif)


@pytest.mark.parametrize("keeps", [True, False])
async def test_the_date_of_a_photo_is_kept_for_who_wants_it(milo: MediaHome, keeps: bool) -> None:
    asset_id = await milo.publish(dated(), keeps_captured_at=keeps)
    asset = await milo.asset(asset_id)
    assert asset is not None
    said = await milo.home.cipher.open_optional("media_assets.captured_at_ct", asset_id, asset.captured_at_ct)
    assert (said or "").startswith("2024-05-06T07:08:09") is keeps


@pytest.mark.parametrize("wishes", [(True, False), (False, True), (True, True), (False, False)])
async def test_the_same_photo_has_a_date_in_the_places_where_it_is_wanted(
    milo: MediaHome, wishes: tuple[bool, bool]
) -> None:
    first = await milo.publish(dated(), keeps_captured_at=wishes[0])
    second = await milo.upload(dated(), keeps_captured_at=wishes[1])
    assert (await milo.run("verify_media", second)).is_known
    is_rung = bool(await milo.home.rows("SELECT 1 FROM outbox WHERE args ->> 'asset_id' = :id", id=str(first)))
    assert is_rung is (wishes == (False, True)), "for a date that nobody has read yet"
    await milo.work(first)
    shown = await media.of_pet(milo.home.db, milo.home.user_id, milo.home.pet_id, None, 10)
    assert [row["captured_at_ct"] is not None for row in reversed(shown)] == list(wishes)


async def test_what_is_published_of_a_photo_is_never_the_original(milo: MediaHome) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera of Canary"
    await milo.publish(photo(exif=exif))
    original = hashlib.sha256(photo(exif=exif)).hexdigest()
    for key in milo.stored(Bucket.MEDIA):
        stored = milo.storage.head(Bucket.MEDIA, key)
        assert stored is not None
        path = milo.folder / "read"
        assert milo.storage.fetch(stored, path, on_bytes=lambda _: None) != original
        assert b"Canary" not in path.read_bytes()
        path.unlink()
