"""Absences over HTTP: who declares and ends one, what is none, and what people see of what it keeps quiet."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.schemas.absences import AbsenceOut, AbsencePage
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from domain.access import Role
from tests.api.grants_kit import ahead, made, pet_of, remind, sitter
from tests.api.household_kit import Post, home_of, member
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_reminders import DUE, bells, deliver, heard

__all__ = ["deliver"]

FROM, UNTIL = "2036-06-01T06:00:00Z", "2036-06-04T05:00:00Z"
"""From the moment at which the daily reminders of these tests first ring, until an hour before the fourth time."""
WEEK = "from=2036-06-01T00:00:00Z&to=2036-06-08T00:00:00Z"
A_DAY = timedelta(days=1)
ONCE = {"mode": "once", "dtstart_local": "2036-06-01T08:00"}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network."""
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(timezone="Europe/Berlin", first_name="Ada")


async def path_of(owner: Person) -> str:
    return f"/households/{await home_of(owner)}/absences"


async def away(owner: Person, **fields: Any) -> dict[str, Any]:
    """A declared absence."""
    return await made(owner, await path_of(owner), {"starts_at": FROM, "ends_at": UNTIL} | fields)


async def explained(person: Person, occurrence: str) -> dict[str, Any]:
    return dict((await person.request("GET", f"/occurrences/{occurrence}/explain")).json())


async def told(person: Person) -> list[str]:
    return [line["step"] for line in (await person.request("GET", "/notifications")).json()["items"]]


async def newest(person: Person, reminder: str, state: str) -> dict[str, Any]:
    diary = (await person.request("GET", f"/reminders/{reminder}/occurrences")).json()["items"]
    return dict(next(item for item in diary if item["state"] == state))


async def logged(owner: Person) -> list[str]:
    entries = (await owner.request("GET", f"/households/{await home_of(owner)}/audit")).json()["items"]
    return [entry["action"] for entry in entries if entry["object"].startswith("absence:")]


async def test_it_is_answered_whole_listed_changed_and_ended(owner: Person) -> None:
    milo, path = await pet_of(owner), await path_of(owner)
    answer = await owner.request("POST", path, {"starts_at": FROM, "ends_at": UNTIL, "pet_ids": [milo]})
    absence = AbsenceOut.model_validate(answer.json())
    assert answer.headers["location"] == f"/api/v1{path}/{absence.id}"
    assert (absence.state, absence.categories) == ("coming", ["feeding", "grooming", "other"])
    second = await away(owner, categories=["medication"])
    page = AbsencePage.model_validate((await owner.request("GET", path)).json())
    assert [str(item.id) for item in page.items] == [second["id"], str(absence.id)]
    one = f"{path}/{absence.id}"
    changed = await owner.request("PATCH", one, {"ends_at": "2036-06-09T00:00:00Z"})
    assert (changed.status_code, changed.json()["ends_at"], changed.json()["version"]) == (
        200,
        "2036-06-09T00:00:00Z",
        2,
    )
    assert changed.json() == (await owner.request("GET", one)).json()
    assert [(await owner.request("DELETE", one)).status_code for _ in range(2)] == [204, 204]
    ended = (await owner.request("GET", one)).json()
    assert (ended["state"], ended["version"]) == ("over", 3)
    assert ended["ended_at"] < FROM
    refused = await owner.request("PATCH", one, {"ends_at": UNTIL})
    assert (refused.status_code, refused.json()["code"]) == (409, "absence_over")
    assert await logged(owner) == ["absence.ended", "absence.changed", "absence.declared", "absence.declared"]


async def test_one_that_names_no_beginning_or_a_past_one_begins_now(owner: Person) -> None:
    for fields in ({}, {"starts_at": ahead(days=-3)}):
        absence = await made(owner, await path_of(owner), {"ends_at": ahead(days=1)} | fields)
        assert absence["state"] == "active"
        assert absence["starts_at"] == absence["created_at"] or absence["starts_at"] > ahead(minutes=-1)


