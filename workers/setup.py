"""`python -m workers setup`: everything a release needs before its processes start. Safe to run again and at once.

Schema (as its owner), the platform's key and secrets, the namespace with its search attributes, the Schedules,
and the roll-over to the zone data of the release.
"""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from core.db import WORKER_POOL
from core.db import connect as connect_database
from core.logging import logger
from core.settings import Settings
from domain.recurrence import TZDATA_VERSION
from integrations.keys.factory import open_keys
from integrations.keys.secrets import ensure_secrets, ensure_system_key
from integrations.keys.store import KeyStore
from models.migrate import upgrade
from models.queries.keys import KeyTable
from temporal.client import connect_when_up, plugin, runtime
from temporal.namespace import ensure_namespace
from temporal.schedules import ensure_schedules
from temporal.zone_data import roll_over

log = logger(__name__)

TEMPORAL_SECONDS: Final = 60.0
"""How long a deploy waits for Temporal: the api can do without it for a while, a deploy is not done without it."""


async def run_setup(settings: Settings) -> int:
    """Do all of it in order. Answers the exit code; raises what Postgres, the key keeper or Temporal raise."""
    await _migrate(settings)
    provider, secret_store = open_keys(settings)
    await ensure_secrets(secret_store)
    async with connect_database(settings, WORKER_POOL) as db:
        keys = KeyStore(provider, KeyTable(db.reads))
        await ensure_system_key(keys)
        async with asyncio.timeout(TEMPORAL_SECONDS):
            client = await connect_when_up(settings, plugin(keys), runtime=runtime())
            await ensure_namespace(client)
            await ensure_schedules(client, billing=settings.stripe_api_key is not None)
            await roll_over(client, TZDATA_VERSION)
    log.info("setup_done")
    return 0


async def _migrate(settings: Settings) -> None:
    owner = settings.migration_url.get_secret_value() if settings.migration_url else settings.direct_url
    app_role = urlsplit(settings.database_url.get_secret_value()).username or "petfolio"
    before, after = await upgrade(owner, app_role=app_role)
    log.info("migrated", before=before, after=after)
