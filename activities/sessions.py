"""Forgetting what sessions and the way to them no longer need. May run twice: what is gone is gone."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from core.db import SessionFactory
from models.queries import device_cookies, throttle
from models.queries import sessions as rows
from temporal.contracts.sessions import SessionsSwept, SweepSessions


class SessionActivities:
    """`lifetime`: the longest that a session may last."""

    def __init__(self, sessions: SessionFactory, *, lifetime: timedelta) -> None:
        self._sessions, self._lifetime = sessions, lifetime

    @activity.defn
    async def sweep_sessions(self, request: SweepSessions) -> SessionsSwept:
        """Page by page, each in a transaction of its own; heartbeats after each."""
        replays = await self._all(request.page_size, rows.forget_replays)
        tokens = await self._all(request.page_size, partial(rows.forget_retired, age=self._lifetime))
        attempts = await self._all(request.page_size, throttle.forget)
        devices = await self._all(request.page_size, device_cookies.forget_expired)
        return SessionsSwept(replays, tokens, attempts, devices)

    async def _all(self, page_size: int, forget: Callable[[AsyncSession, int], Awaitable[int]]) -> int:
        total = 0
        while True:
            async with self._sessions.begin() as session:
                count = await forget(session, page_size)
            total += count
            activity.heartbeat(total)
            if count < page_size:
                return total
