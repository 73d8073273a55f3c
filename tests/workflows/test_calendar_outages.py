"""A connected calendar whose provider is away, asks for a pause, or refuses push. Time is skipped."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from temporalio.exceptions import ApplicationError

from integrations.calendar.protocol import RateLimited, UnknownOutcome
from temporal.contracts.calendar_sync import Standing
from tests.workflows.calendar_world import DAY, HOUR, MINUTE, POLL, SECOND, CalendarWorld, calendar_world, gaps

AWAY = UnknownOutcome("away")


@pytest.fixture
async def world() -> AsyncIterator[CalendarWorld]:
    async with calendar_world() as opened:
        yield opened


async def test_a_provider_that_is_away_is_asked_more_and_more_seldom_until_it_is_back(world: CalendarWorld) -> None:
    calendar = await world.connect(fault=AWAY)
    await world.passes(6 * HOUR)
    pauses = gaps(calendar.fake.times())
    assert pauses[0] < MINUTE
    assert all(pause > 0.75 * POLL for pause in pauses[-10:])
    assert all(pause < 1.25 * POLL + MINUTE for pause in pauses)
    assert sum(call.at > calendar.fake.calls[-1].at - HOUR for call in calendar.fake.calls) <= 20
    status = await calendar.status()
    assert (status.standing, status.failures) == (Standing.FAILING, len(pauses) + 1)
    assert f"failed in a row: {status.failures}" in await calendar.details()

    calendar.fake.fault = None
    await world.passes(HOUR)
    status = await calendar.status()
    assert (status.standing, status.failures) == (Standing.OK, 0)
    calendar.fake.fault, looks = AWAY, calendar.fake.looks
    await world.passes(HOUR)
    assert gaps(calendar.fake.times()[looks:])[0] < MINUTE, "the next outage begins with a short pause again"


async def test_bells_bring_nothing_forward_while_the_provider_is_away_but_a_person_does(world: CalendarWorld) -> None:
    calendar = await world.connect(fault=AWAY)
    for _ in range(120):
        await world.passes(MINUTE)
        await calendar.ring()
    assert calendar.fake.looks < 20
    assert all(pause > 0.75 * POLL for pause in gaps(calendar.fake.times())[-4:])

    calendar.fake.fault, looks = None, calendar.fake.looks
    assert (await (await calendar.ask()).result()).standing is Standing.OK
    assert calendar.fake.looks == looks + 1
    await world.passes(MINUTE)
    assert (await calendar.status()).obeyed == calendar.rings


async def test_those_refused_at_once_do_not_come_back_at_once(world: CalendarWorld) -> None:
    calendars = [world.calendar(fault=ApplicationError("away", non_retryable=True)) for _ in range(20)]
    await asyncio.gather(*(calendar.ring() for calendar in calendars))
    for _ in range(10):
        await world.passes(2 * MINUTE)
    planned = [(await calendar.status()).next_at for calendar in calendars]
    back = [at for at in planned if at is not None]
    assert len(back) == len(calendars)
    assert max(Counter(at.replace(microsecond=0) for at in back).values()) <= 3
    assert max(back) - min(back) > MINUTE


async def test_a_pause_the_provider_asks_for_is_kept_and_holds_up_nobody_else() -> None:
    async with calendar_world(slots=1) as world:
        refused, other = world.calendar(faults=[RateLimited("slow down", retry_after=7)]), world.calendar()
        refused.fake.meanwhile = [other.ring]
        await refused.ring()
        await world.passes(MINUTE)
        first, second = (call.at for call in refused.fake.calls)
        assert second - first >= 7 * SECOND
        (meanwhile,) = other.fake.times()
        assert first <= meanwhile < second, "the only slot was free"
        assert (await refused.status()).standing is Standing.OK


async def test_a_pause_longer_than_a_look_may_last_is_kept_too(world: CalendarWorld) -> None:
    calendar = await world.connect(faults=[RateLimited("slow down", retry_after=3600)])
    for _ in range(20):
        await world.passes(MINUTE)
        await calendar.ring()
    assert len(calendar.fake.calls) == 1
    await world.passes(2 * HOUR)
    first, second = calendar.fake.calls[:2]
    assert HOUR <= second.at - first.at < 1.7 * HOUR
    assert (await calendar.status()).standing is Standing.OK


async def test_push_is_renewed_when_it_is_half_over_and_followed_by_a_look(world: CalendarWorld) -> None:
    calendar = await world.connect(channel=3 * DAY, renew_at=await world.now())
    await world.passes(MINUTE)
    assert [call.name for call in calendar.fake.calls] == ["pull_changes", "renew_push", "pull_changes"]
    await world.passes(7 * DAY)
    renewed = calendar.fake.times("renew_push")
    assert [round(gap / DAY, 1) for gap in gaps(renewed)] == [3.0, 3.0]
    for at in renewed:
        assert min(look - at for look in calendar.fake.times() if look > at) < 10 * SECOND
    assert (await calendar.status()).renew_at == calendar.fake.renew_at


async def test_push_that_is_refused_is_asked_for_every_hour_while_polls_go_on(world: CalendarWorld) -> None:
    calendar = await world.connect(channel=None, renew_at=await world.now())
    await world.passes(DAY)
    assert 20 <= len(calendar.fake.times("renew_push")) <= 25
    assert min(gaps(calendar.fake.times("renew_push"))) >= HOUR
    assert max(gaps(calendar.fake.times())) <= 1.25 * POLL + 2 * MINUTE
    assert (await calendar.status()).standing is Standing.OK
    assert str((await calendar.status()).renew_at) in await calendar.details()

    calendar.fake.channel = 3 * DAY
    await world.passes(2 * HOUR)
    assert calendar.fake.renew_at is not None
    assert (await calendar.status()).renew_at == calendar.fake.renew_at > await world.now()


async def test_whoever_waits_does_not_wait_for_push(world: CalendarWorld) -> None:
    calendar = await world.connect(channel=None, renew_at=await world.now())
    asked = await calendar.ask()
    await asked.result()
    assert len([call for call in calendar.fake.calls if call.name == "renew_push"]) <= 1


async def test_a_channel_that_is_over_before_it_began_is_not_renewed_without_end(world: CalendarWorld) -> None:
    calendar = await world.connect(channel=-MINUTE, renew_at=await world.now())
    await world.passes(12 * HOUR)
    assert len(calendar.fake.times("renew_push")) <= 13
    assert calendar.fake.looks < 12 * 7


async def test_a_provider_that_is_away_when_push_is_due_is_left_alone(world: CalendarWorld) -> None:
    calendar = await world.connect(channel=6 * HOUR, renew_at=await world.now())
    await world.passes(5 * HOUR)
    calendar.fake.fault, looks = AWAY, calendar.fake.looks
    await world.passes(5 * HOUR)
    assert calendar.fake.looks - looks < 5 * 7
    assert len(calendar.fake.times("renew_push")) == 1
    calendar.fake.fault = None
    await world.passes(HOUR)
    assert len(calendar.fake.times("renew_push")) == 2
