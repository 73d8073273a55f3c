"""Calendars opened for work: the rows of one, the adapter that speaks for its account, and the store in between."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from activities.calendar_engine import Engine
from activities.calendar_locals import Locals
from activities.calendar_postgres import PostgresStore
from activities.calendar_rows import Sealer
from core.crypto import FieldCipher, Subject
from core.db import SessionFactory
from domain.calendar_sync import Policy
from integrations.calendar import credentials
from integrations.calendar.credentials import OAuthCredential
from integrations.calendar.factory import Providers
from integrations.calendar.protocol import CalendarProvider, NeedsReauth, ProviderName
from models.calendar_sync import ConnectionState, Health
from models.queries import calendar_sync as rows
from models.queries.calendar_sync import Calendar
from models.user import UserState

MOST_OPEN: Final = 64
"""Adapters that are kept open: each has connections, and a token that another one would have to ask for."""
TITLE: Final = "Petfolio"
_Key = tuple[UUID, int, str | None]


@dataclass(frozen=True, slots=True)
class Opened:
    """A calendar that can be worked on. `calendar_id` is that of the calendar in the account."""

    calendar: Calendar
    provider: CalendarProvider
    store: PostgresStore
    calendar_id: str

    @property
    def policy(self) -> Policy:
        """What its person chose."""
        chosen = self.calendar.policy
        return Policy(bool(chosen.get("delete_wins", False)), bool(chosen.get("adopt", True)))

    def engine(self, now: datetime) -> Engine:
        """What brings it up to date. `now` is aware."""
        row = self.calendar
        local = now.astimezone(ZoneInfo(row.timezone)).replace(tzinfo=None)
        return Engine(
            self.store, self.provider, self.calendar_id, row.id, self.policy, local, confirmed=row.deletes_confirmed
        )


def is_on(calendar: Calendar) -> bool:
    """Whether anything may be done: not while it is paused or gone, its credential is refused, or its person is
    leaving."""
    on = (ConnectionState.CONNECTING, ConnectionState.ACTIVE)
    missing = calendar.health == Health.CALENDAR_MISSING
    return calendar.connection_state in on and not missing and calendar.user_state == UserState.ACTIVE


class Calendars:
    """Opens calendars, and keeps the adapters of those that were used last."""

    def __init__(self, sessions: SessionFactory, cipher: FieldCipher, providers: Providers) -> None:
        self._sessions, self._cipher, self._providers = sessions, cipher, providers
        self._open: OrderedDict[_Key, CalendarProvider] = OrderedDict()
        self._busy: dict[_Key, int] = {}
        self._lock = asyncio.Lock()

    async def find(self, link_id: UUID) -> Calendar | None:
        """The rows of a calendar; None when they are gone."""
        async with self._sessions() as session:
            return await rows.calendar(session, link_id)

    @asynccontextmanager
    async def opened(self, calendar: Calendar) -> AsyncIterator[Opened]:
        """For as long as it is worked on. Makes the calendar in the account where there is none yet. Raises the errors
        of the port."""
        key = (calendar.id, calendar.epoch, calendar.remote_calendar_id)
        provider = await self._provider(key, calendar)
        self._busy[key] = self._busy.get(key, 0) + 1
        try:
            calendar_id = calendar.remote_calendar_id or await self._own_calendar(calendar, provider)
            yield Opened(calendar, provider, self._store(calendar, provider), calendar_id)
        finally:
            self._busy[key] -= 1
            if not self._busy[key]:
                del self._busy[key]
            await self._close_unused()

    async def forget(self, link_id: UUID) -> None:
        """Nothing of this calendar stays open."""
        for key in [key for key in self._open if key[0] == link_id and not self._busy.get(key)]:
            await self._open.pop(key).close()

    async def close(self) -> None:
        """Close all."""
        while self._open:
            await self._open.popitem()[1].close()

    async def _provider(self, key: _Key, calendar: Calendar) -> CalendarProvider:
        async with self._lock:
            if key not in self._open:
                self._open[key] = await self._new(calendar)
            self._open.move_to_end(key)
            return self._open[key]

    async def _new(self, calendar: Calendar) -> CalendarProvider:
        if calendar.credential_ct is None:
            raise NeedsReauth("there is no credential")
        sealed = await self._cipher.open(credentials.COLUMN, calendar.connection_id, calendar.credential_ct)
        credential = credentials.from_json(sealed)

        async def keep(refresh_token: str) -> None:
            await self._keep(calendar, refresh_token)

        return await self._providers.open(
            ProviderName(calendar.provider),
            credential,
            zone=calendar.timezone,
            calendar_id=calendar.remote_calendar_id,
            keep=keep,
        )

    async def _keep(self, calendar: Calendar, refresh_token: str) -> None:
        """The provider gave us another refresh token; whoever reconnected meanwhile has a better one."""
        fresh = credentials.to_json(OAuthCredential(refresh_token, "", datetime.fromtimestamp(0, UTC)))
        subject = Subject.user(calendar.user_id)
        sealed = await self._cipher.seal(subject, credentials.COLUMN, calendar.connection_id, fresh)
        async with self._sessions.begin() as session:
            await rows.set_credential(session, calendar.connection_id, calendar.epoch, sealed)

    async def _own_calendar(self, calendar: Calendar, provider: CalendarProvider) -> str:
        """The calendar of ours: one that a former attempt, or a former connection, has left there, or a new one; not
        that of somebody else who connected the same account."""
        known = [each.calendar_id for each in await provider.calendars() if each.title == TITLE]
        async with self._sessions() as session:
            taken = await rows.taken(session, calendar.id, known)
        found = next((each for each in known if each not in taken), None)
        found = found or (await provider.create_calendar(TITLE)).calendar_id
        async with self._sessions.begin() as session:
            await rows.set_calendar(session, calendar.id, found)
        return found

    def _store(self, calendar: Calendar, provider: CalendarProvider) -> PostgresStore:
        sealer = Sealer(self._cipher, calendar.user_id)
        return PostgresStore(self._sessions, sealer, Locals(self._cipher, calendar.id), provider, calendar)

    async def _close_unused(self) -> None:
        while len(self._open) > MOST_OPEN:
            key = next((key for key in self._open if not self._busy.get(key)), None)
            if key is None:
                return
            await self._open.pop(key).close()
