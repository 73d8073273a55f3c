"""Lists stay quick in a database of many households: every list query finds its rows through an index."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.db import Database
from models.queries import (
    absences,
    appointment_views,
    feeds,
    grants,
    health_records,
    lost,
    media,
    notifications,
    pets,
    reminder_views,
    vet_links,
    workflows,
)
from tests.api.grants_kit import made, vet_link
from tests.api.signing_in import Api, Person

# Row n of a table belongs to household n modulo the number of households, and so on up.
USERS, PETS, RECORDS, REMINDERS, OCCURRENCES = 400, 4_000, 12_000, 4_000, 12_000
GROWTH = {
    "users": (USERS, "'id', md5('u' || n)::uuid, 'email_bidx', '\\x' || md5('b' || n)"),
    "households": (USERS, "'id', md5('h' || n)::uuid"),
    "memberships": (
        USERS,
        "'id', md5('m' || n)::uuid, 'user_id', md5('u' || n)::uuid, 'household_id', md5('h' || n)::uuid",
    ),
    "pets": (PETS, f"'id', md5('p' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid"),
    "grants": (
        PETS,
        f"'id', md5('g' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid, 'kind', 'sitter', "
        f"'user_id', CASE WHEN n % 2 = 0 THEN md5('u' || n % {USERS} + 1)::uuid END, "
        "'email_bidx', '\\x' || md5('b' || n), 'token_hash', '\\x' || md5('t' || n)",
    ),
    "absences": (PETS, f"'id', md5('x' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid"),
    "grant_access_log": (RECORDS, f"'id', md5('a' || n)::uuid, 'grant_id', md5('g' || n % {PETS} + 1)::uuid"),
    "health_record_ids": (RECORDS, f"'id', md5('d' || n)::uuid, 'pet_id', md5('p' || n % {PETS} + 1)::uuid"),
    "health_records": (RECORDS, f"'id', md5('d' || n)::uuid, 'pet_id', md5('p' || n % {PETS} + 1)::uuid"),
    "reminders": (REMINDERS, f"'id', md5('r' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid"),
    "appointments": (RECORDS, f"'id', md5('e' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid"),
    "appointment_overrides": (
        RECORDS,
        f"'id', md5('w' || n)::uuid, 'appointment_id', md5('e' || n % {RECORDS} + 1)::uuid",
    ),
    "occurrences": (
        OCCURRENCES,
        f"'id', md5('o' || n)::uuid, 'key', 'k' || n, 'reminder_id', md5('r' || n % {REMINDERS} + 1)::uuid",
    ),
    "pet_tags": (PETS, "'id', md5('t' || n)::uuid, 'pet_id', md5('p' || n)::uuid, 'code', md5('c' || n)"),
    "lost_cases": (
        PETS,
        f"'id', md5('l' || n)::uuid, 'pet_id', md5('p' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid",
    ),
    "sightings": (OCCURRENCES, f"'id', md5('s' || n)::uuid, 'pet_id', md5('p' || n % {PETS} + 1)::uuid"),
    "deliveries": (OCCURRENCES, "'id', md5('v' || n)::uuid, 'event_key', 'e' || n"),
    "media_assets": (
        PETS,
        f"'id', md5('i' || n)::uuid, 'sha256', '\\x' || md5('i' || n), "
        f"'household_id', md5('h' || n % {USERS} + 1)::uuid",
    ),
    "media_links": (
        PETS,
        f"'id', md5('k' || n)::uuid, 'asset_id', md5('i' || n)::uuid, 'pet_id', md5('p' || n % {PETS} + 1)::uuid, "
        f"'thread_id', md5('k' || n)::uuid, 'household_id', md5('h' || n % {USERS} + 1)::uuid, "
        f"'record_id', md5('d' || n)::uuid, 'purpose', 'attachment'",
    ),
    "media_variants": (PETS, "'id', md5('z' || n)::uuid, 'asset_id', md5('i' || n)::uuid"),
    "notifications": (
        OCCURRENCES,
        f"'id', md5('n' || n)::uuid, 'delivery_id', md5('v' || n)::uuid, 'occurrence_id', md5('o' || n)::uuid, "
        f"'user_id', md5('u' || n % {USERS} + 1)::uuid",
    ),
}
NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)
BIG = (
    "pets",
    "pet_tags",
    "lost_cases",
    "sightings",
    "health_records",
    "reminders",
    "occurrences",
    "appointments",
    "appointment_overrides",
    "deliveries",
    "notifications",
    "grants",
    "absences",
    "grant_access_log",
    "media_assets",
    "media_links",
    "media_variants",
)


@pytest.fixture(scope="module")
async def person(api: Api, db: Database) -> Person:
    """Somebody with one of everything, in a database where many others have as much."""
    person = await api.person()
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()["id"]
    await person.request("POST", f"/pets/{pet}/records", {"record_type": "visit", "title": "Check-up"})
    later = {"title": "Walk", "reminder_date": "2030-01-01T08:00:00Z", "pet_id": pet}
    assert (await person.request("POST", "/reminders", later)).status_code == 201
    planned = {"title": "Vet", "starts_at": "2030-01-01T08:00", "rrule": "FREQ=DAILY", "pet_id": pet}
    planned = (await person.request("POST", "/appointments", planned)).json()
    moved = f"/appointments/{planned['id']}/occurrences/2030-01-02T08:00"
    assert (await person.request("PUT", moved, {"title": "Dentist"})).status_code == 200
    _, link = await vet_link(person, pet)
    assert (await api.get(link)).status_code == 200
    home = (await person.request("GET", "/households")).json()["items"][0]["id"]
    await made(person, f"/households/{home}/absences", {"ends_at": TOMORROW.isoformat()})
    tag = await person.request("PUT", f"/pets/{pet}/tag", {})
    assert (await person.request("POST", f"/pets/{pet}/lost", {})).status_code == 201
    assert (await api.post(f"/p/{tag.json()['code']}/sightings", {"message": "Here!"})).status_code == 204
    about = {"filename": "x", "content_type": "application/pdf", "size": 9, "sha256": "0" * 64, "purpose": "document"}
    paper = await made(person, "/media/uploads", about | {"pet_id": pet})
    await db.reads.execute(
        "INSERT INTO media_variants (id, asset_id, name, content_type, size)"
        " SELECT id, asset_id, 'original.pdf', 'application/pdf', 9 FROM media_links WHERE id = $1",
        paper["media_id"],
    )
    await db.reads.execute(
        "INSERT INTO notifications (id, user_id, delivery_id) SELECT id, user_id, id FROM deliveries LIMIT 1"
    )
    for table, (count, fields) in GROWTH.items():
        await db.reads.execute(
            f"INSERT INTO {table} SELECT (jsonb_populate_record(one, jsonb_build_object({fields}))).* "
            f"FROM {table} one, generate_series(1, {count}) n WHERE one.id = (SELECT id FROM {table} LIMIT 1)"
        )
    await db.reads.execute("ANALYZE")
    return person


LISTS = [
    (pets._PAGE, lambda own: (own["user"], None, 51)),
    (pets._ONE, lambda own: (own["user"], own["pet"])),
    (health_records._PAGE, lambda own: (own["user"], own["pet"], None, 51)),
    (health_records._ONE, lambda own: (own["user"], own["record"])),
    (reminder_views._PAGE, lambda own: (own["user"], None, 51, None, None)),
    (reminder_views._OCCURRENCE_PAGE, lambda own: (own["user"], own["reminder"], 51, None, None)),
    (
        reminder_views.TIMELINE,
        lambda own: (own["user"], YESTERDAY, TOMORROW, ["due"], None, 51, None, None, None),
    ),
    (appointment_views.PAGE, lambda own: (own["user"], None, None, None, None, None, None, 51)),
    (appointment_views.PAGE, lambda own: (own["user"], YESTERDAY, TOMORROW, own["pet"], "planned", None, None, 51)),
    (appointment_views.IN_SPAN, lambda own: (own["user"], YESTERDAY, TOMORROW, None, 51)),
    (appointment_views.OVERRIDES, lambda own: ([own["appointment"]],)),
    (media._ONE, lambda own: (own["user"], own["media"])),
    (media._OF_PET, lambda own: (own["user"], own["pet"], None, 51)),
    (media._OF_RECORD, lambda own: (own["user"], own["record"], None, 51)),
    (media._VERSIONS, lambda own: (own["user"], own["media"], None, 51)),
    (workflows._PAGE, lambda own: (own["user"], None, 51)),
    (notifications.PAGE, lambda own: (own["user"], None, 51)),
    (lost._BY_CODE, lambda own: (own["code"],)),
    (lost._BY_PET, lambda own: (own["pet"],)),
    (lost._SIGHTINGS, lambda own: (own["pet"], None, 51)),
    (feeds.REMINDERS, lambda own: (own["user"], None)),
    (notifications._UNREAD, lambda own: (own["user"],)),
    (grants.PAGE, lambda own: (own["household"], None, 51)),
    (grants._TO_ME, lambda own: (own["user"], 51)),
    (absences.PAGE, lambda own: (own["household"], None, 51)),
    (vet_links.ACCESSES, lambda own: (own["grant"], None, 51)),
    (vet_links._LINK, lambda _: (b"hash",)),
]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("query", "arguments"),
    LISTS,
    ids=[
        "pets",
        "pet",
        "diary",
        "record",
        "reminders",
        "occurrences",
        "agenda",
        "appointments",
        "appointments of a pet",
        "calendar",
        "exceptions",
        "media",
        "media of a pet",
        "media of a record",
        "versions",
        "workflows",
        "notifications",
        "tag",
        "tag of a pet",
        "sightings",
        "feed",
        "unread",
        "grants",
        "grants of a sitter",
        "absences",
        "accesses",
        "vet link",
    ],
)
async def test_no_list_reads_a_whole_table(person: Person, db: Database, query: str, arguments: Any, mode: str) -> None:
    row = await db.reads.fetchrow(
        """SELECT (SELECT p.id FROM pets p JOIN memberships m USING (household_id) WHERE m.user_id = $1) AS pet,
                  (SELECT r.id FROM reminders r WHERE r.user_id = $1 ORDER BY r.created_at LIMIT 1) AS reminder,
                  (SELECT e.id FROM appointments e WHERE e.user_id = $1 ORDER BY e.created_at LIMIT 1) AS appointment,
                  (SELECT household_id FROM memberships WHERE user_id = $1) AS household,
                  (SELECT id FROM grants WHERE granted_by = $1 ORDER BY created_at LIMIT 1) AS grant,
                  (SELECT h.id FROM health_records h WHERE h.by_user_id = $1
                    ORDER BY h.created_at LIMIT 1) AS record,
                  (SELECT l.id FROM media_links l WHERE l.by_user_id = $1 ORDER BY l.created_at LIMIT 1) AS media,
                  (SELECT t.code FROM pet_tags t WHERE t.contact_id = $1 ORDER BY t.created_at LIMIT 1) AS code""",
        person.user_id,
    )
    assert row is not None
    own = dict(row) | {"user": person.user_id}
    async with db.reads.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        plan = [line[0] for line in await connection.fetch(f"EXPLAIN {query}", *arguments(own))]
    read_whole = [line for line in plan if "Seq Scan" in line and any(f" on {table}" in line for table in BIG)]
    assert not read_whole, "\n".join(plan)
