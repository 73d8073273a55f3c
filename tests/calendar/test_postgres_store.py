"""The sync on the real rows, with an account in memory."""

from dataclasses import replace
from datetime import datetime, timedelta

from activities.calendar_engine import Doubt
from activities.calendar_store import Settlement
from core.crypto import FieldCipher
from core.db import Database
from domain.calendar import Event, Override, Status, When
from domain.calendar_projection import project
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.calendar.protocol import Change, Page
from integrations.keys.store import KeyStore
from tests.calendar.home import CalendarHome, an_event, connect


def there(home: CalendarHome, server: MemoryServer) -> list[Event]:
    return sorted(server.events(home.calendar_id).values(), key=lambda event: event.title)


async def test_an_appointment_appears_once_with_our_mark(home: CalendarHome, server: MemoryServer) -> None:
    local_id = await home.create(an_event(notes="bring the card", alarms=(60, 1440)))
    await home.sync()
    await home.sync()
    ((remote_id, event),) = server.events(home.calendar_id).items()
    assert event == an_event(notes="bring the card", alarms=(60, 1440))
    found = await home.provider.get(home.calendar_id, remote_id)
    assert found is not None
    assert found.marker is not None
    assert found.marker.local_id == local_id
    assert server.writes == 1


async def test_what_is_entered_there_becomes_an_appointment(home: CalendarHome, server: MemoryServer) -> None:
    server.add(home.calendar_id, an_event("Groomer", location="Main Street 1"))
    await home.sync()
    await home.sync()
    (event,) = (await home.here()).values()
    assert event == an_event("Groomer", location="Main Street 1")
    assert server.writes == 0


async def test_edits_of_both_sides_are_merged_field_by_field(home: CalendarHome, server: MemoryServer) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    await home.edit(local_id, title="Vaccination")
    server.edit(home.calendar_id, remote_id, an_event(location="Main Street 1"))
    await home.sync()
    wanted = an_event("Vaccination", location="Main Street 1")
    assert (await home.here())[local_id] == wanted
    assert there(home, server) == [wanted]
    assert await home.home.rows("SELECT * FROM calendar_conflicts") == []


async def test_the_value_that_loses_a_conflict_is_kept(home: CalendarHome, server: MemoryServer) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    server.edit(home.calendar_id, remote_id, an_event("Theirs"))
    await home.edit(local_id, title="Ours")
    await home.sync()
    assert [event.title for event in there(home, server)] == ["Ours"]
    query = "SELECT field, winner FROM calendar_conflicts WHERE calendar_link_id = :link"
    assert await home.home.rows(query, link=home.link_id) == [("title", "local")]


async def test_deletions_go_both_ways(home: CalendarHome, server: MemoryServer) -> None:
    first, second = await home.create(an_event("One")), await home.create(an_event("Two"))
    await home.sync()
    by_title = {event.title: remote_id for remote_id, event in server.events(home.calendar_id).items()}
    await home.delete(first)
    server.bury(home.calendar_id, by_title["Two"])
    await home.sync()
    assert there(home, server) == []
    assert await home.here() == {}
    assert second not in await home.here()
    assert {row.state for row in await home.links("state")} == {"dead"}


async def test_a_deleted_appointment_that_is_restored_appears_again(home: CalendarHome, server: MemoryServer) -> None:
    local_id = await home.create(an_event())
    await home.sync()
    await home.delete(local_id)
    await home.sync()
    await home.home.execute(
        "UPDATE appointments SET deleted_at = NULL, version = version + 1 WHERE id = :id", id=local_id
    )
    await home.sync()
    await home.sync()
    assert there(home, server) == [an_event()]


async def test_a_cancelled_appointment_is_there_only_where_that_can_be_said(
    db: Database, keys: KeyStore, cipher: FieldCipher, server: MemoryServer
) -> None:
    side = replace(MemoryCalendars(server).capabilities, statuses=frozenset({Status.CONFIRMED}))
    provider = MemoryCalendars(server, capabilities=side)
    home = await connect(db, keys, cipher, provider, server.add_calendar("Petfolio"))
    local_id = await home.create(an_event())
    await home.sync()
    await home.home.execute(
        "UPDATE appointments SET status = 'cancelled', version = version + 1 WHERE id = :id", id=local_id
    )
    await home.sync()
    assert there(home, server) == []
    await home.home.execute(
        "UPDATE appointments SET status = 'planned', version = version + 1 WHERE id = :id", id=local_id
    )
    await home.sync()
    assert there(home, server) == [an_event()]


