"""Bench 13, second part: how soon the API signs an upload, and whether it notices that the media queue is full.

For the latter the media worker has one core, and everything else the other, whether there is something to do or not.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.load import Load
from bench.media_clients import Uploader
from bench.media_cores import worker_apart
from bench.media_uploads import a_photo
from bench.platform import Platform
from bench.processes import DRIVER_CORE, python, start
from domain.media.limits import LARGEST, Kind, part_sizes

RATE: Final = 100.0
"""Of `GET /pets/{id}`: a third of what the core is good for."""
_PARTS: Final = tuple(part_sizes(LARGEST[Kind.VIDEO]))
_EACH_SECONDS: Final = 0.8
"""A photo takes the worker longer than this on one core: so many wait that they outlast the measurement."""


@dataclass(frozen=True, slots=True)
class Signing:
    """Milliseconds of each request: for a form, and for the addresses of all parts of the largest video."""

    forms: Sequence[float]
    parts: Sequence[float]


@dataclass(frozen=True, slots=True)
class Beside:
    """`GET /pets/{id}` in one round: with nothing to do for the media worker, and with photos that wait for it."""

    idle: Load
    full: Load


async def signing(uploader: Uploader, rounds: int) -> Signing:
    """One request after the other."""
    forms = [await _took(uploader.begin(1_000, _hash(number))) for number in range(rounds)]
    video = await uploader.begin(LARGEST[Kind.VIDEO], _hash(rounds), "video/mp4")
    path = f"/media/uploads/{video['id']}"

    async def sign() -> None:
        (await uploader.person.call("POST", f"{path}/parts", json={"numbers": _PARTS})).raise_for_status()

    await sign()  # the first one tells storage of the upload
    parts = [await _took(sign()) for _ in range(rounds // 4)]
    (await uploader.person.call("DELETE", path)).raise_for_status()
    return Signing(forms, parts)


async def beside(on: Platform, people: Sequence[Uploader], rounds: int, seconds: float) -> Sequence[Beside]:
    """Rounds of as many seconds with nothing to do and with a full queue."""
    async with worker_apart(on):
        return [await _round(on, people, seconds) for _ in range(rounds)]


def ratio(rounds: Sequence[Beside]) -> float:
    """Of the 95th percentiles, full to idle."""
    return median(each.full.p95 / each.idle.p95 for each in rounds)


async def _round(on: Platform, people: Sequence[Uploader], seconds: float) -> Beside:
    idle = await _asked(on, seconds)
    before = sum(each.ear.photos for each in people)
    made, photos = a_photo(), round(seconds / _EACH_SECONDS) + 1
    waiting = [asyncio.create_task(people[number % len(people)].upload(next(made))) for number in range(photos)]
    await _until_taken_over(people, before + photos)
    full = await _asked(on, seconds)
    if all(each.done() for each in waiting):
        raise SystemExit("the queue was empty before the measurement was over")
    await asyncio.gather(*waiting)
    return Beside(idle, full)


async def _until_taken_over(people: Sequence[Uploader], photos: int) -> None:
    """All are sent and completed: from now on the worker alone has to do with them."""
    while sum(each.ear.photos for each in people) < photos:
        await asyncio.sleep(0.05)


async def _asked(on: Platform, seconds: float) -> Load:
    """From the others' core."""
    url = f"http://127.0.0.1:{on.env['PETFOLIO_API__PORT']}/api/v1/pets/{on.owner.pet_id}"
    command = python("bench.load", url, "--seconds", str(seconds), "--rate", str(RATE), "--connections", "8")
    driver = start(command, DRIVER_CORE, {"BENCH_TOKEN": on.owner.access_token})
    out, _ = await asyncio.to_thread(driver.communicate)
    load = Load(**json.loads(out))
    if load.errors:
        raise SystemExit(f"{load.errors} of {load.requests} answers were not 200")
    return load


async def _took(request: Awaitable[object]) -> float:
    began = time.perf_counter()
    await request
    return (time.perf_counter() - began) * 1e3


def _hash(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()
