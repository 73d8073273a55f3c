"""Sitters: asked by address, let in for some pets and days, and out again by the clock of the database alone."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from activities.sitter_grant import SitterGrantActivities
from core.db import Database
from core.ids import new_id
from core.settings import RateLimit, Settings
from domain.access import Role
from domain.mail_feedback import Verdict
from models.queries import feedback, households
from models.queries.feedback import Known, Report
from temporal.contracts.sitter_grant import MailGrant
from tests.api.grants_kit import ahead, ends, grants_path, made, offer, pet_of, remind, sitter, vet_link
from tests.api.household_kit import Post, home_of, member
from tests.api.signing_in import OPEN, Api, Person, api_process, audit_of


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network."""
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(timezone="Europe/Berlin", first_name="Ada")


async def status(person: Person, method: str, path: str, body: Any = None) -> int:
    return (await person.request(method, path, body)).status_code


async def names(person: Person, path: str, field: str) -> list[str]:
    return [item[field] for item in (await person.request("GET", path)).json()["items"]]


async def items(owner: Person) -> list[dict[str, Any]]:
    return list((await owner.request("GET", await grants_path(owner))).json()["items"])


async def shown(owner: Person, grant_id: str) -> dict[str, Any]:
    return dict((await owner.request("GET", f"{await grants_path(owner)}/{grant_id}")).json())


async def test_an_address_is_asked_alike_whether_or_not_it_has_an_account(api: Api, owner: Person) -> None:
    pet, known = await pet_of(owner), await api.person()
    answers = [await offer(owner, email, pet) for email in (known.email, "nobody@example.test")]
    differs = ("id", "email", "valid_from", "valid_until", "created_at", "updated_at")
    first, second = ({name: value for name, value in a.items() if name not in differs} for a in answers)
    assert first == second
    assert (answers[0]["state"], answers[0]["user_id"], answers[0]["email"]) == ("offered", None, known.email)


async def test_nobody_has_access_before_they_accept_and_the_granted_pets_after(api: Api, owner: Person) -> None:
    milo, luna = await pet_of(owner), await pet_of(owner, "Luna")
    sam = await api.person(first_name="Sam")
    grant = await offer(owner, sam.email, milo)
    (asked,) = (await sam.request("GET", "/grants")).json()["items"]
    assert (asked["state"], asked["given_by"], asked["pets"]) == ("offered", "Ada", [{"id": milo, "name": "Milo"}])
    assert await status(sam, "GET", f"/pets/{milo}") == 404
    assert await status(sam, "POST", f"/grants/{grant['id']}/accept") == 204
    assert await status(sam, "POST", f"/grants/{grant['id']}/accept") == 204
    assert await status(sam, "GET", f"/pets/{milo}") == 200
    assert await status(sam, "GET", f"/pets/{luna}") == 404
    assert await names(sam, "/pets", "name") == ["Milo"]
    assert await names(sam, "/grants", "state") == ["active"]
    told = await shown(owner, grant["id"])
    assert (told["state"], told["user_id"]) == ("active", str(sam.user_id))


async def test_only_the_holder_of_the_address_accepts(api: Api, owner: Person) -> None:
    pet, other = await pet_of(owner), await api.person()
    grant = await offer(owner, f"sam-{new_id().hex}@example.test", pet)
    assert await names(other, "/grants", "id") == []
    for method, path in (("POST", f"/grants/{grant['id']}/accept"), ("DELETE", f"/grants/{grant['id']}")):
        assert await status(other, method, path) == 404
        assert await status(owner, method, path) == 404
    assert (await shown(owner, grant["id"]))["state"] == "offered"


