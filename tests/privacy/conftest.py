"""An api whose limits are out of the way."""

from collections.abc import AsyncIterator

import pytest

from core.db import Database
from core.settings import Settings
from tests.api.signing_in import OPEN, Api, api_process


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process
