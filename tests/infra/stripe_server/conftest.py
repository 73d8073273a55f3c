"""Every test of Stripe's billing has a shop of its own."""

import pytest

from tests.infra.stripe_server import shops
from tests.infra.stripe_server.shops import Shop
from tests.stripe_servers import Sandbox


@pytest.fixture
async def shop(stripe_sandbox: Sandbox) -> Shop:
    """Two plans at an account whose clock stands still."""
    return await shops.opened(stripe_sandbox)
