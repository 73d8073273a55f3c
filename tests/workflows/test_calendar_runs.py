"""A connected calendar over its years: one run hands over to the next and loses nothing. Time is skipped."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateHandle

from integrations.calendar.protocol import UnknownOutcome
from temporal.client import workflow_runner
from temporal.contracts.calendar_sync import CalendarPlan, Standing, Synced
from temporal.search_attributes import STATE
from tests.workflows.calendar_world import DAY, HOUR, MINUTE, SECOND, UPSERT, CalendarWorld, calendar_world
from workflows.calendar_sync import REST

HALF_A_DAY = CalendarPlan(Standing.OK, poll_seconds=12 * 3600)


@pytest.fixture
async def short_runs(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CalendarWorld]:
    """A world in which every third look is the last of its run."""
    monkeypatch.setattr("temporal.contracts.calendar_sync.LOOKS_PER_RUN", 3)
    async with calendar_world(runner=workflow_runner()) as opened:
        yield opened


async def test_runs_that_hand_over_while_a_thousand_bells_come_in_lose_none(short_runs: CalendarWorld) -> None:
    calendar = await short_runs.connect()

    asked: list[Synced] = []

    async def press() -> None:
        """Who asks keeps the looks coming, so that many runs end in the middle of the bells."""
        while len(asked) < 60:
            asked.append(await (await calendar.ask()).result())

    pressing = asyncio.create_task(press())
    for _ in range(100):
        await asyncio.gather(*(calendar.ring() for _ in range(10)))
    await pressing
    assert set(asked) == {Synced(Standing.OK)}
    rung_at = await short_runs.now()
    await short_runs.passes(MINUTE)
    status = await calendar.status()
    assert status.heard == status.obeyed == calendar.rings == 1001
    assert calendar.fake.times()[-1] >= rung_at - SECOND
    runs = await calendar.histories()
    assert len(runs) > 10
    heard = [
        event
        for run in runs
        for event in run.events
        if event.event_type is EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]
    assert len(heard) == 1001


async def test_a_bell_during_the_last_look_of_a_run_is_a_look_of_the_next(short_runs: CalendarWorld) -> None:
    calendar = short_runs.calendar()

    async def nothing() -> None:
        """The first looks."""

    calendar.fake.meanwhile = [calendar.ring, calendar.ring, calendar.ring, nothing]
    await calendar.ring()
    await short_runs.passes(MINUTE)
    assert calendar.fake.looks == 4
    assert len(await calendar.histories()) == 2
    assert (await calendar.status()).obeyed == 4


async def test_whoever_asks_during_the_last_look_of_a_run_is_answered(short_runs: CalendarWorld) -> None:
    calendar = short_runs.calendar()
    asked: list[WorkflowUpdateHandle[Synced]] = []

    async def press() -> None:
        asked.append(await calendar.ask())

    calendar.fake.meanwhile = [calendar.ring, calendar.ring, press]
    await calendar.ring()
    await short_runs.passes(HOUR)
    async with asyncio.timeout(20):
        assert await asked[0].result() == Synced(Standing.OK)
    await short_runs.passes(DAY)
    assert len(await calendar.histories()) > 10


async def test_a_new_run_goes_on_where_the_last_one_stood(short_runs: CalendarWorld) -> None:
    calendar = await short_runs.connect(fault=UnknownOutcome("away"))
    await short_runs.passes(3 * HOUR)
    status = await calendar.status()
    assert status.failures == calendar.fake.looks > 10
    described = await calendar.handle.describe()
    assert described.typed_search_attributes[STATE] == "failing"
    assert await calendar.commands(UPSERT) == 1, "what a run is introduced with is not written again"


async def test_a_calendar_sleeps_in_a_run_that_has_done_nothing_yet() -> None:
    """What a run has done stays in the memory of its worker."""
    async with calendar_world() as world:
        calendar = await world.connect(batches=5)
        await world.passes(DAY)
        *looked, asleep = await calendar.histories()
        assert len(looked) == calendar.fake.looks > 70
        assert [event.event_type for event in asleep.events][4:] == [EventType.EVENT_TYPE_TIMER_STARTED]
        assert (await calendar.details()).startswith("google: ok; next look: 2")
        assert await calendar.commands(UPSERT) == 1


async def test_a_bell_after_the_last_look_of_a_run_waits_until_the_calendar_has_rested() -> None:
    async with calendar_world() as world:
        calendar = await world.connect()
        await world.passes(2 * SECOND)
        assert len(await calendar.histories()) == 2
        await calendar.ring()
        await world.passes(5 * SECOND)
        first, second = calendar.fake.times()
        assert second - first >= REST


async def test_a_year_of_a_calendar_that_is_edited_daily_passes_in_short_histories() -> None:
    async with calendar_world() as world:
        calendar = await world.connect(plan=HALF_A_DAY)
        for _ in range(365):
            await world.env.sleep(DAY)
            await calendar.ring()
        await world.passes(MINUTE)
        assert calendar.fake.looks > 2 * 365
        assert (await calendar.status()).obeyed == calendar.rings == 366
        runs = await calendar.histories()
        assert len(runs) == calendar.fake.looks + 1
        assert max(len(run.events) for run in runs) < 30
