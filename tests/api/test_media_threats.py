"""What is not safe to show is never shown: it is refused, lies nowhere, its person is told, and it is on record."""

from datetime import timedelta

import httpx
import orjson
import pytest

from domain.media import keys
from domain.media.reasons import GERMAN, SENTENCES, Reason
from integrations.scanning.memory import EICAR
from tests.api.media_kit import Uploader
from tests.api.media_kit import milo as milo
from tests.api.media_kit import settings as settings
from tests.api.media_worker import MediaWorker
from tests.api.media_worker import worker as worker
from tests.scanning import pdfs, samples

JPEG, PDF = "image/jpeg", "application/pdf"
THREATS = {
    "eicar called a photo": (EICAR, JPEG, Reason.THREAT),
    "eicar in a zip called a document": (samples.zipped(EICAR), PDF, Reason.UNKNOWN_TYPE),
    "eicar in a zip called a photo": (samples.zipped(EICAR), JPEG, Reason.UNKNOWN_TYPE),
    "eicar in a zip behind a photo": (samples.jpeg() + samples.zipped(EICAR), JPEG, Reason.THREAT),
    "eicar behind a photo": (samples.jpeg() + EICAR, JPEG, Reason.THREAT),
    "a page called a photo": (b"<!DOCTYPE html><script>alert(1)</script>", JPEG, Reason.UNKNOWN_TYPE),
    "a page in a photo": (samples.INFECTED["jpeg and page"][1], JPEG, Reason.THREAT),
    "a drawing with a script": (samples.REFUSED["svg"][1], JPEG, Reason.UNKNOWN_TYPE),
    "a drawing behind a picture": (samples.INFECTED["webp and svg"][1], "image/webp", Reason.THREAT),
    "a picture that is a script": (samples.INFECTED["gif that is a script"][1], "image/gif", Reason.THREAT),
    "a document with a script": (pdfs.JAVASCRIPTS["on opening"], PDF, Reason.FORBIDDEN_CONTENT),
    "a document with a hidden script": (pdfs.JAVASCRIPTS["in an object stream"], PDF, Reason.FORBIDDEN_CONTENT),
    "a document that starts a program": (
        pdfs.document(b"/OpenAction<</S/Launch/F(cmd.exe)>>"),
        PDF,
        Reason.FORBIDDEN_CONTENT,
    ),
    "a document that nobody can look into": (
        pdfs.document(b"", pdfs.object_stream({7: b"[1]"}), b"<</Filter/Standard>>", trailer=b"/Encrypt 6 0 R"),
        PDF,
        Reason.ENCRYPTED,
    ),
    "a linux program called a photo": (samples.ELF, JPEG, Reason.THREAT),
    "a windows program called a photo": (samples.PE, JPEG, Reason.THREAT),
    "a script called a photo": (b"#!/bin/sh\nrm -rf /\n", JPEG, Reason.THREAT),
    "a program behind a photo": (samples.jpeg() + samples.PE, JPEG, Reason.THREAT),
    "a photo called a document": (samples.jpeg(), PDF, Reason.TYPE_MISMATCH),
}


@pytest.mark.parametrize("name", THREATS)
async def test_what_is_not_safe_is_refused_lies_nowhere_is_told_and_on_record(
    milo: Uploader, worker: MediaWorker, name: str
) -> None:
    content, content_type, reason = THREATS[name]
    media = await worker.send(milo, content, content_type=content_type)
    state = "quarantined" if reason is Reason.THREAT else "rejected"
    assert (media["state"], media["reason"], media["variants"]) == (
        state,
        {"code": reason.value, "text": SENTENCES[reason]},
        [],
    )
    assert (await milo.person.request("GET", f"/pets/{milo.pet_id}/media")).json()["items"] == []
    asset_id = await worker.asset_of(media["id"])
    assert worker.lying(asset_id) == []
    await _is_read_nowhere(worker, media)
    assert (await milo.storage())["reserved"] == 0
    await _is_told(milo, reason)
    audited = "SELECT action, outcome, actor FROM audit_log WHERE object = $1"
    (row,) = await milo.person.api.identity.db.reads.fetch(audited, f"media:{media['id']}")
    assert tuple(row.values()) == (f"media.{state}", "refused", f"user:{milo.person.user_id}")


async def _is_read_nowhere(worker: MediaWorker, media: dict[str, str]) -> None:
    """Not even under addresses that we would sign for it."""
    asset_id = await worker.asset_of(media["id"])
    for file in ("original.pdf", "480.webp", "preview-480.jpg"):
        key = keys.published(media["household_id"], asset_id, file)  # type: ignore[arg-type]
        url = worker.storage.download_url(key, content_type=JPEG, disposition="inline", expires_in=timedelta(hours=1))
        async with httpx.AsyncClient() as http:
            assert (await http.get(url)).status_code == 404


async def _is_told(milo: Uploader, reason: Reason) -> None:
    """Once in the app, once by mail, in words."""
    identity = milo.person.api.identity
    rows = await identity.db.reads.fetch(
        "SELECT id, channel, params_ct FROM deliveries WHERE user_id = $1 AND template = 'media_refused'",
        milo.person.user_id,
    )
    assert sorted(row["channel"] for row in rows) == ["email", "in_app"]
    for row in rows:
        said = orjson.loads(await identity.cipher.open("deliveries.params_ct", row["id"], row["params_ct"]))
        assert said == {"name": "Milo.jpg", "why": {"en": SENTENCES[reason], "de": GERMAN[reason]}}
