"""The search for a lost pet over HTTP: who may open, answer for and close it, and what finders write."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from activities.lost_case import LostCaseActivities
from core.crypto import FieldCipher
from core.db import Database
from core.settings import Settings
from domain.lost import KEPT
from models.audit import AuditEntry
from models.outbox import Outbox
from models.queries import lost
from temporal.contracts.lost_case import TakeStep
from tests.api.lost_kit import PHONE, Family, family, with_pet
from tests.api.signing_in import OPEN, Api
from tests.api.test_process import api_server

EVERYWHERE = {"email", "push", "in_app"}
HOSTILE = "Found!\r\nBcc: spy@example.test<script>alert(1)</script>\u202egnp.exe"


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture(scope="module")
async def people(api: Api, db: Database) -> Family:
    return await family(api, db)


@pytest.fixture
async def home(people: Family) -> Family:
    return await with_pet(people)


async def status(home: Family) -> str:
    return str((await home.owner.request("GET", home.path)).json()["status"])


async def close(home: Family, reason: str = "found") -> dict[str, Any]:
    answer = await home.partner.request("POST", f"{home.path}/lost/close", {"reason": reason})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def bells(db: Database, case_id: str) -> list[Outbox]:
    async with db.sessions() as session:
        rows = select(Outbox).where(col(Outbox.kind) == "lost", col(Outbox.workflow_id).like(f"%/{case_id}"))
        return list((await session.scalars(rows)).all())


async def test_every_member_is_told_at_once_and_a_workflow_takes_over(home: Family, db: Database) -> None:
    case = await home.lose(by=home.caretaker, note="Last seen at the lake.")
    assert case["state"] == "open"
    assert await status(home) == "lost"
    for member in (home.owner, home.partner, home.caretaker):
        assert await home.told(member, "pet_lost") == EVERYWHERE
        assert {"pet": "Milo", "note": "Last seen at the lake.", "by": "Cleo"} in await home.lines(member, "pet_lost")
    assert await home.told(home.sitter, "pet_lost") == set()
    (bell,) = await bells(db, case["id"])
    assert bell.workflow_id == f"household/{home.household}/lost/{case['id']}"
    assert bell.args == {"household_id": home.household, "case_id": case["id"]}


async def test_two_who_open_it_at_once_open_one_search(home: Family) -> None:
    members = (home.owner, home.partner, home.caretaker) * 3
    answers = await asyncio.gather(*(member.request("POST", f"{home.path}/lost", {}) for member in members))
    (opened,) = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer.json() for answer in answers if answer.status_code != 201]
    assert {(answer["status"], answer["code"], answer["case_id"]) for answer in refused} == {
        (409, "already_lost", opened["id"])
    }


async def test_the_page_says_lost_while_the_search_is_on_and_shows_the_tags_fields_afterwards(home: Family) -> None:
    tag = await home.tag("species", "name")
    await home.lose(shown=["name", "phone"], note="Last seen at the lake.")
    assert await home.scan(tag["code"]) == {
        "lost": True,
        "name": "Milo",
        "phone": PHONE,
        "appeal": "Last seen at the lake.",
    }
    closed = await close(home)
    assert (closed["state"], closed["closed_reason"]) == ("closed", "found")
    assert await status(home) == "active"
    assert await home.scan(tag["code"]) == {"lost": False, "species": "cat", "name": "Milo"}
    for member in (home.owner, home.partner, home.caretaker):
        assert await home.told(member, "search_ended") == EVERYWHERE


async def test_without_a_choice_the_page_shows_what_the_tag_does_but_not_somebody_elses_number(home: Family) -> None:
    tag = await home.tag("name", "phone", "first_name")
    await home.lose(by=home.caretaker)
    assert await home.scan(tag["code"]) == {"lost": True, "name": "Milo"}
    await close(home)
    await home.lose()
    assert await home.scan(tag["code"]) == {"lost": True, "name": "Milo", "phone": PHONE, "first_name": "Ada"}


async def test_a_pet_without_a_tag_can_be_lost(home: Family) -> None:
    assert (await home.lose())["shown"] == ["species"]


async def test_another_member_cannot_put_the_openers_number_on_the_page(home: Family) -> None:
    tag = await home.tag("species")
    await home.lose(shown=["name"])
    change = {"shown": ["name", "phone", "first_name"], "note": "He is very shy."}
    answer = await home.partner.request("PATCH", f"{home.path}/lost", change)
    assert answer.json()["shown"] == ["name"]
    assert await home.scan(tag["code"]) == {"lost": True, "name": "Milo", "appeal": "He is very shy."}
    await home.owner.request("PATCH", f"{home.path}/lost", {"shown": ["phone"]})
    assert await home.scan(tag["code"]) == {"lost": True, "phone": PHONE, "appeal": "He is very shy."}
    await home.partner.request("PATCH", f"{home.path}/lost", {"note": None})
    assert await home.scan(tag["code"]) == {"lost": True, "phone": PHONE}


async def test_a_stale_change_is_refused(home: Family) -> None:
    await home.lose()
    read = await home.owner.request("GET", f"{home.path}/lost")
    await home.partner.request("PATCH", f"{home.path}/lost", {"note": "Seen again."})
    stale = {"If-Match": read.headers["etag"]}
    answer = await home.owner.request("PATCH", f"{home.path}/lost", {"note": "Still gone."}, stale)
    assert answer.status_code == 412


async def test_an_answer_is_kept_and_rings(home: Family, db: Database) -> None:
    case = await home.lose()
    (before,) = await bells(db, case["id"])
    answer = await home.caretaker.request("POST", f"{home.path}/lost/confirm")
    assert answer.status_code == 200
    assert answer.json()["answered_at"] > case["answered_at"]
    (after,) = await bells(db, case["id"])
    assert after.seq > before.seq


async def test_what_is_over_can_be_opened_again_as_another_search(home: Family) -> None:
    first = await home.lose()
    await close(home, "false_alarm")
    second = await home.lose()
    assert second["id"] != first["id"]
    assert (await home.owner.request("GET", f"{home.path}/lost")).json()["id"] == second["id"]


@pytest.mark.parametrize("what", ["confirm", "close"])
async def test_without_a_search_there_is_nothing_to_answer_for(home: Family, what: str) -> None:
    body = {"reason": "found"} if what == "close" else None
    answer = await home.owner.request("POST", f"{home.path}/lost/{what}", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_lost")
    assert (await home.owner.request("PATCH", f"{home.path}/lost", {})).status_code == 409
    assert (await home.owner.request("GET", f"{home.path}/lost")).status_code == 404


@pytest.mark.parametrize("gone", ["deceased", "archived", "transferred"])
async def test_a_pet_that_is_gone_cannot_be_lost(home: Family, gone: str) -> None:
    await home.execute("UPDATE pets SET status = :status WHERE id = :id", status=gone, id=home.pet)
    answer = await home.owner.request("POST", f"{home.path}/lost", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_searchable")


async def test_members_search_and_nobody_else(home: Family) -> None:
    for person, refused in ((home.sitter, 403), (home.stranger, 404)):
        for method, path in (("POST", "/lost"), ("PATCH", "/lost"), ("POST", "/lost/confirm"), ("GET", "/sightings")):
            answer = await person.request(method, home.path + path, {} if path == "/lost" else None)
            assert answer.status_code == refused, (method, path)
        answer = await person.request("POST", f"{home.path}/lost/close", {"reason": "found"})
        assert answer.status_code == refused
    await home.lose(by=home.caretaker)
    assert (await home.sitter.request("GET", f"{home.path}/lost")).status_code == 200
    assert (await home.stranger.request("GET", f"{home.path}/lost")).status_code == 404
    for reason in ("no_answer", "pet_gone", "eaten"):
        answer = await home.owner.request("POST", f"{home.path}/lost/close", {"reason": reason})
        assert answer.status_code == 422


async def test_a_finders_message_reaches_the_owners_and_while_searching_every_member(home: Family) -> None:
    tag = await home.tag("species")
    sent = await home.write(tag["code"], place="Lakeside 4", contact="finder@example.test")
    assert (sent.status_code, sent.content) == (204, b"")
    written = {"message": "She sits below our car.", "place": "Lakeside 4", "contact": "finder@example.test"}
    assert {"pet": "Milo", **written} in await home.lines(home.owner, "pet_sighted")
    (kept,) = await home.sightings()
    assert {name: kept[name] for name in written} == written
    assert kept["search_id"] is None
    before = len(await home.lines(home.caretaker, "pet_sighted"))
    case = await home.lose()
    await home.write(tag["code"], "Now she is gone again.")
    assert (await home.sightings(by=home.caretaker))[0]["search_id"] == case["id"]
    for member in (home.owner, home.partner, home.caretaker):
        assert await home.told(member, "pet_sighted") == EVERYWHERE
        said = await home.lines(member, "pet_sighted")
        assert {"pet": "Milo", "message": "Now she is gone again.", "place": None, "contact": None} in said
    assert len(await home.lines(home.caretaker, "pet_sighted")) == before + 1
    assert await home.told(home.sitter, "pet_sighted") == set()


async def test_what_is_wiped_is_in_nobodys_messages_either(home: Family, db: Database, cipher: FieldCipher) -> None:
    tag = await home.tag("species")
    await home.write(tag["code"], "Before anybody missed her.", contact="stray@example.test")
    case = await home.lose(note="Very shy.")
    await home.write(tag["code"], "In our shed.", contact="wiped@example.test")
    await close(home)
    before = datetime.now(UTC) - KEPT - timedelta(minutes=1)
    await home.execute("UPDATE lost_cases SET closed_at = :before WHERE id = :id", before=before, id=case["id"])
    await LostCaseActivities(db.sessions, cipher).wipe_search(TakeStep(UUID(case["id"]), datetime.now(UTC)))
    for member in (home.owner, home.partner, home.caretaker):
        said = await home.lines(member, "pet_lost") + await home.lines(member, "pet_sighted")
        assert "Very shy." not in str(said)
        assert "wiped@example.test" not in str(said)
    assert "stray@example.test" in str(await home.lines(home.owner, "pet_sighted"))
    await home.execute("UPDATE sightings SET created_at = :before WHERE pet_id = :pet", before=before, pet=home.pet)
    async with db.sessions.begin() as session:
        await lost.wipe_strays(session, KEPT, 100)
    assert "stray@example.test" not in str(await home.lines(home.owner, "pet_sighted"))
    (kept,) = await home.rows(
        "SELECT count(*) AS n FROM deliveries d WHERE d.params_ct IS NOT NULL AND (d.event_key = :opened"
        " OR d.event_key IN (SELECT 'sighting/' || id FROM sightings WHERE pet_id = :pet))",
        opened=f"lost/{case['id']}/opened",
        pet=home.pet,
    )
    assert kept.n == 0


async def test_who_was_removed_does_not_read_what_finders_wrote_any_more(api: Api, db: Database) -> None:
    home = await family(api, db)
    tag = await home.tag("species")
    await home.lose()
    await home.write(tag["code"], contact="finder@example.test")
    assert "finder@example.test" in str(await home.lines(home.caretaker, "pet_sighted"))
    members = f"/households/{home.household}/members"
    assert (await home.owner.request("DELETE", f"{members}/{home.caretaker.user_id}")).status_code == 204
    assert await home.lines(home.caretaker, "pet_sighted") == []
    assert "finder@example.test" in str(await home.lines(home.partner, "pet_sighted"))


async def test_what_a_finder_writes_is_sealed_and_says_nothing_about_where_they_are(home: Family, db: Database) -> None:
    tag = await home.tag("species")
    canary = "canary-of-the-finder"
    address = "10.99.88.77"
    before = await entries(db)
    headers = {"X-Forwarded-For": address, "User-Agent": "Finder's phone"}
    body = {"message": canary, "place": canary, "contact": canary}
    answer = await home.api.http.post(f"/api/v1/p/{tag['code']}/sightings", json=body, headers=headers)
    assert answer.status_code == 204
    row = await db.reads.fetchrow("SELECT s::text AS row FROM sightings s WHERE pet_id = $1::uuid", home.pet)
    assert row is not None
    assert canary not in row["row"]
    told = await db.reads.fetch("SELECT d::text AS row FROM deliveries d WHERE template = 'pet_sighted'")
    assert all(canary not in each["row"] for each in told)
    assert await entries(db) == before
    (kept,) = await home.sightings()
    assert set(kept) == {"id", "search_id", "message", "place", "contact", "created_at"}


async def entries(db: Database) -> int:
    async with db.sessions() as session:
        return len((await session.scalars(select(col(AuditEntry.id)))).all())


async def test_hostile_words_of_a_finder_are_kept_as_they_are_and_nothing_more(home: Family) -> None:
    tag = await home.tag("species")
    assert (await home.write(tag["code"], HOSTILE + "\x00")).status_code == 400
    assert (await home.write(tag["code"], HOSTILE, place="\u2066\u202e" * 20)).status_code == 204
    (kept,) = await home.sightings()
    assert (kept["message"], kept["place"]) == (HOSTILE, "\u2066\u202e" * 20)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": " \n "},
        {"message": "x" * 1001},
        {"message": "x", "place": "x" * 201},
        {"message": "x", "contact": "x" * 201},
        {"message": "x", "pet_id": "019aaf3e-0000-7000-8000-000000000001"},
        {"message": ["x"]},
    ],
)
async def test_a_finders_message_is_bounded(home: Family, body: dict[str, object]) -> None:
    tag = await home.tag("species")
    assert (await home.api.post(f"/p/{tag['code']}/sightings", body)).status_code == 422
    assert await home.sightings() == []


async def test_sightings_come_page_by_page_the_newest_first(home: Family) -> None:
    tag = await home.tag("species")
    for number in range(5):
        await home.write(tag["code"], str(number))
    read, cursor = [], ""
    while cursor is not None:
        path = f"{home.path}/sightings?limit=2" + (f"&cursor={cursor}" if cursor else "")
        page = (await home.partner.request("GET", path)).json()
        read += [item["message"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert read == ["4", "3", "2", "1", "0"]


async def test_reminders_go_on_while_the_pet_is_missing(home: Family) -> None:
    body = {"title": "Tablet", "pet_id": home.pet, "reminder_date": "2036-06-01T08:00"}
    made = (await home.owner.request("POST", "/reminders", body)).json()
    await home.lose()
    again = (await home.owner.request("GET", f"/reminders/{made['id']}")).json()
    assert again["reminder_date"] == made["reminder_date"]
    assert again["state"] == "active"
    assert (await home.owner.request("POST", "/reminders", body)).status_code == 201


async def test_what_was_done_is_in_the_log(home: Family) -> None:
    await home.tag("species")
    await home.lose()
    await close(home)
    for person, done in ((home.owner, {"tag.saved", "lost.opened"}), (home.partner, {"lost.closed"})):
        items = (await person.request("GET", "/users/audit")).json()["items"]
        assert done <= {entry["action"] for entry in items}


async def test_a_pet_that_is_removed_while_it_is_missing_takes_its_search_along(home: Family, db: Database) -> None:
    case = await home.lose()
    (opened,) = await bells(db, case["id"])
    assert (await home.owner.request("DELETE", home.path)).status_code == 204
    (removed,) = await bells(db, case["id"])
    assert removed.seq > opened.seq
    assert (await home.owner.request("GET", f"{home.path}/lost")).status_code == 404


async def test_the_workflow_of_a_search_is_shown_to_those_who_see_the_pet(home: Family) -> None:
    case = await home.lose()
    path = f"/workflows/household/{home.household}/lost/{case['id']}"
    shown = (await home.caretaker.request("GET", path)).json()
    assert (shown["type"], shown["status"]) == ("lost", "open")
    assert shown["result"] == f"/api/v1{home.path}/lost"
    assert (await home.stranger.request("GET", path)).status_code == 404


async def test_no_log_holds_a_number_a_message_or_the_code(home: Family, settings: Settings) -> None:
    tag = await home.tag("species", "name", note="canary-of-the-tag")
    await home.lose(note="canary-of-the-search", shown=["species"])
    limits = {f"PETFOLIO_RATE_LIMITS__{name.upper()}": limit.model_dump_json() for name, limit in OPEN}
    async with api_server(settings, **limits) as (process, client):
        auth = {"Authorization": f"Bearer {home.owner.access_token}"}
        body = {"message": "canary-of-the-finder", "place": "canary-of-the-place", "contact": "canary@example.test"}
        assert (await client.get(f"/p/{tag['code']}")).status_code == 200
        assert (await client.post(f"/api/v1/p/{tag['code']}/sightings", json=body)).status_code == 204
        assert (await client.post(f"/api/v1/p/{tag['code']}/sightings", json={"message": []})).status_code == 422
        assert (await client.get(f"/api/v1{home.path}/sightings", headers=auth)).status_code == 200
        assert (await client.put(f"/api/v1{home.path}/tag", json={"shown": ["phone"]}, headers=auth)).status_code == 200
        process.terminate()
        assert process.stdout is not None
        said = (await process.stdout.read()).decode()
    assert "/api/v1/p/{code}/sightings" in said
    for secret in ("canary", PHONE, tag["code"], "10.0.", "127.0.0.1"):
        assert secret not in said.replace("http://127.0.0.1", "")


async def test_a_search_stays_with_those_who_began_it_when_the_pet_moves_on(home: Family) -> None:
    case, tag = await home.lose(note="Only ours."), await home.tag("species")
    elsewhere = (await home.stranger.request("POST", "/pets", {"name": "Luna"})).json()["household_id"]
    await home.execute("UPDATE pets SET household_id = :there WHERE id = :pet", there=elsewhere, pet=home.pet)
    assert await home.scan(tag["code"]) == {"lost": False, "species": "cat"}
    for method, path in (("POST", "/lost/confirm"), ("PATCH", "/lost")):
        answer = await home.stranger.request(method, home.path + path, {} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_lost")
    assert (await home.stranger.request("GET", f"{home.path}/lost")).status_code == 404
    assert (await home.lose(by=home.stranger))["id"] != case["id"]
    (closed,) = await home.rows("SELECT closed_reason FROM lost_cases WHERE id = :id", id=case["id"])
    assert closed.closed_reason == "pet_gone"
