"""The npm client `socket.io-client` in a Node process, driven from Python."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.node import install, node
from tests.live import asyncapi

HERE = Path(__file__).parent
Said = dict[str, Any]


class Browser:
    """Says what its clients saw, in order; each line is waited for once. Events are as `docs/asyncapi.yaml` says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._seen: list[Said] = []

    def tell(self, command: str, name: str = "anna", **rest: object) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, "name": name, **rest}).encode() + b"\n")

    async def sees(self, wanted: Callable[[Said], bool], seconds: float = 15) -> Said:
        """The first line like this that has not been waited for; those before it stay for others."""
        async with asyncio.timeout(seconds):
            while True:
                for index, said in enumerate(self._seen):
                    if wanted(said):
                        return self._seen.pop(index)
                await self._read()

    async def event(self, name: str, client: str = "anna", **data: object) -> Said:
        """The data of the next event of this name, with these values among them."""

        def wanted(said: Said) -> bool:
            return said["client"] == client and said.get("event") == name and said["data"].items() >= data.items()

        said = await self.sees(wanted)
        return dict(said["data"])

    async def connected(self, client: str = "anna") -> str:
        """The transport it came by."""
        return str((await self.sees(lambda said: said["client"] == client and "connected" in said))["connected"])

    def events(self, client: str = "anna") -> list[str]:
        """Names of what was heard and not waited for."""
        return [said["event"] for said in self._seen if said["client"] == client and "event" in said]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the client has ended"
        said = json.loads(line)
        if "event" in said:
            asyncapi.check(said["event"], said["data"])
        self._seen.append(said)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """One Node process for any number of clients."""
    await asyncio.to_thread(install, HERE)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node(), "client.mjs", cwd=HERE, stdin=pipe, stdout=pipe, limit=1 << 20
    )
    try:
        yield Browser(process)
    finally:
        process.kill()
        await process.wait()
