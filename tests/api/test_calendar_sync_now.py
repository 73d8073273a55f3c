"""`POST /integrations/calendar/sync`: rung in any case, and answered by the calendar's workflow where it can be."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from core.settings import Settings
from integrations.keys.store import KeyStore
from models.calendar_sync import ConnectionState
from temporal.client import connect, plugin
from temporal.contracts import calendar_sync as contract
from temporal.contracts.calendar_sync import CalendarState, Standing, Synced, SyncNow
from tests.api.calendars_kit import bells, change, connect_server, rows_of, unring
from tests.api.calendars_kit import settings as settings
from tests.api.signing_in import Api, Person, api_process

SYNC = "/integrations/calendar/sync"


@workflow.defn(name=contract.WORKFLOW)
class Calendar:
    """Answers as the real one: at once, or, for a provider called `slow`, never."""

    @workflow.init
    def __init__(self, state: CalendarState) -> None:
        self.asked: list[str] = []
        self.slow = state.failures > 0

    @workflow.run
    async def run(self, state: CalendarState) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update(name=contract.SYNC_NOW)
    async def sync_now(self, request: SyncNow) -> Synced:
        self.asked.append(str(request.calendar_link_id))
        await workflow.wait_condition(lambda: not self.slow)
        return Synced(Standing.WAITING)

    @workflow.query(name="asked")
    def times(self) -> list[str]:
        return self.asked


@pytest.fixture
async def temporal(settings: Settings, keys: KeyStore) -> Client:
    return await connect(settings, plugin(keys), lazy=False, runtime=None)


Start = Callable[..., Any]


@pytest.fixture
async def start(api: Api, temporal: Client) -> AsyncIterator[Start]:
    """Starts the workflow of a connection, on a queue that somebody looks after."""
    queue = f"calendars-{secrets.token_hex(4)}"
    started = []

    async def begin(connection: dict[str, Any], *, slow: bool = False) -> Any:
        _, link = await rows_of(api, connection)
        workflow_id = connection["workflow"].removeprefix("/api/v1/workflows/")
        state = CalendarState(link.id, "caldav", failures=int(slow))
        started.append(await temporal.start_workflow(contract.WORKFLOW, state, id=workflow_id, task_queue=queue))
        return started[-1]

    async with _worker(temporal, queue):
        yield begin
        for handle in started:
            await handle.terminate()


@asynccontextmanager
async def _worker(temporal: Client, queue: str) -> AsyncIterator[None]:
    async with Worker(temporal, task_queue=queue, workflows=[Calendar], graceful_shutdown_timeout=timedelta(seconds=1)):
        yield


async def test_whoever_waits_is_told_how_each_calendar_stands(api: Api, person: Person, start: Start) -> None:
    made = [await connect_server(person) for _ in range(2)]
    for each in made:
        await start(each)
        await unring(api, each)
    answer = await person.request("POST", SYNC)
    assert answer.status_code == 200, answer.text
    assert [(each["connection_id"], each["result"], each["standing"]) for each in answer.json()["items"]] == [
        (each["id"], "done", "waiting") for each in made
    ]
    assert [len(await bells(api, each)) for each in made] == [1, 1]


async def test_one_alone_is_asked_and_a_repeated_key_asks_once(person: Person, start: Start) -> None:
    first, second = await connect_server(person), await connect_server(person)
    handles = [await start(each) for each in (first, second)]
    key = {"Idempotency-Key": f'"{uuid4()}"'}
    for _ in range(2):
        answer = await person.request("POST", SYNC, {"connection_id": second["id"]}, key)
        assert (answer.status_code, len(answer.json()["items"])) == (200, 1)
    assert [len(await handle.query("asked")) for handle in handles] == [0, 1]


async def test_what_takes_longer_goes_on_and_says_where_it_is_seen(person: Person, start: Start) -> None:
    quick, slow = await connect_server(person), await connect_server(person)
    await start(quick)
    handle = await start(slow, slow=True)
    answer = await person.request("POST", SYNC)
    assert answer.status_code == 202
    assert [each["result"] for each in answer.json()["items"]] == ["done", "under_way"]
    assert answer.headers["location"] == slow["workflow"]
    assert (await person.request("GET", slow["workflow"].removeprefix("/api/v1"))).json()["live"] is True
    assert len(await handle.query("asked")) == 1


async def test_a_workflow_that_is_being_started_is_waited_for(person: Person, start: Start) -> None:
    made = await connect_server(person)
    asked = asyncio.create_task(person.request("POST", SYNC))
    await asyncio.sleep(0.3)  # the request finds no workflow yet: that is what is tested
    await start(made)
    assert (await asked).json()["items"][0]["result"] == "done"


async def test_what_nobody_takes_is_rung_all_the_same(api: Api, person: Person, temporal: Client) -> None:
    made = await connect_server(person)
    await unring(api, made)
    workflow_id = made["workflow"].removeprefix("/api/v1/workflows/")
    _, link = await rows_of(api, made)
    handle = await temporal.start_workflow(
        contract.WORKFLOW, CalendarState(link.id, "caldav"), id=workflow_id, task_queue="nobody"
    )
    answer = await person.request("POST", SYNC)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_accepted")
    assert "retry-after" in answer.headers
    assert len(await bells(api, made)) == 1
    await handle.terminate()


async def test_without_temporal_it_is_rung_and_answered_in_time(settings: Settings, api: Api, person: Person) -> None:
    made = await connect_server(person)
    await unring(api, made)
    away = settings.model_copy(update={"temporal_address": "127.0.0.1:9"})
    async with api_process(away) as lonely:
        answer = await asyncio.wait_for(lonely.post(SYNC, None, person.access_token), 5)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_accepted")
    assert len(await bells(api, made)) == 1


async def test_who_has_nothing_in_step_is_told(api: Api, person: Person) -> None:
    assert (await person.request("POST", SYNC)).json()["code"] == "no_connection"
    stranger = await api.person()
    theirs = await connect_server(stranger)
    answer = await person.request("POST", SYNC, {"connection_id": theirs["id"]})
    assert answer.status_code == 404
    mine = await connect_server(person)
    await change(api, mine, state=ConnectionState.PAUSED)
    paused = await person.request("POST", SYNC, {"connection_id": mine["id"]})
    assert (paused.status_code, paused.json()["code"]) == (409, "not_in_step")
    assert (await person.request("POST", SYNC)).json()["code"] == "no_connection"
