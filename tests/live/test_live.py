"""Live events through real api processes, Valkey and the official JavaScript client."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from activities.reminder import ReminderActivities
from core import live
from core.crypto import FieldCipher
from core.db import Database
from core.ids import new_id
from core.live import Event, Live, Name
from core.redis import Redis
from core.settings import Settings
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.conftest import api, app
from tests.api.signing_in import Api, Person
from tests.api.test_process import api_server
from tests.api.test_reminders import DUE, diary, person, remind, settings
from tests.live.browser import Browser, browser

__all__ = ["api", "app", "person", "settings"]
BOTH = pytest.mark.parametrize("transport", ["websocket", "polling"])


@pytest.fixture(scope="module")
async def server(settings: Settings, db: Database) -> AsyncIterator[str]:
    async with api_server(settings) as (_, client):
        yield str(client.base_url)


@pytest.fixture(scope="module")
async def other_server(settings: Settings, db: Database) -> AsyncIterator[str]:
    async with api_server(settings) as (_, client):
        yield str(client.base_url)


@pytest.fixture
async def screen() -> AsyncIterator[Browser]:
    async with browser() as opened:
        yield opened


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    connection = Redis(settings.redis_url.get_secret_value(), call_seconds=1)
    yield connection
    await connection.close()


async def open_app(
    screen: Browser, server: str, person: Person, name: str = "anna", transport: str = "websocket", **more: Any
) -> dict[str, Any]:
    """Connect, and answer what the stream says of itself."""
    screen.tell("connect", name, url=server, token=person.access_token, transports=[transport], **more)
    assert await screen.connected(name) == transport
    return await screen.event(live.READY, name)


async def publish(redis: Redis, user_id: UUID, count: int = 1) -> list[UUID]:
    """Events about made-up occurrences; answers their ids in order."""
    ids = [new_id() for _ in range(count)]
    publisher = Live(redis)
    publisher.publish(
        Event(user_id, Name.OCCURRENCE_DUE, {"occurrence_id": each, "reminder_id": each, "state": "due"})
        for each in ids
    )
    assert publisher._task is not None
    await publisher._task
    return ids


@BOTH
async def test_what_is_done_on_the_phone_is_done_on_the_screen(
    screen: Browser, server: str, person: Person, transport: str
) -> None:
    await open_app(screen, server, person, transport=transport)
    made = await remind(person)
    (pending,) = await diary(person, made["id"])
    await person.request("POST", f"/occurrences/{pending['id']}/complete")
    heard = await screen.event("occurrence.done", occurrence_id=pending["id"])
    assert (heard["reminder_id"], heard["state"]) == (made["id"], "done")
    await screen.event("notification.withdrawn", occurrence_id=pending["id"])
    await screen.event("occurrence.scheduled", reminder_id=made["id"])
    await screen.event("workflow.updated", type="reminder")


async def test_it_upgrades_from_polling_to_websocket(screen: Browser, server: str, person: Person) -> None:
    screen.tell("connect", url=server, token=person.access_token, transports=["polling", "websocket"])
    assert await screen.connected() in ("polling", "websocket")
    await screen.event(live.READY)
    await remind(person)
    await screen.event("workflow.updated")


async def test_what_comes_due_is_heard(
    screen: Browser, server: str, person: Person, app: Any, cipher: FieldCipher
) -> None:
    """The worker's side, in a process that is none of the server's."""
    await open_app(screen, server, person)
    made = await remind(person)
    db: Database = app.state.services.db  # its commits are followed, as a worker's are
    activities = ReminderActivities(db.sessions, wording(cipher), MemoryNotifier())
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE))
    heard = await screen.event("occurrence.due", reminder_id=made["id"])
    line = await screen.event("notification.created", occurrence_id=heard["occurrence_id"])
    await person.request("POST", f"/notifications/{line['notification_id']}/read")
    await screen.event("notification.read", notification_id=line["notification_id"])


async def test_nobody_hears_of_others(screen: Browser, server: str, person: Person, api: Api) -> None:
    stranger = await api.person()
    await open_app(screen, server, person)
    await open_app(screen, server, stranger, "bert")
    await remind(person)
    await screen.event("workflow.updated")
    await remind(stranger)
    await screen.event("workflow.updated", "bert")
    assert screen.events("bert") == []


async def test_all_devices_hear_it_whichever_process_they_are_connected_to(
    screen: Browser, server: str, other_server: str, person: Person
) -> None:
    await open_app(screen, server, person)
    await open_app(screen, other_server, person, "tablet")
    await remind(person)
    first, second = await screen.event("workflow.updated"), await screen.event("workflow.updated", "tablet")
    assert first == second


async def test_what_was_rolled_back_is_not_heard(redis: Redis, app: Any, person: Person) -> None:
    db: Database = app.state.services.db
    async with db.sessions() as session:
        await session.begin()
        live.say(session, [person.user_id], Name.OCCURRENCE_DUE, occurrence_id=new_id())
        await session.rollback()
    assert (await live.standing(redis, person.user_id, None)).last_event_id is None


@BOTH
async def test_who_was_away_hears_what_they_missed_once_and_in_order(
    screen: Browser, server: str, person: Person, redis: Redis, transport: str
) -> None:
    await publish(redis, person.user_id)
    await open_app(screen, server, person, transport=transport)
    (seen,) = await publish(redis, person.user_id)
    await screen.event("occurrence.due", occurrence_id=str(seen))
    screen.tell("away")
    await screen.sees(lambda said: "disconnected" in said)
    missed = await publish(redis, person.user_id, 40)
    screen.tell("back")
    ready = await screen.event(live.READY)
    assert ready["complete"]
    more = await publish(redis, person.user_id, 3)
    for each in (*missed, *more):
        heard = await screen.sees(lambda said: said.get("event") == "occurrence.due")
        assert heard["data"]["occurrence_id"] == str(each)


async def test_events_that_come_while_it_resumes_are_neither_lost_nor_heard_twice(
    screen: Browser, server: str, person: Person, redis: Redis
) -> None:
    await publish(redis, person.user_id)
    await open_app(screen, server, person)
    sent: list[UUID] = []
    for _ in range(5):
        screen.tell("drop")
        for _ in range(8):
            sent += await publish(redis, person.user_id)
        assert (await screen.event(live.READY))["complete"]
    for each in sent:
        heard = await screen.sees(lambda said: said.get("event") == "occurrence.due")
        assert heard["data"]["occurrence_id"] == str(each)
    assert screen.events() == []


async def test_who_missed_more_than_is_kept_is_told_to_fetch_anew(
    screen: Browser, server: str, person: Person, redis: Redis
) -> None:
    await publish(redis, person.user_id)
    first = await open_app(screen, server, person)
    screen.tell("away")
    await screen.sees(lambda said: "disconnected" in said)
    await publish(redis, person.user_id, live.LENGTH + 1)
    screen.tell("back")
    ready = await screen.event(live.READY)
    assert (ready["complete"], ready["events"]) == (False, [])
    assert ready["last_event_id"] > first["last_event_id"]


async def test_a_first_visit_fetches_what_it_shows(screen: Browser, server: str, person: Person) -> None:
    assert await open_app(screen, server, person) == {"last_event_id": None, "events": [], "complete": False}


@pytest.mark.parametrize("last", ["0", "-", "+", "$", "1-1\r\nFLUSHALL", "9" * 30, 7, None, {"a": 1}])
async def test_what_is_no_event_id_is_as_none(screen: Browser, server: str, person: Person, last: object) -> None:
    ready = await open_app(screen, server, person, last_event_id=last)
    assert not ready["complete"]


@pytest.mark.parametrize(
    "token",
    [None, "", "a.b.c", "\ud800", 7, {"a": 1}, "x" * 9_000],
    ids=["none", "empty", "no", "half", "7", "{}", "long"],
)
async def test_nobody_comes_in_without_a_token(screen: Browser, server: str, token: object) -> None:
    screen.tell("connect", url=server, token=token, transports=["websocket"])
    refused = await screen.sees(lambda said: "refused" in said)
    assert refused["data"] == {"code": "invalid_token"}


async def test_a_signed_out_session_is_disconnected_within_a_second_and_alone(
    screen: Browser, server: str, person: Person, api: Api
) -> None:
    tokens = (await api.login(person.email)).json()
    again = Person(api, person.email, tokens["access_token"], tokens["refresh_token"])
    await open_app(screen, server, person)
    await open_app(screen, server, again, "laptop")
    assert (await person.request("POST", "/auth/logout")).status_code == 204
    gone = await screen.sees(lambda said: "disconnected" in said, seconds=1)
    assert (gone["client"], gone["disconnected"]) == ("anna", "io server disconnect")
    screen.tell("back")
    refused = await screen.sees(lambda said: "refused" in said)
    assert refused["data"] == {"code": "invalid_token"}
    await remind(again)
    await screen.event("workflow.updated", "laptop")
