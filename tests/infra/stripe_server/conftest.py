"""Every test of Stripe's billing has a shop of its own, which is checked when it closes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from infra.local.emulators.stripe_server.documents import public
from tests.infra.stripe_server import shops
from tests.infra.stripe_server.shapes import problems
from tests.infra.stripe_server.shops import Shop
from tests.stripe_servers import Sandbox


@pytest.fixture
async def shop(stripe_sandbox: Sandbox) -> AsyncIterator[Shop]:
    """Two plans at an account whose clock stands still, on the fourth of a January: what a part of a month costs is the
    same on whatever day the tests run.

    Whatever a test did, all that is there afterwards is what the SDK promises, every event too, and the money adds up.
    """
    january = datetime(datetime.now(UTC).year + 1, 1, 4, 10, tzinfo=UTC)
    await stripe_sandbox.control("clock", set=int(january.timestamp()))
    opened = await shops.opened(stripe_sandbox)
    yield opened
    assert [each for document in opened.account.objects for each in problems(public(document))] == []
    opened.sums()