async def test_pages_of_one_are_the_whole_list(owner: Person) -> None:
    ids, path, cursor = [(await away(owner))["id"] for _ in range(3)], f"{await path_of(owner)}?limit=1", ""
    for expected in reversed(ids):
        page = (await owner.request("GET", f"{path}{cursor}")).json()
        assert [item["id"] for item in page["items"]] == [expected]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"ends_at": None}, "/ends_at", "missing"),
        ({"ends_at": FROM}, "/ends_at", "span_invalid"),
        ({"starts_at": None, "ends_at": ahead(days=-1)}, "/ends_at", "span_invalid"),
        ({"ends_at": "2037-06-03T00:00:00Z"}, "/ends_at", "too_long"),
        ({"ends_at": "9999-12-31T23:59:59-12:00"}, "/ends_at", "too_far"),
        ({"starts_at": "9999-12-31T23:00:00-12:00", "ends_at": "9999-12-31T23:59:59-12:00"}, "/starts_at", "too_far"),
        ({"pet_ids": []}, "/pet_ids", "too_short"),
        ({"categories": []}, "/categories", "too_short"),
        ({"categories": ["feeding", "feeding"]}, "/categories", "named_twice"),
        ({"reason": "Rome"}, "/reason", "extra_forbidden"),
    ],
)
async def test_what_is_no_absence_is_refused_by_field(
    owner: Person, fields: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"starts_at": FROM, "ends_at": UNTIL} | fields
    body = {name: value for name, value in body.items() if value is not None}
    answer = await owner.request("POST", await path_of(owner), body)
    assert answer.status_code == 422, answer.text
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


async def test_it_is_about_one_s_own_pets(api: Api, owner: Person) -> None:
    foreign = await pet_of(await api.person())
    body = {"ends_at": ahead(days=1), "pet_ids": [await pet_of(owner), foreign]}
    assert (await owner.request("POST", await path_of(owner), body)).status_code == 404


async def test_owners_declare_caretakers_look_and_sitters_and_strangers_do_neither(api: Api, owner: Person) -> None:
    path = await path_of(owner)
    absence = await away(owner)
    calls = (
        ("GET", path, None),
        ("GET", f"{path}/{absence['id']}", None),
        ("POST", path, {"ends_at": ahead(days=1)}),
        ("PATCH", f"{path}/{absence['id']}", {"ends_at": "2036-06-05T00:00:00Z"}),
        ("DELETE", f"{path}/{absence['id']}", None),
    )
    home = await home_of(owner)
    co_owner, caretaker = await member(api, home, Role.OWNER), await member(api, home)
    sam, stranger = await sitter(owner, await pet_of(owner)), await api.person()
    for person, statuses in (
        (stranger, [404] * 5),
        (sam, [403] * 5),
        (caretaker, [200, 200, 403, 403, 403]),
        (co_owner, [200, 200, 201, 200, 204]),
    ):
        assert [(await person.request(*call)).status_code for call in calls] == statuses
    elsewhere = f"{await path_of(stranger)}/{absence['id']}"
    assert (await stranger.request("GET", elsewhere)).status_code == 404


async def test_the_same_key_declares_once_and_a_stale_version_changes_nothing(owner: Person) -> None:
    body, key = {"starts_at": FROM, "ends_at": UNTIL}, {"Idempotency-Key": uuid4().hex}
    path = await path_of(owner)
    first, again = [await owner.request("POST", path, body, key) for _ in range(2)]
    assert first.json() == again.json()
    one = f"{path}/{first.json()['id']}"
    stale = {"If-Match": first.headers["etag"]}
    assert (await owner.request("PATCH", one, {"ends_at": "2036-06-05T00:00:00Z"}, stale)).status_code == 200
    for method, sent in (("PATCH", {"ends_at": UNTIL}), ("DELETE", None)):
        assert (await owner.request(method, one, sent, stale)).status_code == 412


async def test_there_are_fifty_at_most_and_what_is_over_does_not_count(owner: Person, db: Database) -> None:
    absence = await away(owner)
    await db.reads.execute(
        "INSERT INTO absences SELECT (jsonb_populate_record(x, jsonb_build_object('id', gen_random_uuid()))).*"
        " FROM absences x, generate_series(1, 49) WHERE x.id = $1",
        UUID(absence["id"]),
    )
    body = {"starts_at": FROM, "ends_at": UNTIL}
    answer = await owner.request("POST", await path_of(owner), body)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_absences")
    assert (await owner.request("DELETE", f"{await path_of(owner)}/{absence['id']}")).status_code == 204
    assert (await owner.request("POST", await path_of(owner), body)).status_code == 201


