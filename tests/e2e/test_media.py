"""Files on the whole stack: sent straight to storage, looked at by the real worker, and gone when they are deleted."""

import httpx
import pytest

from tests.media_owner import EICAR, Owner, photo
from tests.person import sign_up
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def owner(client: httpx.AsyncClient, inbox: Inbox) -> Owner:
    person = await sign_up(client, inbox)
    return Owner(person, await person.add_pet())


async def status_of(url: str) -> int:
    async with httpx.AsyncClient() as http:
        return (await http.get(url)).status_code


async def test_a_photo_becomes_the_pets_and_stops_being_read_when_it_is_deleted(owner: Owner) -> None:
    media = await owner.settled(await owner.send(photo(3000, 2000), purpose="profile_photo"))
    assert media["state"] == "ready", media
    assert {each["name"].partition(".")[0] for each in media["variants"]} == {"160", "480", "1080", "2048"}
    async with httpx.AsyncClient() as http:
        for each in media["variants"]:
            read = await http.get(each["url"])
            assert (read.status_code, read.headers["content-type"]) == (200, each["content_type"])
            assert len(read.content) == each["size"]
    pet = (await owner.person.call("GET", f"/pets/{owner.pet_id}")).json()
    assert pet["photo_media_id"] == media["id"]
    assert await status_of(pet["profile_photo_url"]) == 200
    assert (await owner.person.call("DELETE", f"/media/{media['id']}")).status_code == 204

    async def is_gone() -> bool:
        return await status_of(media["variants"][0]["url"]) == 404

    await until(is_gone, within=30, what="the published photo is gone")


async def test_a_virus_behind_a_photo_is_refused_with_a_reason_and_reachable_nowhere(owner: Owner) -> None:
    media = await owner.settled(await owner.send(photo(200, 200) + EICAR))
    assert (media["state"], media["variants"], media["reason"]["code"]) == ("quarantined", [], "threat")
    assert "harmful" in media["reason"]["text"]
    assert (await owner.person.call("GET", f"/pets/{owner.pet_id}/media")).json()["items"] == []


async def test_a_worker_that_is_killed_while_it_decodes_publishes_once_all_the_same(stack: Stack, owner: Owner) -> None:
    upload = await owner.send(photo(4000, 3000))

    async def is_decoding() -> bool:
        found = (await owner.person.call("GET", f"/media/uploads/{upload['id']}")).json()
        return found["stage"] in ("decoding", "rendering", "publishing")

    await until(is_decoding, within=30, what="the photo is being decoded")
    await stack.kill_and_wait("worker-media")
    media = await owner.settled(upload, within=120)
    assert (media["state"], len(media["variants"])) == ("ready", 12)
    for each in media["variants"]:
        assert await status_of(each["url"]) == 200
    listed = (await owner.person.call("GET", f"/pets/{owner.pet_id}/media")).json()["items"]
    assert [each["id"] for each in listed] == [media["id"]]
