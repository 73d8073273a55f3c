"""Effects of the calendar sync: each looks at the rows first, and may run again at any time.

A refusal that only a person can undo (credentials, a calendar that was deleted, deletions to be confirmed) is written
into the rows and answered as `waiting`; what passes by itself is raised, and Temporal tries again when the provider
said so. Texts and types of errors are ours alone: no token, no address and no word of anybody reaches a history.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import calendar_notices, metrics
from activities.calendar_engine import Doubt
from activities.calendar_open import Calendars, Opened, is_on
from activities.calendar_push import kept_channel, renew_at
from activities.heartbeat import beating
from core.crypto import FieldCipher
from core.db import SessionFactory
from integrations.calendar.protocol import (
    CalendarError,
    CalendarMissing,
    EventRejected,
    NeedsReauth,
    RateLimited,
    UnknownOutcome,
)
from models.calendar_sync import ConnectionState, Health
from models.notification import MailTemplate
from models.queries import calendar_sync as rows
from models.queries.calendar_sync import Calendar
from temporal.contracts.calendar_sync import (
    CalendarPlan,
    PullChanges,
    ReconcileBatch,
    Standing,
)

IDLE_FACTOR: Final = 7.5
"""A calendar in which nothing has happened for a day is looked at this much less often, and so is one with push."""
QUIET: Final = timedelta(days=1)
KEPT: Final = timedelta(days=30)
"""How long what is remembered of a disconnected account waits for its person to come back."""
DOUBTFUL: Final = timedelta(minutes=5)
"""After this a list that nobody believed is asked for again."""


class CalendarSyncActivities:
    """See the module. `push_url` is where providers reach us; None: they are polled alone."""

    def __init__(
        self,
        sessions: SessionFactory,
        cipher: FieldCipher,
        calendars: Calendars,
        *,
        poll_seconds: int,
        push_url: str | None,
    ) -> None:
        self._sessions, self._cipher, self._calendars = sessions, cipher, calendars
        self._poll_seconds, self._push_url = poll_seconds, push_url

    @activity.defn
    async def pull_changes(self, request: PullChanges) -> CalendarPlan:
        """Read the calendar's list to its end; a page that was kept is not read again."""
        calendar = await self._calendars.find(request.calendar_link_id)
        if calendar is None:
            return CalendarPlan(Standing.OVER)
        if calendar.connection_state == ConnectionState.DISCONNECTED:
            return await self._disconnect(calendar, request.now)
        if not is_on(calendar):
            return CalendarPlan(Standing.WAITING)
        try:
            async with beating(), self._calendars.opened(calendar) as opened:
                engine = opened.engine(request.now)
                listed = await engine.pull(poll=request.poll)
                await self._connected(calendar)
                doubt = await engine.doubt()
                if await engine.is_open(doubt):
                    return CalendarPlan(Standing.OK, more=True, listed=listed)
                return await self._plan(opened, request.now, doubt, listed=listed, worked=False)
        except CalendarError as error:
            return await self._refused(calendar, error, request.now)

    @activity.defn
    async def reconcile_batch(self, request: ReconcileBatch) -> CalendarPlan:
        """Bring some pairs into agreement."""
        calendar = await self._calendars.find(request.calendar_link_id)
        if calendar is None:
            return CalendarPlan(Standing.OVER)
        if not is_on(calendar):
            return CalendarPlan(Standing.WAITING)
        try:
            async with beating(), self._calendars.opened(calendar) as opened:
                engine = opened.engine(request.now)
                doubt = await engine.doubt()
                if await engine.work(doubt):
                    return CalendarPlan(Standing.OK, more=True, listed=request.listed)
                return await self._plan(opened, request.now, doubt, listed=request.listed, worked=True)
        except CalendarError as error:
            return await self._refused(calendar, error, request.now)

    async def _connected(self, calendar: Calendar) -> None:
        """The account was reached: a new connection is one now."""
        if calendar.connection_state == ConnectionState.ACTIVE:
            return
        async with self._sessions.begin() as session:
            await rows.set_state(session, calendar.connection_id, calendar.epoch, ConnectionState.ACTIVE)

    async def _plan(self, opened: Opened, now: datetime, doubt: Doubt, *, listed: bool, worked: bool) -> CalendarPlan:
        """Nothing is left, and this is how the calendar stands. Without a list nothing new is known of that."""
        calendar, doubtful = opened.calendar, doubt is Doubt.DELETES_PAUSED
        poll = DOUBTFUL.total_seconds() if doubtful else self._poll(calendar, now)
        plan = CalendarPlan(Standing.OK, poll_seconds=poll, listed=listed, renew_at=self._renewal(opened, now))
        if listed:
            await self._note_list(calendar, doubtful, now, now + timedelta(seconds=poll), changed=worked)
        elif worked:
            async with self._sessions.begin() as session:
                await rows.note_change(session, calendar.id)
        return plan

    async def _note_list(
        self, calendar: Calendar, doubtful: bool, now: datetime, next_poll_at: datetime, *, changed: bool
    ) -> None:
        """A list was read, and everything was done that it asked for."""
        health = Health.DELETES_PAUSED if doubtful else Health.OK
        async with self._sessions.begin() as session:
            if doubtful and calendar.health == health:  # the second list says so, too
                await self._tell(session, calendar, MailTemplate.CALENDAR_DELETIONS, now.date().isoformat())
            await rows.note_result(
                session,
                link=calendar.id,
                health=health,
                failures=0,
                error="many_deletions" if doubtful else None,
                next_poll_at=next_poll_at,
                ok=not doubtful,
                keep_confirmed=False,
                changed=changed,
            )
        if doubtful:
            metrics.deletes_paused(calendar.provider)
        else:
            metrics.synced(calendar.provider, calendar.now - (calendar.last_ok_at or calendar.created_at))

    async def _tell(self, session: AsyncSession, calendar: Calendar, template: MailTemplate, once: str) -> None:
        """The person reads what only they can do, once."""
        await calendar_notices.tell(session, self._cipher, calendar, template, once)

    def _poll(self, calendar: Calendar, now: datetime) -> float:
        quiet = calendar.changed_at is not None and now - calendar.changed_at > QUIET
        pushed = any(kept_channel(each).expires_at > now for each in calendar.push_channels)
        return min(self._poll_seconds * (IDLE_FACTOR if quiet or pushed else 1), 900.0)

    def _renewal(self, opened: Opened, now: datetime) -> datetime | None:
        if self._push_url is None or not opened.provider.capabilities.push:
            return None
        return renew_at(opened.calendar) or now

    async def _refused(self, calendar: Calendar, error: CalendarError, now: datetime) -> CalendarPlan:
        """What only a person can undo is said to them; everything else is raised, and tried again."""
        metrics.calendar_refused(calendar.provider, error.problem_code)
        waits = isinstance(error, NeedsReauth | CalendarMissing)
        health = Health.CALENDAR_MISSING if isinstance(error, CalendarMissing) else calendar.health
        if isinstance(error, UnknownOutcome) and activity.info().attempt >= _DOWN_AFTER:
            health = Health.PROVIDER_DOWN
        async with self._sessions.begin() as session:
            if isinstance(error, NeedsReauth):
                needs = ConnectionState.NEEDS_REAUTH
                if await rows.set_state(session, calendar.connection_id, calendar.epoch, needs):
                    await self._tell(session, calendar, MailTemplate.CALENDAR_RECONNECT, str(calendar.epoch))
            elif isinstance(error, CalendarMissing) and calendar.health != health:
                await self._tell(session, calendar, MailTemplate.CALENDAR_MISSING, now.date().isoformat())
            await rows.note_result(
                session,
                link=calendar.id,
                health=health,
                failures=calendar.failures + 1,
                error=error.problem_code,
                next_poll_at=None if waits else now,
                ok=False,
                keep_confirmed=True,
                changed=False,
            )
        if isinstance(error, NeedsReauth):
            await self._calendars.forget(calendar.id)
        if waits:
            return CalendarPlan(Standing.WAITING)
        raise error

    async def _disconnect(self, calendar: Calendar, now: datetime) -> CalendarPlan:
        """End the push channels and, where the person asked for it, what we left in the calendar; forget the rest after
        a month. A provider that does not answer any more is left alone."""
        try:
            if calendar.credential_ct is not None and calendar.remote_calendar_id:
                async with beating(), self._calendars.opened(calendar) as opened:
                    for each in calendar.push_channels:
                        await opened.provider.unwatch(kept_channel(each))
                    if calendar.remove_copies:
                        await opened.provider.delete_calendar(opened.calendar_id)
        except (NeedsReauth, CalendarMissing, EventRejected):
            pass  # it is not ours to act there any more
        except (RateLimited, UnknownOutcome) as error:
            metrics.calendar_refused(calendar.provider, error.problem_code)
            if activity.info().attempt < _DOWN_AFTER:
                raise
        async with self._sessions.begin() as session:
            await rows.let_go(session, calendar.id, calendar.connection_id, calendar.epoch)
            ended_at = calendar.disconnected_at or now
            if ended_at + KEPT <= now:
                await rows.forget(session, calendar.connection_id)
                return CalendarPlan(Standing.OVER)
        await self._calendars.forget(calendar.id)
        left = (ended_at + KEPT - now).total_seconds()
        return CalendarPlan(Standing.WAITING, poll_seconds=left)


_DOWN_AFTER: Final = 3
"""Attempts that failed in a row before a person reads that their provider is down."""
