"""What cannot be done with an upload: by its person, by others, twice, late, or with addresses that were changed. What
storage itself enforces is in `tests/storage/test_upload_rules.py`."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import UUID

import pytest

from core.db import Database
from domain.access import Role
from domain.media.limits import PART_BYTES
from domain.media.reasons import Reason
from tests.activities.media_home import photo
from tests.api.household_kit import home_of, member
from tests.api.media_kit import JPEG, Uploader, send_form, send_part
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings
from tests.api.media_worker import MediaWorker
from tests.api.media_worker import worker as worker
from tests.api.signing_in import Api

BIG = JPEG + bytes(17 * 10**6 - len(JPEG))


async def bells(db: Database, media_id: str) -> int:
    """How often the workflow of an upload was rung."""
    return int(
        await db.reads.fetchval(
            "SELECT count(*) FROM outbox WHERE kind = 'media' AND args ->> 'asset_id' ="
            " (SELECT asset_id::text FROM media_links WHERE id = $1)",
            media_id,
        )
    )


async def media_of(milo: Uploader, upload: dict[str, Any]) -> dict[str, Any]:
    return dict((await milo.person.request("GET", f"/media/{upload['media_id']}")).json())


async def first_part(milo: Uploader, upload: dict[str, Any]) -> str:
    answer = await milo.person.request("POST", f"/media/uploads/{upload['id']}/parts", {"numbers": [1]})
    return str(answer.json()["items"][0]["url"])


def changed(url: str, path: str | None = None, **parameters: str) -> str:
    """The same address with something else in it."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return urlunsplit(parts._replace(path=path or parts.path, query=urlencode(query)))


async def test_completing_twice_at_once_is_completing_once(milo: Uploader, db: Database) -> None:
    upload = await milo.begin()
    await send_form(upload["form"], JPEG)
    answers = await asyncio.gather(*(milo.complete(upload) for _ in range(8)))
    assert {each.status_code for each in answers} == {202}
    assert await bells(db, upload["media_id"]) == 1


async def test_what_was_completed_without_being_sent_is_refused(milo: Uploader, worker: MediaWorker) -> None:
    upload = await milo.begin()
    assert (await milo.complete(upload)).status_code == 202
    await worker.work(upload["media_id"])
    found = await media_of(milo, upload)
    assert (found["state"], found["reason"]["code"]) == ("rejected", Reason.MISSING)
    assert (await milo.storage())["reserved"] == 0


async def test_a_form_that_is_used_again_changes_nothing(milo: Uploader, worker: MediaWorker) -> None:
    content = photo()
    upload = await milo.begin(content)
    for _ in range(2):
        assert await send_form(upload["form"], content) < 300
    await milo.complete(upload)
    assert await send_form(upload["form"], content) < 300, "storage knows the form, and these very bytes"
    await worker.work(upload["media_id"])
    published = await media_of(milo, upload)
    assert published["state"] == "ready"
    assert await send_form(upload["form"], content) < 300
    assert await send_form(upload["form"], content[:-1] + b"x") >= 400
    await worker.work(upload["media_id"])
    assert await media_of(milo, upload) == published
    again = (await milo.person.request("GET", f"/media/uploads/{upload['id']}")).json()
    assert again["form"] is None


async def test_a_form_that_is_used_again_after_the_refusal_brings_nothing_back(
    milo: Uploader, worker: MediaWorker
) -> None:
    content = photo()[:300]
    upload = await milo.begin(content)
    await send_form(upload["form"], content)
    await milo.complete(upload)
    await worker.work(upload["media_id"])
    await send_form(upload["form"], content)
    late = await milo.complete(upload)
    assert (late.status_code, late.json()["state"]) == (202, "rejected")
    await worker.work(upload["media_id"])
    found = await media_of(milo, upload)
    assert (found["state"], found["variants"]) == ("rejected", [])