async def test_a_sitter_reads_what_belongs_to_the_granted_pets_and_nothing_else(owner: Person) -> None:
    milo, luna = await pet_of(owner), await pet_of(owner, "Luna")
    record = await made(owner, f"/health-records/pets/{milo}/records", {"record_type": "visit", "title": "Check"})
    hidden = await made(owner, f"/health-records/pets/{luna}/records", {"record_type": "visit", "title": "Hidden"})
    mine, occurrence = await remind(owner, milo, title="Milo's")
    foreign = [await remind(owner, pet, title="Hidden") for pet in (luna, None)]
    sam = await sitter(owner, milo)
    for path in (
        f"/health-records/pets/{milo}/records",
        f"/health-records/records/{record['id']}",
        f"/reminders/{mine}",
        f"/reminders/{mine}/occurrences",
        f"/occurrences/{occurrence}",
        f"/occurrences/{occurrence}/explain",
    ):
        assert await status(sam, "GET", path) == 200, path
    assert await names(sam, "/reminders", "id") == [mine]
    agenda = await sam.request("GET", "/agenda?from=2036-06-01T00:00:00Z&to=2036-06-03T00:00:00Z")
    assert {item["title"] for item in agenda.json()["items"]} == {"Milo's"}
    for path in (
        f"/pets/{luna}",
        f"/health-records/pets/{luna}/records",
        f"/health-records/records/{hidden['id']}",
        *(f"/reminders/{reminder}" for reminder, _ in foreign),
        *(f"/occurrences/{each}" for _, each in foreign),
        *(f"/occurrences/{each}/explain" for _, each in foreign),
    ):
        assert await status(sam, "GET", path) == 404, path


async def test_a_sitter_neither_changes_nor_shares_what_they_see(owner: Person) -> None:
    milo = await pet_of(owner)
    record = await made(owner, f"/health-records/pets/{milo}/records", {"record_type": "visit", "title": "Check"})
    reminder, _ = await remind(owner, milo)
    sam = await sitter(owner, milo, actions=("act", "add_record"))
    grants = await grants_path(owner)
    given = {"kind": "vet", "label": "Vet", "pet_ids": [milo]}
    for method, path, body in (
        ("PATCH", f"/pets/{milo}", {"name": "Mine"}),
        ("DELETE", f"/pets/{milo}", None),
        ("PATCH", f"/health-records/records/{record['id']}", {"title": "Mine"}),
        ("PATCH", f"/reminders/{reminder}", {"title": "Mine"}),
        ("POST", f"/reminders/{reminder}/pause", None),
        ("POST", "/reminders", {"title": "Mine", "pet_id": milo, "reminder_date": "2036-01-01T08:00:00Z"}),
        ("GET", grants, None),
        ("POST", grants, given),
    ):
        assert await status(sam, method, path, body) == 403, (method, path)


@pytest.mark.parametrize(
    ("actions", "completes", "writes"), [((), 403, 403), (("act",), 200, 403), (("act", "add_record"), 200, 201)]
)
async def test_a_sitter_acts_and_writes_only_as_granted(
    owner: Person, actions: tuple[str, ...], completes: int, writes: int
) -> None:
    milo = await pet_of(owner)
    _, occurrence = await remind(owner, milo)
    sam = await sitter(owner, milo, actions=actions)
    assert await status(sam, "POST", f"/occurrences/{occurrence}/complete", {}) == completes
    body = {"record_type": "weight", "title": "Eats well"}
    assert await status(sam, "POST", f"/health-records/pets/{milo}/records", body) == writes


async def test_a_grant_that_has_ended_opens_nothing_although_no_worker_lives(owner: Person, db: Database) -> None:
    milo = await pet_of(owner)
    reminder, occurrence = await remind(owner, milo)
    sam = await sitter(owner, milo, actions=("act", "add_record"))
    assert await status(sam, "GET", f"/pets/{milo}") == 200
    await ends(db, user_id=sam.user_id)
    for method, path, body in (
        ("GET", f"/pets/{milo}", None),
        ("GET", f"/reminders/{reminder}", None),
        ("POST", f"/occurrences/{occurrence}/complete", {}),
        ("POST", f"/health-records/pets/{milo}/records", {"record_type": "visit", "title": "Late"}),
    ):
        assert await status(sam, method, path, body) == 404, path
    assert await names(sam, "/pets", "id") == []
    assert await names(sam, "/grants", "id") == []


