"""Every test of billing has an account and a shop of its own."""

from collections.abc import AsyncIterator

import pytest

from core.crypto import FieldCipher
from core.db import Database
from integrations.keys.store import KeyStore
from tests.billing import till as tills
from tests.billing.till import Till
from tests.infra.stripe_server import shops
from tests.stripe_servers import Sandbox


@pytest.fixture
async def till(db: Database, keys: KeyStore, cipher: FieldCipher, stripe_sandbox: Sandbox) -> AsyncIterator[Till]:
    """A new account beside a new shop, whose clock stands still."""
    async with tills.opened(db, keys, cipher, await shops.opened(stripe_sandbox)) as opened:
        yield opened
