"""Must hold: a worker whose disk is full, or whose folder vanishes, refuses nothing for it: it waits, and goes on when
there is room."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import EXPLORE
from tests.faults.media_site import MediaSite
from tests.media_owner import Owner, photo
from tests.stack import until

pytestmark = pytest.mark.timeout(240)
MOMENTS = {("GET", 1), ("PUT", 1), ("PUT", 3)}
"""Requests of the worker during which its folder vanishes."""


def mounted(folder: Path, size: str) -> bool:
    """Whether there is a disk of this size at the folder now; only the administrator may do that."""
    how = "size={},mode=1777{}".format(size, ",remount" if folder.is_mount() else "")
    done = subprocess.run(("mount", "-t", "tmpfs", "-o", how, "none", str(folder)), check=False, capture_output=True)
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is smaller than a photo."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder, "256k"):
        pytest.skip("only the administrator may mount a small disk")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


async def attempts(media: MediaSite, word: str) -> int:
    """How often the workers' log tells of an attempt that failed with this word."""
    log = (media.stack.data_dir / "logs/dying.log").read_text(errors="replace")
    return sum("Completing activity as failed" in line and word in line for line in log.splitlines())


async def test_a_full_disk_is_waited_for_and_is_nobodys_fault(
    media: MediaSite, owners: Sequence[Owner], small_disk: Path
) -> None:
    owner, before = owners[0], await attempts(media, "No space left")
    async with media.working(PETFOLIO_WORKER__SCRATCH=str(small_disk)):
        upload = await owner.send(photo(1600, 1200))

        async def is_full() -> bool:
            return await attempts(media, "No space left") >= before + 2

        await until(is_full, within=60, what="the worker has tried twice")
        assert (await owner.media(upload))["state"] == "scanning"
        assert mounted(small_disk, "64m")
        shown = await owner.settled(upload, within=90)
    assert (shown["state"], len(shown["variants"])) == ("ready", 12)


@pytest.mark.skipif(not EXPLORE, reason="much as the one before: PETFOLIO_EXPLORE=1 runs it")
async def test_a_disk_that_fills_up_while_renditions_are_made_is_waited_for(
    media: MediaSite, owners: Sequence[Owner], small_disk: Path
) -> None:
    """The photo has room, its renditions have none."""
    content = photo(1600, 1200)
    assert mounted(small_disk, str(len(content) + 100_000))
    owner = owners[0]
    async with media.working(PETFOLIO_WORKER__SCRATCH=str(small_disk)):
        upload = await owner.send(content)

        async def is_full() -> bool:
            return await attempts(media, "could not write its files") >= 1

        await until(is_full, within=90, what="the child has found no room")
        assert (await owner.media(upload))["state"] == "scanning"
        assert mounted(small_disk, "64m")
        shown = await owner.settled(upload, within=90)
    assert (shown["state"], len(shown["variants"])) == ("ready", 12)


async def test_a_folder_that_vanishes_under_the_worker_costs_an_attempt(
    media: MediaSite, owners: Sequence[Owner]
) -> None:
    """When the upload is fetched, and twice while renditions are stored."""
    owner, seen = owners[0], Counter[str]()

    def vanishes(method: str, path: str) -> None:
        seen[method] += 1
        if (method, seen[method]) in MOMENTS:
            for folder in media.scratch.iterdir():
                shutil.rmtree(folder, ignore_errors=True)

    upload = await owner.send(photo(600, 400))
    media.wire.on_request = vanishes
    try:
        async with media.working():
            shown = await owner.settled(upload, within=120)
    finally:
        media.wire.on_request = lambda method, path: None
    assert all(seen[method] > times for method, times in MOMENTS)
    assert (shown["state"], len(shown["variants"])) == ("ready", 9)
