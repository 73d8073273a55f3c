"""Whoever deletes something deletes every version, rendition and part of its files: what lies in both buckets is
counted, versions and delete markers included."""

from typing import Any

import httpx

from api.media_urls import LIVES
from tests.activities.media_home import photo
from tests.api.household_kit import home_of
from tests.api.media_kit import JPEG, Uploader, send_form, send_part
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings
from tests.api.media_worker import MediaWorker
from tests.api.media_worker import worker as worker
from tests.scanning import pdfs

BIG = JPEG + bytes(17 * 10**6 - len(JPEG))
FIRST, SECOND, THIRD = (photo(200, 150, (number, 9, 9)) for number in (0, 90, 180))


async def record_of(milo: Uploader) -> str:
    answer = await milo.person.request("POST", f"/pets/{milo.pet_id}/records", {"record_type": "lab", "title": "Blood"})
    return str(answer.json()["id"])


async def published(worker: MediaWorker, milo: Uploader, content: bytes, **about: Any) -> dict[str, Any]:
    media = await worker.send(milo, content, **about)
    assert media["state"] == "ready", media
    return media


async def read(media: dict[str, Any]) -> set[int]:
    """The statuses of all its addresses."""
    async with httpx.AsyncClient() as http:
        return {(await http.get(each["url"])).status_code for each in media["variants"]}


async def deleted(milo: Uploader, worker: MediaWorker, path: str) -> None:
    """And the worker has done what follows."""
    assert (await milo.person.request("DELETE", path)).status_code == 204
    await worker.work_all()


async def test_a_pet_takes_all_its_files_along_those_under_way_too(milo: Uploader, worker: MediaWorker) -> None:
    home = await home_of(milo.person)
    first = await published(worker, milo, FIRST, purpose="profile_photo")
    await published(worker, milo, SECOND, purpose="profile_photo")
    paper = await published(worker, milo, pdfs.document(), content_type="application/pdf")
    await published(worker, milo, THIRD, replaces=paper["id"])
    await published(worker, milo, FIRST, purpose="attachment", pet_id=None, record_id=await record_of(milo))
    await worker.send(milo, THIRD[:400])  # refused
    announced, sent, in_parts = await milo.begin(), await milo.begin(JPEG + b"2"), await milo.begin(BIG)
    await send_form(sent["form"], JPEG + b"2")
    parts = await milo.person.request("POST", f"/media/uploads/{in_parts['id']}/parts", {"numbers": [1]})
    assert await send_part(parts.json()["items"][0]["url"], BIG[: 8 * 2**20]) == 200
    assert len(worker.lying(home)) > 30
    await deleted(milo, worker, f"/pets/{milo.pet_id}")
    assert worker.lying(home) == []
    assert await read(first) == {404}
    assert await milo.storage() | {"limit": 0} == {"used": 0, "reserved": 0, "limit": 0}
    for upload in (announced, sent, in_parts):
        assert (await milo.complete(upload)).status_code == 404
    left = "SELECT count(*) FROM media_assets WHERE household_id = $1"
    assert await milo.person.api.identity.db.reads.fetchval(left, home) == 0


async def test_an_entry_takes_its_attachments_along_and_nothing_else(milo: Uploader, worker: MediaWorker) -> None:
    record = await record_of(milo)
    kept = await published(worker, milo, FIRST)
    shared = await published(worker, milo, FIRST, purpose="attachment", pet_id=None, record_id=record)
    lost = await published(worker, milo, SECOND, purpose="attachment", pet_id=None, record_id=record)
    lost_asset = await worker.asset_of(lost["id"])
    await deleted(milo, worker, f"/health-records/records/{record}")
    assert worker.lying(lost_asset) == []
    assert (await read(lost), await read(kept)) == ({404}, {200})
    assert (await milo.person.request("GET", f"/media/{shared['id']}")).status_code == 404
    assert (await milo.storage())["used"] == len(FIRST)


async def test_a_file_takes_its_versions_along(milo: Uploader, worker: MediaWorker) -> None:
    home = await home_of(milo.person)
    first = await published(worker, milo, FIRST)
    second = await published(worker, milo, SECOND, replaces=first["id"])
    under_way = await milo.begin(THIRD, replaces=second["id"])
    await send_form(under_way["form"], THIRD)
    await deleted(milo, worker, f"/media/{second['id']}")
    assert (worker.lying(home), await read(first), await read(second)) == ([], {404}, {404})
    assert (await milo.storage())["used"] + (await milo.storage())["reserved"] == 0


async def test_a_household_is_closed_only_when_its_files_went_with_its_pets(
    milo: Uploader, worker: MediaWorker
) -> None:
    made = await milo.person.request("POST", "/households", {"name": "Cottage"})
    home = made.json()["id"]
    pet = await milo.person.request("POST", "/pets", {"name": "Minka", "household_id": home})
    minka = Uploader(milo.person, pet.json()["id"])
    await published(worker, minka, FIRST)
    assert (await milo.person.request("DELETE", f"/households/{home}")).status_code == 409
    await deleted(milo, worker, f"/pets/{minka.pet_id}")
    await deleted(milo, worker, f"/households/{home}")
    assert worker.lying(home) == []


async def test_an_address_lives_for_an_hour_and_is_for_one_file(milo: Uploader, worker: MediaWorker) -> None:
    media = await published(worker, milo, FIRST)
    (smallest, other, *_) = media["variants"]
    assert f"X-Amz-Expires={int(LIVES.total_seconds())}" in smallest["url"]
    path, _, query = smallest["url"].partition("?")
    async with httpx.AsyncClient() as http:
        for changed in (
            f"{other['url'].partition('?')[0]}?{query}",
            smallest["url"].replace("X-Amz-Expires=3600", "X-Amz-Expires=360000"),
            path,
        ):
            assert (await http.get(changed)).status_code == 403
