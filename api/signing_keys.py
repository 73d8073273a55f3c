"""The keys of access tokens in a running process: they change while it serves (§2.2)."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from api.tokens import Caller, Tokens
from core.logging import logger
from integrations.keys.protocols import SecretStore
from integrations.keys.secrets import load_signing_keys

log = logger(__name__)

LOOK_SECONDS: Final = 300
"""Between two looks. A key is published a day before it signs."""
LEAST_SECONDS: Final = 60
"""Strangers can name keys that nobody has: however many do, the keeper of secrets is asked this seldom."""


class SigningKeys:
    """Keeps `tokens` at what the secret store holds. A store that is away changes nothing."""

    def __init__(self, store: SecretStore, tokens: Tokens, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._tokens, self._clock = store, tokens, clock
        self._looked = -math.inf
        self._looking: asyncio.Task[None] | None = None

    async def verify(self, token: str) -> Caller:
        """For a token whose key is not known here: look again, then as `Tokens.verify`. Raises `TokenRefused`."""
        await self.look()
        return self._tokens.verify(token)

    async def look(self) -> None:
        """Read the keys, unless that was done a moment ago; who comes meanwhile waits for the same read."""
        if self._looking is None:
            if self._clock() - self._looked < LEAST_SECONDS:
                return
            self._looked = self._clock()
            self._looking = asyncio.create_task(self._read())
        # Shielded, because the caller who came first may be cancelled while others wait.
        await asyncio.shield(self._looking)

    async def watch(self) -> None:
        """Look from time to time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def _read(self) -> None:
        try:
            self._tokens.use(await load_signing_keys(self._store))
        except Exception as error:  # whatever is wrong there: those who hold tokens of known keys are served
            log.warning("signing_keys_away", error=type(error).__name__)
        finally:
            self._looking = None
