"""Record histories for `test_histories.py`: `python -m tests.replay.record` writes those that are missing.

A file that exists is never written again: it stands for workflows that are asleep somewhere with exactly that past. A
scenario that changed gets a new name.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from core.clock import pin_zone_data
from tests.workflows.reminder_world import ReminderWorld, days, hours, minutes, reminder_world

FOLDER: Final = Path(__file__).parent
Scenario = Callable[[ReminderWorld], Awaitable[None]]


async def once(world: ReminderWorld) -> None:
    """Due, announced, announced again after a week, completed."""
    reminder = await world.start(due=hours(1))
    await world.passes(days(9))
    await reminder.complete()
    await reminder.ended()


async def recurring_with_snooze(world: ReminderWorld) -> None:
    """Three days, the second one snoozed twice."""
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(days(1) + hours(2))
    await reminder.snooze(until=days(1) + hours(3))
    await world.passes(days(1) + hours(4))
    await reminder.snooze(until=days(1) + hours(5))
    await world.passes(days(2) + hours(2))


async def edited_paused_resumed(world: ReminderWorld) -> None:
    """Another rule while a delivery is in flight, then a pause across a due time."""
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(minutes(30))
    world.postgres.during.append(
        lambda: reminder.reschedule(mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(3)))
    )
    await world.passes(hours(4))
    await reminder.pause()
    await world.passes(days(2))
    await reminder.resume()
    await world.passes(days(3))


async def continued_as_new(world: ReminderWorld) -> None:
    """Fifty deliveries: the first run hands over; recorded is the run after it."""
    await world.start(due=hours(1), freq="DAILY")
    await world.passes(days(55))


async def deleted_then_rung(world: ReminderWorld) -> None:
    """A bell to a reminder whose row is gone: load, end."""
    reminder = await world.start(due=hours(1))
    await reminder.delete()
    await reminder.ended()
    await reminder.ring()
    await reminder.ended()


async def failed_and_planned_again(world: ReminderWorld) -> None:
    """A delivery that cannot be carried out backs off, plans again and succeeds."""
    world.postgres.fail_for_good()
    await world.start(due=hours(1), freq="DAILY")
    await world.passes(hours(3))


REMINDER: Final[tuple[Scenario, ...]] = (
    once,
    recurring_with_snooze,
    edited_paused_resumed,
    continued_as_new,
    deleted_then_rung,
    failed_and_planned_again,
)


async def record(scenario: Scenario) -> None:
    """Write the last two runs of the scenario's workflow, unless they are there."""
    folder = FOLDER / "reminder"
    if list(folder.glob(f"{scenario.__name__}*.json")):
        return
    async with reminder_world() as world:
        await scenario(world)
        (reminder,) = world.reminders
        for number, history in enumerate((await reminder.histories())[-2:], start=1):
            path = folder / f"{scenario.__name__}-{number}.json"
            folder.mkdir(exist_ok=True)
            path.write_text(json.dumps(_without_stacks(json.loads(history.to_json())), indent=1) + "\n")
            sys.stdout.write(f"{path.relative_to(FOLDER)}: {len(history.events)} events\n")


def _without_stacks(value: Any) -> Any:
    """Stack traces name the machine they were recorded on, and replay does not read them."""
    if isinstance(value, dict):
        return {key: _without_stacks(inner) for key, inner in value.items() if key != "stackTrace"}
    return [_without_stacks(inner) for inner in value] if isinstance(value, list) else value


async def main() -> None:
    """All scenarios that have no file yet."""
    for scenario in REMINDER:
        await record(scenario)


if __name__ == "__main__":
    pin_zone_data()
    asyncio.run(main())
