"""What operators are told about connected calendars while everybody else is silent."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from core.crypto import FieldCipher
from core.db import Database
from core.settings import Settings
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.keys.store import KeyStore
from models.queries import calendar_watch
from temporal.client import connect as connect_temporal
from temporal.client import plugin
from temporal.gateway import Gateway
from temporal.queues import CALENDAR_GOOGLE, CALENDARS
from tests.calendar.home import CalendarHome, connect
from tests.relay.kit import until
from workers.calendar_watch import CalendarWatch


@pytest.fixture
async def client(settings: Settings, keys: KeyStore, temporal_address: str) -> Client:
    return await connect_temporal(settings, plugin(keys), lazy=False, runtime=None)


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> AsyncIterator[CalendarHome]:
    """The only connected calendar, in agreement a moment ago."""
    server = MemoryServer()
    found = await connect(db, keys, cipher, MemoryCalendars(server), server.add_calendar("Petfolio"), name="google")
    await say(found, last_ok_at=datetime.now(UTC))
    yield found
    async with db.sessions.begin() as session:
        await session.execute(text("DELETE FROM calendar_connections"))


async def say(home: CalendarHome, **columns: Any) -> None:
    """These columns of the calendar have these values."""
    words = ", ".join(f"{name} = :{name}" for name in columns)
    statement = text(f"UPDATE calendar_links SET {words} WHERE id = :id")
    async with home.db.sessions.begin() as session:
        await session.execute(statement, {**columns, "id": home.link_id})


async def state(home: CalendarHome, state: str) -> None:
    async with home.db.sessions.begin() as session:
        await session.execute(text("UPDATE calendar_connections SET state = :state"), {"state": state})


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


async def google(home: CalendarHome) -> calendar_watch.Stand:
    return (await calendar_watch.stands(home.db, tuple(CALENDARS)))["google"]


async def test_a_provider_without_accounts_is_told_of_as_well(db: Database) -> None:
    assert await calendar_watch.stands(db, ("caldav",)) == {"caldav": calendar_watch.Stand()}


async def test_a_calendar_that_nobody_brings_into_agreement_is_late(home: CalendarHome) -> None:
    found = await google(home)
    assert (found.standings, found.late) == ({"ok": 1}, 0)
    assert found.lag < 60
    await say(home, last_ok_at=ago(minutes=31))
    found = await google(home)
    assert found.late == 1
    assert 31 * 60 <= found.lag < 32 * 60


@pytest.mark.parametrize("connection", ["paused", "needs_reauth"])
async def test_what_waits_for_its_person_is_counted_and_not_late(home: CalendarHome, connection: str) -> None:
    await say(home, last_ok_at=ago(days=3))
    await state(home, connection)
    found = await google(home)
    assert (found.standings, found.late, found.lag) == ({connection: 1}, 0, 0)


async def test_stopped_deletions_are_counted_and_not_late(home: CalendarHome) -> None:
    await say(home, last_ok_at=ago(days=3), health="deletes_paused")
    found = await google(home)
    assert (found.standings, found.late) == ({"deletes_paused": 1}, 0)


async def test_a_disconnected_account_is_not_counted(home: CalendarHome) -> None:
    await state(home, "disconnected")
    assert await google(home) == calendar_watch.Stand()


async def test_a_push_channel_without_a_successor_is_counted_with_its_age(home: CalendarHome) -> None:
    channel = '[{{"granted_at": "{}", "expires_at": "{}"}}]'
    await say(home, push_channels=channel.format(ago(hours=5).isoformat(), ago(hours=-5).isoformat()))
    found = await google(home)
    assert found.channels_ended == 0
    assert 5 * 3_600 <= found.channel_age < 5 * 3_600 + 60
    await say(home, push_channels=channel.format(ago(hours=5).isoformat(), ago(hours=1).isoformat()))
    assert (await google(home)).channels_ended == 1


async def test_a_look_fills_every_gauge_and_sees_who_polls(home: CalendarHome, client: Client) -> None:
    await say(home, health="provider_down", last_ok_at=ago(hours=1))
    watch = CalendarWatch(home.db, Gateway(client))

    def shown(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"petfolio_calendar_{name}", {"provider": "google"} | labels)

    await watch.look()
    assert shown("accounts", standing="provider_down") == 1
    assert shown("accounts", standing="ok") == 0
    assert shown("late") == 1
    assert shown("pollers") == 0

    @activity.defn
    async def nothing() -> None:
        """A worker without activities polls for none."""

    async def seen() -> bool:
        await watch.look()
        return shown("pollers") == 1

    async with Worker(client, task_queue=CALENDAR_GOOGLE, activities=[nothing]):
        await until(seen, seconds=20)


async def test_a_temporal_that_is_away_is_waited_out(settings: Settings, db: Database, keys: KeyStore) -> None:
    nowhere = settings.model_copy(update={"temporal_address": "127.0.0.1:9"})
    away = Gateway(await connect_temporal(nowhere, plugin(keys), lazy=True, runtime=None))
    assert await away.pollers(CALENDAR_GOOGLE) is None
    await CalendarWatch(db, away).look()