async def test_the_agenda_marks_what_nobody_will_be_asked_for(owner: Person) -> None:
    milo = await pet_of(owner)
    await remind(owner, milo, category="feeding", title="Feed")
    await remind(owner, milo, category="medication", title="Dose")
    await away(owner)
    items = (await owner.request("GET", f"/agenda?{WEEK}")).json()["items"]
    assert [item["quiet"] for item in items if item["title"] == "Feed"] == ["away"] * 3 + [None] * 4
    assert {item["quiet"] for item in items if item["title"] == "Dose"} == {None}


async def test_the_agenda_marks_nothing_for_which_a_sitter_will_be_there(owner: Person) -> None:
    milo = await pet_of(owner)
    await remind(owner, milo, category="feeding")
    tomorrow = datetime.fromisoformat(ahead(days=1))
    await made(owner, await path_of(owner), {"ends_at": ahead(days=3)})
    schedule = {"mode": "fixed", "dtstart_local": f"{tomorrow:%Y-%m-%dT%H:%M}", "freq": "DAILY"}
    await remind(owner, milo, category="feeding", schedule=schedule)
    query = f"/agenda?from={ahead()}&to={ahead(days=4)}".replace("+", "%2B")
    before = {item["quiet"] for item in (await owner.request("GET", query)).json()["items"]}
    await sitter(owner, milo, valid_from=ahead(minutes=1), valid_until=ahead(days=5))
    after = {item["quiet"] for item in (await owner.request("GET", query)).json()["items"]}
    assert ("away" in before, after) == (True, {None})


async def test_explain_says_until_when_they_were_away(owner: Person, deliver: Any) -> None:
    milo = await pet_of(owner)
    reminder, occurrence = await remind(owner, milo, category="feeding", notification_methods=["email"])
    await away(owner)
    before = await explained(owner, occurrence)
    until = "2036-06-04 07:00 (Europe/Berlin)"
    assert before["sentence"] == f"The household is away until {until}; nothing is sent before."
    assert before["planned"] == []
    await deliver(reminder, DUE)
    skipped = await newest(owner, reminder, "skipped")
    assert (skipped["id"], skipped["reason"], skipped["closed_by"]) == (occurrence, "away", None)
    shown = await explained(owner, occurrence)
    assert shown["sentence"] == f"Nothing was sent to you: the household was away until {until}."


async def test_explain_says_when_what_waits_will_ask(owner: Person, deliver: Any) -> None:
    steps = [{"after_minutes": 30, "channels": ["in_app"]}]
    fields = {"schedule": ONCE, "category": "grooming", "notification_methods": ["in_app"], "steps": steps}
    reminder, occurrence = await remind(owner, await pet_of(owner), **fields)
    await away(owner)
    await deliver(reminder, DUE)
    shown = await explained(owner, occurrence)
    assert (shown["state"], shown["sentence"][:27]) == ("due", "The household is away until")
    planned = [(step["step"], step["at"]) for step in shown["planned"] if not step["step"].startswith("lead")]
    assert planned == [("due", UNTIL), ("due+30", "2036-06-04T05:30:00Z")]
    await deliver(reminder, datetime.fromisoformat(UNTIL))
    shown = await explained(owner, occurrence)
    assert shown["sentence"].startswith("It reached you by a line in the app")
    assert [(shift["kind"], shift["at"]) for shift in shown["shifts"]] == [("away", UNTIL)]


async def test_explain_says_when_a_step_that_is_held_back_will_come(owner: Person, deliver: Any) -> None:
    steps = [{"after_minutes": 30, "channels": ["in_app"]}]
    fields = {"schedule": ONCE, "notification_methods": ["in_app"], "steps": steps}
    reminder, occurrence = await remind(owner, await pet_of(owner), **fields)
    await deliver(reminder, DUE)
    await away(owner, starts_at="2036-06-01T06:10:00Z")
    planned = (await explained(owner, occurrence))["planned"]
    assert [(step["step"], step["at"]) for step in planned] == [("due+30", UNTIL)]


