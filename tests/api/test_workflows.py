"""What the caller sees of work that goes on by itself."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from core.db import Database
from core.settings import Settings
from domain.billing.catalogue import Tier
from domain.reminder_series import ReminderState
from integrations.keys.store import KeyStore
from models.reminder import Reminder
from temporal import ids
from temporal.client import connect, plugin
from tests.api.grants_kit import ahead, made, offer, sitter
from tests.api.household_kit import home_of, member, pet_of
from tests.api.plans_kit import entitle
from tests.api.signing_in import OPEN, Api, Person, api_process


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    return await api.person()


@pytest.fixture
async def temporal(settings: Settings, keys: KeyStore) -> Client:
    return await connect(settings, plugin(keys), lazy=True, runtime=None)


async def household_of(db: Database, person: Person) -> UUID:
    return UUID(str(await db.reads.fetchval("SELECT household_id FROM memberships WHERE user_id = $1", person.user_id)))


async def remind(
    db: Database, person: Person, *, state: ReminderState = ReminderState.ACTIVE, deleted: bool = False
) -> str:
    """A row; answers the id of the workflow that looks after it."""
    reminder = Reminder(
        household_id=await household_of(db, person),
        user_id=person.user_id,
        title_ct="CANARY",
        schedule={},
        notification_methods=[],
        state=state,
        next_at=datetime(2026, 12, 1, 8, tzinfo=UTC),
        deleted_at=datetime(2026, 11, 1, tzinfo=UTC) if deleted else None,
    )
    async with db.sessions.begin() as session:
        session.add(reminder)
    return ids.reminder(reminder.household_id, reminder.id)


async def test_the_list_is_paged_and_shows_no_deleted_and_no_foreign_work(api: Api, db: Database) -> None:
    person, stranger = await api.person(), await api.person()
    mine = [await remind(db, person), await remind(db, person, state=ReminderState.PAUSED), await remind(db, person)]
    await remind(db, person, deleted=True)
    await remind(db, stranger)
    first = (await person.request("GET", "/workflows?limit=2")).json()
    second = (await person.request("GET", f"/workflows?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in first["items"] + second["items"]] == mine
    assert [item["status"] for item in first["items"]] == ["active", "paused"]
    assert second["next_cursor"] is None
    assert "CANARY" not in str(first)


async def test_one_workflow_tells_row_and_temporal(db: Database, person: Person, temporal: Client) -> None:
    workflow_id = await remind(db, person)
    before = (await person.request("GET", f"/workflows/{workflow_id}")).json()
    await temporal.start_workflow("ReminderWorkflow", id=workflow_id, task_queue="nobody")
    after = (await person.request("GET", f"/workflows/{workflow_id}")).json()
    assert (before["live"], before["execution"]) == (True, {"status": "absent", "started_at": None, "closed_at": None})
    assert (after["live"], after["execution"]["status"]) == (True, "running")
    assert after["summary"] == "Reminder: active, next due 2026-12-01 08:00 UTC."
    assert after["result"] == f"/api/v1/reminders/{workflow_id.rpartition('/')[2]}"
    assert (await person.request("GET", after["result"])).status_code in (200, 404)


async def test_without_temporal_the_row_answers_alone(db: Database, person: Person, settings: Settings) -> None:
    workflow_id = await remind(db, person)
    away = settings.model_copy(update={"temporal_address": "127.0.0.1:9"})
    async with api_process(away) as api:
        answer = await api.get(f"/workflows/{workflow_id}", person.access_token)
    assert answer.status_code == 200
    assert (answer.json()["live"], answer.json()["execution"], answer.json()["status"]) == (False, None, "active")


async def test_a_mail_to_oneself_is_shown(api: Api, db: Database) -> None:
    person = await api.person()
    delivery = await db.reads.fetchval(
        "SELECT id FROM deliveries WHERE user_id = $1 ORDER BY id LIMIT 1", person.user_id
    )
    mail = (await person.request("GET", f"/workflows/{ids.mail(person.user_id, UUID(str(delivery)))}")).json()
    assert (mail["type"], mail["result"]) == ("mail", None)
    assert mail["summary"].startswith("Mail verify_email: ")


async def test_work_of_others_and_of_the_platform_is_not_found(api: Api, db: Database, person: Person) -> None:
    stranger = await api.person()
    theirs, mine = await remind(db, stranger), await remind(db, person)
    own_household = await household_of(db, person)
    refused = [
        theirs,
        mine.replace(str(own_household), str(own_household).upper()),
        theirs.replace(theirs.split("/")[1], str(own_household)),
        await remind(db, person, deleted=True),
        ids.mail(stranger.user_id, uuid4()),
        ids.mail(person.user_id, uuid4()),
        ids.job("reconcile"),
        f"household/{own_household}/reminder",
        "nonsense",
        "user/not-a-uuid/mail/x",
    ]
    answers = [await person.request("GET", f"/workflows/{workflow_id}") for workflow_id in refused]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * len(refused)


async def test_nobody_unknown_is_told_anything(api: Api) -> None:
    assert (await api.get("/workflows")).status_code == 401
    assert (await api.get("/workflows/system/reconcile")).status_code == 401


async def test_all_that_goes_on_in_a_household_is_told_and_who_is_let_in_only_to_owners(api: Api) -> None:
    owner = await api.person()
    household_id = await home_of(owner)
    pet, missing = await pet_of(owner), await pet_of(owner, name="Luna")
    things = [
        await made(owner, f"/households/{household_id}/invitations", {"email": "i@example.test", "role": "caretaker"}),
        await made(owner, f"/households/{household_id}/transfers", {"pet_id": pet["id"], "email": "t@example.test"}),
        await offer(owner, "s@example.test", pet["id"]),
        await made(owner, f"/pets/{missing['id']}/lost", {}),
    ]
    items = (await owner.request("GET", "/workflows")).json()["items"]
    assert [(item["type"], item["status"]) for item in items] == [
        ("invitation", "open"),
        ("transfer", "offered"),
        ("grant", "offered"),
        ("lost", "open"),
    ]
    assert [item["id"].rpartition("/")[2] for item in items[:3]] == [thing["id"] for thing in things[:3]]
    caretaker = await member(api, household_id)
    theirs = (await caretaker.request("GET", "/workflows")).json()["items"]
    assert [item["type"] for item in theirs] == ["lost"]
    for item in items:
        assert (await owner.request("GET", item["result"].removeprefix("/api/v1"))).status_code == 200
        assert (await owner.request("GET", f"/workflows/{item['id']}")).json()["status"] == item["status"]
        allowed = item["type"] == "lost"
        assert (await caretaker.request("GET", f"/workflows/{item['id']}")).status_code == (200 if allowed else 404)


async def test_a_grant_is_in_the_same_state_wherever_it_is_told(settings: Settings, db: Database) -> None:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as api:
        owner = await api.person()
        await entitle(db, owner.user_id, Tier.FAMILY)
        pets = [(await pet_of(owner, name=f"Pet {n}"))["id"] for n in range(6)]
        path = f"/households/{await home_of(owner)}/grants"
        await offer(owner, "offered@example.test", pets[0])
        await sitter(owner, pets[1])
        await sitter(owner, pets[2], valid_from=ahead(days=1))
        revoked = await offer(owner, "revoked@example.test", pets[3])
        assert (await owner.request("DELETE", f"{path}/{revoked['id']}")).status_code == 204
        declining = await sitter(owner, pets[4])
        (theirs,) = (await declining.request("GET", "/grants")).json()["items"]
        assert (await declining.request("DELETE", f"/grants/{theirs['id']}")).status_code == 204
        over = await offer(owner, "over@example.test", pets[5])
        await db.reads.execute("UPDATE grants SET valid_until = clock_timestamp() WHERE id = $1", UUID(over["id"]))
        told = {item["id"]: item["state"] for item in (await owner.request("GET", path)).json()["items"]}
        work = (await owner.request("GET", "/workflows")).json()["items"]
        assert sorted(told.values()) == ["active", "coming", "declined", "offered", "over", "revoked"]
        assert {item["id"].rpartition("/")[2]: item["status"] for item in work if item["type"] == "grant"} == told
