"""Uploads over HTTP, on real Postgres and a store that enforces what was signed."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI

from api.schemas.media import MediaOut, UploadOut
from core import live
from core.db import Database
from domain.billing.catalogue import LIMITS, Tier
from domain.media.limits import PART_BYTES
from tests.api.media_kit import JPEG, Uploader, send_form, send_part
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings
from tests.api.signing_in import Api
from tests.live.asyncapi import check
from tests.stack import until

BIG = 17 * 10**6


async def outbox_of(db: Database, media_id: str) -> list[str]:
    rows = await db.reads.fetch(
        "SELECT workflow_id FROM outbox WHERE kind = 'media' AND args ->> 'asset_id' ="
        " (SELECT asset_id::text FROM media_links WHERE id = $1)",
        media_id,
    )
    return [row["workflow_id"] for row in rows]


async def test_a_photo_is_announced_sent_and_handed_over(milo: Uploader, db: Database) -> None:
    upload = await milo.begin()
    UploadOut.model_validate(upload, strict=False)
    assert (upload["status"], upload["state"], upload["part_count"]) == ("open", "pending", None)
    assert await send_form(upload["form"], JPEG) in (200, 201, 204)
    answer = await milo.complete(upload)
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["state"], answer.json()["stage"]) == (
        "completed",
        "scanning",
        "verifying",
    )
    assert len(await outbox_of(db, upload["media_id"])) == 1
    again = await milo.complete(upload)
    assert (again.status_code, again.json()["form"]) == (202, None)
    shown = await milo.person.request("GET", f"/media/{upload['media_id']}")
    MediaOut.model_validate(shown.json(), strict=False)
    assert (shown.json()["state"], shown.json()["variants"], shown.json()["is_current"]) == ("scanning", [], False)


async def test_the_form_takes_nothing_but_what_was_announced(milo: Uploader) -> None:
    upload = await milo.begin()
    assert await send_form(upload["form"], JPEG + b"more") >= 400
    assert await send_form(upload["form"], JPEG[:-1]) >= 400
    other_key = upload["form"] | {"fields": upload["form"]["fields"] | {"key": "uploads/x/y"}}
    assert await send_form(other_key, JPEG) >= 400
    other_type = upload["form"] | {"fields": upload["form"]["fields"] | {"Content-Type": "text/html"}}
    assert await send_form(other_type, JPEG) >= 400


async def test_a_large_file_comes_in_parts_and_goes_on_after_a_crash(milo: Uploader) -> None:
    content = JPEG + bytes(BIG - len(JPEG))
    upload = await milo.begin(content)
    assert (upload["form"], upload["part_size"], upload["part_count"]) == (None, PART_BYTES, 3)
    path = f"/media/uploads/{upload['id']}/parts"
    assert (await milo.person.request("GET", path)).json() == {"items": [], "missing": [1, 2, 3]}
    urls = (await milo.person.request("POST", path, {"numbers": [1, 2]})).json()["items"]
    assert [each["size"] for each in urls] == [PART_BYTES, PART_BYTES]
    assert await send_part(urls[0]["url"], content[:PART_BYTES]) == 200
    missing = await milo.complete(upload)
    assert (missing.status_code, missing.json()["code"], missing.json()["missing"]) == (409, "parts_missing", [2, 3])
    for number in (await milo.person.request("GET", path)).json()["missing"]:
        (url,) = (await milo.person.request("POST", path, {"numbers": [number]})).json()["items"]
        start = (number - 1) * PART_BYTES
        assert await send_part(url["url"], content[start : start + url["size"]]) == 200
    assert (await milo.complete(upload)).status_code == 202


async def test_who_asks_for_parts_twice_at_once_sends_them_to_one_place(milo: Uploader) -> None:
    upload = await milo.begin(bytes(BIG))
    path = f"/media/uploads/{upload['id']}/parts"
    answers = await asyncio.gather(*(milo.person.request("POST", path, {"numbers": [1]}) for _ in range(4)))
    urls = [answer.json()["items"][0]["url"] for answer in answers]
    assert len({parse_qs(urlsplit(url).query)["uploadId"][0] for url in urls}) == 1


@pytest.mark.parametrize("numbers", [[0], [4], [], [1] * 51])
async def test_parts_that_there_are_not_are_refused(milo: Uploader, numbers: list[int]) -> None:
    upload = await milo.begin(bytes(BIG))
    answer = await milo.person.request("POST", f"/media/uploads/{upload['id']}/parts", {"numbers": numbers})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"content_type": "image/svg+xml"},
        {"size": 25 * 10**6 + 1},
        {"size": 0},
        {"sha256": "nonsense"},
        {"purpose": "profile_photo", "content_type": "application/pdf"},
        {"purpose": "attachment"},
        {"pet_id": None},
        {"purpose": "anything"},
    ],
)
async def test_what_is_not_taken_is_refused_before_it_is_sent(milo: Uploader, wrong: dict[str, Any]) -> None:
    answer = await milo.person.request("POST", "/media/uploads", milo.about() | wrong)
    assert answer.status_code == 422, answer.text
    assert await milo.storage() == {"used": 0, "reserved": 0, "limit": LIMITS[Tier.FREE].storage_bytes}


async def test_names_are_shown_clean_and_kept_sealed(milo: Uploader, db: Database) -> None:
    upload = await milo.begin(filename="../../\u202egpj.exe\r\nX: y")
    shown = (await milo.person.request("GET", f"/media/{upload['media_id']}")).json()
    assert shown["name"] == "gpj.exeX y"
    kept = await db.reads.fetchval("SELECT name_ct FROM media_links WHERE id = $1", upload["media_id"])
    assert kept.startswith("v1.household:")


async def test_parallel_uploads_share_the_room_and_none_takes_what_is_not_there(milo: Uploader, db: Database) -> None:
    room = LIMITS[Tier.FREE].storage_bytes
    video = {"content_type": "video/mp4", "size": 180 * 10**6}
    answers = await asyncio.gather(
        *(milo.person.request("POST", "/media/uploads", milo.about() | video) for _ in range(12))
    )
    taken = [each for each in answers if each.status_code == 201]
    refused = [each for each in answers if each.status_code == 409]
    assert (len(taken), len(refused)) == (room // video["size"], 12 - room // video["size"])
    assert {each.json()["code"] for each in refused} == {"quota_exceeded"}
    assert (await milo.storage())["reserved"] == len(taken) * video["size"]
    for each in taken:
        assert (await milo.person.request("DELETE", f"/media/uploads/{each.json()['id']}")).status_code == 204
    assert (await milo.storage())["reserved"] == 0


async def test_an_upload_is_its_persons_own(milo: Uploader, api: Api) -> None:
    upload, stranger = await milo.begin(), await api.person()
    path = f"/media/uploads/{upload['id']}"
    for method, below in (("GET", ""), ("GET", "/parts"), ("POST", "/complete"), ("DELETE", "")):
        assert (await stranger.request(method, path + below)).status_code == 404
    assert (await stranger.request("POST", f"{path}/parts", {"numbers": [1]})).status_code == 404
    assert (await stranger.request("GET", f"/media/{upload['media_id']}")).status_code == 404
    foreign = milo.about(purpose="profile_photo")
    assert (await stranger.request("POST", "/media/uploads", foreign)).status_code == 404


async def test_an_upload_that_was_taken_back_is_over(milo: Uploader) -> None:
    upload = await milo.begin()
    assert (await milo.person.request("DELETE", f"/media/uploads/{upload['id']}")).status_code == 204
    late = await milo.complete(upload)
    assert (late.status_code, late.json()["code"]) == (409, "upload_over")
    assert (await milo.person.request("GET", f"/media/{upload['media_id']}")).status_code == 404
    assert (await milo.person.request("DELETE", f"/media/uploads/{upload['id']}")).status_code == 204


async def test_an_upload_ends_when_its_time_is_over(milo: Uploader, db: Database) -> None:
    upload = await milo.begin()
    await db.reads.execute(
        "UPDATE media_uploads SET expires_at = clock_timestamp() - interval '1 second' WHERE id = $1", upload["id"]
    )
    assert (await milo.complete(upload)).json()["code"] == "upload_over"


async def test_the_same_announcement_twice_is_one_upload(milo: Uploader) -> None:
    answers = [
        await milo.person.request("POST", "/media/uploads", milo.about(), {"Idempotency-Key": '"once"'})
        for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (await milo.storage())["reserved"] == len(JPEG)


async def test_what_is_being_checked_is_in_no_list(milo: Uploader) -> None:
    upload = await milo.begin()
    await milo.complete(upload)
    assert (await milo.person.request("GET", f"/pets/{milo.pet_id}/media")).json()["items"] == []
    assert (await milo.person.request("GET", f"/media/{upload['media_id']}/versions")).json()["items"] == []


async def test_the_first_word_about_it_is_said_with_the_commit_of_complete(milo: Uploader, app: FastAPI) -> None:
    upload = await milo.begin()
    await milo.complete(upload)
    key = live.stream_key(milo.person.user_id)

    async def said() -> list[dict[str, Any]]:
        entries = live._entries(await app.state.services.redis.call("XRANGE", key, "-", "+"))
        return [each for each in entries if each["name"] == live.Name.MEDIA_PROGRESS]

    (event,) = await until(said, within=2, what="the first event")
    check(live.Name.MEDIA_PROGRESS, event["data"])
    assert (event["data"]["media_id"], event["data"]["stage"]) == (upload["media_id"], "verifying")


async def test_an_upload_is_over_when_the_entry_that_it_was_for_is_deleted(milo: Uploader) -> None:
    entry = {"record_type": "lab", "title": "Blood"}
    record = (await milo.person.request("POST", f"/pets/{milo.pet_id}/records", entry)).json()
    upload = await milo.begin(purpose="attachment", pet_id=None, record_id=record["id"])
    assert (await milo.person.request("DELETE", f"/health-records/records/{record['id']}")).status_code == 204
    late = await milo.complete(upload)
    assert (late.status_code, late.json()["code"]) == (409, "upload_over")
    assert (await milo.storage())["reserved"] == 0
