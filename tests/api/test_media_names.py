"""Names of files come from strangers' machines: wherever they are shown they are harmless, and in no key."""

import json
import logging
from email.message import Message
from urllib.parse import unquote

import httpx
import pytest

from domain.media import names
from tests.activities.media_home import photo
from tests.api.household_kit import home_of
from tests.api.media_kit import Uploader
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings
from tests.api.media_worker import MediaWorker
from tests.api.media_worker import worker as worker
from tests.api.signing_in import bearer

NAMES = {
    "a path": ("../../x", "x"),
    "a path of windows": ("C:\\Users\\me\\..\\x.jpg", "x.jpg"),
    "line ends": ("cat\r\nSet-Cookie: a=b\r\n\r\n<script>.jpg", "catSet-Cookie a=b<script>.jpg"),
    "a turn of direction": ("cat\u202egpj.exe", "catgpj.exe"),
    "a thousand characters": ("a" * 1000 + ".jpg", "a" * (names.LONGEST - 4) + ".jpg"),
    "emoji": ("🐈\u200d⬛ Mühle 猫.jpg", "🐈\u200d⬛ Mühle 猫.jpg"),
    "controls": ("cat\x1b[31m\x07\x7f.jpg", "cat[31m.jpg"),
    "dots": ("....", "file"),
    "nothing": ("", "file"),
    "another type": ("cat.html", "cat.html"),
    "quotation marks": ('cat"; filename="evil.exe', 'cat"; filename="evil.exe'),
}
PHOTO = photo(64, 48)


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_harmless_in_keys_headers_lists_and_logs(
    milo: Uploader, worker: MediaWorker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    given, shown = NAMES[name]
    with caplog.at_level(logging.DEBUG):
        media = await worker.send(milo, PHOTO, filename=given)
    assert (media["state"], media["name"]) == ("ready", shown)
    (listed,) = (await milo.person.request("GET", f"/pets/{milo.pet_id}/media")).json()["items"]
    assert listed["name"] == shown
    asset_id = await worker.asset_of(media["id"])
    home = await home_of(milo.person)
    files = {f"uploads/{home}/{asset_id}", *(f"media/{home}/{asset_id}/{each['name']}" for each in media["variants"])}
    assert set(worker.lying(asset_id)) == files
    async with httpx.AsyncClient() as http:
        for each in media["variants"]:
            read = await http.get(each["url"])
            assert read.headers["content-type"] == each["content_type"]
            assert "set-cookie" not in read.headers
            _is_saved_safely(read.headers["content-disposition"], each["name"].rpartition(".")[2])
    if len(given) > 8:
        assert not [record for record in caplog.records if given in record.getMessage()]


def _is_saved_safely(header: str, ending: str) -> None:
    """One line, and a name without a path that ends as the file's type."""
    message = Message()
    message["Content-Disposition"] = header
    for saved in (message.get_filename() or "", unquote(header.rpartition("''")[2]).rstrip('"')):
        assert saved.endswith(f".{ending}"), header
        assert not set(saved) & set("/\\\r\n\0\u202e")


@pytest.mark.parametrize("character", ["\\ud800", "\\u0000"], ids=["half a character", "a nul"])
async def test_what_no_text_can_hold_is_no_name(milo: Uploader, character: str) -> None:
    """JSON can say both."""
    body = json.dumps(milo.about(PHOTO)).replace("Milo.jpg", f"cat{character}.jpg").encode()
    headers = bearer(milo.person.access_token) | {"Content-Type": "application/json"}
    answer = await milo.person.api.http.post("/api/v1/media/uploads", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_string")
    assert (await milo.storage())["reserved"] == 0


@pytest.mark.parametrize("name", ["line ends", "a turn of direction", "a thousand characters", "quotation marks"])
async def test_a_name_is_harmless_in_the_mail_about_a_refusal(milo: Uploader, worker: MediaWorker, name: str) -> None:
    given, shown = NAMES[name]
    media = await worker.send(milo, PHOTO[:300], filename=given)
    assert media["state"] == "rejected"
    identity = milo.person.api.identity
    row = await identity.db.reads.fetchrow(
        "SELECT id, params_ct FROM deliveries WHERE user_id = $1 AND template = 'media_refused' AND channel = 'email'",
        milo.person.user_id,
    )
    params = await identity.cipher.open("deliveries.params_ct", row["id"], row["params_ct"])
    assert "\\r" not in params
    assert "\u202e" not in params
    assert shown.replace('"', '\\"') in params
