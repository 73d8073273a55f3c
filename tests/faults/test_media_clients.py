"""Must hold: a client that crashes in the middle of its parts goes on where it was; one that never comes back leaves
nothing behind."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from domain.media.limits import PART_BYTES
from tests.faults import media_books as books
from tests.faults.media_load import MP4, a_video
from tests.faults.media_site import MediaSite
from tests.media_owner import Owner
from tests.stack import until

pytestmark = pytest.mark.timeout(240)
PARTS = 3


@dataclass(frozen=True, slots=True)
class Film:
    """A video of three parts, each larger than what a line holds, and the file that it is."""

    content: bytes
    path: Path


@pytest.fixture
def film(tmp_path: Path) -> Film:
    content = a_video(random.Random(3), size=PARTS * PART_BYTES - 10_000).body
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    return Film(content, path)


async def client(media: MediaSite, owner: Owner, upload: dict[str, Any], film: Film) -> asyncio.subprocess.Process:
    """A process that sends it (`tests/faults/sending.py`)."""
    about = {"API_URL": str(media.client.base_url), "TOKEN": owner.person.access_token}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.sending", upload["id"], str(film.path)),
        env=os.environ | about,
        stdout=asyncio.subprocess.PIPE,
    )


async def killed_at_part(number: int, media: MediaSite, owner: Owner, upload: dict[str, Any], film: Film) -> list[int]:
    """A client dies while it sends this part; answers the parts that it has sent."""
    begun = asyncio.Event()

    def notices(method: str, path: str) -> None:
        if method == "PUT" and f"partNumber={number}&" in f"{path}&":
            begun.set()
            os.kill(process.pid, signal.SIGKILL)

    process = await client(media, owner, upload, film)
    media.wire.on_request = notices
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        media.wire.on_request = lambda method, path: None
    assert begun.is_set()
    assert process.returncode == -signal.SIGKILL
    return [int(line) for line in said.split()]


async def arrived(owner: Owner, upload: dict[str, Any]) -> list[int]:
    """What storage has of it."""
    found = (await owner.person.call("GET", f"/media/uploads/{upload['id']}/parts")).json()
    return [each["number"] for each in found["items"]]


async def test_a_new_client_goes_on_where_one_crashed_and_sends_no_part_again(
    media: MediaSite, owners: Sequence[Owner], film: Film
) -> None:
    owner = owners[0]
    upload = await owner.begin(film.content, name="film.mp4", content_type=MP4)
    assert await killed_at_part(2, media, owner, upload, film) == [1]
    assert await arrived(owner, upload) == [1]
    assert await killed_at_part(3, media, owner, upload, film) == [2]
    last = await client(media, owner, upload, film)
    said, _ = await asyncio.wait_for(last.communicate(), 60)
    assert (last.returncode, said.split()) == (0, [b"3"])
    async with media.working():
        shown = await owner.settled(upload, within=90)
    assert (shown["state"], shown["content_type"]) == ("ready", MP4)
    book = await books.book_of(owner)
    async with media.database() as database:
        assert await books.differences(media, database, book, []) == {}


async def test_of_a_client_that_never_comes_back_neither_parts_nor_room_are_left(
    media: MediaSite, owners: Sequence[Owner], film: Film
) -> None:
    owner = owners[0]
    book = await books.book_of(owner)
    upload = await owner.begin(film.content, name="film.mp4", content_type=MP4)
    await killed_at_part(PARTS, media, owner, upload, film)
    assert len(books.parts(media, book)) == 1
    storage = (await owner.person.call("GET", f"/households/{book.home}/storage")).json()
    assert storage["reserved"] == len(film.content)
    async with media.database() as database, media.working():
        await database.execute("UPDATE media_uploads SET expires_at = now() WHERE id = $1", upload["id"])
        await media.run_job("media-sweep")

        async def is_clean() -> bool:
            rows = await database.fetchval("SELECT count(*) FROM media_assets WHERE household_id = $1", book.home)
            return not rows and not await books.differences(media, database, book, [])

        await until(is_clean, within=90, what="nothing of it is left")
    again = await owner.person.call("POST", f"/media/uploads/{upload['id']}/complete")
    assert again.status_code == 404
