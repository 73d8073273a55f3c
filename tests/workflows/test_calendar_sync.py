"""A connected calendar: when it is looked at, for whom, and how it ends. Time is skipped."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateHandle

from temporal import ids
from temporal.contracts.calendar_sync import CalendarPlan, CalendarState, Standing, Synced
from temporal.search_attributes import OWNER, STATE
from tests.workflows.calendar_world import (
    DAY,
    HOUR,
    IDLE,
    MINUTE,
    POLL,
    SECOND,
    UPSERT,
    CalendarWorld,
    calendar_world,
    gaps,
)
from workflows.calendar_sync import BATCHES_PER_LOOK, CalendarSyncWorkflow

WAITING, OVER = CalendarPlan(Standing.WAITING), CalendarPlan(Standing.OVER)


@pytest.fixture
async def world() -> AsyncIterator[CalendarWorld]:
    async with calendar_world() as opened:
        yield opened


async def test_a_new_calendar_is_looked_at_at_once(world: CalendarWorld) -> None:
    began = await world.now()
    calendar = await world.connect()
    await world.passes(5 * SECOND)
    (looked,) = calendar.fake.times()
    assert looked - began < 3 * SECOND


async def test_a_calendar_whose_first_bell_was_lost_is_looked_at_all_the_same(world: CalendarWorld) -> None:
    calendar = world.calendar()
    await world.env.client.start_workflow(
        CalendarSyncWorkflow.run,
        CalendarState(calendar.link_id, "google"),
        id=calendar.handle.id,
        task_queue=world.queue,
    )
    await world.passes(5 * SECOND)
    assert calendar.fake.looks == 1


async def test_a_hundred_bells_in_a_second_are_two_looks_at_most(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(MINUTE)
    await asyncio.gather(*(calendar.ring() for _ in range(100)))
    await world.passes(MINUTE)
    assert 1 <= calendar.fake.looks - 1 <= 2
    assert (await calendar.status()).obeyed == calendar.rings


async def test_bells_during_a_look_are_one_more_look(world: CalendarWorld) -> None:
    calendar = world.calendar()

    async def thrice() -> None:
        for _ in range(3):
            await calendar.ring()

    calendar.fake.meanwhile = [thrice]
    await calendar.ring()
    await world.passes(MINUTE)
    assert calendar.fake.looks == 2


async def test_a_stale_or_repeated_bell_is_no_look(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await calendar.ring(7)
    await world.passes(MINUTE)
    looks = calendar.fake.looks
    for seq in (7, 3, 1, 7):
        await calendar.ring(seq)
    await world.passes(MINUTE)
    assert calendar.fake.looks == looks


async def test_without_bells_looks_come_about_every_quarter_of_an_hour(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(DAY)
    pauses = gaps(calendar.fake.times())
    assert len(pauses) > 70
    assert all(0.75 * POLL <= pause <= 1.25 * POLL + SECOND for pause in pauses)
    assert max(pauses) - min(pauses) > 0.3 * POLL
    assert len({round(pause.total_seconds()) for pause in pauses}) > 30
    timers = await calendar.commands(EventType.EVENT_TYPE_TIMER_STARTED)
    assert timers == calendar.fake.looks + 1, "only the first look was rung for, and let other bells come in first"


async def test_nothing_is_asked_while_the_person_has_to_act_and_a_bell_wakes_it(world: CalendarWorld) -> None:
    calendar = await world.connect(plan=WAITING)
    await world.passes(30 * DAY)
    assert calendar.fake.looks == 1
    assert (await calendar.status()).standing is Standing.WAITING

    calendar.fake.plan = IDLE
    await calendar.ring()
    await world.passes(5 * SECOND)
    assert calendar.fake.looks == 2
    await world.passes(HOUR)
    assert calendar.fake.looks > 4


async def test_a_pause_and_its_end_are_rows_and_bells(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(DAY)
    calendar.fake.plan = WAITING
    await calendar.ring()
    await world.passes(MINUTE)
    looks = calendar.fake.looks
    await world.passes(7 * DAY)
    assert calendar.fake.looks == looks
    calendar.fake.plan = IDLE
    await calendar.ring()
    await world.passes(HOUR)
    assert looks + 4 <= calendar.fake.looks <= looks + 6


async def test_a_look_goes_on_until_nothing_is_left(world: CalendarWorld) -> None:
    calendar = await world.connect(batches=7)
    await world.passes(MINUTE)
    assert [call.name for call in calendar.fake.calls] == ["pull_changes"] + ["reconcile_batch"] * 7
    assert (await calendar.status()).next_at is not None


async def test_a_look_without_an_end_is_broken_off_and_taken_up_again(world: CalendarWorld) -> None:
    calendar = await world.connect(batches=BATCHES_PER_LOOK + 5)
    await world.passes(5 * SECOND)
    assert len(calendar.fake.times("reconcile_batch")) == BATCHES_PER_LOOK
    await world.passes(MINUTE)
    assert calendar.fake.batches == 0
    assert calendar.fake.looks == 2


async def test_a_calendar_that_was_disconnected_ends(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(HOUR)
    calendar.fake.plan = OVER
    await calendar.ring()
    await calendar.handle.result()
    assert (await calendar.handle.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_a_late_bell_to_a_calendar_that_is_gone_starts_nothing_that_stays(world: CalendarWorld) -> None:
    calendar = await world.connect(plan=OVER)
    await calendar.handle.result()
    await calendar.ring()
    await calendar.handle.result()
    assert calendar.fake.looks == 2


async def test_a_bell_during_the_last_look_is_obeyed(world: CalendarWorld) -> None:
    calendar = world.calendar(plan=OVER)

    async def connected_again() -> None:
        await calendar.ring()

    async def is_back() -> None:
        calendar.fake.plan = IDLE

    calendar.fake.meanwhile = [connected_again, is_back]
    await calendar.ring()
    await world.passes(MINUTE)
    assert (await calendar.status()).standing is Standing.OK
    assert calendar.fake.looks == 2


async def test_whoever_waits_gets_a_look_of_their_own_at_once(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(5 * SECOND)
    pressed = await world.now()
    asked = await calendar.ask()
    assert await asked.result() == Synced(Standing.OK)
    assert calendar.fake.looks == 2
    assert calendar.fake.times()[-1] - pressed < SECOND


async def test_two_who_ask_during_a_look_share_the_next_one(world: CalendarWorld) -> None:
    """What they see may be younger than the look that is on its way."""
    calendar = world.calendar()
    asked: list[WorkflowUpdateHandle[Synced]] = []

    async def press_twice() -> None:
        asked.extend([await calendar.ask(), await calendar.ask()])

    calendar.fake.meanwhile = [press_twice]
    await calendar.ring()
    await world.passes(MINUTE)
    assert [await each.result() for each in asked] == [Synced(Standing.OK)] * 2
    assert calendar.fake.looks == 2


async def test_whoever_waits_while_bells_come_in_is_not_kept_waiting(world: CalendarWorld) -> None:
    calendar = await world.connect()
    asked = await calendar.ask()
    await calendar.ring()
    assert await asked.result() == Synced(Standing.OK)


async def test_whoever_waits_for_a_calendar_that_ends_is_answered(world: CalendarWorld) -> None:
    calendar = world.calendar(plan=OVER)
    answers: list[WorkflowUpdateHandle[Synced]] = []

    async def press() -> None:
        answers.append(await calendar.ask())

    calendar.fake.meanwhile = [press]
    await calendar.ring()
    async with asyncio.timeout(20):
        await calendar.handle.result()
    (asked,) = answers
    assert await asked.result() == Synced(Standing.OVER)
    assert calendar.fake.looks == 2


async def test_operators_find_it_by_its_owner_and_state_which_is_written_when_it_changes(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(DAY)
    assert calendar.fake.looks > 70
    assert await calendar.commands(UPSERT) == 1
    found = (await calendar.handle.describe()).typed_search_attributes
    assert (found[OWNER], found[STATE]) == (ids.owner_attribute(calendar.handle.id), "ok")

    calendar.fake.plan = WAITING
    await calendar.ring()
    await world.passes(HOUR)
    assert await calendar.commands(UPSERT) == 2
    found = (await calendar.handle.describe()).typed_search_attributes
    assert (found[OWNER], found[STATE]) == (ids.owner_attribute(calendar.handle.id), "waiting")


async def test_operators_read_what_it_is_doing(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(MINUTE)
    status = await calendar.status()
    said = await calendar.details()
    assert said.startswith("google: ok")
    assert str(status.next_at) in said
    calendar.fake.plan = WAITING
    await calendar.ring()
    await world.passes(MINUTE)
    assert "when somebody rings" in await calendar.details()


async def test_an_edit_here_reads_no_list_and_leaves_the_poll_that_is_due_where_it_was(world: CalendarWorld) -> None:
    calendar = await world.connect()
    await world.passes(MINUTE)
    due = (await calendar.status()).next_at
    calendar.fake.news, calendar.fake.batches = False, 2
    await calendar.ring()
    await world.passes(MINUTE)
    assert (calendar.fake.looks, len(calendar.fake.lists), calendar.fake.batches) == (2, 1, 0)
    assert (await calendar.status()).next_at == due
    await world.passes(1.25 * POLL)
    assert len(calendar.fake.lists) >= 2


async def test_a_day_of_edits_here_postpones_no_poll(world: CalendarWorld) -> None:
    calendar = await world.connect(news=False)
    for _ in range(24 * 6):
        await calendar.ring()
        await world.passes(10 * MINUTE)
    assert max(gaps(calendar.fake.lists)) <= 1.25 * POLL + 5 * SECOND
    assert len(calendar.fake.lists) < 2 * DAY / POLL


async def test_of_many_edits_here_those_that_a_look_left_over_do_not_wait_for_the_poll(world: CalendarWorld) -> None:
    calendar = await world.connect(news=False)
    await world.passes(5 * SECOND)
    calendar.fake.batches = BATCHES_PER_LOOK + 5
    await calendar.ring()
    await world.passes(MINUTE)
    assert calendar.fake.batches == 0


async def test_whoever_waits_has_the_list_read_whoever_told(world: CalendarWorld) -> None:
    calendar = await world.connect(news=False)
    await world.passes(5 * SECOND)
    asked = await calendar.ask()
    assert await asked.result() == Synced(Standing.OK)
    assert len(calendar.fake.lists) == 2


async def test_a_new_channel_has_the_list_read_once_more_whoever_told(world: CalendarWorld) -> None:
    """Between the first list and the channel nobody was told of a change."""
    calendar = world.calendar(news=False, channel=DAY, renew_at=await world.now())
    await calendar.ring()
    await world.passes(MINUTE)
    assert len(calendar.fake.lists) == 2
