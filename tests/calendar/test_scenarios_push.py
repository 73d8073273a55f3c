"""Channels that ended while nobody was there: calendar-sync.md §9 S19."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.calendar_push import CalendarPushActivities
from temporal.contracts.calendar_sync import PushRenewed, RenewPush
from tests.calendar.accounts import Account
from tests.calendar.home import an_event
from tests.calendar.opened import calendars_of, credential_of
from tests.calendar_listener import Heard, Listener

pytestmark = pytest.mark.parametrize("account", ["google", "microsoft"], indirect=True)
AWAY = timedelta(days=9)


async def renewed(account: Account, listener: Listener, now: datetime) -> PushRenewed:
    """As the workflow asks for it."""
    async with calendars_of(account) as calendars:
        push = CalendarPushActivities(account.home.db.sessions, calendars, listener.url)
        return await push.renew_push(RenewPush(account.home.link_id, now))


async def channels(account: Account) -> list[Any]:
    rows = await account.home.home.rows(
        "SELECT push_channels FROM calendar_links WHERE id = :id", id=account.home.link_id
    )
    return list(rows[0].push_channels)


def changes(listener: Listener) -> list[Heard]:
    """Messages that say that something has changed."""
    return [each for each in listener.messages if each.headers.get("X-Goog-Resource-State") != "sync"]


async def test_after_its_channel_has_ended_a_calendar_gets_a_new_one_and_misses_nothing(
    account: Account, listener: Listener
) -> None:
    now = datetime.now(UTC)
    await credential_of(account)
    await account.create(an_event())
    await account.sync()
    remote_id = await account.only()
    assert (await renewed(account, listener, now)).renew_at is not None
    (former,) = await channels(account)
    await account.remote_edit(remote_id, title="Told")
    listener.wait(len(listener.messages) - len(changes(listener)) + 1)
    told = len(changes(listener))
    account.control.advance(AWAY.total_seconds())
    await account.remote_edit(remote_id, title="Edited while nobody was there")
    assert len(changes(listener)) == told
    again = await renewed(account, listener, now + AWAY)
    (channel,) = await channels(account)
    assert channel["id"] != former["id"]
    assert datetime.fromisoformat(channel["expires_at"]) > now + AWAY
    assert again.renew_at is not None
    assert again.renew_at > now + AWAY
    await account.sync()
    assert (await account.event_here()).title == "Edited while nobody was there"
    await account.remote_edit(remote_id, title="Told again")
    listener.wait(len(listener.messages) - len(changes(listener)) + told + 1)
    assert len(changes(listener)) > told


async def test_a_channel_that_is_young_is_left_alone_and_one_half_over_is_replaced(
    account: Account, listener: Listener
) -> None:
    now = datetime.now(UTC)
    await credential_of(account)
    first = await renewed(account, listener, now)
    assert await renewed(account, listener, now + timedelta(hours=1)) == first
    assert first.renew_at is not None
    later = first.renew_at + timedelta(minutes=1)
    account.control.advance((later - now).total_seconds())
    second = await renewed(account, listener, later)
    assert second.renew_at is not None
    assert second.renew_at > later
    assert len(await channels(account)) == 1
