"""A real Chromium for tests: that of PETFOLIO_CHROMIUM, else the one on PATH, else an npm package's.

The package's own flags are not used: they switch off what the tests look at (`--disable-web-security`).
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from infra.node import install, node

HERE = Path(__file__).parent
_UNPACKED = HERE / "node_modules/.chromium"
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-domain-reliability")


def executable() -> str:
    """Where it is; the first call of a checkout installs and unpacks the package, one process at a time."""
    if found := os.environ.get("PETFOLIO_CHROMIUM") or shutil.which("chromium"):
        return found
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install(HERE)
        if not _UNPACKED.exists():
            _unpack()
    return str(_UNPACKED / "chromium")


def _unpack() -> None:
    half = tempfile.mkdtemp(dir=_UNPACKED.parent)
    subprocess.run([node(), "unpack.mjs"], cwd=HERE, env=os.environ | {"TMPDIR": half}, check=True)
    Path(half).rename(_UNPACKED)


@asynccontextmanager
async def running_chromium(*flags: str) -> AsyncIterator[Browser]:
    """It, without a window; nothing but what the tests ask for goes over the network."""
    path = await asyncio.to_thread(executable)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_QUIET, *flags])
        yield browser
        await browser.close()
