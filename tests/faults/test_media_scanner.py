"""Must hold: without its virus scanner nothing is published. It waits, operators see it, and it goes on by itself."""

import re
from collections.abc import Sequence

import httpx
import pytest
from temporalio.client import Client

from infra.local import ports
from temporal import ids
from tests.faults import media_books as books
from tests.faults.media_site import MediaSite
from tests.media_owner import Owner, photo
from tests.stack import until

pytestmark = pytest.mark.timeout(240)
WAITING = re.compile(r'^petfolio_media_waiting_total\{part="scanner"\} (\S+)$', re.MULTILINE)


async def looks_in_vain(metrics: str) -> float:
    """How often the worker has found the scanner away, as `MediaScannerAway` counts it."""
    async with httpx.AsyncClient() as http:
        try:
            found = WAITING.search((await http.get(metrics)).text)
        except httpx.TransportError:  # it has only begun
            return 0
    return float(found[1]) if found else 0


async def what_it_waits_for(media: MediaSite, owner: Owner, upload: dict[str, str]) -> str:
    """The failure that Temporal shows at the upload's workflow."""
    async with media.database() as database:
        asset = await database.fetchval("SELECT asset_id FROM media_links WHERE id = $1", upload["media_id"])
    temporal = await Client.connect((await media.stack.status())["temporal_address"], namespace="petfolio")
    home = (await books.book_of(owner)).home
    described = await temporal.get_workflow_handle(ids.media(home, asset)).describe()
    (pending,) = described.raw_description.pending_activities
    return f"{pending.activity_type.name}: {pending.last_failure.application_failure_info.type}"


async def test_an_upload_waits_for_its_scanner_in_sight_of_operators_and_is_published_after_it(
    media: MediaSite, owners: Sequence[Owner]
) -> None:
    owner, port = owners[0], next(port for port in range(22_400, 22_499) if ports.is_free(port))
    metrics = f"http://127.0.0.1:{port}/metrics"
    media.clamd_line.cut()
    async with media.working(PETFOLIO_WORKER__HEALTH_PORT=str(port)):
        clean = await owner.send(photo(300, 200))

        async def is_seen() -> bool:
            return await looks_in_vain(metrics) >= 4

        await until(is_seen, within=90, what="the worker has looked for its scanner several times")
        assert await what_it_waits_for(media, owner, clean) == "scan_media: scanner_unavailable"
        found = await owner.media(clean)
        assert (found["state"], found["stage"], found["variants"]) == ("scanning", "scanning", [])
        assert await owner.listed() == []
        book = await books.book_of(owner)
        assert books.stored(media, books.MEDIA, f"media/{book.home}/") == {}
        media.clamd_line.mend()
        assert (await owner.settled(clean, within=90))["state"] == "ready"
