"""Households over HTTP: what they are, who belongs to them, and what becomes of what somebody leaves behind."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from activities.reminder import ReminderActivities
from core import live
from core.ids import new_id
from core.settings import Settings
from domain.access import Role
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.grants_kit import ahead, sitter
from tests.api.household_kit import home_of, member, pet_of
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_reminders import diary, remind

DUE = datetime.fromisoformat("2036-06-01T06:00+00:00")
DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY"}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(first_name="Ada", timezone="Europe/Berlin")


async def actions_in(owner: Person, household_id: UUID) -> list[str]:
    """What the household's log says, the oldest first."""
    answer = await owner.request("GET", f"/households/{household_id}/audit")
    assert answer.status_code == 200, answer.text
    return [entry["action"] for entry in reversed(answer.json()["items"])]


async def deliver(api: Api, reminder_id: str, now: datetime) -> MemoryNotifier:
    """The worker's side of one notice; answers who was told."""
    notifier = MemoryNotifier()
    activities = ReminderActivities(api.identity.db.sessions, wording(api.identity.cipher), notifier)
    await activities.deliver_occurrence(DeliverOccurrence(UUID(reminder_id), now))
    return notifier


async def test_a_second_household_has_its_own_name_zone_and_pets(owner: Person) -> None:
    answer = await owner.request(
        "POST", "/households", {"name": "Grandma's", "home_tzid": "Asia/Tokyo", "country": "JP", "currency": "JPY"}
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["home_tzid"], made["role"], made["version"]) == ("Grandma's", "Asia/Tokyo", "owner", 1)
    there = await owner.request("GET", answer.headers["Location"].removeprefix("/api/v1"))
    assert there.json() == made
    pet = await pet_of(owner, household_id=made["id"])
    assert pet["household_id"] == made["id"]
    listed = (await owner.request("GET", "/households")).json()["items"]
    assert [each["id"] for each in listed] == [str(await home_of(owner)), made["id"]]


