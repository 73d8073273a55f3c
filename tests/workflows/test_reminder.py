"""A reminder's life on the time-skipping server: what is delivered when, whatever people do meanwhile."""

from collections.abc import AsyncIterator

import pytest
from temporalio.exceptions import ApplicationError

from domain.escalation import Lead, Step
from domain.reminder_actions import Complete, Pause
from tests.workflows.reminder_world import ANNA, ReminderWorld, days, hours, minutes, reminder_world


@pytest.fixture
async def world() -> AsyncIterator[ReminderWorld]:
    """A world of the test's own."""
    async with reminder_world() as world:
        yield world


async def test_a_single_reminder_is_delivered_when_it_is_due(world: ReminderWorld) -> None:
    await world.start(due=hours(1))
    await world.passes(minutes(59))
    assert world.delivered_at == []
    await world.passes(minutes(61))
    assert world.delivered_at == [hours(1)]


async def test_completing_a_single_reminder_ends_its_workflow(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1))
    await world.passes(hours(2))
    await reminder.complete()
    await reminder.ended()
    assert world.delivered_at == [hours(1)]


async def test_snooze_after_due_delivers_at_the_new_time(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(hours(1))
    await reminder.snooze(until=minutes(90))
    await world.passes(minutes(91))
    assert world.delivered_at == [hours(1), minutes(90)]


async def test_an_edit_while_a_delivery_is_in_flight_is_planned_afterwards(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(minutes(30))
    world.postgres.during.append(
        lambda: reminder.reschedule(mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(3)))
    )
    await world.passes(hours(26))
    assert world.delivered_at == [hours(1), hours(3)]


async def test_an_edit_while_the_plan_is_being_read_is_planned_afterwards(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(5))
    await world.passes(minutes(1))
    world.postgres.during.append(lambda: reminder.reschedule(mode="once", dtstart_local=world.wall(hours(2))))
    await reminder.ring()
    await world.passes(hours(6))
    assert world.delivered_at == [hours(2)]


async def test_a_deleted_reminder_delivers_nothing_and_leaves_no_workflow_open(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(minutes(10))
    await reminder.delete()
    await reminder.ended()
    await world.passes(days(3))
    assert world.delivered_at == []


async def test_pausing_across_a_due_time_skips_it_and_keeps_the_later_ones(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(minutes(10))
    await reminder.pause()
    await world.passes(hours(30))
    assert await reminder.is_running()
    await reminder.resume()
    await world.passes(days(2) + hours(2))
    assert world.delivered_at == [days(2) + hours(1)]


async def test_repeated_stale_and_late_bells_change_nothing(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await reminder.ring()
    await world.passes(minutes(10))
    plans = world.postgres.plans
    for stale in (2, 1, 2):
        await reminder.ring(seq=stale)
    await world.passes(hours(2))
    assert world.delivered_at == [hours(1)]
    assert world.postgres.plans == plans


async def test_a_late_bell_for_a_deleted_reminder_starts_a_workflow_that_ends_at_once(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1))
    await reminder.delete()
    await reminder.ended()
    await reminder.ring()
    await reminder.ended()
    (history,) = await reminder.histories()
    assert len(history.events) == 7


async def test_undoing_the_completion_of_a_single_reminder_brings_its_workflow_back(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(5))
    key = reminder.rows.series.occurrences[0].key
    await reminder.complete()
    await reminder.ended()
    await reminder.undo(key)
    await world.passes(hours(6))
    assert world.delivered_at == [hours(5)]


async def test_continue_as_new_keeps_the_plan_and_a_snooze(world: ReminderWorld) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(days(49) + hours(2))
    await reminder.snooze(until=days(49) + hours(3))
    await world.passes(days(52))
    runs = await reminder.histories()
    assert len(runs) == 2
    assert world.delivered_at == [
        *[days(n) + hours(1) for n in range(50)],
        days(49) + hours(3),
        *[days(n) + hours(1) for n in (50, 51)],
    ]
    assert max(len(run.events) for run in runs) < 700


async def test_a_delivery_that_fails_for_good_is_planned_again(world: ReminderWorld) -> None:
    world.postgres.fail_for_good()
    await world.start(due=hours(1), freq="DAILY")
    await world.passes(hours(2))
    assert world.delivered_at == [hours(1) + minutes(1)]


async def test_a_provider_that_is_away_delays_and_loses_nothing(world: ReminderWorld) -> None:
    world.postgres.failures = [ApplicationError("away") for _ in range(4)]
    await world.start(due=hours(1), freq="DAILY")
    await world.passes(hours(2))
    assert len(world.delivered_at) == 1
    assert world.delivered_at[0] < hours(1) + minutes(1)


async def test_operators_find_a_reminder_by_owner_pet_and_state_and_an_ordinary_fire_costs_no_upsert(
    world: ReminderWorld,
) -> None:
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(days(3))
    events = (await reminder.histories())[-1].events
    assert sum(event.HasField("upsert_workflow_search_attributes_event_attributes") for event in events) == 1
    shown = (await reminder.handle.describe()).typed_search_attributes
    values = {pair.key.name: pair.value for pair in shown}
    assert values["PfOwner"] == f"household/{world.household_id}"
    assert values["PfPetId"] == str(reminder.rows.series.pet_id)
    assert values["PfState"] == "active"
    await reminder.act(Pause())
    await world.settled()
    values = {pair.key.name: pair.value for pair in (await reminder.handle.describe()).typed_search_attributes}
    assert values["PfState"] == "paused"


LADDER = (Step(minutes(0), ("email",)), Step(minutes(10), ("push",)), Step(minutes(30), ("push",)))


async def test_nobody_answers_and_each_step_is_taken_at_its_time(world: ReminderWorld) -> None:
    await world.start_with(policy=LADDER, mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(1)))
    await world.passes(hours(2))
    assert world.steps == ["due", "due+10", "due+30"]
    assert world.delivered_at == [hours(1), minutes(70), minutes(90)]


async def test_done_between_two_steps_is_the_end_of_asking(world: ReminderWorld) -> None:
    reminder = await world.start_with(policy=LADDER, mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(1)))
    await world.passes(minutes(65))
    await reminder.complete()
    await world.passes(hours(20))
    assert world.steps == ["due"]


async def test_seen_stops_the_steps_and_the_next_day_begins_anew(world: ReminderWorld) -> None:
    reminder = await world.start_with(policy=LADDER, mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(1)))
    await world.passes(minutes(65))
    await reminder.acknowledge()
    await world.passes(hours(26))
    assert world.steps == ["due", "due", "due+10", "due+30"]


async def test_a_day_and_an_hour_ahead_and_then_on_time(world: ReminderWorld) -> None:
    await world.start_with(leads=(Lead(days(1)), Lead(hours(1))), mode="once", dtstart_local=world.wall(days(3)))
    await world.passes(days(3))
    assert world.delivered_at == [days(2), days(3) - hours(1), days(3)]


async def test_a_step_that_is_due_while_a_completion_is_on_its_way_is_not_taken(world: ReminderWorld) -> None:
    """The row says done before the bell is heard: the delivery asks the row."""
    reminder = await world.start_with(policy=LADDER, mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(1)))
    await world.passes(minutes(65))
    due = reminder.rows.series.due
    assert due is not None
    await reminder.change(Complete(due.key, ANNA))
    await world.passes(hours(20))
    assert world.steps == ["due"]
