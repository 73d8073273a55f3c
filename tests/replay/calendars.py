"""What connected calendars live through, for `record.py`: each scenario answers with the runs to be kept."""

from collections.abc import Awaitable, Callable
from typing import Final

from temporalio.client import WorkflowHistory

from integrations.calendar.protocol import RateLimited, UnknownOutcome
from temporal.contracts.calendar_sync import CalendarPlan, Standing
from tests.workflows.calendar_world import DAY, HOUR, IDLE, MINUTE, CalendarWorld

CalendarScenario = Callable[[CalendarWorld], Awaitable[list[WorkflowHistory]]]


async def polled_and_rung(world: CalendarWorld) -> list[WorkflowHistory]:
    """Imported in three batches, polled, rung twice, once in the middle of a look."""
    calendar = world.calendar(batches=3)
    calendar.fake.meanwhile = [calendar.ring]
    await calendar.ring()
    await world.passes(2 * HOUR)
    await calendar.ring()
    await world.passes(HOUR)
    return await calendar.histories()


async def asked_for(world: CalendarWorld) -> list[WorkflowHistory]:
    """Asked for while it rests, while bells settle down, and twice during a look."""
    calendar = await world.connect()
    await world.passes(MINUTE)

    async def twice() -> None:
        for _ in range(2):
            await calendar.ask()

    calendar.fake.meanwhile = [twice]
    await (await calendar.ask()).result()
    await world.passes(MINUTE)
    await calendar.ring()
    await (await calendar.ask()).result()
    await world.passes(HOUR)
    return await calendar.histories()


async def reauthorized_then_disconnected(world: CalendarWorld) -> list[WorkflowHistory]:
    """The credentials are refused; a week later there are new ones; then the account is disconnected and forgotten."""
    calendar = await world.connect()
    await world.passes(HOUR)
    calendar.fake.plan = CalendarPlan(Standing.WAITING)
    await world.passes(7 * DAY)
    calendar.fake.plan = IDLE
    await calendar.ring()
    await world.passes(HOUR)
    calendar.fake.plan = CalendarPlan(Standing.WAITING, poll_seconds=(30 * DAY).total_seconds())
    await calendar.ring()
    await world.passes(DAY)
    asleep = await calendar.histories()
    calendar.fake.plan = CalendarPlan(Standing.OVER)
    await world.passes(40 * DAY)
    return [*asleep, *await calendar.histories()]


async def away_and_back(world: CalendarWorld) -> list[WorkflowHistory]:
    """Away for hours, with bells and somebody who asks; then it wants a pause of an hour; then it is back."""
    calendar = await world.connect(fault=UnknownOutcome("away"))
    await world.passes(HOUR)
    await calendar.ring()
    await (await calendar.ask()).result()
    await world.passes(HOUR)
    calendar.fake.fault, calendar.fake.faults = None, [RateLimited("slow down", retry_after=3600)]
    await world.passes(3 * HOUR)
    return await calendar.histories()


async def told_by_push(world: CalendarWorld) -> list[WorkflowHistory]:
    """Push is refused twice, granted, looked after, and renewed when it is half over."""
    calendar = await world.connect(channel=None, renew_at=await world.now())
    await world.passes(90 * MINUTE)
    calendar.fake.channel = 5 * HOUR
    await world.passes(8 * HOUR)
    return await calendar.histories()


async def handed_over(world: CalendarWorld) -> list[WorkflowHistory]:
    """Rung and polled until a new run has taken over, and another one: recorded is the last."""
    calendar = await world.connect(plan=CalendarPlan(Standing.OK, poll_seconds=HOUR.total_seconds()))
    while len(await calendar.histories()) < 3:
        await world.passes(4 * DAY)
        await calendar.ring()
    await world.passes(HOUR)
    return (await calendar.histories())[-1:]


async def a_look_a_run(world: CalendarWorld) -> list[WorkflowHistory]:
    """Imported in two batches and rung meanwhile; push is refused; polled. Each look hands over to a new run."""
    calendar = world.calendar(batches=2, renew_at=await world.now())
    calendar.fake.meanwhile = [calendar.ring]
    await calendar.ring()
    await world.passes(30 * MINUTE)
    return await calendar.histories()


CALENDARS: Final[tuple[CalendarScenario, ...]] = (
    polled_and_rung,
    asked_for,
    reauthorized_then_disconnected,
    away_and_back,
    told_by_push,
    handed_over,
    a_look_a_run,
)
