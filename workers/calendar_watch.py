"""Looks at connected calendars as `workers.watch` looks at reminders: from outside, whatever their own workers say.

Three aggregates in two statements, and one question to Temporal per provider, once a minute: how calendars stand, which
are behind, and whether anybody polls their queue at all.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from prometheus_client import Gauge

from core.db import AWAY, Database
from core.logging import describe, logger
from models.calendar_sync import ConnectionState, Health
from models.queries import calendar_watch
from models.queries.calendar_watch import Stand
from temporal.gateway import Gateway
from temporal.queues import CALENDARS

log = logger(__name__)

PERIOD_SECONDS: Final = 60.0
STANDINGS: Final = (
    *(state.value for state in ConnectionState if state not in (ConnectionState.ACTIVE, ConnectionState.DISCONNECTED)),
    *(health.value for health in Health),
)

ACCOUNTS: Final = Gauge(
    "petfolio_calendar_accounts",
    "Connected accounts by the state of the connection; active ones by the health of their calendar.",
    ["provider", "standing"],
)
LAG: Final = Gauge(
    "petfolio_calendar_sync_lag_seconds",
    "How long ago the last agreement is at most, for nineteen in twenty of the calendars that are looked at.",
    ["provider"],
)
LATE: Final = Gauge("petfolio_calendar_late", "Calendars whose last agreement is over half an hour ago.", ["provider"])
CHANNEL_AGE: Final = Gauge(
    "petfolio_calendar_channel_age_seconds", "How long ago the oldest push channel in use was granted.", ["provider"]
)
CHANNELS_ENDED: Final = Gauge(
    "petfolio_calendar_channels_ended", "Calendars whose push channel is over and has no successor.", ["provider"]
)
POLLERS: Final = Gauge(
    "petfolio_calendar_pollers", "Workers that Temporal has seen polling a provider's queue lately.", ["provider"]
)


class CalendarWatch:
    """Runs beside the relay. `gateway` may be of a lazy client."""

    def __init__(self, db: Database, gateway: Gateway) -> None:
        self._db, self._gateway, self._stopping = db, gateway, asyncio.Event()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until `stop`. Postgres or Temporal going away is waited out; the gauges keep what was seen last."""
        while not self._stopping.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PERIOD_SECONDS)

    async def look(self) -> None:
        """Once. Never raises for what is away."""
        try:
            _show(await calendar_watch.stands(self._db, tuple(CALENDARS)))
        except AWAY as error:
            log.warning("calendar_watch_away", reason=describe(error))
        for provider, queue in CALENDARS.items():
            pollers = await self._gateway.pollers(queue)
            if pollers is not None:
                POLLERS.labels(provider).set(pollers)


def _show(stands: Mapping[str, Stand]) -> None:
    for provider, stand in stands.items():
        for standing in STANDINGS:
            ACCOUNTS.labels(provider, standing).set(stand.standings.get(standing, 0))
        LAG.labels(provider).set(stand.lag)
        LATE.labels(provider).set(stand.late)
        CHANNEL_AGE.labels(provider).set(stand.channel_age)
        CHANNELS_ENDED.labels(provider).set(stand.channels_ended)
