"""The room of a plan: two at once never take the last bytes both, whatever comes to nothing gives its room back once,
and a smaller plan takes nothing away."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.billing.catalogue import LIMITS, Tier
from models.queries import media_sweep
from tests.activities.media_home import photo
from tests.api.household_kit import home_of
from tests.api.media_kit import JPEG, Uploader, send_form
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings
from tests.api.media_worker import MediaWorker
from tests.api.media_worker import worker as worker
from tests.api.plans_kit import entitle

ROOM = LIMITS[Tier.FREE].storage_bytes
VIDEO = 100 * 10**6


async def announce(milo: Uploader, size: int, content_type: str = "video/mp4") -> Any:
    about = milo.about() | {"content_type": content_type, "size": size}
    return await milo.person.request("POST", "/media/uploads", about)


async def announced(milo: Uploader, size: int) -> Any:
    """A photo, again for as long as a busy machine says so."""
    while (answer := await announce(milo, size, "image/jpeg")).status_code == 503:
        await asyncio.sleep(0.2)
    return answer


async def fill(milo: Uploader, left: int) -> list[dict[str, Any]]:
    """All room but so many bytes is taken."""
    sizes = [VIDEO] * (ROOM // VIDEO - 1)
    sizes.append(ROOM - sum(sizes) - left)
    answers = [await announce(milo, size) for size in sizes]
    assert [each.status_code for each in answers] == [201] * len(sizes)
    return [each.json() for each in answers]


async def counted(milo: Uploader) -> tuple[int, int]:
    """(used, reserved) bytes, as the rows of all contents add up."""
    rows = await milo.person.api.identity.db.reads.fetch(
        "SELECT held, sum(declared_bytes)::bigint AS bytes FROM media_assets WHERE household_id = $1 GROUP BY held",
        await home_of(milo.person),
    )
    held = {row["held"]: row["bytes"] for row in rows}
    return held.get("used", 0), held.get("reserved", 0)


async def expire(milo: Uploader, upload: dict[str, Any]) -> None:
    """Its time is over, and the sweep comes along."""
    db = milo.person.api.identity.db
    over = "UPDATE media_uploads SET expires_at = clock_timestamp() - $2::interval WHERE id = $1"
    await db.reads.execute(over, UUID(upload["id"]), timedelta(seconds=1))
    async with db.sessions.begin() as session:
        await media_sweep.expire(session, 100)


async def test_of_twenty_that_want_the_last_bytes_as_many_get_them_as_there_are(milo: Uploader) -> None:
    size = len(JPEG)
    await fill(milo, left=3 * size + size // 2)
    answers = await asyncio.gather(*(announced(milo, size) for _ in range(20)))
    assert {each.status_code for each in answers} == {201, 409}, [each.text for each in answers]
    refused = [each.json() for each in answers if each.status_code == 409]
    assert sum(each.status_code == 201 for each in answers) == 3
    assert len(refused) == 17
    assert {(each["code"], each["limit"], each["asked"]) for each in refused} == {("quota_exceeded", ROOM, size)}
    assert "delete something, or choose a larger plan" in refused[0]["detail"]
    assert sum(await counted(milo)) == (await milo.storage())["reserved"] == ROOM - size // 2


async def test_room_is_given_back_once_whatever_ends_an_upload_at_the_same_time(
    milo: Uploader, worker: MediaWorker
) -> None:
    contents = [photo(64, 48, (number, 0, 0)) for number in range(8)]
    uploads = [await milo.begin(content) for content in contents]
    for upload, content in zip(uploads[:5], contents, strict=False):
        await send_form(upload["form"], content)
    ends: list[Awaitable[Any]] = []
    for upload in uploads:
        path = f"/media/uploads/{upload['id']}"
        ends += [milo.complete(upload), milo.person.request("DELETE", path), expire(milo, upload), milo.begin()]
    answers = await asyncio.gather(*ends, return_exceptions=True)
    assert not [each for each in answers if isinstance(each, Exception)]
    usage = await milo.storage()
    assert await counted(milo) == (usage["used"], usage["reserved"])
    assert usage["reserved"] >= 8 * len(JPEG)
    await worker.work_all()
    usage = await milo.storage()
    assert await counted(milo) == (usage["used"], usage["reserved"]) == (usage["used"], 8 * len(JPEG))


async def test_after_a_downgrade_everything_is_read_and_what_is_added_is_refused_with_what_to_do(
    milo: Uploader, worker: MediaWorker
) -> None:
    db = milo.person.api.identity.db
    await entitle(db, milo.person.user_id, Tier.PLUS)
    media = await worker.send(milo, photo(64, 48))
    under_way = await milo.begin()
    await send_form(under_way["form"], JPEG)
    taken = "UPDATE storage_usage SET used = used + $2 WHERE household_id = $1"
    await db.reads.execute(taken, await home_of(milo.person), ROOM)
    await entitle(db, milo.person.user_id, Tier.FREE)
    storage = await milo.storage()
    assert storage["used"] > storage["limit"] == ROOM
    assert (await milo.person.request("GET", f"/media/{media['id']}")).json()["variants"]
    refused = await announce(milo, 1, "image/jpeg")
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (409, "quota_exceeded", ROOM)
    assert refused.json()["plans"]
    assert (await milo.complete(under_way)).status_code == 202, "its room was taken before"
    assert (await milo.person.request("DELETE", f"/media/{media['id']}")).status_code == 204
