"""A pet that moves to another household: offered over HTTP, accepted over HTTP, moved by the worker."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.reminder import ReminderActivities
from core.crypto import Subject
from core.settings import Settings
from domain.access import Role
from domain.media.state import AssetState
from domain.reminder import Plan
from models.media import MediaLink
from models.queries import media_work, resealing
from temporal import ids
from temporal.contracts.reminder import DeliverOccurrence, PlanReminder
from temporal.contracts.transfer import MailOffer, MovePet, ReviewTransfer, TransferPlan
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.grants_kit import made
from tests.api.household_kit import Post, home_of, member, pet_of
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_reminders import remind

DUE = datetime.fromisoformat("2036-06-01T06:00+00:00")
ONCE = {"mode": "once", "dtstart_local": "2036-06-01T08:00"}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(first_name="Ada", timezone="Europe/Berlin")


@pytest.fixture
async def taker(api: Api) -> Person:
    return await api.person(first_name="Ben", timezone="Asia/Tokyo")


@pytest.fixture
def post(api: Api) -> Post:
    return Post.of(api)


class Worker:
    """The worker's side of reminders."""

    def __init__(self, api: Api) -> None:
        self.notifier = MemoryNotifier()
        self.activities = ReminderActivities(api.identity.db.sessions, wording(api.identity.cipher), self.notifier)

    async def deliver(self, reminder_id: str, household_id: UUID, now: datetime = DUE) -> Plan:
        """As the workflow of this household asks."""
        return await self.activities.deliver_occurrence(
            DeliverOccurrence(UUID(reminder_id), now, household_id=household_id)
        )


