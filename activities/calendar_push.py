"""Push channels: providers tell us that something has changed, and nothing more (calendar-sync.md §4.8, §4.9).

The new channel is made before the old one is ended: what happens in between is told twice, not never. What a provider
sends with each message begins with the id of the calendar, so that the receiver has nothing to search for.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from temporalio import activity

from activities import metrics
from activities.calendar_open import Calendars, Opened, is_on
from core.db import SessionFactory
from integrations.calendar.protocol import CalendarError, Channel
from models.queries import calendar_sync as rows
from models.queries.calendar_sync import Calendar
from temporal.contracts.calendar_sync import PushRenewed, RenewPush

HALF: Final = 0.5
"""Of its life, after which a channel is renewed."""
_HOOKS: Final = {"google": "google-calendar", "microsoft": "microsoft-graph"}


class CalendarPushActivities:
    """`push_url` is where providers reach us; None: they are polled alone."""

    def __init__(self, sessions: SessionFactory, calendars: Calendars, push_url: str | None) -> None:
        self._sessions, self._calendars, self._push_url = sessions, calendars, push_url

    @activity.defn
    async def renew_push(self, request: RenewPush) -> PushRenewed:
        """Have a channel that lasts, and none beside it. Raises the provider's errors: polling goes on without push."""
        calendar = await self._calendars.find(request.calendar_link_id)
        if calendar is None or not is_on(calendar) or self._push_url is None or not calendar.remote_calendar_id:
            return PushRenewed(None)
        try:
            async with self._calendars.opened(calendar) as opened:
                if not opened.provider.capabilities.push:
                    return PushRenewed(None)
                at = renew_at(calendar)
                if at is not None and at > request.now:
                    return PushRenewed(at)
                return await self._renew(opened, request.now)
        except CalendarError as error:
            metrics.calendar_refused(calendar.provider, error.problem_code)
            raise

    async def _renew(self, opened: Opened, now: datetime) -> PushRenewed:
        calendar, kept = opened.calendar, list(opened.calendar.push_channels)
        secret = f"{calendar.id}.{secrets.token_urlsafe(32)}"
        made = await self._granted(opened, [kept_channel(each) for each in kept], secret, now)
        same = next((each for each in kept if each["id"] == made.channel_id), None)
        fresh = {
            "id": made.channel_id,
            "resource_id": made.resource_id,
            "secret_hash": same["secret_hash"] if same else hashlib.sha256(secret.encode()).hexdigest(),
            "granted_at": now.isoformat(),
            "expires_at": made.expires_at.isoformat(),
        }
        former = [each for each in kept if each is not same]
        await self._keep(calendar, [*former[-1:], fresh])
        for each in former:
            await opened.provider.unwatch(kept_channel(each))
        await self._keep(calendar, [fresh])
        return PushRenewed(now + (made.expires_at - now) * HALF)

    async def _granted(self, opened: Opened, former: list[Channel], secret: str, now: datetime) -> Channel:
        calendar = opened.calendar
        address = f"{self._push_url}/api/v1/webhooks/{_HOOKS[calendar.provider]}"
        channel_id = f"{calendar.id.hex}-{secrets.token_hex(4)}"
        alive = [each for each in former if each.expires_at > now]
        if alive:
            return await opened.provider.renew(opened.calendar_id, alive[-1], address, channel_id, secret)
        return await opened.provider.watch(opened.calendar_id, address, channel_id, secret)

    async def _keep(self, calendar: Calendar, channels: list[Mapping[str, Any]]) -> None:
        async with self._sessions.begin() as session:
            await rows.set_channels(session, calendar.id, channels)


def kept_channel(kept: Mapping[str, str]) -> Channel:
    """A channel of `calendar_links.push_channels`. Its secret is known to the provider alone."""
    return Channel(kept["id"], kept["resource_id"], datetime.fromisoformat(kept["expires_at"]), "")


def renew_at(calendar: Calendar) -> datetime | None:
    """When the newest channel is half over, now if it is over; None when there is none."""
    if not calendar.push_channels:
        return None
    newest = calendar.push_channels[-1]
    granted, expires = (datetime.fromisoformat(newest[name]) for name in ("granted_at", "expires_at"))
    now: datetime = calendar.now
    return granted + (expires - granted) * HALF if expires > now else now