async def test_a_grant_of_the_future_opens_nothing_yet(owner: Person) -> None:
    milo = await pet_of(owner)
    sam = await sitter(owner, milo, valid_from=ahead(days=1))
    assert await names(sam, "/grants", "state") == ["coming"]
    assert await status(sam, "GET", f"/pets/{milo}") == 404


async def test_an_owner_ends_it_and_the_next_request_finds_nothing(api: Api, owner: Person) -> None:
    milo = await pet_of(owner)
    sam = await sitter(owner, milo)
    (grant_id,) = await names(owner, await grants_path(owner), "id")
    path = f"{await grants_path(owner)}/{grant_id}"
    assert [await status(owner, "DELETE", path) for _ in range(2)] == [204, 204]
    assert await status(sam, "GET", f"/pets/{milo}") == 404
    assert (await shown(owner, grant_id))["state"] == "revoked"
    assert "grant_ended" in await names(sam, "/notifications", "kind")
    assert "grant_ended" in await api.mails(sam.email)
    assert await status(sam, "POST", f"/grants/{grant_id}/accept") == 409
    assert await status(owner, "PATCH", path, {"valid_until": ahead(days=2)}) == 409
    assert ("grant.revoked", "ok") in await audit_of(api, sam.email)


@pytest.mark.parametrize(("accepts", "answer"), [(False, "declined"), (True, "left")])
async def test_whoever_says_no_or_stops_is_out_and_the_owner_is_told(
    api: Api, owner: Person, accepts: bool, answer: str
) -> None:
    milo, sam = await pet_of(owner), await api.person(first_name="Sam")
    grant = await offer(owner, sam.email, milo)
    if accepts:
        assert await status(sam, "POST", f"/grants/{grant['id']}/accept") == 204
    assert [await status(sam, "DELETE", f"/grants/{grant['id']}") for _ in range(2)] == [204, 204]
    assert await status(sam, "GET", f"/pets/{milo}") == 404
    assert (await shown(owner, grant["id"]))["state"] == "declined"
    lines = (await owner.request("GET", "/notifications")).json()["items"]
    (said, *_) = [line["params"] for line in lines if line["kind"] == "grant_answered"]
    assert (said["answer"], said["sitter"], said["pets"]) == (answer, "Sam", ["Milo"])
    assert "grant_answered" in await api.mails(owner.email)


async def test_a_member_needs_no_grant(api: Api, owner: Person) -> None:
    milo = await pet_of(owner)
    ben = await member(api, await home_of(owner))
    for whom in ({"email": ben.email}, {"email": owner.email}, {"user_id": str(ben.user_id)}):
        body = {"kind": "sitter", "pet_ids": [milo], "valid_until": ahead(days=1), **whom}
        answer = await owner.request("POST", await grants_path(owner), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "already_member")


async def test_whoever_became_a_member_meanwhile_cannot_accept(api: Api, owner: Person, db: Database) -> None:
    milo, sam = await pet_of(owner), await api.person()
    grant = await offer(owner, sam.email, milo)
    async with db.sessions.begin() as session:
        await session.execute(
            text("INSERT INTO memberships (id, household_id, user_id, role) VALUES (:id, :home, :user, 'caretaker')"),
            {"id": new_id(), "home": await home_of(owner), "user": sam.user_id},
        )
    answer = await sam.request("POST", f"/grants/{grant['id']}/accept")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_member")


async def bells(db: Database, grant_id: Any) -> int:
    """Rises whenever the workflow of a grant is told to look."""
    found = await db.reads.fetchval("SELECT max(seq) FROM outbox WHERE aggregate = $1", f"grant/{grant_id}")
    return int(found)


