"""Media over HTTP, once they are published: who sees what, versions, photos of pets, and what goes when something is
deleted. What publishing does is in `tests/activities/test_media.py`."""

from typing import Any
from uuid import UUID

from api.schemas.media import MediaOut
from core.db import Database
from domain.media.state import AssetState
from models.media import MediaLink
from models.queries import media_work
from models.queries.media_work import File
from tests.api.media_kit import JPEG, Uploader
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings

FILES = [File("160.webp", "image/webp", 100, 160, 120), File("480.webp", "image/webp", 300, 480, 360)]


async def publish(milo: Uploader, content: bytes = JPEG, **about: Any) -> dict[str, Any]:
    """As the worker leaves it."""
    upload = await milo.begin(content, **about)
    async with milo.person.api.identity.db.sessions.begin() as session:
        link = await session.get(MediaLink, UUID(upload["media_id"]))
        assert link is not None
        asset = await media_work.lock(session, link.asset_id)
        assert asset is not None
        await media_work.save_renditions(session, asset.id, FILES)
        await media_work.settle(session, asset, AssetState.READY)
        await media_work.show(session, asset)
    answer = await milo.person.request("GET", f"/media/{upload['media_id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def shown(milo: Uploader, path: str) -> list[str]:
    """Ids of a list."""
    answer = await milo.person.request("GET", path)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


async def rung(db: Database, media_id: str) -> bool:
    found = await db.reads.fetchval(
        "SELECT count(*) FROM outbox o JOIN media_links l ON o.args ->> 'asset_id' = l.asset_id::text WHERE l.id = $1",
        media_id,
    )
    return bool(found)


async def test_what_is_published_is_listed_with_addresses(milo: Uploader) -> None:
    media = await publish(milo)
    MediaOut.model_validate(media, strict=False)
    assert [each["name"] for each in media["variants"]] == ["160.webp", "480.webp"]
    assert all("X-Amz-Signature" in each["url"] for each in media["variants"])
    assert await shown(milo, f"/pets/{milo.pet_id}/media") == [media["id"]]
    again = (await milo.person.request("GET", f"/media/{media['id']}")).json()
    assert again == media, "addresses are signed once in half an hour, so the ETag stays"


async def test_a_name_is_in_the_address_and_not_in_the_key(milo: Uploader) -> None:
    media = await publish(milo, filename="../../Mädchen 🐕.jpg")
    url = media["variants"][0]["url"]
    assert media["name"] == "Mädchen 🐕.jpg"
    assert "Mädchen" not in url.partition("?")[0]
    assert "M%25C3%25A4dchen" in url


async def test_a_photo_is_the_pets_until_it_is_deleted(milo: Uploader) -> None:
    before = (await milo.person.request("GET", f"/pets/{milo.pet_id}")).json()
    media = await publish(milo, purpose="profile_photo")
    pet = (await milo.person.request("GET", f"/pets/{milo.pet_id}")).json()
    assert pet["photo_media_id"] == media["id"]
    assert pet["profile_photo_url"].partition("?")[0].endswith("/480.webp")
    assert pet["version"] > before["version"]
    assert (await milo.person.request("DELETE", f"/media/{media['id']}")).status_code == 204
    pet = (await milo.person.request("GET", f"/pets/{milo.pet_id}")).json()
    assert (pet["photo_media_id"], pet["profile_photo_url"]) == (None, None)


async def test_a_pet_that_is_sent_back_as_it_was_shown_keeps_its_photo_and_its_address(milo: Uploader) -> None:
    outside = {"profile_photo_url": "https://pictures.example.test/milo.jpg"}
    assert (await milo.person.request("PATCH", f"/pets/{milo.pet_id}", outside)).status_code == 200
    media = await publish(milo, purpose="profile_photo")
    pet = (await milo.person.request("GET", f"/pets/{milo.pet_id}")).json()
    assert (await milo.person.request("PUT", f"/pets/{milo.pet_id}", pet)).status_code == 200
    await milo.person.request("DELETE", f"/media/{media['id']}")
    pet = (await milo.person.request("GET", f"/pets/{milo.pet_id}")).json()
    assert pet["profile_photo_url"] == outside["profile_photo_url"]


async def test_a_newer_version_replaces_and_the_former_one_can_be_restored(milo: Uploader) -> None:
    first = await publish(milo)
    second = await publish(milo, JPEG + b"2", replaces=first["id"])
    assert await shown(milo, f"/pets/{milo.pet_id}/media") == [second["id"]]
    assert await shown(milo, f"/media/{first['id']}/versions") == [second["id"], first["id"]]
    restored = await milo.person.request("POST", f"/media/{first['id']}/restore")
    assert (restored.status_code, restored.json()["is_current"]) == (200, True)
    assert await shown(milo, f"/pets/{milo.pet_id}/media") == [first["id"]]
    stale = await milo.person.request("POST", f"/media/{second['id']}/restore", None, {"If-Match": '"v0-x"'})
    assert stale.status_code == 412


async def test_what_is_not_checked_yet_cannot_be_restored(milo: Uploader) -> None:
    upload = await milo.begin()
    answer = await milo.person.request("POST", f"/media/{upload['media_id']}/restore")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")


async def test_only_what_is_in_the_same_place_is_replaced(milo: Uploader) -> None:
    photo = await publish(milo, purpose="profile_photo")
    answer = await milo.person.request("POST", "/media/uploads", milo.about(replaces=photo["id"]))
    assert answer.status_code == 404


async def test_attachments_are_listed_below_their_record_and_go_with_it(milo: Uploader, db: Database) -> None:
    record = (
        await milo.person.request("POST", f"/pets/{milo.pet_id}/records", {"record_type": "lab", "title": "Blood"})
    ).json()
    media = await publish(milo, purpose="attachment", pet_id=None, record_id=record["id"])
    path = f"/health-records/records/{record['id']}"
    assert await shown(milo, f"{path}/media") == [media["id"]]
    assert await shown(milo, f"/pets/{milo.pet_id}/media") == [media["id"]]
    assert (await milo.person.request("DELETE", path)).status_code == 204
    assert (await milo.person.request("GET", f"/media/{media['id']}")).status_code == 404
    assert await rung(db, media["id"])


async def test_deleting_takes_all_versions_and_a_former_version_alone(milo: Uploader, db: Database) -> None:
    first = await publish(milo)
    second = await publish(milo, JPEG + b"2", replaces=first["id"])
    third = await publish(milo, JPEG + b"3", replaces=second["id"])
    assert (await milo.person.request("DELETE", f"/media/{second['id']}")).status_code == 204
    assert await shown(milo, f"/media/{third['id']}/versions") == [third["id"], first["id"]]
    assert (await milo.person.request("DELETE", f"/media/{third['id']}")).status_code == 204
    assert (await milo.person.request("GET", f"/media/{first['id']}")).status_code == 404
    assert [await rung(db, each["id"]) for each in (first, second, third)] == [True] * 3
    assert (await milo.storage())["used"] == 0


async def test_all_of_a_pet_goes_with_it(milo: Uploader, db: Database) -> None:
    media = await publish(milo)
    assert (await milo.person.request("DELETE", f"/pets/{milo.pet_id}")).status_code == 204
    assert (await milo.person.request("GET", f"/media/{media['id']}")).status_code == 404
    assert await rung(db, media["id"])
    assert (await milo.storage())["used"] == 0


async def test_a_work_is_found_by_its_id_and_leads_to_the_file(milo: Uploader) -> None:
    media = await publish(milo)
    items = (await milo.person.request("GET", "/workflows")).json()["items"]
    (work,) = [each for each in items if each["type"] == "media"]
    assert (work["status"], work["result"]) == ("ready", f"/api/v1/media/{media['id']}")
    assert (await milo.person.request("GET", f"/workflows/{work['id']}")).status_code == 200
