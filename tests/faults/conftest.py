"""Who has reminders, or uploads, while things break, and who keeps account."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.faults.media_site import MediaSite, media_site
from tests.media_owner import Owner
from tests.person import Person, sign_up
from tests.services import S3Server
from tests.stack import Inbox


@pytest.fixture
async def person(client: httpx.AsyncClient, inbox: Inbox) -> Person:
    return await sign_up(client, inbox)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@pytest.fixture(scope="session")
async def media(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaSite]:
    """A stack without a media worker, on ways that may become bad ones."""
    async with media_site(s3, tmp_path_factory.mktemp("scratch")) as site:
        yield site


@pytest.fixture
async def owners(media: MediaSite) -> Sequence[Owner]:
    """Two people, each with a household and a pet of their own."""
    people = [await sign_up(media.client, media.inbox) for _ in range(2)]
    media.wire.mend()
    media.clamd_line.mend()
    return [Owner(each, each.pet_id) for each in people]
