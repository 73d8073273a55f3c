"""What somebody holds who has stolen the database, or was given a copy of it."""

import asyncio
import os
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from core.crypto import CiphertextInvalid, FieldCipher
from core.db import Database
from core.ids import new_id
from core.settings import KeySettings, Settings
from infra.local.launchers.postgres import program
from infra.local.masking import LEFT_OUT, PASSWORD, RULES, address, dump_masked
from models.tables import metadata
from tests.api.signing_in import OPEN, Api, Person, api_process
from tests.services import PostgresServer

PERSONAL = re.compile(
    r"(_ct|_bidx|_hmac|_hash|^hash|token|password|ip_trunc|user_agent|_url|attachments|wrapped_dek|^code)$"
)
HARMLESS = {
    "delivery_events.code": "what a provider answered",
    "consents.text_hash": "of our own words",
}
"""Columns that look personal by their name, and are not."""


def canary(what: str) -> str:
    return f"canary{what}{secrets.token_hex(6)}"


class Canaries:
    """Words that stand in every personal field of somebody's account, once each."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def new(self, what: str) -> str:
        self.words.append(canary(what))
        return self.words[-1]


async def furnished(api: Api, canaries: Canaries) -> Person:
    """Somebody who has written a canary wherever one can."""
    person = await api.person(first_name=canaries.new("first"), last_name=canaries.new("last"), phone="+491711234567")
    canaries.words += [person.email, "1711234567"]
    pet = await person.request(
        "POST", "/pets", {"name": canaries.new("pet"), "microchip_id": "985112345678903", "weight_kg": 4.2}
    )
    assert pet.status_code == 201, pet.text
    canaries.words.append("985112345678903")
    record = {
        "record_type": "visit",
        "title": canaries.new("record"),
        "description": canaries.new("description"),
        "veterinarian": canaries.new("vet"),
        "date_administered": "2026-11-01",
    }
    answer = await person.request("POST", f"/health-records/pets/{pet.json()['id']}/records", record)
    assert answer.status_code == 201, answer.text
    reminder = {
        "title": canaries.new("reminder"),
        "description": canaries.new("about"),
        "pet_id": pet.json()["id"],
        "category": "medication",
        "reminder_date": "2036-06-01T08:00",
    }
    appointment = {name: canaries.new(name) for name in ("title", "notes", "location")} | {
        "pet_id": pet.json()["id"],
        "starts_at": "2036-06-01T08:00",
        "rrule": "FREQ=DAILY",
    }
    planned = await person.request("POST", "/appointments", appointment)
    once = {name: canaries.new(f"other{name}") for name in ("title", "notes", "location")}
    path = f"/appointments/{planned.json()['id']}/occurrences/2036-06-02T08:00"
    assert (await person.request("PUT", path, once)).status_code == 200
    made = await person.request("POST", "/reminders", reminder)
    assert made.status_code == 201, made.text
    row = (await person.request("GET", f"/reminders/{made.json()['id']}/occurrences")).json()["items"][0]
    early = {"override_reason": canaries.new("override")}
    assert (await person.request("POST", f"/occurrences/{row['id']}/complete", early)).status_code == 200
    path = f"/pets/{pet.json()['id']}"
    words = {"note": canaries.new("tag"), "care_note": canaries.new("care")}
    tag = await person.request("PUT", f"{path}/tag", {"shown": ["name", "phone"]} | words)
    assert (await person.request("POST", f"{path}/lost", {"note": canaries.new("lost")})).status_code == 201
    report = {"message": canaries.new("finder"), "place": canaries.new("place"), "contact": canaries.new("contact")}
    assert (await api.post(f"/p/{tag.json()['code']}/sightings", report)).status_code == 204
    await push_to_a_device(api, person)
    return person


async def push_to_a_device(api: Api, person: Person) -> None:
    """A message of theirs, as it is written down once a phone took it."""
    db, device_id = api.identity.db.reads, new_id()
    await db.execute(
        "INSERT INTO devices (id, user_id, session_id, kind, token_ct, token_bidx)"
        " SELECT $1, user_id, id, 'fcm', 'sealed', $2 FROM sessions WHERE user_id = $3 LIMIT 1",
        device_id,
        device_id.bytes,
        person.user_id,
    )
    await db.execute(
        "INSERT INTO delivery_events (id, delivery_id, device_id, kind)"
        " SELECT $1, id, $2, 'accepted' FROM deliveries WHERE user_id = $3 AND channel = 'push' LIMIT 1",
        new_id(),
        device_id,
        person.user_id,
    )


async def pg_dump(url: str) -> str:
    """Everything in the database, as a thief reads it: each row, and every bytea in clear as well."""
    process = await asyncio.create_subprocess_exec(
        str(program("pg_dump")), "--inserts", "--dbname", url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    text = out.decode()
    return text + "".join(bytes.fromhex(found).decode("latin-1") for found in re.findall(r"\\x([0-9a-f]+)", text))


async def test_a_dump_of_the_database_shows_nothing_that_anybody_wrote(
    api: Api, postgres_server: PostgresServer, database_name: str
) -> None:
    canaries = Canaries()
    await furnished(api, canaries)
    dump = await pg_dump(postgres_server.owner_url(database_name))
    assert len(dump) > 100_000
    assert not [word for word in canaries.words if word.lower() in dump.lower()]


@pytest.mark.parametrize(
    ("table", "column", "row_id"),
    [("pets", "name_ct", "id"), ("reminders", "title_ct", "id"), ("health_records", "title_ct", "id")],
)
async def test_words_that_were_moved_to_another_row_do_not_open(
    api: Api, db: Database, table: str, column: str, row_id: str
) -> None:
    await furnished(api, Canaries())
    await furnished(api, Canaries())
    query = f"SELECT {row_id}, {column} FROM {table} ORDER BY {row_id} LIMIT 2"
    (one, its_words), (_, other_words) = [tuple(row) for row in await db.reads.fetch(query)]
    cipher = FieldCipher(api.identity.keys)
    await cipher.open(f"{table}.{column}", one, its_words)
    with pytest.raises(CiphertextInvalid):
        await cipher.open(f"{table}.{column}", one, other_words)
    with pytest.raises(CiphertextInvalid):
        await cipher.open(f"{table}.description_ct", one, its_words)


async def test_moved_ciphertexts_are_an_error_for_their_reader_and_not_somebody_elses_words(
    api: Api, db: Database
) -> None:
    canaries = Canaries()
    victim, thief = await furnished(api, canaries), await furnished(api, Canaries())
    theirs = (await victim.request("GET", "/pets")).json()["items"][0]
    own = (await thief.request("GET", "/pets")).json()["items"][0]
    await db.reads.execute("UPDATE pets SET name_ct = (SELECT name_ct FROM pets WHERE id = $1) WHERE id = $2",
                           theirs["id"], own["id"])  # fmt: skip
    answer = await thief.request("GET", f"/pets/{own['id']}")
    assert answer.status_code == 500
    assert theirs["name"] not in answer.text


def test_every_personal_column_has_a_rule_or_is_left_out() -> None:
    """A column that is added later would leave production as it is."""
    unruled = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if table.name not in LEFT_OUT | {"user_keys"}
        and PERSONAL.search(column.name)
        and f"{table.name}.{column.name}" not in RULES.keys() | HARMLESS.keys()
    ]
    assert not unruled, f"give them a rule in infra/local/masking.py: {unruled}"
    known = {f"{table.name}.{column.name}" for table in metadata.sorted_tables for column in table.columns}
    assert known >= RULES.keys(), "a rule for a column that is gone"


def test_nothing_in_a_copy_points_to_a_table_that_is_left_out() -> None:
    """Such a copy cannot be loaded: its foreign keys are made when the rows are there."""
    dangling = [
        f"{table.name}.{key.parent.name}"
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if table.name not in LEFT_OUT
        and key.column.table.name in LEFT_OUT
        and f"{table.name}.{key.parent.name}" not in RULES
    ]
    assert not dangling, f"give them a rule in infra/local/masking.py: {dangling}"


async def test_a_masked_copy_works_like_the_original_and_holds_nothing_of_it(
    api: Api, settings: Settings, postgres_server: PostgresServer, database_name: str, tmp_path: Path
) -> None:
    canaries = Canaries()
    person = await furnished(api, canaries)
    folder = tmp_path / "masked"
    copied: dict[str, int] = {}
    await dump_masked(postgres_server.owner_url(database_name), folder, program("pg_dump"), copied.__setitem__)
    text = (folder / "database.sql").read_text()
    assert copied["pets"] >= 1
    assert not [word for word in canaries.words if word.lower() in text.lower()]
    wrapped = await api.identity.db.reads.fetch("SELECT wrapped_dek FROM user_keys")
    assert not [row for row in wrapped if row["wrapped_dek"].hex() in text]
    tags = await api.identity.db.reads.fetch("SELECT code FROM pet_tags")
    assert tags
    assert not [row for row in tags if row["code"] in text], "it opens the page of the original"
    assert folder.stat().st_mode & 0o077 == (folder / "database.sql").stat().st_mode & 0o077 == 0

    copy = await load(postgres_server, folder / "database.sql")
    elsewhere = settings.model_copy(
        update={
            "database_url": type(settings.database_url)(postgres_server.url(copy)),
            "keys": KeySettings(provider="file", directory=folder / "keys"),
            "rate_limits": OPEN,
        }
    )
    async with api_process(elsewhere) as there:
        answer = await there.login(address(str(person.user_id)), PASSWORD)
        assert answer.status_code == 200, answer.text
        someone = Person(there, "", answer.json()["access_token"], answer.json()["refresh_token"])
        pet = (await someone.request("GET", "/pets")).json()["items"][0]
        assert pet["name"]
        assert pet["microchip_id"].startswith("999")
        assert pet["weight_kg"] == 4.2
        profile = (await someone.request("GET", "/users/profile")).json()
        assert profile["email"] == address(str(person.user_id))
        records = (await someone.request("GET", f"/pets/{pet['id']}/records")).json()["items"]
        reminders = (await someone.request("GET", "/reminders")).json()["items"]
        assert (len(records), len(reminders)) == (1, 1)
    postgres_server.drop_database(copy)


async def load(server: PostgresServer, dump: Path) -> str:
    """A database made of a dump."""
    name = server.create_database()
    url = urlsplit(server.owner_url(name))
    connection = await asyncpg.connect(server.owner_url(name))
    await connection.execute("DROP SCHEMA public CASCADE")
    await connection.close()
    process = await asyncio.create_subprocess_exec(
        str(program("psql")), "--quiet", "--set=ON_ERROR_STOP=1", "--file", str(dump), "--dbname", url.geturl(),
        env={**os.environ}, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    return name