@pytest.mark.parametrize("how", ["ended", "shortened"])
async def test_whoever_is_back_early_is_asked_then(owner: Person, db: Database, deliver: Any, how: str) -> None:
    """What has waited looks for the end anew; what the absence is not about is not rung."""
    milo, now = await pet_of(owner), datetime.now(UTC).replace(microsecond=0)
    absence = await made(owner, await path_of(owner), {"ends_at": ahead(days=3)})
    await db.reads.execute("UPDATE absences SET starts_at = $2 WHERE id = $1", UUID(absence["id"]), now - A_DAY)
    once = {"mode": "once", "dtstart_local": now.replace(tzinfo=None).isoformat(), "tzid": "UTC"}
    fish, _ = await remind(owner, milo, schedule=once, category="feeding", notification_methods=["in_app"])
    dose, _ = await remind(owner, milo, category="medication")
    await deliver(fish, now)
    assert await told(owner) == []
    for each in (fish, dose):
        await heard(db, each)
    one, back = f"{await path_of(owner)}/{absence['id']}", ahead(minutes=50)
    if how == "ended":
        assert (await owner.request("DELETE", one)).status_code == 204
        back = ahead()
    else:
        assert (await owner.request("PATCH", one, {"ends_at": back})).status_code == 200
    assert (await bells(db, fish), await bells(db, dose)) == (1, 0)
    await deliver(fish, datetime.fromisoformat(back))
    assert await told(owner) == ["due"]


async def test_a_message_that_waits_for_the_return_leaves_when_they_are_back_early(
    owner: Person, db: Database, deliver: Any
) -> None:
    fish, _ = await remind(owner, await pet_of(owner), schedule=ONCE, notification_methods=["email"])
    await deliver(fish, DUE)
    absence = await away(owner)
    await db.reads.execute(
        "UPDATE deliveries SET state = 'deferred', reason = 'away', not_before = $2 WHERE reminder_id = $1",
        UUID(fish),
        datetime.fromisoformat(UNTIL),
    )
    assert (await owner.request("DELETE", f"{await path_of(owner)}/{absence['id']}")).status_code == 204
    assert await db.reads.fetchval(
        "SELECT not_before <= now() FROM deliveries WHERE reminder_id = $1 AND channel = 'email'", UUID(fish)
    )


async def test_a_pet_that_has_moved_is_not_covered_by_its_former_household(
    api: Api, owner: Person, db: Database, deliver: Any
) -> None:
    milo, ben = await pet_of(owner), await api.person(timezone="Europe/Berlin")
    reminder, _ = await remind(owner, milo, schedule=ONCE, category="feeding", notification_methods=["in_app"])
    await away(owner, pet_ids=[milo])
    await deliver(reminder, DUE)
    home, post = await home_of(owner), Post.of(api)
    transfer = await made(owner, f"/households/{home}/transfers", {"pet_id": milo, "email": ben.email})
    assert (await ben.request("POST", f"/transfers/{transfer['id']}/accept", {})).status_code == 200
    await post.move(transfer)
    await deliver(reminder, DUE + timedelta(minutes=1))
    assert await told(ben) == ["due"]


async def test_ending_it_while_a_delivery_decides_loses_no_question(owner: Person, db: Database, deliver: Any) -> None:
    """The bell waits for the reminder's lock, so that it is heard after what was decided under it."""
    fish, _ = await remind(owner, await pet_of(owner), schedule=ONCE, category="feeding")
    absence = await away(owner)
    await heard(db, fish)
    async with db.sessions.begin() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(f"SELECT id FROM reminders WHERE id = '{fish}' FOR UPDATE")
        ending = asyncio.create_task(owner.request("DELETE", f"{await path_of(owner)}/{absence['id']}"))
        while not await db.reads.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await asyncio.sleep(0.01)
        assert await bells(db, fish) == 0
    assert (await ending).status_code == 204
    assert await bells(db, fish) == 1


async def test_an_unknown_one_is_not_found(owner: Person) -> None:
    one = f"{await path_of(owner)}/{new_id()}"
    for method, body in (("GET", None), ("PATCH", {"ends_at": UNTIL}), ("DELETE", None)):
        assert (await owner.request(method, one, body)).status_code == 404
