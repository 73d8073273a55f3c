"""A stack whose ways to storage and to the virus scanner are the test's, and whose media worker is too."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import httpx
from temporalio.client import Client

from core.settings import RateLimit
from infra.local.toxic import Toxic, toxic
from temporal import ids
from tests.faults.store_wire import StoreWire, store_wire
from tests.scanning.clamd_server import Clamd, clamd_protocol
from tests.services import S3Server
from tests.stack import Inbox, Stack, running_stack, until

_KEYS: Final = ("PETFOLIO_S3_ACCESS_KEY_ID", "PETFOLIO_S3_SECRET_ACCESS_KEY")


@dataclass(frozen=True, slots=True)
class MediaSite:
    """See the module. `scratch` is where its media workers have their folders."""

    stack: Stack
    s3: S3Server
    wire: StoreWire
    clamd: Clamd
    clamd_line: Toxic
    scratch: Path
    client: httpx.AsyncClient
    inbox: Inbox

    async def worker(self, **environment: str) -> asyncio.subprocess.Process:
        """Another media worker (`tests/faults/dying_worker`), which waits for its moment."""
        identity = dict(zip(_KEYS, self.s3.identities["media"], strict=True))
        own = {"PETFOLIO_WORKER__SCRATCH": str(self.scratch), **identity, **environment}
        with (self.stack.data_dir / "logs/dying.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.dying_worker"),
                env=os.environ | self.stack.settings() | own,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @asynccontextmanager
    async def working(self, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A media worker that lives as long as the context."""
        process = await self.worker(**environment)
        begin(process, "")
        try:
            yield process
        finally:
            await end(process)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """The platform's, as its processes see it."""
        connection = await asyncpg.connect(self.stack.settings()["PETFOLIO_DATABASE_URL"], ssl=False)
        try:
            yield connection
        finally:
            await connection.close()

    async def under_way(self) -> int:
        """How many uploads are looked at, or wait for it."""
        async with self.database() as database:
            return int(await database.fetchval("SELECT count(*) FROM media_assets WHERE state = 'scanning'"))

    async def run_job(self, name: str) -> None:
        """An operator's job, now instead of at its time."""
        temporal = await Client.connect((await self.stack.status())["temporal_address"], namespace="petfolio")
        await temporal.get_schedule_handle(ids.job(name)).trigger()


def begin(worker: asyncio.subprocess.Process, moment: str) -> None:
    """Let it work until this moment of its work; an empty one never comes."""
    assert worker.stdin is not None
    worker.stdin.write(moment.encode() + b"\n")


async def end(worker: asyncio.subprocess.Process) -> None:
    """Stop it as an operator does; one that waits still knows no better than to be killed."""
    if worker.returncode is None:
        worker.terminate()
        await worker.wait()


@asynccontextmanager
async def media_site(s3: S3Server, scratch: Path) -> AsyncIterator[MediaSite]:
    """The stack, without a media worker: the supervisor has given its own up."""
    host = urlsplit(s3.endpoint)
    assert host.hostname is not None
    assert host.port is not None
    with clamd_protocol() as clamd:
        async with (
            store_wire((host.hostname, host.port), random.Random(5)) as wire,
            toxic(("127.0.0.1", clamd.server_address[1])) as clamd_line,
            running_stack("media-faults", **_environment(s3, wire, clamd_line)) as stack,
        ):
            await retire(stack, "worker-media")
            status = await stack.status()
            async with (
                httpx.AsyncClient(base_url=status["api_url"], timeout=30) as client,
                httpx.AsyncClient(base_url=status["inbox_url"], timeout=20) as inbox,
            ):
                await Inbox(inbox).faults(honour_keys=True)
                yield MediaSite(stack, s3, wire, clamd, clamd_line, scratch, client, Inbox(inbox))


def _environment(s3: S3Server, wire: StoreWire, clamd: Toxic) -> dict[str, str]:
    roomy = RateLimit(quota=60_000, window=60, burst=10_000).model_dump_json()
    return {
        "PETFOLIO_S3_ENDPOINT": wire.url,
        **dict(zip(_KEYS, s3.identities["api"], strict=True)),
        "PETFOLIO_STORAGE__ENCRYPTION": "AES256",
        "PETFOLIO_SCANNING__CLAMD": f"127.0.0.1:{clamd.port}",
        "PETFOLIO_RATE_LIMITS__DEFAULT": roomy,
    }


async def retire(stack: Stack, service: str) -> None:
    """Kill a service until the supervisor gives it up."""

    async def has_failed() -> bool:
        entry = (await stack.status())["services"][service]
        if entry["state"] in ("starting", "running"):
            with suppress(ProcessLookupError):
                await stack.kill(service, pid=entry["pid"])
        return bool(entry["state"] == "failed")

    await until(has_failed, within=90, what=f"{service} was given up")