async def test_a_content_of_another_size_in_parts_is_not_complete(milo: Uploader) -> None:
    upload = await milo.begin(BIG)
    url = await first_part(milo, upload)
    assert await send_part(url, BIG[: PART_BYTES - 1]) >= 400
    assert await send_part(url, BIG[: PART_BYTES + 1]) >= 400
    answer = await milo.complete(upload)
    assert (answer.status_code, answer.json()["missing"]) == (409, [1, 2, 3])


async def test_an_address_of_a_part_is_for_this_part_of_this_upload(milo: Uploader) -> None:
    mine, other = await milo.begin(BIG), await milo.begin(BIG + b"x")
    url, theirs = await first_part(milo, mine), await first_part(milo, other)
    part = BIG[:PART_BYTES]
    assert await send_part(changed(url, partNumber="2"), part) >= 400
    assert await send_part(changed(url, uploadId=parse_qs(urlsplit(theirs).query)["uploadId"][0]), part) >= 400
    assert await send_part(changed(url, path=urlsplit(theirs).path), part) >= 400
    assert await send_part(changed(url, **{"X-Amz-Expires": "604800"}), part) >= 400
    assert await send_part(url, part) == 200
    path = f"/media/uploads/{other['id']}/parts"
    assert (await milo.person.request("GET", path)).json()["items"] == []


async def test_parts_of_an_upload_that_was_taken_back_are_taken_by_nobody(milo: Uploader, worker: MediaWorker) -> None:
    upload = await milo.begin(BIG)
    url = await first_part(milo, upload)
    assert await send_part(url, BIG[:PART_BYTES]) == 200
    asset_id = await worker.asset_of(upload["media_id"])
    assert (await milo.person.request("DELETE", f"/media/uploads/{upload['id']}")).status_code == 204
    more = await milo.person.request("POST", f"/media/uploads/{upload['id']}/parts", {"numbers": [2]})
    assert (more.status_code, more.json()["code"]) == (409, "upload_over")
    await worker.work_on(asset_id)
    assert worker.lying(asset_id) == []
    assert await send_part(url, BIG[:PART_BYTES]) == 404
    assert (await milo.person.request("GET", f"/media/uploads/{upload['id']}")).status_code == 404


@pytest.mark.parametrize("call", ["complete", "parts"])
async def test_who_may_not_change_the_photo_any_more_does_not_go_on(milo: Uploader, api: Api, call: str) -> None:
    home = await home_of(milo.person)
    other = await member(api, home, Role.OWNER)
    upload = await Uploader(other, milo.pet_id).begin(BIG, purpose="profile_photo")
    path = f"/households/{home}/members/{other.user_id}"
    assert (await milo.person.request("PATCH", path, {"role": "caretaker"})).status_code == 204
    body = {"numbers": [1]} if call == "parts" else None
    answer = await other.request("POST", f"/media/uploads/{upload['id']}/{call}", body)
    assert answer.status_code == 403, answer.text
    assert (await other.request("DELETE", f"/media/uploads/{upload['id']}")).status_code == 204, "but may take it back"


async def test_who_left_finds_no_upload(milo: Uploader, api: Api) -> None:
    home = await home_of(milo.person)
    sitter = await member(api, home, Role.CARETAKER)
    upload = await Uploader(sitter, milo.pet_id).begin()
    path = f"/households/{home}/members/{sitter.user_id}"
    assert (await milo.person.request("DELETE", path)).status_code == 204
    for method, below in (("GET", ""), ("POST", "/complete"), ("DELETE", "")):
        assert (await sitter.request(method, f"/media/uploads/{upload['id']}{below}")).status_code == 404


async def test_an_upload_of_the_future_is_nobodys(milo: Uploader) -> None:
    nobody = UUID(int=7)
    for method, below in (("GET", ""), ("POST", "/complete"), ("GET", "/parts"), ("DELETE", "")):
        assert (await milo.person.request(method, f"/media/uploads/{nobody}{below}")).status_code == 404
