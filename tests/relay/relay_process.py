"""A relay in a process of its own, for tests that kill it: `python -m tests.relay.relay_process`."""

import asyncio

from core.db import WORKER_POOL, connect
from core.settings import Settings
from integrations.keys.factory import open_keys
from integrations.keys.store import KeyStore
from models.queries.keys import KeyTable
from temporal.client import connect as connect_temporal
from temporal.client import plugin
from tests.relay.kit import KINDS
from workers.relay import Relay


async def _main() -> None:
    settings = Settings()
    async with connect(settings, WORKER_POOL) as db:
        keys = KeyStore(open_keys(settings)[0], KeyTable(db.reads))
        client = await connect_temporal(settings, plugin(keys), lazy=True, runtime=None)
        await Relay(settings, client, KINDS).run()


if __name__ == "__main__":
    asyncio.run(_main())
