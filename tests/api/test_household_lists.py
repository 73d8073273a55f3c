"""Lists of households find their rows through an index, however many others there are."""

from typing import Any

import pytest

from core.db import Database
from models.queries import audit, households, invitations, transfers
from tests.api.household_kit import home_of, pet_of
from tests.api.signing_in import Api, Person

MANY, HOMES = 3_000, 20_000
GROWTH = {
    "users": "'id', md5('u' || n)::uuid, 'email_bidx', '\\x' || md5('b' || n)",
    "households": "'id', md5('h' || n)::uuid",
    "memberships": "'id', md5('m' || n)::uuid, 'user_id', md5('u' || n)::uuid, 'household_id', md5('h' || n)::uuid",
    "pets": "'id', md5('p' || n)::uuid, 'household_id', md5('h' || n)::uuid",
    "invitations": "'id', md5('i' || n)::uuid, 'household_id', md5('h' || n)::uuid",
    "pet_transfers": "'id', md5('t' || n)::uuid, 'pet_id', md5('p' || n)::uuid, 'from_household_id', "
    "md5('h' || n)::uuid, 'email_bidx', '\\x' || md5('b' || n), 'decided_by', md5('u' || n)::uuid",
    "audit_log": "'id', md5('a' || n)::uuid, 'household', 'household:' || md5('h' || n)::uuid",
}
LISTS = {
    "households": (households._PAGE, lambda own: (own["user"], None, 51)),
    "household": (households._ONE, lambda own: (own["user"], own["home"])),
    "members": (households._MEMBERS, lambda own: (own["home"], None, 51)),
    "invitations": (invitations._PAGE, lambda own: (own["home"], None, 51)),
    "transfers": (transfers._PAGE, lambda own: (own["home"], None, 51)),
    "offers": (transfers._OFFERS, lambda own: (own["user"], None, 51)),
    "audit": (audit._OF_HOUSEHOLD, lambda own: (f"household:{own['home']}", None, 51)),
}


@pytest.fixture(scope="module")
async def person(api: Api, db: Database) -> Person:
    """Somebody with one of everything, in a database where many others have as much."""
    person = await api.person()
    home, pet = await home_of(person), await pet_of(person)
    guest = {"email": "guest@example.test", "role": "owner"}
    assert (await person.request("POST", f"/households/{home}/invitations", guest)).status_code == 201
    offer = {"email": "guest@example.test", "pet_id": pet["id"]}
    assert (await person.request("POST", f"/households/{home}/transfers", offer)).status_code == 201
    for table, fields in GROWTH.items():
        count = HOMES if table == "households" else MANY
        await db.reads.execute(
            f"INSERT INTO {table} SELECT (jsonb_populate_record(one, jsonb_build_object({fields}))).* "
            f"FROM {table} one, generate_series(1, {count}) n WHERE one.id = (SELECT max(id::text)::uuid FROM {table})"
        )
    await db.reads.execute("ANALYZE")
    return person


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", LISTS)
async def test_no_list_reads_a_whole_table(person: Person, db: Database, name: str, mode: str) -> None:
    query, arguments = LISTS[name]
    own: dict[str, Any] = {"user": person.user_id, "home": await home_of(person)}
    async with db.reads.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        plan = [line[0] for line in await connection.fetch(f"EXPLAIN {query}", *arguments(own))]
    read_whole = [line for line in plan if "Seq Scan" in line and any(f" on {table}" in line for table in GROWTH)]
    assert not read_whole, "\n".join(plan)
