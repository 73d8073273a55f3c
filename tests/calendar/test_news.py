"""When the calendar's list is read: when it may have changed there, and not for what changed here."""

import pytest

from activities.calendar_store import Position
from domain.calendar import Event
from integrations.calendar.memory_server import MemoryServer
from integrations.calendar.protocol import Page, UnknownOutcome
from temporal import outbox
from tests.calendar.home import CalendarHome, an_event

LIST = "list_changes"


async def tell(home: CalendarHome) -> None:
    """As a webhook, or a person's action."""
    async with home.db.sessions.begin() as session:
        await outbox.ring_calendar(session, home.home.user_id, home.link_id, "caldav")


async def pull(home: CalendarHome) -> bool:
    """After a bell, when no poll is due."""
    return await (await home.engine()).pull(poll=False)


async def titles(home: CalendarHome) -> set[str]:
    """Of the appointments, once all that was listed is done."""
    engine = await home.engine()
    while await engine.work():
        pass
    return {event.title for event in (await home.here()).values()}


async def position(home: CalendarHome) -> Position:
    return await (await home.store()).position()


async def test_what_changed_here_arrives_there_without_a_list(home: CalendarHome, server: MemoryServer) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    server.calls.clear()
    await home.edit(local_id, title="Edited here")
    async with home.db.sessions.begin() as session:
        await outbox.ring_calendars(session, home.home.household_id)
    assert not await pull(home)
    await titles(home)
    assert LIST not in server.calls
    assert [event.title for event in server.events(home.calendar_id).values()] == ["Edited here"]


async def test_a_change_of_both_sides_is_merged_though_no_list_named_it(
    home: CalendarHome, server: MemoryServer
) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    server.edit(home.calendar_id, remote_id, an_event(location="Side Street 2"))
    await home.edit(local_id, title="Edited here")
    assert not await pull(home)
    assert await titles(home) == {"Edited here"}
    wanted = an_event("Edited here", location="Side Street 2")
    assert list(server.events(home.calendar_id).values()) == [wanted]
    assert (await home.here())[local_id] == wanted


async def test_who_is_told_reads_the_list_once(home: CalendarHome, server: MemoryServer) -> None:
    await home.sync()
    await tell(home)
    await tell(home)
    assert await pull(home)
    assert not await pull(home)
    assert (await position(home)).is_read


async def test_the_first_list_and_one_of_an_expired_cursor_wait_for_nobody(
    home: CalendarHome, server: MemoryServer
) -> None:
    server.add(home.calendar_id, an_event("Theirs"))
    assert await pull(home)
    await home.home.execute(
        "UPDATE calendar_links SET cursor_shape_version = cursor_shape_version - 1 WHERE id = :id", id=home.link_id
    )
    assert await pull(home)
    assert await titles(home) == {"Theirs"}


async def test_news_that_come_while_a_list_is_read_are_read_after_it(home: CalendarHome) -> None:
    await home.sync()
    await tell(home)
    store = await home.store()
    before = await store.position()
    await tell(home)
    await store.take_page(before, Page((), cursor=before.cursor))
    assert await pull(home)
    assert not await pull(home)


@pytest.mark.parametrize("full", [True, False])
async def test_a_list_that_broke_off_is_read_to_its_end_and_then_anew_if_there_are_news(
    home: CalendarHome, server: MemoryServer, full: bool
) -> None:
    """A change of an event that an earlier page had named is on none of the pages that are left."""
    if not full:
        await home.sync()
    named: list[tuple[str, Event]] = []
    for number in range(7):
        event = an_event(f"Number {number}")
        named.append((server.add(home.calendar_id, event), event))
    await tell(home)
    server.fail(UnknownOutcome("away"), nth=2, method=LIST)
    with pytest.raises(UnknownOutcome):
        await pull(home)
    assert (await position(home)).is_interrupted
    server.edit(home.calendar_id, named[0][0], an_event("Changed"))
    await tell(home)
    assert await pull(home)
    assert await titles(home) == {"Changed", *(event.title for _, event in named[1:])}
    assert not await pull(home)
