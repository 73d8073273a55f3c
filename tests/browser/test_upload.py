"""A file's way as a person sees it: chosen in Chromium, sent to the real store, published by the real worker."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.async_api import Browser, expect

from infra.local.toxic import Toxic, toxic
from tests.browser.chromium import running_chromium
from tests.browser.upload_page import UploadPage, open_page
from tests.media_owner import EICAR, photo
from tests.person import Person, sign_up
from tests.stack import Inbox, Stack

pytestmark = pytest.mark.timeout(300)
SCREENSHOTS = Path("build/screenshots")
"""Kept for whoever reviews what people see."""


@pytest.fixture(scope="module")
async def line(stack: Stack) -> AsyncIterator[Toxic]:
    """Between the browser and the store; it can be cut."""
    async with toxic(("127.0.0.1", (await stack.status())["services"]["s3"]["port"])) as line:
        yield line


@pytest.fixture(scope="module")
async def chromium(line: Toxic) -> AsyncIterator[Browser]:
    """It finds the store behind the line, under the address that is signed."""
    host, port = line.upstream
    async with running_chromium(f"--host-resolver-rules=MAP {host}:{port} {host}:{line.port}") as browser:
        yield browser


@pytest.fixture
async def person(client: httpx.AsyncClient, inbox: Inbox) -> Person:
    return await sign_up(client, inbox)


@pytest.fixture
async def page(chromium: Browser, client: httpx.AsyncClient) -> AsyncIterator[UploadPage]:
    context = await chromium.new_context(viewport={"width": 420, "height": 900}, locale="en-GB")
    yield await open_page(await context.new_page(), str(client.base_url).rstrip("/"))
    await context.close()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A picture of 18.7 MB, which comes in three parts."""
    file, size = tmp_path / "Großes Bild 🐈.png", (2600, 2400)
    Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3)).save(file, compress_level=0)
    return file


async def published(page: UploadPage, person: Person) -> None:
    """The picture is seen, at its size, and listed for its pet."""
    await page.says("Done.", within=120)
    image = page.page.get_by_role("img")
    await expect(image).to_be_visible()
    assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 480
    assert len((await person.call("GET", f"/pets/{person.pet_id}/media")).json()["items"]) == 1


async def test_a_photo_is_sent_with_a_bar_that_moves_and_is_seen_when_it_is_published(
    page: UploadPage, person: Person, tmp_path: Path
) -> None:
    file = tmp_path / "Milo.jpg"
    file.write_bytes(photo(2400, 1800))
    await page.enter(person)
    await page.slow_down(1)
    await page.send(file)
    await published(page, person)
    steps = await page.steps()
    assert len({step for step in steps if 0 < step < 1}) >= 3
    assert steps == sorted(steps)
    assert page.sent == ["POST"]
    pet = (await person.call("GET", f"/pets/{person.pet_id}")).json()
    assert pet["photo_media_id"] is not None
    await page.page.screenshot(path=SCREENSHOTS / "upload.png", full_page=True)
    assert not [line for line in page.console if "Content Security Policy" in line]


async def test_a_file_whose_line_breaks_in_the_middle_goes_on_by_itself(
    page: UploadPage, person: Person, large: Path, line: Toxic
) -> None:
    await page.enter(person)
    await page.slow_down(4)
    await page.send(large)
    await page.has_sent(0.6)
    line.cut()
    await page.says("The line is gone.")
    line.mend()
    await published(page, person)
    first, *again, last = page.sent
    assert (first, set(again), last) == ("1", {"2"}, "3")
    assert len(again) >= 2


async def test_a_page_that_was_closed_in_the_middle_goes_on_with_the_parts_that_are_missing(
    page: UploadPage, person: Person, large: Path
) -> None:
    await page.enter(person)
    await page.slow_down(4)
    await page.send(large)
    await page.has_sent(0.6)
    await page.enter(person)
    await page.send(large)
    await published(page, person)
    assert page.sent == ["1", "2", "2", "3"]


async def test_what_is_harmful_is_refused_in_words_here_in_the_app_and_by_mail(
    page: UploadPage, person: Person, inbox: Inbox, tmp_path: Path
) -> None:
    file = tmp_path / "Milo.jpg"
    file.write_bytes(photo(200, 200) + EICAR)
    await page.enter(person)
    await page.send(file)
    await page.says("The file contains something harmful")
    await expect(page.page.get_by_role("img")).to_be_hidden()
    mail = await inbox.mail_with(person.email, "harmful")
    assert "Milo.jpg" in mail["subject"]
    kinds = [each["kind"] for each in (await person.call("GET", "/notifications")).json()["items"]]
    assert kinds == ["media_refused"]


@pytest.mark.parametrize("size", ["small", "large"])
async def test_the_store_takes_nothing_from_a_page_of_another_origin(
    page: UploadPage, person: Person, large: Path, tmp_path: Path, size: str
) -> None:
    """The very same page, which may talk to the store, under another name of this machine."""
    page.origin = page.origin.replace("localhost", "127.0.0.1")
    file = large
    if size == "small":
        file = tmp_path / "Milo.jpg"
        file.write_bytes(photo(200, 200))
    await page.enter(person)
    await page.send(file)
    await page.says("The line is gone.")
    assert any("blocked by CORS policy" in line for line in page.console)
    assert await page.steps() == [] or max(await page.steps()) == 0
    [stored] = await page.page.evaluate("Object.values(localStorage)")
    upload = (await person.call("GET", f"/media/uploads/{stored}")).json()
    assert (upload["state"], upload["status"]) == ("pending", "open")