async def test_a_household_that_moves_takes_its_reminders_along(owner: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    made = await remind(owner, schedule=DAILY, pet_id=pet["id"])
    assert made["reminder_date"] == "2036-06-01T06:00:00Z"
    moved = await owner.request("PATCH", f"/households/{home}", {"home_tzid": "America/Vancouver"})
    assert moved.status_code == 200, moved.text
    again = (await owner.request("GET", f"/reminders/{made['id']}")).json()
    assert again["reminder_date"] == "2036-06-01T15:00:00Z"


async def test_two_who_rename_it_at_once_do_not_overwrite_each_other(owner: Person) -> None:
    path = f"/households/{await home_of(owner)}"
    tag = (await owner.request("GET", path)).headers["ETag"]
    first = await owner.request("PATCH", path, {"name": "Lovelace"}, {"If-Match": tag})
    second = await owner.request("PATCH", path, {"name": "Byron"}, {"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)
    same = await owner.request("PUT", path, first.json())
    assert (same.status_code, same.json()["version"]) == (200, first.json()["version"])


async def test_what_was_made_in_a_household_is_not_told_again_to_who_has_left_it(api: Api, owner: Person) -> None:
    household = await home_of(owner)
    partner, pet = await member(api, household, Role.OWNER), await pet_of(owner)
    reminder = {"title": "Tablet", "pet_id": pet["id"], "reminder_date": "2036-06-01T08:00"}
    made = await partner.request("POST", "/reminders", reminder, {"Idempotency-Key": "a-tablet"})
    asked: list[tuple[str, dict[str, object] | None, str]] = [
        ("/pets", {"name": "Milo", "household_id": str(household)}, "another-pet"),
        ("/reminders", reminder, "a-tablet"),
        (f"/reminders/{made.json()['id']}/pause", None, "a-pause"),
        (f"/reminders/{made.json()['id']}/resume", None, "a-resume"),
    ]

    async def repeated() -> list[int]:
        return [
            (await partner.request("POST", path, body, {"Idempotency-Key": key})).status_code
            for path, body, key in asked
        ]

    assert await repeated() == await repeated() == [201, 201, 200, 200]
    assert (await partner.request("POST", f"/households/{household}/leave")).status_code == 204
    assert await repeated() == [404] * 4


async def test_another_role_is_no_304(api: Api, owner: Person) -> None:
    path = f"/households/{await home_of(owner)}"
    partner = await member(api, await home_of(owner), Role.CARETAKER)
    known = {"If-None-Match": (await partner.request("GET", path)).headers["ETag"]}
    assert (await partner.request("GET", path, headers=known)).status_code == 304
    changed = await owner.request("PATCH", f"{path}/members/{partner.user_id}", {"role": "owner"})
    assert changed.status_code == 204, changed.text
    after = await partner.request("GET", path, headers=known)
    assert (after.status_code, after.json()["role"]) == (200, "owner")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"home_tzid": "Mars/Olympus"}, "unknown_timezone"),
        ({"home_tzid": None}, "missing"),
        ({"currency": "XXX"}, "unknown_currency"),
        ({"country": "Germany"}, "string_pattern_mismatch"),
        ({"name": ""}, "string_too_short"),
        ({"owner_id": "me"}, "extra_forbidden"),
        ({"subscription_tier": "family"}, "extra_forbidden"),
        ({"role": "admin"}, "read_only"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(owner: Person, body: dict[str, Any], code: str) -> None:
    answer = await owner.request("PATCH", f"/households/{await home_of(owner)}", body)
    assert answer.status_code == 422
    assert [problem["code"] for problem in answer.json()["errors"]] == [code]


@pytest.mark.parametrize("field", ["owner_id", "household_id", "role", "subscription_tier"])
async def test_a_field_that_is_not_the_caller_s_to_set_changes_nothing(owner: Person, api: Api, field: str) -> None:
    """Mass assignment (OWASP API3): a body names an owner, a household, a role, a plan."""
    stranger = await api.person()
    theirs = await home_of(stranger)
    value = str(theirs) if field == "household_id" else str(stranger.user_id)
    refused = [
        await owner.request("POST", "/pets", {"name": "Milo", field: value}),
        await owner.request("PATCH", "/users/profile", {field: value}),
        await owner.request("POST", "/households", {"name": "Home", field: value}),
    ]
    assert [answer.status_code for answer in refused[1:]] == [422, 422]
    assert refused[0].status_code == (404 if field == "household_id" else 422)
    assert (await stranger.request("GET", "/pets")).json()["items"] == []
    assert len((await owner.request("GET", "/households")).json()["items"]) == 1


async def test_everybody_sees_who_belongs_and_as_what(api: Api, owner: Person) -> None:
    home = await home_of(owner)
    helper = await member(api, home)
    seen = (await helper.request("GET", f"/households/{home}/members")).json()["items"]
    assert [(each["user_id"], each["first_name"], each["role"], each["is_me"]) for each in seen] == [
        (str(owner.user_id), "Ada", "owner", False),
        (str(helper.user_id), None, "caretaker", True),
    ]


async def test_the_last_owner_stays_until_somebody_else_owns_it(api: Api, owner: Person) -> None:
    home = await home_of(owner)
    helper = await member(api, home)
    refused = [
        await owner.request("POST", f"/households/{home}/leave"),
        await owner.request("DELETE", f"/households/{home}/members/{owner.user_id}"),
        await owner.request("PATCH", f"/households/{home}/members/{owner.user_id}", {"role": "caretaker"}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "last_owner")] * 3
    made = await owner.request("PATCH", f"/households/{home}/members/{helper.user_id}", {"role": "owner"})
    assert made.status_code == 204
    assert (await owner.request("POST", f"/households/{home}/leave")).status_code == 204
    assert (await owner.request("GET", f"/households/{home}")).status_code == 404
    assert (await helper.request("GET", f"/households/{home}")).json()["role"] == "owner"
    assert await actions_in(helper, home) == ["household.role_changed", "household.member_left"]


@pytest.mark.parametrize("state", ["blocked", "erasing", "erased"])
async def test_an_owner_whose_account_is_closed_is_nobody_to_leave_it_to(api: Api, owner: Person, state: str) -> None:
    home = await home_of(owner)
    gone = await member(api, home, Role.OWNER)
    await api.identity.db.reads.execute("UPDATE users SET state = $2 WHERE id = $1", gone.user_id, state)
    refused = await owner.request("POST", f"/households/{home}/leave")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")
    assert (await owner.request("DELETE", f"/households/{home}/members/{gone.user_id}")).status_code == 204


async def test_of_two_owners_who_leave_at_once_one_stays(api: Api) -> None:
    for _ in range(5):
        one = await api.person()
        home = await home_of(one)
        other = await member(api, home, Role.OWNER)
        answers = await asyncio.gather(*(each.request("POST", f"/households/{home}/leave") for each in (one, other)))
        assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_a_removed_member_reaches_nothing_from_the_next_request_on(api: Api, owner: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    helper = await member(api, home)
    made = await remind(owner, schedule=DAILY, pet_id=pet["id"])
    paths = [f"/pets/{pet['id']}", f"/reminders/{made['id']}", f"/households/{home}", f"/households/{home}/members"]
    assert [(await helper.request("GET", path)).status_code for path in paths] == [200] * 4
    gone = await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    assert gone.status_code == 204
    assert [(await helper.request("GET", path)).status_code for path in paths] == [404] * 4
    again = await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    assert again.status_code == 404
    assert await actions_in(owner, home) == ["household.member_removed"]


async def test_reminders_of_a_removed_member_go_on_to_the_owners(api: Api, owner: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    helper = await member(api, home)
    made = await remind(helper, schedule=DAILY, pet_id=pet["id"], notification_methods=["email"])
    await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    assert (await deliver(api, made["id"], DUE)).addresses == [owner.email]


async def test_screens_hear_of_a_reminder_as_long_as_they_may_see_it(
    api: Api, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it heard of it for ever, and nobody else did."""
    home, pet = await home_of(owner), await pet_of(owner)
    helper, sam = await member(api, home), await sitter(owner, pet["id"])
    heard: set[UUID] = set()

    def say(_: object, people: Iterable[UUID], name: live.Name, **data: object) -> None:
        if name is live.Name.WORKFLOW_UPDATED:
            heard.update(people)

    monkeypatch.setattr("core.live.say", say)
    made = await remind(helper, schedule=DAILY, pet_id=pet["id"])
    assert heard == {owner.user_id, helper.user_id, sam.user_id}
    await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    heard.clear()
    assert (await owner.request("POST", f"/reminders/{made['id']}/pause")).status_code == 200
    assert heard == {owner.user_id, sam.user_id}
    heard.clear()
    await remind(owner, schedule=DAILY)
    assert heard == {owner.user_id}, "what belongs to no pet is no sitter's"


async def test_what_was_due_when_its_maker_was_removed_is_told_to_the_owners_and_to_nobody_twice(
    api: Api, owner: Person
) -> None:
    """A dose was announced to somebody who lost access a minute later: it must not be nobody's."""
    home, pet = await home_of(owner), await pet_of(owner)
    helper = await member(api, home)
    steps = [{"after_minutes": 10, "channels": ["push"], "who": "others"}]
    once = {"mode": "once", "dtstart_local": "2036-06-01T08:00"}
    made = await remind(helper, schedule=once, pet_id=pet["id"], notification_methods=["email"], steps=steps)
    assert (await deliver(api, made["id"], DUE)).addresses == [helper.email]
    await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    assert (await deliver(api, made["id"], DUE)).addresses == [owner.email]
    assert (await deliver(api, made["id"], DUE)).addresses == []


async def test_a_former_member_who_travels_moves_no_reminder_of_the_household(api: Api, owner: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    helper = await member(api, home)
    follows = {**DAILY, "tz_mode": "follow_user"}
    await helper.request("PATCH", "/users/profile", {"timezone": "Asia/Tokyo"})
    made = await remind(helper, schedule=follows, pet_id=pet["id"])
    assert made["reminder_date"] == "2036-05-31T23:00:00Z"
    await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    at_home = (await owner.request("GET", f"/reminders/{made['id']}")).json()
    assert at_home["reminder_date"] == "2036-06-01T06:00:00Z"
    await helper.request("PATCH", "/users/profile", {"timezone": "America/Vancouver"})
    assert (await owner.request("GET", f"/reminders/{made['id']}")).json() == at_home


async def test_steps_may_name_roles_and_members_of_the_household_only(api: Api, owner: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    helper = await member(api, home)
    steps: list[dict[str, Any]] = [
        {"after_minutes": 10, "channels": ["email"], "who": "caretakers"},
        {"after_minutes": 20, "channels": ["email"], "who": "owners"},
        {"after_minutes": 30, "channels": ["push"], "who": str(helper.user_id)},
    ]
    made = await remind(owner, schedule=DAILY, pet_id=pet["id"], steps=steps)
    assert made["steps"] == steps
    stranger = {"after_minutes": 40, "channels": ["email"], "who": str((await api.person()).user_id)}
    refused = await owner.request("PATCH", f"/reminders/{made['id']}", {"steps": [*steps, stranger]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0] == {
        "pointer": "/steps/3/who",
        "code": "not_a_member",
        "detail": "nobody of this household",
    }


async def test_a_step_for_somebody_who_left_is_skipped_and_the_explanation_says_so(api: Api, owner: Person) -> None:
    home, pet = await home_of(owner), await pet_of(owner)
    helper = await member(api, home)
    steps = [
        {"after_minutes": 10, "channels": ["email"], "who": str(helper.user_id)},
        {"after_minutes": 20, "channels": ["email"], "who": "owners"},
    ]
    made = await remind(
        owner, schedule=DAILY, pet_id=pet["id"], steps=steps, notification_methods=["email"], category="feeding"
    )
    await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    renamed = await owner.request("PATCH", f"/reminders/{made['id']}", {"title": "Dinner", "steps": steps})
    assert renamed.status_code == 200, "what stood there may stay"
    (pending,) = await diary(owner, made["id"])
    before = (await owner.request("GET", f"/occurrences/{pending['id']}/explain")).json()["planned"]
    assert [(each["step"], each["skipped"]) for each in before] == [
        ("due", None),
        ("due+10", "not_a_member"),
        ("due+20", None),
    ]
    told = [(await deliver(api, made["id"], DUE.replace(minute=minute))).addresses for minute in (0, 10, 20)]
    assert told == [[owner.email], [], [owner.email]]
    after = (await owner.request("GET", f"/occurrences/{pending['id']}/explain")).json()["deliveries"]
    assert [(each["step"], each["state"], each["reason"]) for each in after] == [
        ("due", "sent", None),
        ("due+10", "withdrawn", "not_a_member"),
        ("due+20", "sent", None),
    ]


async def test_the_log_is_the_owners_and_comes_in_pages(api: Api, owner: Person) -> None:
    home = await home_of(owner)
    for name in ("One", "Two", "Three"):
        await owner.request("PATCH", f"/households/{home}", {"name": name})
    first = (await owner.request("GET", f"/households/{home}/audit?limit=2")).json()
    rest = (await owner.request("GET", f"/households/{home}/audit?limit=2&cursor={first['next_cursor']}")).json()
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [2, 1, None]
    assert {entry["actor"] for entry in first["items"] + rest["items"]} == {f"user:{owner.user_id}"}
    assert "Three" not in str(first)
    helper = await member(api, home)
    assert (await helper.request("GET", f"/households/{home}/audit")).status_code == 403


async def test_nobody_collects_households_without_end(api: Api) -> None:
    collector = await api.person()
    answers = [await collector.request("POST", "/households", {"name": f"Home {n}"}) for n in range(20)]
    assert [answer.status_code for answer in answers] == [201] * 19 + [409]
    assert answers[-1].json()["code"] == "too_many_households"
    assert (await collector.request("DELETE", f"/households/{answers[0].json()['id']}")).status_code == 204
    assert (await collector.request("POST", "/households", {"name": "Home"})).status_code == 201


async def test_a_household_without_pets_and_others_is_deleted_with_what_is_open_of_it(api: Api, owner: Person) -> None:
    made = (await owner.request("POST", "/households", {"name": "Stable"})).json()
    path, db = f"/households/{made['id']}", api.identity.db
    pet, helper = await pet_of(owner, household_id=made["id"]), await member(api, UUID(made["id"]))
    sam = await api.person()
    asked = {"kind": "sitter", "email": sam.email, "pet_ids": [pet["id"]], "valid_until": ahead(days=9)}
    grant = (await owner.request("POST", f"{path}/grants", asked)).json()
    assert (await sam.request("POST", f"/grants/{grant['id']}/accept")).status_code == 204
    guest = {"email": "guest@example.test", "role": "caretaker"}
    assert (await owner.request("POST", f"{path}/invitations", guest)).status_code == 201
    assert (await owner.request("DELETE", path)).json()["code"] == "household_not_empty"
    assert (await owner.request("DELETE", f"{path}/members/{helper.user_id}")).status_code == 204
    assert (await owner.request("DELETE", path)).json()["code"] == "household_not_empty"
    assert (await owner.request("DELETE", f"/pets/{pet['id']}")).status_code == 204
    reminder = (await remind(owner, schedule=DAILY))["id"]
    await db.reads.execute("UPDATE reminders SET household_id = $1 WHERE id = $2", UUID(made["id"]), UUID(reminder))
    assert (await owner.request("DELETE", path, headers={"If-Match": '"99"'})).status_code == 412
    assert (await owner.request("DELETE", path)).status_code == 204
    for person in (owner, sam):
        assert (await person.request("GET", path)).status_code == 404
    assert (await owner.request("GET", f"/reminders/{reminder}")).status_code == 404
    ended = await db.reads.fetchrow("SELECT state, deleted_at FROM reminders WHERE id = $1", UUID(reminder))
    assert ended is not None
    assert (ended["state"], ended["deleted_at"] is None) == ("ended", False)
    open_ones = """SELECT (SELECT count(*) FROM grants WHERE household_id = $1 AND revoked_at IS NULL)
                        + (SELECT count(*) FROM invitations WHERE household_id = $1 AND state = 'open')"""
    assert await db.reads.fetchval(open_ones, UUID(made["id"])) == 0
    said = "SELECT array_agg(object) FROM audit_log WHERE action = 'household.deleted' AND object = $1"
    assert await db.reads.fetchval(said, f"household:{made['id']}") == [f"household:{made['id']}"]


async def test_a_pet_that_is_added_while_its_household_is_deleted_is_lost_to_nobody(api: Api) -> None:
    for _ in range(5):
        person = await api.person()
        home = await home_of(person)
        deleted, *added = await asyncio.gather(
            person.request("DELETE", f"/households/{home}"),
            *(person.request("POST", "/pets", {"name": "Milo", "household_id": str(home)}) for _ in range(3)),
        )
        codes = {answer.status_code for answer in added}
        assert codes == {404} if deleted.status_code == 204 else 201 in codes
        shown = len((await person.request("GET", "/pets")).json()["items"])
        assert shown == [answer.status_code for answer in added].count(201)


async def test_a_household_that_a_pet_is_on_its_way_to_is_not_deleted(api: Api, owner: Person) -> None:
    taker, pet = await api.person(), await pet_of(owner)
    offer = {"pet_id": pet["id"], "email": taker.email}
    offered = (await owner.request("POST", f"/households/{pet['household_id']}/transfers", offer)).json()
    assert (await taker.request("POST", f"/transfers/{offered['id']}/accept", {})).status_code == 200
    answer = await taker.request("DELETE", f"/households/{await home_of(taker)}")
    assert (answer.status_code, answer.json()["code"]) == (409, "household_not_empty")


async def test_a_household_that_is_not_there_is_the_same_as_one_of_others(api: Api, owner: Person) -> None:
    stranger = await api.person()
    for household_id in (await home_of(owner), new_id()):
        answer = await stranger.request("GET", f"/households/{household_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
