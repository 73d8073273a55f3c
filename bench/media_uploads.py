"""Bench 13, first part: photos of many people on the whole platform, beside the same photos through
`integrations/imaging` alone, as many at once and on the same cores.

A client sends its next photo when it sees the last one. What a photo costs beside decoding and encoding is everything:
signing, storing it, fetching it, hashing, scanning, twelve renditions stored, the workflow, rows and live events; and
the clients, whose cores these are as well.
"""

import asyncio
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.media_clients import Published, Uploader
from bench.media_processing import photos
from bench.platform import Platform
from bench.processes import cpu_seconds
from domain.media.variants import plan
from integrations.imaging.confined import ConfinedImaging
from temporal.queues import MEDIA, SLOTS

_ALONE: Final = 10
"""Photos that are uploaded while nothing else happens."""
_NUMBERS: Final = count()
PARTS: Final = {
    "api": ("api",),
    "media worker": ("worker-media",),
    "Temporal": ("temporal",),
    "Postgres": ("postgres",),
    "SeaweedFS": ("s3",),
}
"""Services whose CPU is counted."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Photos per second, through the platform and through imaging alone, before and after; what a photo cost each
    service in CPU milliseconds; and all photos, with those that came alone."""

    per_second: float
    bare: Sequence[float]
    cpu_ms: dict[str, float]
    published: Sequence[Published]
    alone: Sequence[Published]

    @property
    def ratio(self) -> float:
        """Of the platform to imaging alone."""
        return self.per_second / (sum(self.bare) / len(self.bare))


def a_photo() -> Iterator[bytes]:
    """The photo of bench 12 without end: the same picture, never the same content (a comment tells them apart)."""
    with TemporaryDirectory() as folder:
        _, path = next(photos(Path(folder)))
        content = path.read_bytes()
    while True:
        yield content[:2] + b"\xff\xfe" + struct.pack(">HQ", 10, next(_NUMBERS)) + content[2:]


async def run(on: Platform, people: Sequence[Uploader], total: int) -> Throughput:
    """`total` photos by these people; a fifth of them through imaging alone before, and a fifth after it."""
    made = a_photo()
    fifth = max(total // 5, SLOTS[MEDIA])
    alone = [await people[0].upload(next(made)) for _ in range(_ALONE)]
    before = await asyncio.to_thread(_bare, [next(made) for _ in range(fifth)])
    pids = {name: await on.pids(*services) for name, services in PARTS.items()}
    used, began = {name: cpu_seconds(each) for name, each in pids.items()}, time.perf_counter()
    each_has = [[next(made) for _ in range(total // len(people))] for _ in people]
    published = await asyncio.gather(*(_in_turn(*pair) for pair in zip(people, each_has, strict=True)))
    seen = [each for of_one in published for each in of_one]
    took = max(each.at for each in seen) - began
    cpu_ms = {name: (cpu_seconds(each) - used[name]) / len(seen) * 1e3 for name, each in pids.items()}
    after = await asyncio.to_thread(_bare, [next(made) for _ in range(fifth)])
    return Throughput(len(seen) / took, (before, after), cpu_ms, seen, alone)


async def _in_turn(uploader: Uploader, contents: Sequence[bytes]) -> list[Published]:
    return [await uploader.upload(each) for each in contents]


def _bare(contents: Sequence[bytes]) -> float:
    """Photos per second through imaging alone: as many at once as a worker of media has at work."""
    imaging = ConfinedImaging()

    def one(path: Path) -> None:
        into = path.with_suffix(".made")
        into.mkdir()
        seen = imaging.inspect(path)
        imaging.render(path, into, plan=plan(seen.content_type, seen.width, seen.height))

    with TemporaryDirectory() as folder, ThreadPoolExecutor(SLOTS[MEDIA]) as threads:
        paths = [Path(folder) / f"{number}" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        began = time.perf_counter()
        for done in [threads.submit(one, path) for path in paths]:
            done.result()
        return len(contents) / (time.perf_counter() - began)