async def test_what_was_called_off_here_and_moved_there_takes_place_and_its_person_is_told(
    db: Database, keys: KeyStore, cipher: FieldCipher, server: MemoryServer
) -> None:
    """Where calendars cannot say that it is called off."""
    side = replace(MemoryCalendars(server).capabilities, statuses=frozenset({Status.CONFIRMED}))
    provider = MemoryCalendars(server, capabilities=side)
    home = await connect(db, keys, cipher, provider, server.add_calendar("Petfolio"))
    local_id = await home.create(an_event())
    await home.sync()
    await home.home.execute(
        "UPDATE appointments SET status = 'cancelled', version = version + 1 WHERE id = :id", id=local_id
    )
    (remote_id,) = server.events(home.calendar_id)
    start = datetime(2026, 12, 4, 9)  # noqa: DTZ001 - on the person's clock
    moved = an_event(when=When(start, start + timedelta(hours=1), "Europe/Berlin"))
    server.edit(home.calendar_id, remote_id, moved)
    await home.sync()
    await home.sync()
    assert await home.here() == {local_id: moved}
    words = {"provider": "CalDAV", "title": "Vet", "called_off": True}
    assert await home.told("calendar_revived") == [("email", words), ("in_app", words)]


async def test_a_series_keeps_its_exceptions(home: CalendarHome, server: MemoryServer) -> None:
    event = an_event()
    series = replace(event, when=replace(event.when, rrule="FREQ=WEEKLY;COUNT=10"))
    moved = datetime(2026, 12, 10, 9)  # noqa: DTZ001 - on the person's clock
    override = Override(moved, moved + timedelta(hours=2), moved + timedelta(hours=3), "Vet, later")
    local_id = await home.create(replace(series, overrides=(override,), exdates=(moved + timedelta(weeks=1),)))
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    assert (await home.here())[local_id] == server.events(home.calendar_id)[remote_id]
    server.edit(home.calendar_id, remote_id, replace(server.events(home.calendar_id)[remote_id], title="Renamed"))
    await home.sync()
    found = (await home.here())[local_id]
    assert found.title == "Renamed"
    assert found.overrides == (override,)


async def test_a_reminder_appears_once_for_each_time_of_day_and_is_hidden_when_deleted_there(
    home: CalendarHome, server: MemoryServer
) -> None:
    schedule = {"mode": "fixed", "dtstart_local": "2026-12-01T08:00", "freq": "DAILY", "times": ["08:00", "20:00"]}
    reminder_id = await home.home.remind(schedule)
    await home.sync()
    assert [event.when.start.hour for event in there(home, server) if isinstance(event.when.start, datetime)] == [8, 20]
    (gone, *_) = server.events(home.calendar_id)
    server.bury(home.calendar_id, gone)
    await home.sync()
    await home.sync()
    assert len(there(home, server)) == 1
    assert await home.home.rows("SELECT state FROM reminders WHERE id = :id", id=reminder_id) == [("active",)]


async def test_a_reminder_takes_its_title_and_its_time_from_the_calendar(
    home: CalendarHome, server: MemoryServer
) -> None:
    schedule = {"mode": "fixed", "dtstart_local": "2026-12-01T08:00", "freq": "DAILY"}
    reminder_id = await home.home.remind(schedule)
    await home.sync()
    ((remote_id, event),) = server.events(home.calendar_id).items()
    start = datetime(2026, 12, 1, 9, 30)  # noqa: DTZ001 - on the person's clock
    when = replace(event.when, start=start, end=start + timedelta(minutes=15))
    server.edit(home.calendar_id, remote_id, replace(event, title="Half a tablet", when=when))
    await home.sync()
    await home.sync()
    (row,) = await home.home.rows("SELECT schedule, title_ct FROM reminders WHERE id = :id", id=reminder_id)
    assert row.schedule["times"] == ["09:30"]
    assert await home.home.cipher.open("reminders.title_ct", reminder_id, row.title_ct) == "Half a tablet"
    assert there(home, server)[0].title == "Half a tablet"


