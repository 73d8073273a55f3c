"""Sessions that ended a moment ago, as every process learns from Postgres within a second.

Redis is told of each revocation too. But who revokes may be killed between commit and Redis, or Redis may be away, and
then what another process left there would let the session in for ten more seconds.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from core.logging import logger
from core.read_pool import ReadPool
from models.queries import sessions

log = logger(__name__)

LOOK_SECONDS: Final = 0.4
"""Between two looks: with the look itself, nobody outlives their session by a second."""
OVERLAP_SECONDS: Final = 60
"""A revocation is stamped before it is committed, at most a request's deadline earlier; and what a slow reader left in
Redis about a session that lived is gone by then."""

Listener = Callable[[frozenset[UUID]], None]


class EndedSessions:
    """`session_id in ended` says that it ended within the last minute; False says nothing."""

    def __init__(self, reads: ReadPool) -> None:
        self._reads = reads
        self._lately: frozenset[UUID] = frozenset()
        self._listeners: list[Listener] = []

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._lately

    def listen(self, listener: Listener) -> None:
        """Call `listener` with those that have ended, again and again for a minute. It must not wait for anything."""
        self._listeners.append(listener)

    async def watch(self) -> None:
        """Look until cancelled. While Postgres is away, what is known stays known."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            try:
                self._lately = frozenset(await sessions.ended_lately(self._reads, now - looked + OVERLAP_SECONDS))
                looked = now
                for listener in self._listeners:
                    listener(self._lately)
            except Exception as error:  # whatever it is, the next look may succeed: nobody else takes this over
                log.warning("ended_sessions_away", error=type(error).__name__)
