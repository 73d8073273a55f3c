"""An attempt that died after its commit, or over a slow store, is made again: nobody hears of it twice."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.media_store import MediaStore
from core import live
from core.crypto import FieldCipher
from core.db import Database
from domain.media.limits import MULTIPART_ABOVE
from domain.media.reasons import Reason
from domain.media.state import AssetState
from integrations.imaging.protocol import RenderedFile
from integrations.keys.store import KeyStore
from integrations.storage.protocol import Bucket, ObjectMissing, StorageUnavailable
from models.media import MediaAsset
from models.queries.media_work import File
from temporal.contracts.media import RefuseMedia, WorkOnMedia
from tests.activities.media_home import MediaHome, photo
from tests.activities.reminder_home import move_in


@pytest.fixture
async def milo(db: Database, keys: KeyStore, cipher: FieldCipher, tmp_path: Path) -> MediaHome:
    """A household with a pet."""
    return MediaHome(await move_in(db, keys, cipher), tmp_path)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[live.Name]:
    """What screens are told, but for how far it is."""
    names: list[live.Name] = []
    monkeypatch.setattr(live, "say", lambda session, people, name, **data: names.append(name))
    return names


def news(said: list[live.Name]) -> list[live.Name]:
    return [name for name in said if name is not live.Name.MEDIA_PROGRESS]


async def test_what_is_published_again_is_no_news(milo: MediaHome, said: list[live.Name]) -> None:
    asset_id = await milo.publish(photo())
    before = await milo.asset(asset_id), await milo.links(asset_id)
    await milo.run("publish_media", asset_id)
    after = await milo.asset(asset_id), await milo.links(asset_id)
    assert news(said) == [live.Name.MEDIA_READY]
    assert after == before


async def test_the_second_place_of_a_known_content_is_told_of_once_and_the_first_not_again(
    milo: MediaHome, said: list[live.Name]
) -> None:
    await milo.publish(photo())
    again = await milo.upload(photo())
    said.clear()
    for _ in range(2):
        await milo.run("verify_media", again)
    assert news(said) == [live.Name.MEDIA_READY]


@pytest.mark.parametrize(("step", "call"), [("publish_media", "renditions"), ("refuse_media", "remove")])
async def test_a_worker_that_waits_for_storage_is_not_taken_for_a_dead_one(
    milo: MediaHome, monkeypatch: pytest.MonkeyPatch, step: str, call: str
) -> None:
    asset_id, beaten = await milo.upload(photo()), threading.Event()
    await milo.examine(asset_id)
    asks = getattr(MediaStore, call)

    def is_slow(store: MediaStore, *arguments: object) -> object:
        assert beaten.wait(10), "storage answers, and nobody has heard of the worker since it was asked"
        return asks(store, *arguments)

    monkeypatch.setattr(MediaStore, call, is_slow)
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beaten.set()
    request = RefuseMedia(asset_id, Reason.DAMAGED) if step == "refuse_media" else WorkOnMedia(asset_id)
    await environment.run(getattr(milo.activities, step), request)
    assert (await milo.links(asset_id))[0].is_current is (step == "publish_media")


async def test_parts_whose_upload_was_never_answered_for_are_gone_when_it_is_published(milo: MediaHome) -> None:
    asset_id = await milo.upload(photo() + bytes(MULTIPART_ABOVE))
    (key,) = milo.stored(Bucket.QUARANTINE)
    lost = milo.storage.begin_multipart(key, content_type="image/jpeg")
    await milo.examine(asset_id)
    await milo.run("publish_media", asset_id)
    with pytest.raises(ObjectMissing):
        milo.storage.parts(key, lost)


async def test_what_was_refused_in_the_meantime_is_not_shown(milo: MediaHome, monkeypatch: pytest.MonkeyPatch) -> None:
    asset_id = await milo.upload(photo())
    await milo.examine(asset_id)
    asset = await milo.asset(asset_id)
    assert asset is not None
    before = milo.activities.store.renditions(asset)
    await milo.refuse(asset_id, Reason.DAMAGED)
    monkeypatch.setattr(MediaStore, "renditions", lambda *_: before)  # as it was when the other one looked
    await milo.run("publish_media", asset_id)
    assert [link.is_current for link in await milo.links(asset_id)] == [False]
    asset = await milo.asset(asset_id)
    assert asset is not None
    assert asset.state == AssetState.REJECTED


@pytest.mark.parametrize(
    ("breaks", "wait", "sent"), [(2, None, 3), (3, None, 3), (1, 5, 1)], ids=["twice", "thrice", "told to wait"]
)
async def test_a_rendition_that_breaks_off_is_sent_again_and_the_others_are_not_made_anew(
    milo: MediaHome, monkeypatch: pytest.MonkeyPatch, breaks: int, wait: int | None, sent: int
) -> None:
    """A store that says when it wants to be asked again is waited for, as is one that stays away: by Temporal."""
    asset_id, puts, publish = await milo.upload(photo()), list[str](), MediaStore.publish

    def breaking(store: MediaStore, asset: MediaAsset, file: RenderedFile) -> File:
        puts.append(file.path.name)
        if len(set(puts)) == 2 and puts.count(file.path.name) <= breaks:
            raise StorageUnavailable("the line broke", retry_after=wait)
        return publish(store, asset, file)

    monkeypatch.setattr(MediaStore, "publish", breaking)
    if sent > breaks:
        await milo.examine(asset_id)
        assert sorted(Counter(puts).values()) == [*[1] * (len(set(puts)) - 1), sent]
    else:
        with pytest.raises(StorageUnavailable):
            await milo.examine(asset_id)
        assert list(Counter(puts).values()) == [1, sent]
