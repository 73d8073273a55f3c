"""The end of an experiment: time passes, and then all books have to say the same."""

import asyncio
import json

from tests.faults import media_books as books
from tests.faults.media_load import Load
from tests.faults.media_site import MediaSite
from tests.stack import until


async def forgotten(media: MediaSite, load: Load) -> None:
    """Time passes for uploads that nobody completed."""
    async with media.database() as database:
        ids = [each.upload["id"] for each in load.abandoned]
        await database.execute("UPDATE media_uploads SET expires_at = now() WHERE id = ANY($1)", ids)
    await media.run_job("media-sweep")


async def agree(media: MediaSite, load: Load, *, within: float = 180) -> None:
    """Soon: nothing is under way any more, and all books say the same. Otherwise it says where they differ."""
    for each in load.owners:
        await each.person.login()
    of_whom = [(await books.book_of(owner), owner) for owner in load.owners]
    async with media.database() as database:

        async def wrong() -> dict[str, object]:
            found = {
                book.email: await books.differences(
                    media, database, book, [each for each in (*load.sent, *load.abandoned) if each.owner is owner]
                )
                for book, owner in of_whom
            }
            return {email: what for email, what in found.items() if what}

        async def none() -> bool:
            await asyncio.sleep(0.5)  # the books are long
            return not await wrong()

        try:
            await until(none, within=within, what="the books agree")
        except AssertionError:
            raise AssertionError(json.dumps(await wrong(), indent=1, default=str)) from None


def tell_once(heard: books.Heard) -> None:
    """No screen was told twice how something ended."""
    ends = ("media.ready", "media.rejected")
    assert not {what: times for what, times in heard.said.items() if what[0] in ends and times > 1}
