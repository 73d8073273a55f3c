"""Storage that says nothing is waited for by those who need it, and by nobody else."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from core.settings import Settings
from tests.api.media_kit import Uploader, stored_in, uploader
from tests.api.signing_in import Person
from tests.services import S3Server

BIG = {"size": 20_000_000}


@pytest.fixture(scope="module")
def hole() -> Iterator[socket.socket]:
    """Takes connections, and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield listening


@pytest.fixture(scope="module")
def settings(settings: Settings, s3: S3Server, hole: socket.socket) -> Settings:
    silent = {"s3_endpoint": f"http://127.0.0.1:{hole.getsockname()[1]}"}
    return stored_in(settings, s3).model_copy(update=silent)


async def test_who_uploads_nothing_does_not_notice(person: Person, hole: socket.socket) -> None:
    milo: Uploader = await uploader(person)
    uploads = [(await milo.begin(**BIG))["id"] for _ in range(14)]
    waiting = [
        asyncio.create_task(person.request("POST", f"/media/uploads/{upload}/parts", {"numbers": [1]}))
        for upload in uploads
    ]
    hole.setblocking(False)
    taken = [(await asyncio.get_running_loop().sock_accept(hole))[0] for _ in waiting]
    async with asyncio.timeout(3):
        assert (await person.request("POST", "/pets", {"name": "Other"})).status_code == 201
    assert not any(each.done() for each in waiting), "all of them still wait"
    hole.close()
    for connection in taken:
        connection.close()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {503}
