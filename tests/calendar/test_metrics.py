"""What operators can count of the sync: changes by side, values that lost, events left alone, and requests."""

import pytest
from prometheus_client import REGISTRY

from integrations.calendar.memory_server import MemoryServer
from tests.calendar.home import CalendarHome, an_event
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_backends import opener


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"petfolio_calendar_{name}_total", labels) or 0.0


def changes() -> tuple[float, float]:
    """Written here, written there."""
    here, there = (counted("changes", provider="caldav", side=side) for side in ("here", "there"))
    return here, there


async def test_a_change_is_counted_once_on_the_side_that_was_written_to(
    home: CalendarHome, server: MemoryServer
) -> None:
    here, there = changes()
    local_id = await home.create(an_event())
    await home.sync()
    await home.sync()
    assert changes() == (here, there + 1)
    (remote_id,) = server.events(home.calendar_id)
    server.edit(home.calendar_id, remote_id, an_event("Groomer"))
    await home.sync()
    assert changes() == (here + 1, there + 1)
    server.add(home.calendar_id, an_event("Walk"))
    await home.sync()
    assert changes() == (here + 2, there + 1)
    await home.delete(local_id)
    await home.sync()
    await home.sync()
    assert changes() == (here + 2, there + 2)


async def test_a_value_that_lost_is_counted_by_who_won(home: CalendarHome, server: MemoryServer) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    before = sum(counted("conflicts", provider="caldav", winner=winner) for winner in ("local", "remote"))
    await home.edit(local_id, title="Vaccination")
    server.edit(home.calendar_id, remote_id, an_event("Groomer"))
    await home.sync()
    after = sum(counted("conflicts", provider="caldav", winner=winner) for winner in ("local", "remote"))
    assert after == before + 1


async def test_an_event_that_is_left_alone_is_counted_by_its_reason(home: CalendarHome, server: MemoryServer) -> None:
    await home.create(an_event())
    await home.sync()
    store, ((link_id,),) = await home.store(), await home.links("id")
    (work,) = await store.load([link_id])
    before = counted("quarantined", provider="caldav", reason="always_changing")
    await store.quarantine(work, "always_changing")
    assert counted("quarantined", provider="caldav", reason="always_changing") == before + 1


@pytest.mark.parametrize(("name", "server"), [("google", "google_calendar_server"), ("microsoft", "graph_server")])
async def test_each_request_to_a_vendor_is_counted_the_one_for_a_token_too(
    name: str, server: str, request: pytest.FixtureRequest
) -> None:
    control: ControlClient = request.getfixturevalue(server)
    before = counted("calls", provider=name)
    async with opener(name)(request) as backend:
        control.clear_log()
        await backend.provider.calendars()
        asked = [each["path"] for each in control.requests()]
    assert any(path.endswith("/token") for path in asked)
    assert counted("calls", provider=name) == before + len(asked)
