"""What was published and is refused by later rules: not shown any more, and shown again by those that find nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from temporalio.testing import ActivityEnvironment

from activities.media_compare import MediaCompareActivities
from activities.media_renew import MediaRenewActivities
from activities.media_sweep import MediaSweepActivities
from api import media
from core.crypto import FieldCipher
from core.db import Database
from domain.media.limits import Purpose
from domain.media.reasons import Reason
from domain.media.state import AssetState, Stage
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.limits import Limits
from integrations.keys.store import KeyStore
from integrations.scanning.protocol import Scanned, Verdict
from integrations.storage.protocol import Bucket, StorageUnavailable
from models.media import MediaLink
from temporal.contracts.media import MediaTask
from temporal.contracts.media_compare import ComparedPart, ComparePage
from temporal.contracts.media_renew import RingOutdated
from temporal.contracts.media_sweep import SweepMedia
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import move_in

PHOTO = photo()
NEWER = photo(colour=(1, 2, 3))
NEWEST = photo(colour=(4, 5, 6))


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """A household with a pet, alone in the world."""
    for table in ("media_uploads", "media_links", "media_assets", "outbox"):
        await db.reads.execute(f"DELETE FROM {table}")
    return MediaHome(await move_in(db, keys, cipher), tmp_path)


async def found_by_new_rules(milo: MediaHome, asset_id: UUID, verdict: Verdict = Verdict.INFECTED) -> None:
    """The scanner has learnt, and is wrong or right about one of them."""
    milo.scanner.rules = f"{milo.scanner.rules}+"
    milo.scanner.answers = [Scanned(verdict, "Win.Trojan.X", "scripted", milo.scanner.rules)]
    assert await milo.work(asset_id) is MediaTask.NOTHING


async def cleared_by_newer_rules(milo: MediaHome, asset_id: UUID) -> None:
    milo.scanner.rules = f"{milo.scanner.rules}-"
    assert await milo.work(asset_id) is MediaTask.NOTHING


async def current(milo: MediaHome) -> list[UUID]:
    """Assets of current versions."""
    rows = await milo.home.rows(
        "SELECT asset_id FROM media_links WHERE pet_id = :id AND is_current AND deleted_at IS NULL",
        id=milo.home.pet_id,
    )
    return [row.asset_id for row in rows]


async def told(milo: MediaHome) -> int:
    """Mails of a refusal to who uploaded."""
    rows = await milo.home.rows(
        "SELECT 1 FROM deliveries WHERE template = 'media_refused' AND channel = 'email' AND user_id = :id",
        id=milo.home.user_id,
    )
    return len(rows)


async def row(milo: MediaHome, asset_id: UUID) -> Any:
    asset = await milo.asset(asset_id)
    assert asset is not None
    return asset


@pytest.mark.parametrize("verdict", [Verdict.INFECTED, Verdict.REFUSED])
async def test_what_new_rules_find_is_shown_no_more_and_its_upload_is_kept(milo: MediaHome, verdict: Verdict) -> None:
    asset_id = await milo.publish(PHOTO)
    uploaded = milo.stored(Bucket.QUARANTINE)
    await found_by_new_rules(milo, asset_id, verdict)
    asset = await row(milo, asset_id)
    assert (asset.state, asset.withdrawn_at is not None) == (AssetState.QUARANTINED, True)
    assert (milo.stored(Bucket.QUARANTINE), milo.stored(Bucket.MEDIA)) == (uploaded, [])
    assert await milo.home.rows("SELECT 1 FROM media_variants WHERE asset_id = :id", id=asset_id) == []
    assert (await current(milo), await milo.usage(), await told(milo)) == ([], (0, 0), 1)
    found = await milo.home.rows("SELECT * FROM audit_log WHERE object = :object", object=f"media-asset:{asset_id}")
    assert [(each.actor, each.outcome, each.subject, each.household) for each in found] == [
        ("scanner:scripted", "Win.Trojan.X", None, None)
    ]
    assert asset.threat == "Win.Trojan.X"
    (link,) = await milo.links(asset_id)
    audited = await milo.home.rows("SELECT action FROM audit_log WHERE object = :object", object=f"media:{link.id}")
    assert [each.action for each in audited] == ["media.quarantined"]


async def test_what_newer_rules_find_nothing_in_is_shown_again_as_it_was(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    published = milo.stored(Bucket.MEDIA)
    await found_by_new_rules(milo, asset_id)
    await cleared_by_newer_rules(milo, asset_id)
    asset = await row(milo, asset_id)
    assert (asset.state, asset.reason, asset.threat, asset.withdrawn_at) == (AssetState.READY, None, None, None)
    assert milo.stored(Bucket.MEDIA) == published
    assert (await current(milo), await milo.usage()) == ([asset_id], (len(PHOTO), 0))
    await found_by_new_rules(milo, asset_id)
    assert await told(milo) == 2, "whose file goes again is told again"


async def test_what_is_found_in_the_copy_of_a_lost_upload_is_withdrawn_for_good(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    milo.storage.delete(Bucket.QUARANTINE, milo.stored(Bucket.QUARANTINE))
    await found_by_new_rules(milo, asset_id)
    assert (await row(milo, asset_id)).reason == Reason.THREAT
    await cleared_by_newer_rules(milo, asset_id)
    assert ((await row(milo, asset_id)).state, milo.stored(Bucket.MEDIA)) == (AssetState.QUARANTINED, [])


async def test_a_look_that_finds_nothing_is_silent_and_leaves_no_file(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    before = await row(milo, asset_id)
    said = "SELECT count(*) AS count FROM outbox"
    (outbox,) = await milo.home.rows(said)
    await cleared_by_newer_rules(milo, asset_id)
    after = await row(milo, asset_id)
    assert (after.version, after.updated_at, after.signatures) == (before.version, before.updated_at, "1-")
    assert await milo.home.rows(said) == [outbox]
    assert [path for path in milo.folder.rglob("*") if path.is_file()] == []


async def test_operators_see_how_long_each_stage_takes_and_what_is_away(milo: MediaHome) -> None:
    def measured(metric: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(metric, labels) or 0

    def timed() -> list[float]:
        return [measured("petfolio_media_stage_seconds_count", stage=stage) for stage in Stage]

    before, away = timed(), measured("petfolio_media_waiting_total", part="storage")
    asset_id = await milo.upload(PHOTO)
    milo.storage.fail_next = 1
    with pytest.raises(StorageUnavailable):
        await milo.run("verify_media", asset_id)
    await milo.work(asset_id)
    assert [now - then for now, then in zip(timed(), before, strict=True)] == [1] * len(Stage)
    assert measured("petfolio_media_waiting_total", part="storage") - away == 1


async def test_what_is_found_again_stays_withdrawn_and_nobody_is_told_again(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    await found_by_new_rules(milo, asset_id)
    await found_by_new_rules(milo, asset_id)
    assert (await row(milo, asset_id)).state == AssetState.QUARANTINED
    assert (milo.stored(Bucket.MEDIA), await told(milo)) == ([], 1)


async def test_what_is_clean_by_now_and_cannot_be_rendered_stays_withdrawn(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    await found_by_new_rules(milo, asset_id)
    milo.imaging = ConfinedImaging(Limits(pixels=100))
    await cleared_by_newer_rules(milo, asset_id)
    assert ((await row(milo, asset_id)).state, await told(milo)) == (AssetState.QUARANTINED, 1)
    assert len(milo.stored(Bucket.QUARANTINE)) == 1


async def test_every_night_those_are_looked_at_again_that_other_rules_withdrew(milo: MediaHome) -> None:
    asset_id, refused = await milo.publish(PHOTO), await milo.upload(NEWER)
    await milo.refuse(refused, Reason.THREAT)
    await found_by_new_rules(milo, asset_id)
    renew = MediaRenewActivities(milo.home.db.sessions, milo.scanner)
    assert (await ActivityEnvironment().run(renew.ring_outdated, RingOutdated(None, 9))).rung == 0
    milo.scanner.rules = "newer"
    assert (await ActivityEnvironment().run(renew.ring_outdated, RingOutdated(None, 9))).rung == 1
    assert (await milo.run("review_media", asset_id)).task is MediaTask.RESCAN
    assert (await milo.run("review_media", refused)).task is MediaTask.NOTHING


async def test_its_upload_is_kept_for_a_month_and_then_nothing_is_left(milo: MediaHome) -> None:
    asset_id = await milo.publish(PHOTO)
    await found_by_new_rules(milo, asset_id)
    compare = MediaCompareActivities(milo.home.db.sessions, milo.storage)
    page = ComparePage(ComparedPart.UPLOADS, None, datetime.now(UTC) + timedelta(days=3))
    assert (await ActivityEnvironment().run(compare.compare_page, page)).orphans == 0
    await milo.home.db.reads.execute("UPDATE media_assets SET updated_at = updated_at - interval '31 days'")
    await ActivityEnvironment().run(MediaSweepActivities(milo.home.db.sessions).sweep_media, SweepMedia())
    assert (await milo.run("review_media", asset_id)).task is MediaTask.REMOVE
    await milo.run("remove_media", asset_id)
    assert (await milo.asset(asset_id), milo.stored(Bucket.QUARANTINE)) == (None, [])


@pytest.mark.parametrize("purpose", [Purpose.DOCUMENT, Purpose.PROFILE_PHOTO])
async def test_a_former_version_takes_its_place_until_it_is_back(milo: MediaHome, purpose: Purpose) -> None:
    first = await milo.publish(PHOTO, purpose=purpose)
    (old,) = await milo.links(first)
    second = await milo.publish(NEWER, purpose=purpose, thread_id=old.thread_id)
    await found_by_new_rules(milo, second)
    assert await current(milo) == [first]
    await cleared_by_newer_rules(milo, second)
    assert await current(milo) == [second]


async def test_who_chooses_a_version_meanwhile_keeps_it(milo: MediaHome) -> None:
    first = await milo.publish(PHOTO)
    (old,) = await milo.links(first)
    second = await milo.publish(NEWER, thread_id=old.thread_id)
    third = await milo.publish(NEWEST, thread_id=old.thread_id)
    await found_by_new_rules(milo, third)
    assert await current(milo) == [second]
    async with milo.home.db.sessions.begin() as session:
        chosen = await session.get(MediaLink, old.id)
        assert chosen is not None
        await media.restore(session, chosen)
    await cleared_by_newer_rules(milo, third)
    assert await current(milo) == [first]


async def test_a_photo_that_comes_back_does_not_replace_a_newer_one(milo: MediaHome) -> None:
    first = await milo.publish(PHOTO, purpose=Purpose.PROFILE_PHOTO)
    await found_by_new_rules(milo, first)
    newer = await milo.publish(NEWER, purpose=Purpose.PROFILE_PHOTO)
    await cleared_by_newer_rules(milo, first)
    assert await current(milo) == [newer]
    (back,), (shown,) = await milo.links(first), await milo.links(newer)
    assert back.thread_id == shown.thread_id, "it is a version of what is shown, and can be restored"
