"""The rotation of signing keys. The only one who writes them: running it again, or twice at once, makes one key."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from temporalio import activity

from integrations.keys.protocols import SecretStore
from integrations.keys.secrets import replace_signing_keys, rotate_signing_keys
from temporal.contracts.signing_keys import RotateSigningKeys, SigningKeysRotated


class SigningKeyActivities:
    """`token_seconds`: how long an access token is accepted."""

    def __init__(self, store: SecretStore, *, token_seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._store, self._token_seconds, self._clock = store, token_seconds, clock

    @activity.defn
    async def rotate_signing_keys(self, request: RotateSigningKeys) -> SigningKeysRotated:
        """By the clock of this attempt, not of the first one: a key is published a day before it signs."""
        now = int(self._clock())
        if request.discard_all:
            keys = await replace_signing_keys(self._store, now=now)
        else:
            keys = await rotate_signing_keys(self._store, token_seconds=self._token_seconds, now=now)
        newest = max(key.signs_from for key in keys)
        return SigningKeysRotated(len(keys), datetime.fromtimestamp(newest, UTC))
