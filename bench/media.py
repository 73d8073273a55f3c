"""Bench 13: uploads on the whole platform, from signing them to what other requests notice of the work."""

from typing import Final

from bench import media_endpoints, media_report, media_uploads
from bench.media_clients import uploaders
from bench.platform import Platform

_SIGNED: Final = 200
"""Uploads that are begun, to see how soon they are signed."""
_FEW: Final = 4
"""Are enough to fill the queue."""


async def run(on: Platform, clients: int, photos: int, rounds: int, seconds: float) -> str:
    """So many photos by so many people, and as many rounds of as many seconds of another request beside them."""
    async with uploaders(on, clients) as people:
        signing = await media_endpoints.signing(people[0], _SIGNED)
        uploads = await media_uploads.run(on, people, photos)
    async with uploaders(on, _FEW) as people:  # new ones: a token lasts for ten minutes
        await on.owner.login()
        beside = await media_endpoints.beside(on, people, rounds, seconds)
    return media_report.show(uploads, signing, beside, clients)
