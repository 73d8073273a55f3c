"""Appointments over HTTP, on real Postgres: one by one, series with exceptions, and who may do what with them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from api.schemas.appointments import AppointmentOut, AppointmentPage
from api.schemas.calendar import CalendarOut
from core.db import Database
from core.settings import Settings
from tests.api.household_kit import home_of, member, pet_of
from tests.api.signing_in import OPEN, Api, Person, version_in
from tests.api.test_reminders import codes, remind

NINE = "2036-06-03T09:00"
"""A Tuesday."""
SPAN = "from=2036-06-01T00:00:00Z&to=2036-07-01T00:00:00Z"


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def person(api: Api) -> Person:
    """Somebody in Berlin."""
    return await api.person(timezone="Europe/Berlin", first_name="Anna")


async def plan(person: Person, answered: int = 201, **fields: Any) -> dict[str, Any]:
    body = {"title": "Vet", "starts_at": NINE} | fields
    answer = await person.request("POST", "/appointments", body)
    assert answer.status_code == answered, answer.text
    return dict(answer.json())


async def weekly(person: Person, **fields: Any) -> dict[str, Any]:
    return await plan(person, rrule="FREQ=WEEKLY;COUNT=4", **fields)


async def send(person: Person, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer = await person.request(method, path, body)
    assert answer.status_code == status, answer.text
    return dict(answer.json()) if answer.content else {}


def path_of(made: dict[str, Any], original: str | None = None) -> str:
    return f"/appointments/{made['id']}" + (f"/occurrences/{original}" if original else "")


async def shown(person: Person, span: str = SPAN) -> list[dict[str, Any]]:
    answer = await send(person, "GET", f"/integrations/calendar/events?{span}")
    CalendarOut.model_validate(answer)
    return list(answer["items"])


async def starts(person: Person) -> list[str]:
    return [item["starts_at"] for item in await shown(person)]


class TestOne:
    async def test_it_is_answered_whole_on_the_clock_of_the_home(self, person: Person) -> None:
        made = await plan(person, notes="Bring the card", location="Main St 1", alarms=[60, 1440, 60])
        AppointmentOut.model_validate(made)
        assert (made["starts_at"], made["ends_at"], made["tzid"]) == (NINE, "2036-06-03T10:00", "Europe/Berlin")
        assert (made["user_id"], made["household_id"]) == (str(person.user_id), str(await home_of(person)))
        assert (made["alarms"], made["status"], made["all_day"], made["version"]) == ([60, 1440], "planned", False, 1)
        read = await person.request("GET", path_of(made))
        assert (read.json(), version_in(read)) == (made, "v1")

    async def test_a_pet_that_lives_elsewhere_has_its_own_clock(self, person: Person) -> None:
        pet = await pet_of(person, home_tzid="America/New_York")
        assert (await plan(person, pet_id=pet["id"]))["tzid"] == "America/New_York"
        assert (await plan(person, pet_id=pet["id"], tzid="Asia/Tokyo"))["tzid"] == "Asia/Tokyo"

    async def test_whole_days_end_on_the_day_after_the_last(self, person: Person) -> None:
        one = await plan(person, starts_at="2036-06-03")
        assert (one["ends_at"], one["tzid"], one["all_day"]) == ("2036-06-04", None, True)
        week = await plan(person, starts_at="2036-06-09", ends_at="2036-06-16")
        assert [(item["start"], item["end"]) for item in await shown(person)] == [
            ("2036-06-02T22:00:00Z", "2036-06-03T22:00:00Z"),
            ("2036-06-08T22:00:00Z", "2036-06-15T22:00:00Z"),
        ], "on the clock of whoever reads"
        assert week["ends_at"] == "2036-06-16"

    async def test_words_are_sealed(self, person: Person, db: Database) -> None:
        made = await weekly(person, title="Canary-title", notes="Canary-notes", location="Canary-place")
        await send(person, "PUT", path_of(made, "2036-06-10T09:00"), {"title": "Canary-other"})
        async with db.sessions() as session:
            for table in ("appointments", "appointment_overrides"):
                assert "anary" not in str((await session.execute(text(f"SELECT * FROM {table}"))).all())

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"starts_at": "2036-06-03T09:00Z"}, "/starts_at"),
            ({"starts_at": "2036-02-30T09:00"}, "/starts_at"),
            ({"starts_at": "9999-12-31"}, "/starts_at"),
            ({"ends_at": "2036-06-03T08:59"}, "/ends_at"),
            ({"ends_at": "2036-06-04"}, "/ends_at"),
            ({"ends_at": "2199-06-03T09:00"}, "/ends_at"),
            ({"tzid": "europe/berlin"}, "/tzid"),
            ({"starts_at": "2036-06-03", "tzid": "Europe/Berlin"}, "/tzid"),
            ({"rrule": "FREQ=HOURLY"}, "/rrule"),
            ({"rrule": ""}, "/rrule"),
            ({"alarms": [-1]}, "/alarms"),
            ({"alarms": [10**12]}, "/alarms"),
            ({"title": " "}, "/title"),
            ({"status": "maybe"}, "/status"),
            ({"exdates": [NINE]}, "/exdates"),
            ({"household_id": "00000000-0000-0000-0000-000000000000"}, "/household_id"),
        ],
    )
    async def test_what_cannot_be_is_refused_by_name(
        self, person: Person, fields: dict[str, Any], pointer: str
    ) -> None:
        refused = await plan(person, 422, **fields)
        assert [error["pointer"] for error in refused["errors"]] == [pointer]

    async def test_a_key_makes_one(self, person: Person) -> None:
        body = {"title": "Vet", "starts_at": NINE}
        answers = [
            await person.request("POST", "/appointments", body, headers={"Idempotency-Key": '"one"'}) for _ in "ab"
        ]
        assert answers[0].json()["id"] == answers[1].json()["id"]
        assert answers[0].headers["location"] == f"/api/v1{path_of(answers[0].json())}"
        assert len(await shown(person)) == 1

    async def test_an_answer_sent_back_changes_nothing(self, person: Person) -> None:
        made = await weekly(person, notes="Card")
        await send(person, "PUT", path_of(made, "2036-06-10T09:00"), {"title": "Other"})
        await send(person, "DELETE", path_of(made, "2036-06-17T09:00"), status=204)
        read = await send(person, "GET", path_of(made))
        assert await send(person, "PUT", path_of(made), read) == read
        refused = await person.request("PATCH", path_of(made), {"exdates": []})
        assert (refused.status_code, codes(refused)) == (422, ["read_only"])

    async def test_absent_fields_keep_their_value_and_another_start_keeps_the_length(self, person: Person) -> None:
        made = await plan(person, ends_at="2036-06-03T11:30", notes="Card", alarms=[5])
        changed = await send(person, "PUT", path_of(made), {"starts_at": "2036-06-04T10:00", "location": "Here"})
        assert (changed["starts_at"], changed["ends_at"]) == ("2036-06-04T10:00", "2036-06-04T12:30")
        assert (changed["notes"], changed["location"], changed["alarms"]) == ("Card", "Here", [5])
        cleared = await send(person, "PATCH", path_of(made), {"notes": None, "alarms": []})
        assert (cleared["notes"], cleared["alarms"], cleared["version"]) == (None, [], 3)
        whole = await send(person, "PATCH", path_of(made), {"starts_at": "2036-06-04"})
        assert (whole["ends_at"], whole["tzid"]) == ("2036-06-05", None)
        again = await send(person, "PATCH", path_of(made), {"starts_at": NINE})
        assert (again["ends_at"], again["tzid"]) == ("2036-06-03T10:00", "Europe/Berlin")
        for field in ("title", "starts_at", "alarms", "status"):
            refused = await person.request("PATCH", path_of(made), {field: None})
            assert (refused.status_code, codes(refused)) == (422, ["missing"])

    async def test_a_stale_version_is_refused_by_every_write(self, person: Person) -> None:
        made = await weekly(person)
        await send(person, "PATCH", path_of(made), {"title": "Dentist"})
        writes = [
            ("PATCH", path_of(made), {"title": "X"}),
            ("DELETE", path_of(made), None),
            ("PUT", path_of(made, NINE), {"title": "X"}),
            ("DELETE", path_of(made, NINE), None),
        ]
        for method, path, body in writes:
            answer = await person.request(method, path, body, headers={"If-Match": '"v1"'})
            assert answer.status_code == 412, (method, path)

    async def test_deleting_can_be_taken_back_for_thirty_days(self, person: Person, db: Database) -> None:
        made = await weekly(person)
        await send(person, "PUT", path_of(made, "2036-06-10T09:00"), {"title": "Other"})
        before = await send(person, "GET", path_of(made))
        await send(person, "DELETE", path_of(made), status=204)
        for method, path in (("GET", path_of(made)), ("DELETE", path_of(made)), ("DELETE", path_of(made, NINE))):
            await send(person, method, path, status=404)
        assert await shown(person) == []
        restored = await send(person, "POST", f"{path_of(made)}/restore")
        changing = ("version", "updated_at")
        assert {**restored, **{name: before[name] for name in changing}} == before
        assert restored["version"] == before["version"] + 2
        assert await send(person, "POST", f"{path_of(made)}/restore") == restored
        await send(person, "DELETE", path_of(made), status=204)
        async with db.sessions.begin() as session:
            long_ago = {"id": made["id"], "at": datetime.now(UTC) - timedelta(days=31)}
            await session.execute(text("UPDATE appointments SET deleted_at = :at WHERE id = :id"), long_ago)
        await send(person, "POST", f"{path_of(made)}/restore", status=404)


class TestSeries:
    async def test_one_occurrence_is_moved_and_worded_otherwise(self, person: Person) -> None:
        made = await weekly(person)
        body = {"starts_at": "2036-06-11T15:00", "title": "Dentist", "location": "Elsewhere"}
        changed = await send(person, "PUT", path_of(made, "2036-06-10T09:00"), body)
        (one,) = changed["overrides"]
        assert one == {
            "original": "2036-06-10T09:00",
            "starts_at": "2036-06-11T15:00",
            "ends_at": "2036-06-11T16:00",
            "title": "Dentist",
            "notes": None,
            "location": "Elsewhere",
        }
        assert [(item["starts_at"], item["original"], item["title"]) for item in await shown(person)] == [
            (NINE, NINE, "Vet"),
            ("2036-06-11T15:00", "2036-06-10T09:00", "Dentist"),
            ("2036-06-17T09:00", "2036-06-17T09:00", "Vet"),
            ("2036-06-24T09:00", "2036-06-24T09:00", "Vet"),
        ]
        plain = await send(person, "PUT", path_of(made, "2036-06-10T09:00"), {})
        assert (plain["overrides"], plain["version"]) == ([], 3)

    async def test_one_occurrence_is_left_out_and_comes_back(self, person: Person) -> None:
        made = await weekly(person)
        for _ in "ab":
            await send(person, "DELETE", path_of(made, "2036-06-10T09:00"), status=204)
        left = await send(person, "GET", path_of(made))
        assert (left["exdates"], left["version"]) == (["2036-06-10T09:00"], 2)
        assert await starts(person) == [NINE, "2036-06-17T09:00", "2036-06-24T09:00"]
        await send(person, "PUT", path_of(made, "2036-06-10T09:00"), {})
        assert len(await starts(person)) == 4

    @pytest.mark.parametrize(
        "original",
        [
            "2036-06-04T09:00",
            "2036-07-01T09:00",
            "2036-06-03",
            "yesterday",
            "2036-06-10T09:00+02:00",
            "2036-06-10T09:00Z",
            "20360610T0900",
            "0001-01-01T00:00",
            "9999-12-31T23:59",
            "9999-12-31",
        ],
    )
    async def test_what_the_series_does_not_have_is_404(self, person: Person, original: str) -> None:
        made = await weekly(person)
        for method in ("PUT", "DELETE"):
            answer = await person.request(method, path_of(made, original), {} if method == "PUT" else None)
            assert (answer.status_code, answer.json()["code"]) == (404, "no_such_occurrence")

    @pytest.mark.parametrize("fields", [{"starts_at": "2036-06-10"}, {"ends_at": "2036-06-01T09:00"}])
    async def test_an_occurrence_that_cannot_be_is_refused(self, person: Person, fields: dict[str, Any]) -> None:
        made = await weekly(person)
        assert (await person.request("PUT", path_of(made, "2036-06-10T09:00"), fields)).status_code == 422

    async def test_moving_the_series_moves_its_exceptions_as_one_change(self, person: Person) -> None:
        made = await weekly(person)
        await send(person, "DELETE", path_of(made, "2036-06-10T09:00"), status=204)
        await send(person, "PUT", path_of(made, "2036-06-17T09:00"), {"title": "Dentist"})
        moved = await send(person, "PATCH", path_of(made), {"starts_at": "2036-06-03T11:00", "title": "Doctor"})
        assert (moved["exdates"], moved["version"]) == (["2036-06-10T11:00"], 4)
        assert [(one["original"], one["starts_at"], one["title"]) for one in moved["overrides"]] == [
            ("2036-06-17T11:00", "2036-06-17T11:00", "Dentist")
        ]
        assert await starts(person) == ["2036-06-03T11:00", "2036-06-17T11:00", "2036-06-24T11:00"]
        dropped = await send(person, "PATCH", path_of(made), {"rrule": "FREQ=WEEKLY;INTERVAL=3"})
        assert (dropped["exdates"], dropped["overrides"]) == ([], [])


class TestLists:
    async def test_by_their_first_start_page_by_page(self, person: Person) -> None:
        for day in (5, 3, 9, 3, 7):
            await plan(person, starts_at=f"2036-06-{day:02}T09:00")
        found: list[str] = []
        path: str | None = "/appointments?limit=2"
        while path:
            page = await send(person, "GET", path)
            AppointmentPage.model_validate(page)
            found += [item["starts_at"][8:10] for item in page["items"]]
            path = page["next_cursor"] and f"/appointments?limit=2&cursor={page['next_cursor']}"
        assert found == ["03", "03", "05", "07", "09"]

    async def test_a_span_a_pet_and_a_state_choose(self, person: Person) -> None:
        pet = (await pet_of(person))["id"]
        await plan(person, title="Endless", starts_at="2030-01-01T09:00", rrule="FREQ=DAILY")
        await plan(person, title="Over", starts_at="2030-01-01T09:00", rrule="FREQ=DAILY;COUNT=9")
        await plan(person, title="Done", status="done", pet_id=pet)
        await plan(person, title="Later", starts_at="2036-07-01T09:00", pet_id=pet)

        async def titles(query: str) -> list[str]:
            return [item["title"] for item in (await send(person, "GET", f"/appointments?{query}"))["items"]]

        assert await titles(SPAN) == ["Endless", "Done"]
        assert await titles(f"pet_id={pet}") == ["Done", "Later"]
        assert await titles(f"{SPAN}&status=planned") == ["Endless"]
        assert await titles("to=2031-01-01T00:00:00Z") == ["Endless", "Over"]

    async def test_the_merged_calendar_has_reminders_and_appointments_in_one_order(self, person: Person) -> None:
        await remind(person, title="Tablet", schedule={"mode": "once", "dtstart_local": "2036-06-10T08:30"})
        await weekly(person)
        await plan(person, title="Called off", status="cancelled")
        assert [(item["source"], item["title"], item["start"][5:16]) for item in await shown(person)] == [
            ("appointment", "Vet", "06-03T07:00"),
            ("reminder", "Tablet", "06-10T06:30"),
            ("appointment", "Vet", "06-10T07:00"),
            ("appointment", "Vet", "06-17T07:00"),
            ("appointment", "Vet", "06-24T07:00"),
        ]

    async def test_an_endless_series_of_rules_that_never_come_true_is_no_work(self, person: Person) -> None:
        for rule in ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=9999"):
            await plan(person, starts_at="1970-01-01T09:00", rrule=rule)
        assert await shown(person) == []


class TestAccess:
    async def test_caretakers_make_their_own_and_read_all(self, api: Api, person: Person) -> None:
        home = await home_of(person)
        helper, pet = await member(api, home), (await pet_of(person))["id"]
        theirs, ours = await plan(helper, pet_id=pet), await plan(person, pet_id=pet)
        assert {item["appointment_id"] for item in await shown(helper)} == {theirs["id"], ours["id"]}
        await send(helper, "PATCH", path_of(theirs), {"title": "Groomer"})
        await send(helper, "PATCH", path_of(ours), {"title": "Groomer"}, status=403)
        await send(person, "PATCH", path_of(theirs), {"title": "Barber"})
        await send(person, "DELETE", f"/households/{home}/members/{helper.user_id}", status=204)
        await send(helper, "GET", path_of(theirs), status=404)
        await send(helper, "PATCH", path_of(theirs), {"title": "X"}, status=404)

    async def test_it_stays_in_its_household(self, api: Api, person: Person) -> None:
        made = await plan(person)
        other = await api.person()
        foreign = (await pet_of(other))["id"]
        await send(person, "PATCH", path_of(made), {"pet_id": foreign}, status=404)
        second = await send(person, "POST", "/households", {"name": "Farm", "home_tzid": "Europe/Paris"}, status=201)
        cow = (await pet_of(person, household_id=second["id"]))["id"]
        refused = await person.request("PATCH", path_of(made), {"pet_id": cow})
        assert (refused.status_code, codes(refused)) == (422, ["other_household"])
        own = (await pet_of(person))["id"]
        assert (await send(person, "PATCH", path_of(made), {"pet_id": own}))["pet_id"] == own

    async def test_what_was_planned_for_a_pet_that_is_gone_is_called_off(self, person: Person) -> None:
        pet = (await pet_of(person))["id"]
        coming = await plan(person, pet_id=pet)
        over = await plan(person, pet_id=pet, starts_at="2020-01-01T09:00")
        await send(person, "DELETE", f"/pets/{pet}", status=204)
        states = [(await send(person, "GET", path_of(each)))["status"] for each in (coming, over)]
        assert states == ["cancelled", "planned"]
        await plan(person, 404, pet_id=pet)

    async def test_a_household_that_ends_takes_its_appointments_along(self, person: Person, db: Database) -> None:
        made = await plan(person)
        await send(person, "DELETE", f"/households/{await home_of(person)}", status=204)
        await send(person, "GET", path_of(made), status=404)
        gone = await db.reads.fetchval("SELECT deleted_at FROM appointments WHERE id = $1", UUID(made["id"]))
        assert gone is not None