async def test_whoever_became_a_member_and_was_removed_has_nothing_left_of_an_older_grant(
    api: Api, owner: Person, db: Database
) -> None:
    milo, luna = await pet_of(owner), await pet_of(owner, "Luna")
    sam, home = await sitter(owner, milo), await home_of(owner)
    later = await offer(owner, sam.email, luna)
    (held,) = [item["id"] for item in await items(owner) if item["user_id"]]
    rung = [await bells(db, grant_id) for grant_id in (held, later["id"])]
    asked = await owner.request("POST", f"/households/{home}/invitations", {"email": sam.email, "role": "caretaker"})
    token = await Post.of(api).deliver(asked.json())
    assert await status(sam, "POST", "/invitations/accept", {"token": token}) == 200
    assert {item["state"] for item in await items(owner)} == {"revoked"}
    again = [await bells(db, grant_id) for grant_id in (held, later["id"])]
    assert all(now > before for now, before in zip(again, rung, strict=True)), "their workflows hear of it"
    assert await status(sam, "GET", f"/pets/{milo}") == 200
    assert await status(owner, "DELETE", f"/households/{home}/members/{sam.user_id}") == 204
    assert await status(sam, "GET", f"/pets/{milo}") == 404
    assert await status(sam, "POST", f"/grants/{later['id']}/accept") == 409


async def test_a_grant_that_stands_beside_a_membership_ends_with_it(api: Api, owner: Person, db: Database) -> None:
    milo = await pet_of(owner)
    sam, home = await sitter(owner, milo), await home_of(owner)
    async with db.sessions.begin() as session:
        await households.join(session, home, sam.user_id, Role.CARETAKER)
    assert await status(sam, "POST", f"/households/{home}/leave") == 204
    assert await status(sam, "GET", f"/pets/{milo}") == 404


@pytest.mark.parametrize("demoted", [True, False])
async def test_an_owner_who_is_none_any_more_leaves_no_door_open(api: Api, owner: Person, demoted: bool) -> None:
    milo, home = await pet_of(owner), await home_of(owner)
    bob, second = await member(api, home, Role.OWNER), await api.person()
    path = f"/households/{home}/grants"
    link = await made(bob, path, {"kind": "vet", "label": "Dr X", "pet_ids": [milo]})
    asked = {"kind": "sitter", "email": second.email, "pet_ids": [milo], "valid_until": ahead(days=100)}
    offered = await made(bob, path, asked)
    _, others = await vet_link(owner, milo)
    sam = await api.person()
    accepted = await made(bob, path, asked | {"email": sam.email})
    assert await status(sam, "POST", f"/grants/{accepted['id']}/accept") == 204
    where = f"/households/{home}/members/{bob.user_id}"
    ended = ("PATCH", where, {"role": "caretaker"}) if demoted else ("DELETE", where, None)
    assert await status(owner, *ended) == 204
    assert (await api.get(f"/v/{link['url'].rpartition('/')[2]}")).status_code == 404
    assert await status(second, "POST", f"/grants/{offered['id']}/accept") == 409
    assert (await api.get(others)).status_code == 200, "what another owner made"
    assert await status(sam, "GET", f"/pets/{milo}") == 200, "somebody whom the household knows by now"


async def test_whom_the_household_has_met_is_named_by_id_and_needs_not_be_asked_again(
    api: Api, owner: Person, db: Database
) -> None:
    milo = await pet_of(owner)
    sam, stranger = await sitter(owner, milo), await api.person()
    await ends(db, user_id=sam.user_id)
    body = {"kind": "sitter", "pet_ids": [milo], "valid_until": ahead(days=1)}
    refused = await owner.request("POST", await grants_path(owner), body | {"user_id": str(stranger.user_id)})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown_person")
    again = await made(owner, await grants_path(owner), body | {"user_id": str(sam.user_id)})
    assert (again["state"], again["email"]) == ("active", None)
    assert await status(sam, "GET", f"/pets/{milo}") == 200


