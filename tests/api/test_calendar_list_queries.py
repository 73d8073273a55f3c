"""Queries about connected calendars stay quick where many people have connected some."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.db import Database
from domain.calendar_merge import Side
from models.queries import calendar_conflicts, calendar_connections, calendar_external, calendar_links, calendar_pushes
from tests.api.calendars_kit import connect_server
from tests.api.calendars_kit import settings as settings
from tests.api.signing_in import Api, Person
from tests.api.test_calendar_conflicts import appointment, conflict, title

PEOPLE, EVENTS, CONFLICTS = 400, 12_000, 6_000
# Row n belongs to person n modulo the number of people, and so on up.
GROWTH = {
    "users": (PEOPLE, "'id', md5('u' || n)::uuid, 'email_bidx', '\\x' || md5('b' || n)"),
    "memberships": (PEOPLE, "'id', md5('m' || n)::uuid, 'user_id', md5('u' || n)::uuid"),
    "calendar_connections": (PEOPLE, "'id', md5('c' || n)::uuid, 'user_id', md5('u' || n)::uuid"),
    "calendar_links": (
        PEOPLE,
        "'id', md5('l' || n)::uuid, 'user_id', md5('u' || n)::uuid, 'connection_id', md5('c' || n)::uuid",
    ),
    "appointments": (EVENTS, "'id', md5('a' || n)::uuid"),
    "event_links": (
        EVENTS,
        f"'id', md5('e' || n)::uuid, 'calendar_link_id', md5('l' || n % {PEOPLE} + 1)::uuid, "
        "'appointment_id', md5('a' || n)::uuid, 'remote_id', 'r' || n",
    ),
    "calendar_conflicts": (
        CONFLICTS,
        f"'id', md5('f' || n)::uuid, 'calendar_link_id', md5('l' || n % {PEOPLE} + 1)::uuid, "
        "'event_link_id', md5('e' || n)::uuid",
    ),
}
# Entries have no id of their own: that many of each calendar.
ENTRIES = """INSERT INTO calendar_inbox_items
    (calendar_link_id, remote_id, removed, seen_in_full_epoch, handled, event_ct, starts_utc, ends_utc)
    SELECT l.id, 'x' || n, false, 1, true, 'sealed', at, at FROM calendar_links l, generate_series(1, 30) n,
    LATERAL (SELECT timestamptz '2036-01-01' + n * interval '1 day' AS at) t"""
BIG = "appointments event_links calendar_links calendar_conflicts calendar_connections calendar_inbox_items".split()
SPAN = datetime(2036, 1, 1, tzinfo=UTC), datetime(2036, 1, 8, tzinfo=UTC)
COMPUTED = {"event_links": "local_id"}
QUERIES: list[tuple[str, Callable[[dict[str, Any]], tuple[Any, ...]]]] = [
    (calendar_connections.OF_USER, lambda own: (own["user_id"],)),
    (calendar_connections.QUARANTINED, lambda own: (own["user_id"], own["link"])),
    (calendar_connections.PLACES, lambda own: (own["user_id"], [own["appointment"]], [])),
    (calendar_conflicts.PAGE, lambda own: (own["user_id"], None, 51)),
    (calendar_external.IN_SPAN, lambda own: (own["user_id"], *SPAN, 10_000)),
    (calendar_pushes.CHANNELS, lambda own: ([own["link"]],)),
    (str(calendar_links._OF_HOUSEHOLD).replace(":household_id", "$1"), lambda own: (own["household"],)),
]


@pytest.fixture(scope="module")
async def person(api: Api, db: Database) -> Person:
    """Somebody with a calendar and a conflict, in a database where many others have more."""
    person = await api.person()
    connection = await connect_server(person)
    await conflict(api, connection, await appointment(person), title(Side.LOCAL))
    for table, (count, fields) in GROWTH.items():
        names = [each["column_name"] for each in await db.reads.fetch(_COLUMNS, table)]
        columns = ", ".join(name for name in names if name != COMPUTED.get(table))
        await db.reads.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM ("
            f"SELECT (jsonb_populate_record(one, jsonb_build_object({fields}))).* "
            f"FROM {table} one, generate_series(1, {count}) n WHERE one.id = (SELECT id FROM {table} LIMIT 1)) grown"
        )
    await db.reads.execute(ENTRIES)
    await db.reads.execute("ANALYZE")
    return person


_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND table_schema = 'public'"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("query", "arguments"),
    QUERIES,
    ids=["connections", "quarantined", "places", "conflicts", "external", "pushes", "bells"],
)
async def test_no_query_reads_a_whole_table(
    person: Person, db: Database, query: str, arguments: Any, mode: str
) -> None:
    row = await db.reads.fetchrow(
        """SELECT l.id AS link, l.user_id, c.household_id AS household,
                  (SELECT a.id FROM appointments a WHERE a.user_id = $1 ORDER BY a.id DESC LIMIT 1) AS appointment
             FROM calendar_links l JOIN calendar_connections c ON c.id = l.connection_id WHERE l.user_id = $1""",
        person.user_id,
    )
    assert row is not None
    async with db.reads.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        plan = [line[0] for line in await connection.fetch(f"EXPLAIN {query}", *arguments(dict(row)))]
    read_whole = [line for line in plan if "Seq Scan" in line and any(f" on {table}" in line for table in BIG)]
    assert not read_whole, "\n".join(plan)
