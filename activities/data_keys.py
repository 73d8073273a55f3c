"""Rotating data keys. Every method may run twice: what was done is not there to be done any more."""

from datetime import timedelta

from temporalio import activity

from core.logging import logger
from integrations.keys.store import KeyStore
from models.queries.keys import KeyTable
from temporal.contracts.data_keys import KeysRenewed, KeysRewrapped, RenewKeys, RewrapKeys

log = logger(__name__)


class DataKeyActivities:
    """`table` leads to where wrapped keys are kept; `keys` is the store over it."""

    def __init__(self, keys: KeyStore, table: KeyTable) -> None:
        self._keys, self._table = keys, table

    @activity.defn
    async def rewrap_keys(self, request: RewrapKeys) -> KeysRewrapped:
        """Key by key; one that is destroyed meanwhile stays destroyed."""
        present, done = await self._keys.master_key(), 0
        while page := await self._table.wrapped_by_others(present, request.page_size):
            for row in page:
                await self._table.rewrap(row, await self._keys.rewrapped(row))
                activity.heartbeat(done := done + 1)
        log.info("data_keys_rewrapped", keys=done)
        return KeysRewrapped(done)

    @activity.defn
    async def renew_keys(self, request: RenewKeys) -> KeysRenewed:
        """Owner by owner; processes write under the new key once theirs of the former one is forgotten (minutes)."""
        age, done = timedelta(days=request.max_age_days), 0
        while page := await self._table.older_than(age, request.page_size):
            for row in page:
                await self._keys.renew(row)
                activity.heartbeat(done := done + 1)
        log.info("data_keys_renewed", keys=done)
        return KeysRenewed(done)