async def test_an_expired_cursor_loses_nothing_and_doubles_nothing(home: CalendarHome, server: MemoryServer) -> None:
    for number in range(10):
        await home.create(an_event(f"Appointment {number}"))
    await home.sync()
    gone, *_ = server.events(home.calendar_id)
    server.bury(home.calendar_id, gone)
    server.add(home.calendar_id, an_event("Theirs"))
    server.expire()
    await home.sync()
    assert len(await home.here()) == len(there(home, server)) == 10


async def test_an_empty_list_deletes_nothing(home: CalendarHome, server: MemoryServer) -> None:
    for number in range(8):
        await home.create(an_event(f"Appointment {number}"))
    await home.sync()
    writes = server.writes
    server.expire()
    server.list_nothing()
    await home.sync()
    assert await home.doubt() is Doubt.DELETES_PAUSED
    assert len(await home.here()) == 8
    assert server.writes == writes
    server.expire()
    await home.sync()
    assert await home.doubt() is Doubt.NONE
    assert len(await home.here()) == 8


async def test_what_somebody_wrote_lies_sealed_in_the_rows(home: CalendarHome, server: MemoryServer) -> None:
    await home.create(an_event("Canary title"))
    server.add(home.calendar_id, an_event("Canary there"))
    await home.sync()
    for table in ("event_links", "calendar_inbox_items", "calendar_conflicts", "outbox", "calendar_links"):
        rows = await home.home.rows(f"SELECT to_jsonb(x)::text AS row FROM {table} x")
        assert not any("Canary" in row.row for row in rows)


async def test_a_second_calendar_of_the_same_person_hears_once(
    home: CalendarHome, db: Database, keys: KeyStore, cipher: FieldCipher, server: MemoryServer
) -> None:
    other_server = MemoryServer()
    other = await connect(
        db, keys, cipher, MemoryCalendars(other_server), other_server.add_calendar("Petfolio"), home=home.home
    )
    await home.create(an_event())
    await home.sync()
    await other.sync()
    (remote_id,) = server.events(home.calendar_id)
    for number in range(20):
        server.edit(home.calendar_id, remote_id, an_event(f"Edit {number}"))
        await home.sync()
        await other.sync()
        await home.sync()
    assert there(other, other_server) == [project(an_event("Edit 19"), other.provider.capabilities)]
    assert other_server.writes == 1 + 20
    assert server.writes == 1


async def test_a_kind_that_its_person_switches_off_leaves_the_calendar(
    home: CalendarHome, server: MemoryServer
) -> None:
    await home.create(an_event())
    await home.home.remind({"mode": "fixed", "dtstart_local": "2026-12-01T08:00", "freq": "DAILY"})
    await home.sync()
    assert len(there(home, server)) == 2
    await home.home.execute(
        """UPDATE calendar_connections SET policy = '{"reminders": false}' WHERE id = :id""", id=home.connection_id
    )
    await home.sync()
    await home.sync()
    assert there(home, server) == [an_event()]


async def test_what_is_tentative_there_stays_so(home: CalendarHome, server: MemoryServer) -> None:
    remote_id = server.add(home.calendar_id, an_event(status=Status.TENTATIVE))
    await home.sync()
    (local_id,) = await home.here()
    await home.edit(local_id, title="Vaccination")
    await home.sync()
    assert server.events(home.calendar_id)[remote_id] == an_event("Vaccination", status=Status.TENTATIVE)


async def test_a_list_that_names_an_event_twice_without_an_etag_has_it_looked_at_twice(
    home: CalendarHome, server: MemoryServer
) -> None:
    """As Graph's delta does."""
    await home.create(an_event())
    await home.sync()
    (remote_id,) = server.events(home.calendar_id)
    for _ in range(2):
        store = await home.store()
        await store.take_page(await store.position(), Page([Change(remote_id)], cursor="next"))
        ((link_id, listed),) = await store.pending(9, without_deletions=False)
        assert listed == remote_id
        (work,) = await store.load([link_id])
        assert await store.settle([Settlement(work, work.link)])
        assert await store.pending(9, without_deletions=False) == []
