"""Bench 13, first part: photos of many people on the whole platform, beside the same photos through
`integrations/imaging` alone, as many at once and on the same cores.

A client sends its next photo when it sees the last one. What a photo costs beside decoding and encoding is everything:
signing, storing it, fetching it, hashing, scanning, twelve renditions stored, the workflow, rows and live events. It
is measured with the media worker on a core of its own, and on shared cores, where the rest of the platform and the
clients take from it what they need.
"""

import asyncio
import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Final

from bench.media_clients import Published, Uploader
from bench.media_cores import WORKER, worker_apart
from bench.media_processing import photos
from bench.platform import Platform
from bench.processes import SERVER_CORE, cpu_seconds, ended_seconds, pinned
from domain.media.variants import plan
from integrations.imaging.confined import ConfinedImaging
from temporal.queues import MEDIA, SLOTS

_ALONE: Final = 20
"""Photos that are uploaded while nothing else happens."""
_NUMBERS: Final = count()
_SERVICES: Final = {"API": "api", WORKER: WORKER, "Temporal": "temporal", "Postgres": "postgres", "SeaweedFS": "s3"}
_CHILDREN: Final = "its children"


@dataclass(frozen=True, slots=True)
class Bare:
    """Imaging alone: photos per second, and CPU milliseconds of one in the children."""

    per_second: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """Photos per second through the platform, and through imaging alone before and after; what a photo cost each
    service in CPU milliseconds; and what its person saw."""

    per_second: float
    bare: Sequence[Bare]
    cpu_ms: Mapping[str, float]
    published: Sequence[Published]

    @property
    def ratio(self) -> float:
        """Of the platform to imaging alone."""
        return self.per_second / mean(each.per_second for each in self.bare)

    @property
    def cost(self) -> float:
        """CPU of the media worker with its children, to that of imaging alone."""
        return (self.cpu_ms[WORKER] + self.cpu_ms[_CHILDREN]) / mean(each.cpu_ms for each in self.bare)


@dataclass(frozen=True, slots=True)
class Uploads:
    """One photo at a time, all with a core for the worker, and a part of them on shared cores."""

    alone: Sequence[Published]
    apart: Throughput
    shared: Throughput


def a_photo() -> Iterator[bytes]:
    """The photo of bench 12 without end: the same picture, never the same content (a comment tells them apart)."""
    with TemporaryDirectory() as folder:
        _, path = next(photos(Path(folder)))
        content = path.read_bytes()
    while True:
        yield content[:2] + b"\xff\xfe" + struct.pack(">HQ", 10, next(_NUMBERS)) + content[2:]


async def run(on: Platform, people: Sequence[Uploader], total: int) -> Uploads:
    """`total` photos by these people, and a tenth of that on shared cores."""
    made = a_photo()
    alone = [await people[0].upload(next(made)) for _ in range(_ALONE)]
    async with worker_apart(on):
        apart = await _throughput(on, people, made, total // len(people), SERVER_CORE)
    return Uploads(alone, apart, await _throughput(on, people, made, max(total // 10 // len(people), 1), None))


async def _throughput(
    on: Platform, people: Sequence[Uploader], made: Iterator[bytes], each_has: int, core: int | None
) -> Throughput:
    """Imaging alone, so many photos of each person, and imaging alone again."""
    few = [next(made) for _ in range(max(each_has * len(people) // 12, SLOTS[MEDIA]))]
    before = await asyncio.to_thread(_bare, few, core)
    sending = [[next(made) for _ in range(each_has)] for _ in people]
    used, began = await _used(on), time.perf_counter()
    seen = await asyncio.gather(*(_in_turn(*pair) for pair in zip(people, sending, strict=True)))
    published = [each for of_one in seen for each in of_one]
    took = max(each.at for each in published) - began
    cpu_ms = {name: (now - used[name]) / len(published) * 1e3 for name, now in (await _used(on)).items()}
    after = await asyncio.to_thread(_bare, few, core)
    return Throughput(len(published) / took, (before, after), cpu_ms, published)


async def _used(on: Platform) -> dict[str, float]:
    """CPU seconds so far, by service; those of the children are counted when they have ended."""
    used = {name: cpu_seconds(await on.pids(service)) for name, service in _SERVICES.items()}
    return used | {_CHILDREN: ended_seconds(await on.pids(WORKER))}


async def _in_turn(uploader: Uploader, contents: Sequence[bytes]) -> list[Published]:
    return [await uploader.upload(each) for each in contents]


def _bare(contents: Sequence[bytes], core: int | None) -> Bare:
    """Imaging alone, on this core or on all: as many photos at once as a worker of media has at work."""
    ours = [os.getpid()]
    with (
        TemporaryDirectory() as folder,
        nullcontext() if core is None else pinned(ours, core),
        ThreadPoolExecutor(SLOTS[MEDIA]) as threads,
    ):
        paths = [Path(folder) / f"{number}" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        used, began = ended_seconds(ours), time.perf_counter()
        for done in [threads.submit(_all_variants, path) for path in paths]:
            done.result()
        took, spent = time.perf_counter() - began, ended_seconds(ours) - used
    return Bare(len(contents) / took, spent / len(contents) * 1e3)


def _all_variants(path: Path) -> None:
    """What the worker asks of imaging for a photo."""
    imaging, into = ConfinedImaging(), path.with_suffix(".made")
    into.mkdir()
    seen = imaging.inspect(path)
    imaging.render(path, into, plan=plan(seen.content_type, seen.width, seen.height))