async def offer(owner: Person, pet: dict[str, Any], email: str, status: int = 201) -> dict[str, Any]:
    path = f"/households/{pet['household_id']}/transfers"
    answer = await owner.request("POST", path, {"pet_id": pet["id"], "email": email})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def accept(taker: Person, offered: dict[str, Any], status: int = 200, **where: Any) -> dict[str, Any]:
    answer = await taker.request("POST", f"/transfers/{offered['id']}/accept", where)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def appointment_of(owner: Person, pet: dict[str, Any]) -> dict[str, Any]:
    """A series with an exception, words everywhere."""
    body = {"title": "Vet", "notes": "Card", "location": "Main St", "pet_id": pet["id"]}
    body |= {"starts_at": "2036-06-01T09:00", "rrule": "FREQ=WEEKLY"}
    made = (await owner.request("POST", "/appointments", body)).json()
    path = f"/appointments/{made['id']}/occurrences/2036-06-08T09:00"
    answer = await owner.request("PUT", path, {"title": "Dentist"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def rows(api: Api, query: str, **values: Any) -> Sequence[Any]:
    async with api.identity.db.sessions() as session:
        return (await session.execute(text(query), values)).all()


async def test_with_the_consent_of_both_sides_everything_of_the_pet_moves(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner, weight_kg="4.2", microchip_id="276098102345678", home_tzid="America/Vancouver")
    record = await owner.request("POST", f"/pets/{pet['id']}/records", {"record_type": "visit", "title": "Teeth"})
    reminder = await remind(owner, schedule=ONCE, pet_id=pet["id"], description="With cheese")
    planned = await appointment_of(owner, pet)
    offered = await offer(owner, pet, taker.email)
    (seen,) = (await taker.request("GET", "/transfers")).json()["items"]
    assert (seen["pet_name"], seen["offered_by_name"], seen["state"]) == ("Milo", "Ada", "offered")
    assert (await taker.request("GET", f"/pets/{pet['id']}")).status_code == 404, "nothing moves before it is accepted"
    await accept(taker, offered)
    await post.move(offered)
    things = [f"/pets/{pet['id']}", f"/health-records/records/{record.json()['id']}", f"/reminders/{reminder['id']}"]
    things.append(f"/appointments/{planned['id']}")
    assert [(await owner.request("GET", path)).status_code for path in things] == [404] * 4
    moved, diary, told, vet = [(await taker.request("GET", path)).json() for path in things]
    home = str(await home_of(taker))
    assert {moved["household_id"], diary["household_id"], told["household_id"], vet["household_id"]} == {home}
    assert (moved["name"], moved["weight_kg"], moved["microchip_id"]) == ("Milo", 4.2, "276098102345678")
    assert (diary["title"], told["title"], told["description"]) == ("Teeth", "Tablet", "With cheese")
    assert (vet["title"], vet["overrides"][0]["title"]) == ("Vet", "Dentist")
    assert (vet["starts_at"], vet["tzid"]) == ("2036-06-01T09:00", "America/Vancouver"), "it takes place where it did"
    assert vet["version"] == planned["version"] + 1
    assert told["reminder_date"] == "2036-05-31T23:00:00Z", "on the clock of its new home"
    assert moved["owner_id"] == str(taker.user_id)
    for person, household_id in ((owner, pet["household_id"]), (taker, home)):
        log = (await person.request("GET", f"/households/{household_id}/audit")).json()["items"]
        assert [entry["action"] for entry in log][:2] == ["pet.moved", "pet.transfer_accepted"]


async def tag_of(person: Person, pet: dict[str, Any]) -> tuple[Any, Any, Any]:
    tag = (await person.request("GET", f"/pets/{pet['id']}/tag")).json()
    return tag["shown"], tag["note"], tag["care_note"]


async def test_what_is_known_of_it_is_under_the_new_household_s_key(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner, microchip_id="276098102345679")
    for title in ("One", "Two", "Three", "Four", "Five"):
        await owner.request("POST", f"/pets/{pet['id']}/records", {"record_type": "visit", "title": title})
    made = await remind(
        owner,
        schedule={"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY"},
        pet_id=pet["id"],
        category="medication",
    )
    await appointment_of(owner, pet)
    (pending,) = (await owner.request("GET", f"/reminders/{made['id']}/occurrences")).json()["items"]
    given = await owner.request("POST", f"/occurrences/{pending['id']}/complete", {"override_reason": "Vomited"})
    assert given.status_code == 200, given.text
    path = f"/pets/{pet['id']}"
    words = {"note": "Shy", "care_note": "Insulin twice a day"}
    assert (await owner.request("PUT", f"{path}/tag", words)).status_code == 200
    assert (await owner.request("POST", f"{path}/lost", {"note": "Red collar"})).status_code == 201
    assert (await owner.request("POST", f"{path}/lost/close", {"reason": "found"})).status_code == 200
    await photographed(api, owner, pet)
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    await post.move(offered)
    await post.move(offered)
    ours = f"v1.household:{await home_of(taker)}:"
    async with api.identity.db.sessions() as session:
        for table in resealing.TABLES:
            for column in table.columns:
                query = text(f"SELECT t.{column} FROM {table.name} t WHERE {table.of_pet} AND t.{column} IS NOT NULL")
                sealed = (await session.execute(query, {"pet_id": UUID(pet["id"])})).scalars().all()
                assert all(each.startswith(ours) for each in sealed), table.name
                if table.name != "pet_tags" and column not in {"description_ct", "veterinarian_ct"}:
                    assert sealed, f"{table.name}.{column} was not put to the test"
    assert await tag_of(taker, pet) == ([], None, None), "what the former people chose is not shown"
    chosen = {"shown": ["name"], "note": "Bites", "care_note": "Pills"}
    assert (await taker.request("PUT", f"{path}/tag", chosen)).status_code == 200
    await post.move(offered)
    assert await tag_of(taker, pet) == (["name"], "Bites", "Pills"), "what the new people chose stays"
    explained = (await taker.request("GET", f"/occurrences/{pending['id']}/explain")).json()
    assert explained["doses"][0]["override_reason"] == "Vomited"


async def photographed(api: Api, owner: Person, pet: dict[str, Any]) -> None:
    """A published photo whose date is kept."""
    about = {"filename": "x", "content_type": "image/jpeg", "size": 700, "sha256": "0" * 64, "purpose": "profile_photo"}
    upload = await made(owner, "/media/uploads", about | {"pet_id": pet["id"], "keep_captured_at": True})
    async with api.identity.db.sessions.begin() as session:
        link = await session.get(MediaLink, UUID(upload["media_id"]))
        assert link is not None
        asset = await media_work.lock(session, link.asset_id)
        assert asset is not None
        home = Subject.household(asset.household_id)
        taken = "2024-05-06T07:08:09"
        asset.captured_at_ct = await api.identity.cipher.seal(home, "media_assets.captured_at_ct", asset.id, taken)
        await media_work.settle(session, asset, AssetState.READY)
        await media_work.show(session, asset)


async def test_media_move_with_their_pet_and_are_counted_where_it_lives(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner)
    await photographed(api, owner, pet)
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    for _ in range(2):
        await post.move(offered)
    used = [
        (await person.request("GET", f"/households/{await home_of(person)}/storage")).json()["used"]
        for person in (owner, taker)
    ]
    assert used == [0, 700]
    (photo,) = (await taker.request("GET", f"/pets/{pet['id']}/media")).json()["items"]
    assert (photo["name"], photo["captured_at"]) == ("x", "2024-05-06T07:08:09")
    assert (await owner.request("GET", f"/media/{photo['id']}")).status_code == 404


async def test_what_finders_wrote_does_not_go_along(api: Api, owner: Person, taker: Person, post: Post) -> None:
    pet = await pet_of(owner)
    path, report = f"/pets/{pet['id']}", {"message": "In our shed", "contact": "020 7946 0018"}
    tag = (await owner.request("PUT", f"{path}/tag", {})).json()
    assert (await api.post(f"/p/{tag['code']}/sightings", report)).status_code == 204
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    await post.move(offered)
    (kept,) = (await taker.request("GET", f"{path}/sightings")).json()["items"]
    assert (kept["message"], kept["contact"]) == (None, None)
    told = (await owner.request("GET", "/notifications")).json()["items"]
    assert report["contact"] not in str(told)
    assert (await api.post(f"/p/{tag['code']}/sightings", {"message": "Here again"})).status_code == 204
    await post.move(offered)
    (new, _) = (await taker.request("GET", f"{path}/sightings")).json()["items"]
    assert new["message"] == "Here again", "what is written to the new people stays"


async def test_a_search_ends_with_the_move(api: Api, owner: Person, taker: Person, post: Post) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    assert (await owner.request("POST", f"/pets/{pet['id']}/lost", {})).status_code == 201
    ring = f"SELECT max(seq) AS seq FROM outbox WHERE workflow_id LIKE 'household/{pet['household_id']}/lost/%'"
    (before,) = await rows(api, ring)
    await post.move(offered)
    assert (await taker.request("GET", f"/pets/{pet['id']}")).json()["status"] == "active"
    (after,) = await rows(api, ring)
    assert after.seq > before.seq, "the old household's workflow looks again, and closes"


async def test_every_sealed_column_of_a_pet_is_known_to_move(api: Api) -> None:
    """Prevents a new column that stays under the key of a household that may be erased one day."""
    found = await rows(
        api,
        """SELECT DISTINCT c.table_name, c.column_name FROM information_schema.columns c
             JOIN information_schema.columns p ON p.table_name = c.table_name
            WHERE c.table_schema = 'public' AND c.column_name LIKE '%\\_ct'
              AND p.column_name IN ('pet_id', 'reminder_id', 'occurrence_id', 'case_id', 'appointment_id')
              AND c.table_name NOT SIMILAR TO 'health_records_[p0-9]+'""",
    )
    # Under the keys of persons, and of the household that makes the offer or searched.
    others = {("ics_feeds", "token_ct"), ("deliveries", "params_ct"), ("pet_transfers", "email_ct")}
    others.add(("lost_cases", "note_ct"))
    others |= {("event_links", column) for column in ("agreed_ct", "intent_ct")}
    # What finders wrote was for the people of that time: it is wiped.
    others |= {("sightings", column) for column in ("message_ct", "place_ct", "contact_ct")}
    known = {(table.name, column) for table in resealing.TABLES for column in table.columns}
    # They have no such column: the pet's row itself, and contents, which are led to by their links.
    elsewhere = {("pets", "name_ct"), ("media_assets", "captured_at_ct")}
    assert {(row.table_name, row.column_name) for row in found} - others == known - elsewhere


async def test_what_is_due_is_told_to_the_new_people_once_and_by_one_workflow(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner)
    old, new = UUID(pet["household_id"]), await home_of(taker)
    told = await remind(owner, schedule=ONCE, pet_id=pet["id"], notification_methods=["email"])
    silent = await remind(owner, schedule=ONCE, pet_id=pet["id"], notification_methods=["email"])
    worker = Worker(api)
    await worker.deliver(told["id"], old)
    assert worker.notifier.addresses == [owner.email]
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    await post.move(offered)
    worker = Worker(api)
    for reminder in (told, silent):
        assert (await worker.deliver(reminder["id"], old)) == Plan.over(), "the old workflow has nothing left to do"
        gone = PlanReminder(UUID(reminder["id"]), DUE, old)
        assert (await worker.activities.plan_reminder(gone)) == Plan.over()
        await worker.deliver(reminder["id"], new)
        await worker.deliver(reminder["id"], new)
    assert worker.notifier.addresses == [taker.email, taker.email]
    bells = await rows(
        api,
        "SELECT workflow_id FROM outbox WHERE aggregate = :aggregate ORDER BY seq",
        aggregate=f"reminder/{told['id']}",
    )
    assert [row.workflow_id for row in bells] == [
        ids.reminder(old, UUID(told["id"])),
        ids.reminder(new, UUID(told["id"])),
    ]


async def test_a_notice_that_waited_for_the_morning_is_not_lost_with_the_move(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner)
    quiet = {"windows": [{"start": "00:00", "end": "23:59"}]}
    assert (await owner.request("PUT", "/users/quiet-hours", quiet)).status_code == 200
    reminder = await remind(owner, schedule=ONCE, pet_id=pet["id"], notification_methods=["email"])
    worker = Worker(api)
    await worker.deliver(reminder["id"], UUID(pet["household_id"]))
    assert worker.notifier.addresses == []
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    await post.move(offered)
    await worker.deliver(reminder["id"], await home_of(taker), DUE + timedelta(days=1))
    assert worker.notifier.addresses == [taker.email]


async def test_moving_twice_at_once_and_again_changes_nothing_more(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner)
    await remind(owner, schedule=ONCE, pet_id=pet["id"])
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    await owner.request("POST", f"/pets/{pet['id']}/records", {"record_type": "visit", "title": "Teeth"})
    request = MovePet(UUID(offered["id"]))
    await asyncio.gather(*(post.transfers.move_pet(request) for _ in range(5)))
    await post.move(offered)
    before = (await taker.request("GET", f"/pets/{pet['id']}")).json()
    written = "SELECT CAST(xmin AS text) AS xmin FROM health_records WHERE pet_id = :id"
    (record,) = await rows(api, written, id=UUID(pet["id"]))
    await post.move(offered)
    assert (await taker.request("GET", f"/pets/{pet['id']}")).json() == before
    assert await rows(api, written, id=UUID(pet["id"])) == [record], "what has moved is not written again"
    log = (await taker.request("GET", f"/households/{before['household_id']}/audit")).json()["items"]
    assert [entry["action"] for entry in log].count("pet.moved") == 1


async def test_a_pet_that_was_given_on_is_not_fetched_back(api: Api, owner: Person, taker: Person, post: Post) -> None:
    pet, third = await pet_of(owner), await api.person()
    first = await offer(owner, pet, taker.email)
    await accept(taker, first)
    await post.move(first)
    moved = (await taker.request("GET", f"/pets/{pet['id']}")).json()
    second = await offer(taker, moved, third.email)
    await accept(third, second)
    await post.move(second)
    await post.move(first)
    assert (await third.request("GET", f"/pets/{pet['id']}")).status_code == 200
    (sealed,) = await rows(api, "SELECT name_ct FROM pets WHERE id = :id", id=UUID(pet["id"]))
    assert sealed.name_ct.startswith(f"v1.household:{await home_of(third)}:")


async def moved(post: Post, offered: dict[str, Any]) -> None:
    """The move, among many who want the same row. One that waited for too long is made later, as Temporal has it."""
    with suppress(DBAPIError):
        await post.transfers.move_pet(MovePet(UUID(offered["id"])))


async def test_what_is_written_at_the_moment_of_the_move_belongs_to_one_side(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    """Requests under way during the switch: each is refused, or what it wrote has moved along."""
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    await accept(taker, offered)
    body = {"title": "Tablet", "schedule": ONCE, "pet_id": pet["id"]}
    visit = {"record_type": "visit", "title": "Teeth"}
    answers = await asyncio.gather(
        *(owner.request("POST", "/reminders", body) for _ in range(10)),
        *(owner.request("POST", f"/pets/{pet['id']}/records", visit) for _ in range(10)),
        moved(post, offered),
        *(owner.request("PATCH", f"/pets/{pet['id']}", {"weight_kg": n + 1}) for n in range(10)),
    )
    assert {each.status_code for each in answers if each is not None} <= {200, 201, 404}
    await post.move(offered)
    homes = await rows(
        api,
        """SELECT DISTINCT household_id FROM (
             SELECT household_id FROM reminders WHERE pet_id = :id UNION ALL
             SELECT household_id FROM health_records WHERE pet_id = :id UNION ALL
             SELECT household_id FROM pets WHERE id = :id) everything""",
        id=UUID(pet["id"]),
    )
    assert [row.household_id for row in homes] == [await home_of(taker)]
    assert (await owner.request("GET", "/reminders")).json()["items"] == []


async def test_only_the_address_it_was_offered_to_may_answer(api: Api, owner: Person, taker: Person) -> None:
    pet, eve = await pet_of(owner), await api.person()
    offered = await offer(owner, pet, taker.email.upper())
    await accept(eve, offered, 404)
    assert (await eve.request("POST", f"/transfers/{offered['id']}/decline")).status_code == 404
    assert (await eve.request("GET", "/transfers")).json()["items"] == []
    await accept(owner, offered, 404)


async def test_it_goes_to_a_household_that_the_taker_owns_and_to_no_other(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    friends = await home_of(await api.person())
    await accept(taker, offered, 404, household_id=str(friends))
    async with api.identity.db.sessions.begin() as session:
        join = (
            "INSERT INTO memberships (id, household_id, user_id, role) VALUES (gen_random_uuid(), :h, :u, 'caretaker')"
        )
        await session.execute(text(join), {"h": friends, "u": taker.user_id})
    assert (await accept(taker, offered, 403, household_id=str(friends)))["code"] == "not_permitted"
    second = (await taker.request("POST", "/households", {"name": "Stable"})).json()
    assert (await accept(taker, offered, household_id=second["id"]))["to_household_id"] == second["id"]


async def test_an_offer_is_declined_taken_back_or_runs_out_and_the_pet_stays(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner)
    declined = await offer(owner, pet, taker.email)
    assert (await offer(owner, pet, taker.email, 409))["code"] == "already_offered"
    assert (await taker.request("POST", f"/transfers/{declined['id']}/decline")).status_code == 204
    cancelled = await offer(owner, pet, taker.email)
    path = f"/households/{pet['household_id']}/transfers/{cancelled['id']}"
    assert [(await owner.request("DELETE", path)).status_code for _ in range(2)] == [204, 204]
    assert (await accept(taker, cancelled, 409))["code"] == "transfer_closed"
    expired = await offer(owner, pet, taker.email)
    late = ReviewTransfer(UUID(expired["id"]), datetime.now(UTC) + timedelta(days=14, minutes=1))
    assert await post.transfers.review_transfer(late) == TransferPlan()
    await accept(taker, expired, 409)
    states = [each["state"] for each in (await owner.request("GET", path.rpartition("/")[0])).json()["items"]]
    assert states == ["expired", "cancelled", "declined"]
    await post.move(expired)
    assert (await owner.request("GET", f"/pets/{pet['id']}")).status_code == 200


async def test_it_ends_by_the_query_before_its_workflow_notices(api: Api, owner: Person, taker: Person) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    async with api.identity.db.sessions.begin() as session:
        back = text("UPDATE pet_transfers SET expires_at = clock_timestamp() - interval '1 second' WHERE id = :id")
        await session.execute(back, {"id": UUID(offered["id"])})
    await accept(taker, offered, 409)
    assert (await taker.request("GET", "/transfers")).json()["items"] == []
    await offer(owner, pet, taker.email)


async def test_one_of_many_answers_at_once_counts(api: Api, owner: Person, taker: Person) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    cancel = f"/households/{pet['household_id']}/transfers/{offered['id']}"
    answers = await asyncio.gather(
        *(taker.request("POST", f"/transfers/{offered['id']}/accept") for _ in range(10)),
        *(taker.request("POST", f"/transfers/{offered['id']}/decline") for _ in range(10)),
        *(owner.request("DELETE", cancel) for _ in range(10)),
    )
    codes = [answer.status_code for answer in answers]
    (row,) = await rows(api, "SELECT state FROM pet_transfers WHERE id = :id", id=UUID(offered["id"]))
    assert {200: "accepted", 204: "declined" if 204 in codes[10:20] else "cancelled"}[
        next(code for code in codes if code != 409)
    ] == row.state
    assert codes[:20].count(200) + codes[10:20].count(204) <= 1


async def test_whoever_is_no_owner_any_more_gives_nothing_away(api: Api, owner: Person, taker: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    partner = await member(api, home, Role.OWNER)
    offered = await offer(partner, pet, taker.email)
    lowered = await owner.request("PATCH", f"/households/{home}/members/{partner.user_id}", {"role": "caretaker"})
    assert lowered.status_code == 204
    await accept(taker, offered, 409)


async def test_only_a_pet_that_lives_here_can_be_offered(api: Api, owner: Person, taker: Person) -> None:
    theirs = await pet_of(taker)
    mine = await home_of(owner)
    await offer(owner, theirs | {"household_id": mine}, "x@example.test", 404)
    pet = await pet_of(owner)
    async with api.identity.db.sessions.begin() as session:
        await session.execute(text("UPDATE pets SET status = 'lost' WHERE id = :id"), {"id": UUID(pet["id"])})
    assert (await offer(owner, pet, taker.email, 409))["code"] == "pet_not_transferable"


async def known_names(person: Person, path: str) -> list[tuple[str | None, str | None]]:
    listed = (await person.request("GET", path)).json()["items"]
    return [(item["pet_name"], item["species"]) for item in listed]


async def test_the_old_household_does_not_read_what_the_pet_is_called_today(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    pet = await pet_of(owner, species="cat")
    given = f"/households/{pet['household_id']}/transfers"
    offered = await offer(owner, pet, taker.email)
    assert await known_names(owner, given) == await known_names(taker, "/transfers") == [("Milo", "cat")]
    await accept(taker, offered)
    await post.move(offered)
    renamed = await taker.request("PUT", f"/pets/{pet['id']}", {"name": "Momo", "species": "dog"})
    assert renamed.status_code == 200
    assert await known_names(owner, given) == [(None, None)]
    assert await known_names(taker, "/transfers") == [("Momo", "dog")]
    back = await offer(taker, renamed.json(), owner.email)
    await accept(owner, back)
    await post.move(back)
    assert await known_names(owner, given) == [("Momo", "dog")]
    assert await known_names(taker, "/transfers") == [(None, None)]


async def test_a_pet_that_was_lost_meanwhile_is_not_taken(api: Api, owner: Person, taker: Person, post: Post) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    assert (await owner.request("POST", f"/pets/{pet['id']}/lost", {})).status_code == 201
    assert (await accept(taker, offered, 409))["code"] == "pet_not_transferable"
    await post.move(offered)
    assert (await owner.request("GET", f"/pets/{pet['id']}")).json()["status"] == "lost"
    assert (await owner.request("POST", f"/pets/{pet['id']}/lost/close", {"reason": "found"})).status_code == 200
    await accept(taker, offered)


@pytest.mark.parametrize("accepted", [True, False])
async def test_what_was_offered_of_a_pet_that_is_removed_is_taken_back(
    api: Api, owner: Person, taker: Person, post: Post, accepted: bool
) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, taker.email)
    if accepted:
        await accept(taker, offered)
    bell = "SELECT max(seq) AS seq FROM outbox WHERE aggregate = :aggregate"
    (before,) = await rows(api, bell, aggregate=f"transfer/{offered['id']}")
    assert (await owner.request("DELETE", f"/pets/{pet['id']}")).status_code == 204
    assert (await taker.request("GET", "/transfers")).json()["items"] == []
    assert (await accept(taker, offered, 409))["code"] == "transfer_closed"
    (after,) = await rows(api, bell, aggregate=f"transfer/{offered['id']}")
    assert after.seq > before.seq, "its workflow ends"
    now = ReviewTransfer(UUID(offered["id"]), datetime.now(UTC))
    assert await post.transfers.review_transfer(now) == TransferPlan()


async def test_of_taking_and_removing_a_pet_at_once_one_happens(
    api: Api, owner: Person, taker: Person, post: Post
) -> None:
    for _ in range(5):
        pet = await pet_of(owner)
        offered = await offer(owner, pet, taker.email)
        answers = await asyncio.gather(
            taker.request("POST", f"/transfers/{offered['id']}/accept"),
            owner.request("DELETE", f"/pets/{pet['id']}"),
        )
        assert {answer.status_code for answer in answers} <= {200, 204, 409}
        await post.transfers.move_pet(MovePet(UUID(offered["id"])))
        (row,) = await rows(api, "SELECT state FROM pet_transfers WHERE id = :id", id=UUID(offered["id"]))
        assert row.state == "cancelled"


async def test_the_recipient_is_told_by_mail_once(api: Api, owner: Person, post: Post) -> None:
    pet = await pet_of(owner)
    offered = await offer(owner, pet, "somebody.new@example.test")
    request = MailOffer(UUID(offered["id"]))
    assert (await post.transfers.review_transfer(ReviewTransfer(request.transfer_id, datetime.now(UTC)))).mail
    await post.transfers.mail_offer(request)
    await post.transfers.mail_offer(request)
    (mail,) = post.mailbox.sent.values()
    assert (mail.to, mail.subject) == ("somebody.new@example.test", "Ada wants to hand Milo over to you")
    assert len(post.mailbox.calls) == 1
    (seen,) = (await owner.request("GET", f"/households/{pet['household_id']}/transfers")).json()["items"]
    assert (seen["mailed"], seen["mail_problem"]) == (True, None)