@pytest.mark.parametrize("before", ["nothing", "a grant", "a membership"])
async def test_whoever_walked_out_is_asked_again_by_address_only(
    api: Api, owner: Person, db: Database, before: str
) -> None:
    milo, home = await pet_of(owner), await home_of(owner)
    sam = await member(api, home) if before == "a membership" else await sitter(owner, milo)
    if before == "a membership":
        assert await status(owner, "DELETE", f"/households/{home}/members/{sam.user_id}") == 204
        grant_id = (await offer(owner, sam.email, milo))["id"]
    elif before == "a grant":
        await ends(db, user_id=sam.user_id)
        body = {"kind": "sitter", "pet_ids": [milo], "valid_until": ahead(days=1), "user_id": str(sam.user_id)}
        grant_id = (await made(owner, await grants_path(owner), body))["id"]
    else:
        (grant_id,) = await names(sam, "/grants", "id")
    assert await status(sam, "DELETE", f"/grants/{grant_id}") == 204
    body = {"kind": "sitter", "pet_ids": [milo], "valid_until": ahead(days=1)}
    path = await grants_path(owner)
    assert await status(owner, "POST", path, body | {"user_id": str(sam.user_id)}) == 422
    assert await status(owner, "POST", path, body | {"email": sam.email}) == 201


async def test_a_bounce_of_the_mail_that_asks_is_shown_and_suppresses_as_for_any_mail(
    api: Api, owner: Person, db: Database
) -> None:
    email = f"sam-{new_id().hex}@example.test"
    grant, post = await offer(owner, email, await pet_of(owner)), Post.of(api)
    await SitterGrantActivities(db.sessions, post.mail).mail_grant(MailGrant(UUID(grant["id"])))
    before = await shown(owner, grant["id"])
    assert (before["mailed"], before["mail_problem"]) == (True, None)
    index = api.identity.blind_index(email)
    report = Report(Verdict.BOUNCED, "sns-1", "ses-1", post.mailbox.keys[0], index, "Permanent/General")
    for _ in range(2):
        async with db.sessions.begin() as session:
            assert await feedback.record(session, report) is Known.NEW
    after = await shown(owner, grant["id"])
    assert (after["mailed"], after["mail_problem"]) == (False, "bounced")
    assert after["version"] > before["version"], "a cached answer is stale"
    assert await db.reads.fetchval("SELECT count(*) FROM mail_suppressions WHERE address_hmac = $1", index) == 1


async def test_an_account_asks_only_so_many_sitters_a_day_in_whichever_way(settings: Settings, db: Database) -> None:
    few = OPEN.model_copy(update={"invitations": RateLimit(quota=2, window=86_400, burst=2)})
    async with api_process(settings.model_copy(update={"rate_limits": few})) as api:
        owner = await api.person()
        milo, luna = await pet_of(owner), await pet_of(owner, "Luna")
        sam = await sitter(owner, milo)
        body = {"kind": "sitter", "pet_ids": [luna], "valid_until": ahead(days=1), "user_id": str(sam.user_id)}
        path = await grants_path(owner)
        assert await status(owner, "POST", path, body) == 201
        later = {"valid_from": ahead(days=2), "valid_until": ahead(days=3)}
        assert await status(owner, "POST", path, body | later) == 429


async def test_the_same_address_has_a_pet_in_its_care_once_at_a_time(owner: Person) -> None:
    milo, luna = await pet_of(owner), await pet_of(owner, "Luna")
    email = f"sam-{new_id().hex}@example.test"
    await offer(owner, email, milo, valid_from=ahead(days=2), valid_until=ahead(days=4))
    body = {"kind": "sitter", "email": email.upper(), "pet_ids": [milo, luna]}
    path = await grants_path(owner)
    answer = await owner.request("POST", path, body | {"valid_until": ahead(days=3)})
    assert (answer.status_code, answer.json()["code"]) == (409, "overlapping_grant")
    assert await status(owner, "POST", path, body | {"valid_until": ahead(days=1)}) == 201
    later = {"valid_from": ahead(days=5), "valid_until": ahead(days=6)}
    assert await status(owner, "POST", path, body | later) == 201
    grant = await offer(owner, email, luna, valid_from=ahead(days=2), valid_until=ahead(days=4))
    answer = await owner.request("PATCH", f"{path}/{grant['id']}", {"valid_until": ahead(days=5.5)})
    assert (answer.status_code, answer.json()["code"]) == (409, "overlapping_grant")


