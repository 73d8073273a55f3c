"""Must hold: a store that refuses, forgets what it did, is slow or breaks off costs time. An upload is published once,
whole, or refused for what is in it; nothing is half shown meanwhile."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from tests.conftest import EXPLORE
from tests.faults import media_books as books
from tests.faults.media_load import Load, Visitor
from tests.faults.media_site import MediaSite
from tests.faults.media_verdict import agree, forgotten, tell_once
from tests.media_owner import Owner, photo
from tests.stack import until

UPLOADS: Final = 150 if EXPLORE else 10
FAILURES: Final = UPLOADS
SEED: Final = 11
pytestmark = pytest.mark.timeout(300 + UPLOADS * 10)


def bad(media: MediaSite) -> None:
    """Of ten requests one is refused and one is done and not answered; of three hundred pieces one breaks the line."""
    media.wire.refuses = media.wire.loses = 0.1
    media.wire.line.delay, media.wire.line.reset = 0.02, 0.003


async def test_over_a_bad_way_to_storage_an_upload_is_published_once_or_refused_for_what_it_is(
    media: MediaSite, owners: Sequence[Owner], record_property: Callable[[str, object], None]
) -> None:
    over = asyncio.Event()
    load = Load(owners, random.Random(SEED), media.under_way)
    visitor = Visitor(load, patient=True)
    failed = media.wire.failed

    async def enough() -> bool:
        assert not any(each.done() for each in people), [each for each in people if each.done()]
        return len(load.sent) >= UPLOADS and media.wire.failed - failed >= FAILURES

    async with books.listening(media) as events, media.working():
        bad(media)
        people = [asyncio.create_task(each.run(over)) for each in (load, visitor)]
        large = asyncio.create_task(load.large(owners[0]))
        await until(enough, within=120 + 10 * UPLOADS, what="enough was sent, and enough went wrong")
        over.set()
        await asyncio.gather(large, *people)
        media.wire.mend()
        await forgotten(media, load)
        await agree(media, load)
        tell_once(await books.all_heard(events))
    record_property("uploads", len(load.sent))
    record_property("answers", [*load.answers.items()])
    record_property("requests that failed", media.wire.failed - failed)
    assert visitor.looked_at


@pytest.mark.skipif(not EXPLORE, reason="waits for time limits, a minute long: PETFOLIO_EXPLORE=1 runs it")
async def test_a_store_that_falls_silent_is_waited_for(media: MediaSite, owners: Sequence[Owner]) -> None:
    """Longer than a read may take, in the middle of the work."""
    owner = owners[0]
    upload = await owner.send(photo(600, 400))
    puts = unheard = 0

    def silent_at_the_second(method: str, path: str) -> None:
        nonlocal puts, unheard
        puts += method == "PUT"
        if puts >= 2:
            media.wire.line.delay = 6.0  # there, and back again
            unheard += 1

    media.wire.on_request = silent_at_the_second
    try:
        async with media.working():
            await until(lambda: media.wire.line.delay, within=60, what="the second rendition is on its way")
            await until(lambda: unheard >= 3, within=90, what="it was given up, and is tried again")
            assert await owner.listed() == []
            media.wire.on_request = lambda method, path: None
            media.wire.mend()
            shown = await owner.settled(upload, within=90)
            assert (shown["state"], len(shown["variants"])) == ("ready", 9)
    finally:
        media.wire.on_request = lambda method, path: None
