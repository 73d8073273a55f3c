"""What its person does not see, or does not want to see there, leaves the calendar, and nothing comes back from it."""

from uuid import UUID

from domain.billing.catalogue import LIMITS, Tier
from integrations.calendar.memory_server import MemoryServer
from tests.calendar.home import CalendarHome, an_event


async def leave(home: CalendarHome) -> None:
    """The person belongs to the household no more."""
    await home.home.execute("UPDATE memberships SET left_at = now() WHERE user_id = :id", id=home.home.user_id)


async def wish(home: CalendarHome, policy: str) -> None:
    """The person chooses what the calendar shows."""
    await home.home.execute(
        "UPDATE calendar_connections SET policy = CAST(:policy AS jsonb) WHERE id = :id",
        policy=policy,
        id=home.connection_id,
    )


async def crowd_out(home: CalendarHome) -> None:
    """Earlier pets take all the room of the household's plan."""
    for number in range(1, LIMITS[Tier.FREE].pets + 1):
        await home.home.execute(
            """INSERT INTO pets (id, household_id, name_ct, status)
               SELECT CAST(:id AS uuid), household_id, '', 'active' FROM pets WHERE id = :pet""",
            id=UUID(int=home.home.pet_id.int - number),
            pet=home.home.pet_id,
        )


async def test_appointments_that_are_switched_off_leave_the_calendar_and_come_back_once(
    home: CalendarHome, server: MemoryServer
) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    await wish(home, '{"appointments": false}')
    await home.sync()
    assert server.events(home.calendar_id) == {}
    assert await home.here() == {local_id: an_event()}
    await wish(home, "{}")
    await home.sync()
    await home.sync()
    assert list(server.events(home.calendar_id).values()) == [an_event()]


async def test_what_a_household_has_planned_leaves_the_calendar_of_whoever_leaves_it(
    home: CalendarHome, server: MemoryServer
) -> None:
    """What they had changed there meanwhile does not reach it either."""
    local_id = await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    await leave(home)
    server.edit(home.calendar_id, remote_id, an_event("Edited there"))
    await home.sync()
    await home.sync()
    assert server.events(home.calendar_id) == {}
    assert await home.here() == {local_id: an_event()}


async def test_what_was_deleted_in_a_household_is_not_brought_back_by_whoever_has_left_it(
    home: CalendarHome, server: MemoryServer
) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    server.edit(home.calendar_id, remote_id, an_event("Edited there"))
    await home.delete(local_id)
    await leave(home)
    await home.sync()
    assert server.events(home.calendar_id) == {} == await home.here()


async def test_what_is_planned_for_a_pet_beyond_the_plan_is_shown_and_not_changed_from_there(
    home: CalendarHome, server: MemoryServer
) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    await crowd_out(home)
    (remote_id,) = server.events(home.calendar_id)
    server.edit(home.calendar_id, remote_id, an_event("Edited there"))
    await home.sync()
    await home.sync()
    assert await home.here() == {local_id: an_event()}
    assert list(server.events(home.calendar_id).values()) == [an_event()], "the calendar is told what it says"