async def test_of_two_overlapping_grants_made_at_once_one_is(owner: Person) -> None:
    milo, path = await pet_of(owner), await grants_path(owner)
    email = f"sam-{new_id().hex}@example.test"
    body = {"kind": "sitter", "email": email, "pet_ids": [milo], "valid_until": ahead(days=3)}
    answers = await asyncio.gather(*(owner.request("POST", path, body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_of_two_overlapping_ones_that_one_person_accepts_at_once_one_counts(
    api: Api, owner: Person, db: Database
) -> None:
    """By id and by address they are two people to the owner, who learns nothing of it."""
    milo, path = await pet_of(owner), await grants_path(owner)
    sam = await sitter(owner, milo)
    await ends(db, user_id=sam.user_id)
    body = {"kind": "sitter", "pet_ids": [milo], "valid_until": ahead(days=3)}
    offered = await made(owner, path, body | {"email": sam.email})
    by_id = await made(owner, path, body | {"user_id": str(sam.user_id), "valid_until": ahead(days=1)})
    answer = await sam.request("POST", f"/grants/{offered['id']}/accept")
    assert (answer.status_code, answer.json()["code"]) == (409, "overlapping_grant")
    assert await status(sam, "DELETE", f"/grants/{by_id['id']}") == 204
    assert await status(sam, "POST", f"/grants/{offered['id']}/accept") == 204


async def test_a_sitter_who_waits_for_a_lock_while_the_grant_is_revoked_does_nothing(
    owner: Person, db: Database
) -> None:
    milo = await pet_of(owner)
    reminder, occurrence = await remind(owner, milo)
    sam = await sitter(owner, milo)
    (grant_id,) = await names(owner, await grants_path(owner), "id")
    async with db.sessions.begin() as holder:
        await holder.execute(text("SELECT id FROM reminders WHERE id = :id FOR UPDATE"), {"id": reminder})
        acting = asyncio.create_task(sam.request("POST", f"/occurrences/{occurrence}/complete", {}))
        while not await db.reads.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await asyncio.sleep(0.01)
        assert await status(owner, "DELETE", f"{await grants_path(owner)}/{grant_id}") == 204
    assert (await acting).status_code == 404
    assert (await owner.request("GET", f"/occurrences/{occurrence}")).json()["state"] == "scheduled"


async def test_an_answer_is_not_given_again_to_who_may_not_ask_any_more(owner: Person, db: Database) -> None:
    milo = await pet_of(owner)
    _, occurrence = await remind(owner, milo)
    sam = await sitter(owner, milo, actions=("act",))
    path, key = f"/occurrences/{occurrence}/skip", {"Idempotency-Key": "skip-it-once"}
    assert (await sam.request("POST", path, None, key)).status_code == 200
    again = await sam.request("POST", path, None, key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    await ends(db, user_id=sam.user_id)
    assert (await sam.request("POST", path, None, key)).status_code == 404


async def test_another_end_and_other_rights_count_from_the_next_request(owner: Person) -> None:
    milo = await pet_of(owner)
    _, occurrence = await remind(owner, milo)
    sam = await sitter(owner, milo, actions=())
    path = f"{await grants_path(owner)}/{(await names(owner, await grants_path(owner), 'id'))[0]}"
    before = await owner.request("GET", path)
    assert await status(sam, "POST", f"/occurrences/{occurrence}/complete", {}) == 403
    changed = await owner.request("PATCH", path, {"actions": ["act"], "valid_until": ahead(days=9)})
    assert (changed.status_code, changed.json()["actions"]) == (200, ["act"])
    stale = await owner.request("PATCH", path, {"actions": []}, {"If-Match": before.headers["etag"]})
    assert stale.status_code == 412
    assert await status(sam, "POST", f"/occurrences/{occurrence}/complete", {}) == 200


async def test_a_grant_whose_time_is_over_is_no_304(owner: Person, db: Database) -> None:
    await sitter(owner, await pet_of(owner))
    (grant_id,) = await names(owner, await grants_path(owner), "id")
    path = f"{await grants_path(owner)}/{grant_id}"
    before = await owner.request("GET", path)
    known = {"If-None-Match": before.headers["etag"]}
    assert (await owner.request("GET", path, headers=known)).status_code == 304
    await ends(db, grant_id=grant_id)
    after = await owner.request("GET", path, headers=known)
    assert (after.status_code, after.json()["state"]) == (200, "over")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"valid_until": None}, "/valid_until", "missing"),
        ({"valid_until": ahead(days=-1)}, "/valid_until", "span_invalid"),
        ({"valid_from": ahead(days=9)}, "/valid_until", "span_invalid"),
        ({"valid_until": ahead(days=181)}, "/valid_until", "too_long"),
        ({"valid_from": ahead(days=400), "valid_until": ahead(days=401)}, "/valid_from", "too_far"),
        ({"valid_until": "9999-12-31T23:59:59Z"}, "/valid_until", "too_long"),
        ({"email": None}, "/email", "one_of_two"),
        ({"user_id": str(new_id())}, "/email", "one_of_two"),
        ({"label": "Vet"}, "/label", "not_for_this_kind"),
        ({"actions": ["act", "act"]}, "/actions", "named_twice"),
        ({"kind": "vet"}, "/email", "not_for_this_kind"),
        ({"kind": "vet", "email": None}, "/label", "missing"),
        ({"kind": "vet", "email": None, "label": "Vet", "valid_until": ahead(days=91)}, "/valid_until", "too_long"),
    ],
)
async def test_what_is_no_grant_is_refused_by_field(
    owner: Person, fields: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"kind": "sitter", "email": "sam@example.test", "valid_until": ahead(days=1)} | fields
    body = {name: value for name, value in body.items() if value is not None} | {"pet_ids": [await pet_of(owner)]}
    answer = await owner.request("POST", await grants_path(owner), body)
    assert answer.status_code == 422, answer.text
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


