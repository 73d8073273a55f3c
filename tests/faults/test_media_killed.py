"""Must hold: whatever moment the media worker dies at, each upload is published once, whole, or refused with a reason;
rows, objects and room agree, and nothing that is half published is ever shown.

People upload photos, documents, videos, viruses and the same things twice, take back, delete and forget; a dozen
workers die one after the other, each at a moment of its own.
"""

import asyncio
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import pytest

from tests.conftest import EXPLORE
from tests.faults import media_books as books
from tests.faults.media_load import Load, Visitor
from tests.faults.media_site import MediaSite, begin, end
from tests.faults.media_verdict import agree, forgotten, tell_once
from tests.media_owner import Owner

WHERE: Final = (
    "fetch",
    "verify_media",
    "scan",
    "scan_media",
    "inspect",
    "render",
    "put",
    "render_media",
    "publish_media",
    "refuse_media",
    "delete",
    "remove_media",
)
"""Each step of an upload, from the first byte that is read to the last row that is forgotten: calls of its parts, and
commits of its activities."""
POINTS: Final = 100 if EXPLORE else len(WHERE)
SEED: Final = 7
pytestmark = pytest.mark.timeout(240 + POINTS * 30)


def moments(dice: random.Random) -> Iterator[str]:
    """Every step in turn, before or after it, when it comes for the first, second or third time."""
    for point in range(POINTS):
        yield f"{WHERE[point % len(WHERE)]} {dice.choice(('before', 'after'))} {dice.randint(1, 3)}"


async def test_wherever_its_worker_dies_an_upload_is_published_once_or_refused(
    media: MediaSite, owners: Sequence[Owner], record_property: Callable[[str, object], None]
) -> None:
    dice, over = random.Random(SEED), asyncio.Event()
    load = Load(owners, dice, media.under_way)
    visitor = Visitor(load)
    async with books.listening(media) as events:
        people = [asyncio.create_task(each.run(over)) for each in (load, visitor)]
        large = asyncio.create_task(load.large(owners[0]))
        died = await all_dead(media, moments(dice), people)
        over.set()
        await asyncio.gather(large, *people)
        async with media.working():
            await forgotten(media, load)
            await agree(media, load)
        tell_once(await books.all_heard(events))
    record_property("uploads", len(load.sent))
    record_property("looked at", visitor.looked_at)
    assert died == [-signal.SIGKILL] * POINTS
    assert visitor.looked_at > POINTS
    record_property("answers", [*load.answers.items()])
    assert {status for what, status in load.answers if what in ("complete", "delete")} <= {202, 204, 409}, load.answers
    assert len(list(media.scratch.iterdir())) == 0, "dead workers leave no files behind"


async def all_dead(
    media: MediaSite, moments: Iterable[str], people: Sequence[asyncio.Task[None]]
) -> Sequence[int | None]:
    """One worker after the other, each until its moment comes; the next one stands ready by then."""
    died, standing_by = [], await media.worker()
    for moment in moments:
        worker, standing_by = standing_by, await media.worker()
        try:
            await until_it_dies(worker, moment, people)
        except BaseException:
            await end(standing_by)
            raise
        died.append(worker.returncode)
    await end(standing_by)
    return died


async def until_it_dies(worker: asyncio.subprocess.Process, moment: str, people: Sequence[asyncio.Task[None]]) -> None:
    """It works, and its moment comes."""
    begin(worker, moment)
    try:
        dies = asyncio.create_task(worker.wait())
        await asyncio.wait([dies, *people], timeout=90, return_when=asyncio.FIRST_COMPLETED)
        assert not any(each.done() for each in people), [each for each in people if each.done()]
        assert dies.done(), f"not within 90 s: {moment}"
    finally:
        await end(worker)
