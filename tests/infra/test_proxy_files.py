"""Files go through the production proxy to the store, and nothing else of the store is reached through it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from core.settings import Settings
from core.storage_settings import StorageSettings
from infra.check_infra import PROXY
from infra.haproxy import Unobtainable, haproxy
from infra.local import ports
from integrations.storage.factory import open_storage
from integrations.storage.protocol import Bucket
from integrations.storage.s3 import S3Storage
from tests.api.media_kit import send_form, send_part, stored_in
from tests.api.test_process import OURS
from tests.infra.test_proxy import running
from tests.services import S3Server

CONTENT = bytes(6 * 2**20)
"""Above what the api takes as a body."""


async def listens(port: int) -> bool:
    """Whether the frontend of files is there."""
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"http://127.0.0.1:{port}/")).status_code == 404
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
async def front(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The proxy of production before the store."""
    try:
        program = haproxy()
    except Unobtainable as reason:
        pytest.skip(str(reason))
    port, files = [port for port in OURS if ports.is_free(port)][:2]
    config = PROXY.read_text().replace("bind :8080", f"bind 127.0.0.1:{port}")
    config = config.replace("bind :8081", f"bind 127.0.0.1:{files}")
    config = config.replace('"${PETFOLIO_API_HOST}:8000"', "127.0.0.1:9")
    config = config.replace('"${PETFOLIO_S3_HOST}:8333"', urlsplit(s3.endpoint).netloc)
    path = tmp_path_factory.mktemp("proxy") / "haproxy.cfg"
    path.write_text(config)
    async with running(program, path, files, listens):
        yield f"http://127.0.0.1:{files}"


@pytest.fixture(scope="module")
def storage(front: str, s3: S3Server, settings: Settings) -> S3Storage:
    """It signs for the address of the proxy."""
    through = StorageSettings(encryption="AES256", public_endpoint=front)
    return open_storage(stored_in(settings, s3).model_copy(update={"storage": through}))


async def test_forms_parts_and_downloads_pass_and_what_is_read_runs_nothing(
    storage: S3Storage, s3: S3Server, tmp_path: Path
) -> None:
    key, hour, digest = "uploads/proxy/one", timedelta(hours=1), hashlib.sha256(CONTENT).hexdigest()
    form = storage.upload_form(key, content_type="image/jpeg", size=len(CONTENT), sha256=digest, expires_in=hour)
    assert await send_form({"url": form.url, "fields": form.fields}, CONTENT) == 204
    upload = storage.begin_multipart(key, content_type="image/jpeg")
    assert await send_part(storage.part_urls(key, upload, {1: len(CONTENT)}, expires_in=hour)[1], CONTENT) == 200
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    about = {"content_type": "image/webp", "disposition": "inline"}
    storage.put(Bucket.MEDIA, "media/proxy/one/480.webp", file, cache_control="private", **about)
    async with httpx.AsyncClient() as http:
        read = await http.get(storage.download_url("media/proxy/one/480.webp", expires_in=hour, **about))
    assert (read.status_code, read.content) == (200, CONTENT)
    assert read.headers["x-content-type-options"] == "nosniff"
    assert read.headers["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/petfolio-exports/", 404),
        ("GET", "/healthz", 404),
        ("GET", "/petfolio-media/", 403),
        ("PUT", "/petfolio-quarantine/uploads/x", 403),
        ("POST", "/petfolio-media/?delete", 403),
        ("DELETE", "/petfolio-media/media/x?X-Amz-Signature=x", 405),
    ],
)
async def test_nothing_else_of_the_store_is_reached(front: str, method: str, path: str, status: int) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.request(method, front + path)).status_code == status


@pytest.mark.parametrize(
    ("method", "address", "size"),
    [("POST", "/petfolio-quarantine/", 17 * 2**20 + 1), ("PUT", "/petfolio-quarantine/x?X-Amz-Signature=x", 2**23 + 1)],
)
async def test_what_is_larger_than_anything_signed_does_not_reach_the_store(
    front: str, method: str, address: str, size: int
) -> None:
    reader, writer = await asyncio.open_connection(*urlsplit(front).netloc.split(":"))
    writer.write(f"{method} {address} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"413", "before the first byte of it"
    writer.close()
    await writer.wait_closed()


async def test_pages_of_ours_may_ask_through_it_and_no_others(front: str, s3: S3Server) -> None:
    headers = {"Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient() as http:
        for origin, status in ((s3.origin, 200), ("https://elsewhere.example", 403)):
            answer = await http.options(f"{front}/petfolio-quarantine/", headers=headers | {"Origin": origin})
            assert answer.status_code == status