async def test_a_pet_of_another_household_cannot_be_shared(api: Api, owner: Person) -> None:
    foreign = await pet_of(await api.person())
    body = {"kind": "vet", "label": "Vet", "pet_ids": [await pet_of(owner), foreign]}
    assert await status(owner, "POST", await grants_path(owner), body) == 404


async def test_only_owners_manage_grants(api: Api, owner: Person) -> None:
    milo = await pet_of(owner)
    grant, _ = await vet_link(owner, milo)
    path = await grants_path(owner)
    calls = (
        ("GET", path, None),
        ("POST", path, {"kind": "vet", "label": "Vet", "pet_ids": [milo]}),
        ("GET", f"{path}/{grant['id']}", None),
        ("PATCH", f"{path}/{grant['id']}", {"valid_until": ahead(days=2)}),
        ("GET", f"{path}/{grant['id']}/accesses", None),
        ("GET", f"{path}/{grant['id']}/qr", None),
        ("DELETE", f"{path}/{grant['id']}", None),
    )
    caretaker, stranger = await member(api, await home_of(owner)), await api.person()
    co_owner = await member(api, await home_of(owner), Role.OWNER)
    for person, expected in ((caretaker, {403}), (stranger, {404}), (co_owner, {200, 201, 204})):
        for method, url, body in calls:
            assert await status(person, method, url, body) in expected, (method, url)
    elsewhere = f"{await grants_path(stranger)}/{grant['id']}"
    assert await status(stranger, "GET", elsewhere) == 404
    assert await status(stranger, "DELETE", elsewhere) == 404
