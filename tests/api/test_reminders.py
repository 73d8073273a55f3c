"""Reminders and occurrences over HTTP, on real Postgres; Temporal is not asked by any of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from activities.reminder import ReminderActivities
from api.schemas.occurrences import OccurrenceOut
from api.schemas.reminders import ReminderOut
from core.crypto import FieldCipher
from core.db import Database
from core.settings import RateLimit, RateLimits, Settings
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.signing_in import Api, Person

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY"}
DUE = datetime(2036, 6, 1, 6, tzinfo=UTC)
"""08:00 in Berlin in summer, ten years ahead of the database's clock."""


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network."""
    plenty = RateLimit(quota=100_000, window=1, burst=100_000)
    return settings.model_copy(update={"rate_limits": RateLimits(**dict.fromkeys(RateLimits.model_fields, plenty))})


@pytest.fixture
async def person(api: Api) -> Person:
    """Somebody in Berlin."""
    return await api.person(timezone="Europe/Berlin", first_name="Anna")


async def remind(person: Person, status: int = 201, **fields: Any) -> dict[str, Any]:
    body = {"title": "Tablet", "schedule": DAILY} | fields
    answer = await person.request("POST", "/reminders", {name: v for name, v in body.items() if v is not ...})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def put(person: Person, reminder_id: str, status: int = 200, **fields: Any) -> dict[str, Any]:
    answer = await person.request("PUT", f"/reminders/{reminder_id}", fields)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def diary(person: Person, reminder_id: str) -> list[dict[str, Any]]:
    answer = await person.request("GET", f"/reminders/{reminder_id}/occurrences")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def bells(db: Database, reminder_id: str) -> int:
    """Unsent bells of a reminder."""
    async with db.sessions() as session:
        found = await session.execute(
            text("SELECT count(*) FROM outbox WHERE aggregate = :a AND done_at IS NULL"),
            {"a": f"reminder/{reminder_id}"},
        )
        return int(found.scalar_one())


async def heard(db: Database, reminder_id: str) -> None:
    """The relay has been there."""
    async with db.sessions.begin() as session:
        await session.execute(
            text("UPDATE outbox SET done_at = now() WHERE aggregate = :a"), {"a": f"reminder/{reminder_id}"}
        )


@pytest.fixture
def deliver(db: Database, cipher: FieldCipher) -> Any:
    """Deliver what is due by then, as the worker does."""
    activities = ReminderActivities(db.sessions, wording(cipher), MemoryNotifier())

    async def run(reminder_id: str, now: datetime) -> None:
        await activities.deliver_occurrence(DeliverOccurrence(UUID(reminder_id), now))

    return run


def codes(answer: Any) -> list[str]:
    return [error["code"] for error in answer.json()["errors"]]


async def test_a_new_reminder_is_answered_whole_with_its_first_occurrence_and_a_bell(
    person: Person, db: Database
) -> None:
    made = await remind(person, description="with food", category="medication")
    ReminderOut.model_validate(made)
    assert made["reminder_date"] == "2036-06-01T06:00:00Z"
    assert made["repeat_interval"] == "daily"
    assert (made["user_id"], made["is_completed"], made["state"]) == (str(person.user_id), False, "active")
    assert made["schedule"]["tzid"] == "Europe/Berlin"
    assert made["notification_methods"] == ["push", "in_app"]
    (first,) = await diary(person, made["id"])
    OccurrenceOut.model_validate(first)
    assert (first["state"], first["key"]) == ("scheduled", "f:1:2036-06-01T08:00")
    assert await bells(db, made["id"]) == 1


async def test_title_and_description_are_sealed(person: Person, db: Database) -> None:
    made = await remind(person, title="Canary-title", description="Canary-words")
    async with db.sessions() as session:
        row = (await session.execute(text("SELECT * FROM reminders WHERE id = :id"), {"id": made["id"]})).one()
    assert "anary" not in str(row)


@pytest.mark.parametrize(
    ("given", "word", "instant"),
    [
        ({"reminder_date": "2036-06-01T08:00", "repeat_interval": "monthly"}, "monthly", "2036-06-01T06:00:00Z"),
        ({"reminder_date": "2036-06-01T08:00:00.999Z"}, None, "2036-06-01T08:00:00Z"),
        ({"reminder_date": "2036-06-01T08:00:00+09:00", "repeat_interval": "weekly"}, "weekly", "2036-05-31T23:00:00Z"),
    ],
)
async def test_a_client_that_knows_only_the_base_schema_sets_a_date_and_an_interval(
    person: Person, given: dict[str, Any], word: str | None, instant: str
) -> None:
    made = await remind(person, schedule=..., **given)
    assert (made["reminder_date"], made["repeat_interval"]) == (instant, word)
    assert made["schedule"]["mode"] == ("fixed" if word else "once")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"title": "x"}, "missing_field"),
        ({"title": "x", "schedule": DAILY, "reminder_date": "2036-06-01T08:00"}, "schedule_and_shorthand"),
        ({"title": "x", "schedule": DAILY | {"rrule": "FREQ=DAILY;BYSETPOS=1", "freq": None}}, "unsupported_part"),
        ({"title": "x", "schedule": DAILY | {"tzid": "Mars/Olympus"}}, "unknown_zone"),
        ({"title": "x", "reminder_date": "soon"}, "date_invalid"),
        ({"title": "x", "reminder_date": "2036-06-01T08:00", "repeat_interval": "hourly"}, "repeat_interval_invalid"),
        ({"title": "x", "schedule": DAILY, "is_completed": True}, "read_only"),
        ({"title": "x", "schedule": DAILY, "state": "paused"}, "read_only"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_its_field_and_saves_nothing(
    person: Person, body: dict[str, Any], code: str
) -> None:
    answer = await person.request("POST", "/reminders", body)
    assert answer.status_code == 422, answer.text
    assert code in codes(answer)
    assert (await person.request("GET", "/reminders")).json()["items"] == []


@pytest.mark.parametrize("methods", [[], ["email", "email"], ["pigeon"]])
async def test_impossible_channels_are_refused(person: Person, methods: list[str]) -> None:
    await remind(person, status=422, notification_methods=methods)


async def test_a_repeated_post_with_the_same_key_makes_one_reminder(person: Person) -> None:
    body, key = {"title": "Tablet", "schedule": DAILY}, {"Idempotency-Key": "once"}
    answers = [await person.request("POST", "/reminders", body, key) for _ in range(3)]
    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    assert len((await person.request("GET", "/reminders")).json()["items"]) == 1


async def test_others_reminders_do_not_exist(api: Api, person: Person) -> None:
    made = await remind(person)
    (occurrence,) = await diary(person, made["id"])
    stranger = await api.person()
    for method, path, body in [
        ("GET", f"/reminders/{made['id']}", None),
        ("PUT", f"/reminders/{made['id']}", {"title": "mine"}),
        ("DELETE", f"/reminders/{made['id']}", None),
        ("POST", f"/reminders/{made['id']}/pause", None),
        ("GET", f"/reminders/{made['id']}/occurrences", None),
        ("GET", f"/reminders/{made['id']}/preview", None),
        ("GET", f"/occurrences/{occurrence['id']}", None),
        ("POST", f"/occurrences/{occurrence['id']}/complete", {}),
        ("POST", f"/occurrences/{occurrence['id']}/snooze", {"minutes": 5}),
        ("POST", "/reminders", {"title": "x", "schedule": DAILY, "pet_id": made["id"]}),
    ]:
        assert (await stranger.request(method, path, body)).status_code == 404, path


async def test_lists_are_paged_and_filtered(person: Person) -> None:
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()["id"]
    made = [await remind(person, title=f"r{n}", pet_id=pet if n % 2 else None) for n in range(5)]
    first = (await person.request("GET", "/reminders?limit=3")).json()
    second = (await person.request("GET", f"/reminders?limit=3&cursor={first['next_cursor']}")).json()
    assert [r["id"] for r in first["items"] + second["items"]] == [r["id"] for r in made]
    assert second["next_cursor"] is None
    of_pet = (await person.request("GET", f"/reminders?pet_id={pet}")).json()["items"]
    assert [r["title"] for r in of_pet] == ["r1", "r3"]
    await person.request("POST", f"/reminders/{made[0]['id']}/pause")
    paused = (await person.request("GET", "/reminders?state=paused")).json()["items"]
    assert [r["title"] for r in paused] == ["r0"]


async def test_an_answer_sent_back_unchanged_changes_nothing(person: Person, db: Database) -> None:
    """No-change PUT: no new version, no bell."""
    made = await remind(person, description="with food", notification_methods=["email", "push"])
    await heard(db, made["id"])
    assert await put(person, made["id"], **made) == made
    assert await bells(db, made["id"]) == 0


async def test_another_schedule_cancels_what_was_pending(person: Person, db: Database) -> None:
    made = await remind(person)
    await heard(db, made["id"])
    changed = await put(person, made["id"], schedule=DAILY | {"dtstart_local": "2036-06-01T07:00"})
    assert (changed["schedule"]["version"], changed["reminder_date"]) == (2, "2036-06-01T05:00:00Z")
    assert [(o["key"], o["state"], o["reason"]) for o in await diary(person, made["id"])] == [
        ("f:1:2036-06-01T08:00", "cancelled", "edited"),
        ("f:2:2036-06-01T07:00", "scheduled", None),
    ]
    assert await bells(db, made["id"]) == 1


async def test_the_base_schemas_fields_change_the_schedule(person: Person) -> None:
    made = await remind(person, schedule=..., reminder_date="2036-06-01T08:00", repeat_interval="daily")
    weekly = await put(person, made["id"], repeat_interval="weekly")
    assert (weekly["repeat_interval"], weekly["reminder_date"]) == ("weekly", made["reminder_date"])
    moved = await put(person, made["id"], reminder_date="2036-07-01T08:00")
    assert (moved["repeat_interval"], moved["reminder_date"]) == ("weekly", "2036-07-01T06:00:00Z")


async def test_another_rhythm_keeps_the_start(person: Person) -> None:
    made = await remind(person, schedule=..., reminder_date="2020-01-31T08:00", repeat_interval="monthly")
    yearly = await put(person, made["id"], repeat_interval="yearly")
    assert yearly["schedule"]["dtstart_local"] == made["schedule"]["dtstart_local"] == "2020-01-31T08:00"
    assert yearly["reminder_date"][4:10] == "-01-31", "not the 30th or the 28th, where the month before it ended"
    once = await put(person, made["id"], repeat_interval=None)
    assert once["reminder_date"] == yearly["reminder_date"], "what does not repeat happens next, not in 2020"


async def test_another_title_changes_nothing_else(person: Person, db: Database) -> None:
    made = await remind(person)
    await heard(db, made["id"])
    changed = await put(person, made["id"], title="Two tablets")
    assert (changed["title"], changed["version"]) == ("Two tablets", 2)
    assert changed["schedule"] == made["schedule"]
    assert await bells(db, made["id"]) == 0


async def test_a_stale_write_is_412_and_changes_nothing(person: Person) -> None:
    made = await remind(person)
    path, stale = f"/reminders/{made['id']}", {"If-Match": '"v1"'}
    assert (await person.request("PUT", path, {"title": "first"}, stale)).status_code == 200
    assert (await person.request("PUT", path, {"title": "second"}, stale)).status_code == 412
    assert (await person.request("DELETE", path, None, stale)).status_code == 412
    assert (await person.request("GET", path)).json()["title"] == "first"


async def test_an_edit_that_drops_todays_occurrence_says_so(person: Person) -> None:
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=5)
    if soon.date() != now.date():
        pytest.skip("the minutes around midnight UTC have no later time today")
    utc = {"mode": "fixed", "freq": "DAILY", "tzid": "UTC"}
    made = await remind(person, schedule=utc | {"dtstart_local": f"2026-01-01T{soon:%H:%M}"})
    earlier = now - timedelta(minutes=1)
    changed = await put(person, made["id"], schedule=utc | {"dtstart_local": f"2026-01-01T{earlier:%H:%M}"})
    if earlier.date() == now.date():
        assert [warning["code"] for warning in changed["warnings"]] == ["occurrence_dropped"]


async def test_a_date_in_the_past_is_accepted_with_a_warning(person: Person) -> None:
    made = await remind(person, schedule=..., reminder_date="2020-01-01T08:00")
    assert [warning["code"] for warning in made["warnings"]] == ["nothing_ahead"]
    assert [o["state"] for o in await diary(person, made["id"])] == ["due"]


async def test_pause_and_resume_can_be_repeated(person: Person, db: Database) -> None:
    made = await remind(person)
    for path, state in [("pause", "paused"), ("pause", "paused"), ("resume", "active"), ("resume", "active")]:
        answer = await person.request("POST", f"/reminders/{made['id']}/{path}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert answer.json()["version"] == 3


async def test_a_deleted_reminder_is_gone_and_its_workflow_is_told(person: Person, db: Database) -> None:
    made = await remind(person)
    await heard(db, made["id"])
    assert (await person.request("DELETE", f"/reminders/{made['id']}")).status_code == 204
    assert (await person.request("GET", f"/reminders/{made['id']}")).status_code == 404
    assert (await person.request("GET", "/reminders")).json()["items"] == []
    assert await bells(db, made["id"]) == 1


async def test_complete_then_undo_over_http(person: Person) -> None:
    made = await remind(person)
    (first,) = await diary(person, made["id"])
    done = await person.request("POST", f"/occurrences/{first['id']}/complete")
    assert (done.status_code, done.json()["state"], done.json()["closed_by"]) == (200, "done", str(person.user_id))
    assert [o["state"] for o in await diary(person, made["id"])] == ["scheduled", "done"]
    undone = await person.request("POST", f"/occurrences/{first['id']}/undo")
    assert (undone.status_code, undone.json()["state"]) == (200, "scheduled")
    assert len(await diary(person, made["id"])) == 1


async def test_fifty_taps_at_once_complete_it_once_and_name_the_winner(person: Person) -> None:
    made = await remind(person)
    (first,) = await diary(person, made["id"])
    answers = await asyncio.gather(
        *(person.request("POST", f"/occurrences/{first['id']}/complete", {}) for _ in range(50))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (refused["code"], refused["closed_by_name"]) == ("already_closed", "Anna")
    assert refused["closed_at"].endswith("Z")


async def test_a_snooze_in_every_form(person: Person, deliver: Any) -> None:
    made = await remind(person)
    await deliver(made["id"], DUE)
    due = next(o for o in await diary(person, made["id"]) if o["state"] == "due")
    for body, expected in [
        ({"until": "2036-06-01T09:00:00Z"}, "2036-06-01T09:00:00Z"),
        ({"until_local": "2036-06-01T20:00"}, "2036-06-01T18:00:00Z"),
    ]:
        answer = await person.request("POST", f"/occurrences/{due['id']}/snooze", body)
        assert (answer.status_code, answer.json()["notice_at"]) == (200, expected)
    past_next = await person.request("POST", f"/occurrences/{due['id']}/snooze", {"until": "2036-06-03T09:00:00Z"})
    assert (past_next.status_code, past_next.json()["code"]) == (409, "snooze_past_next")
    assert past_next.json()["max_until"] == "2036-06-02T06:00:00Z"
    past = await person.request("POST", f"/occurrences/{due['id']}/snooze", {"until": "2020-06-01T09:00:00Z"})
    assert (past.status_code, codes(past)) == (422, ["snooze_in_past"])
    both = await person.request(
        "POST", f"/occurrences/{due['id']}/snooze", {"minutes": 5, "until": "2036-06-01T09:00Z"}
    )
    assert both.status_code == 422


async def test_the_same_snooze_with_one_key_counts_once(person: Person, deliver: Any) -> None:
    made = await remind(person)
    (first,) = await diary(person, made["id"])
    path, key = f"/occurrences/{first['id']}/snooze", {"Idempotency-Key": "later"}
    for _ in range(3):
        answer = await person.request("POST", path, {"minutes": 30}, key)
        assert (answer.status_code, answer.json()["snooze_count"]) == (200, 1)


async def test_is_completed_completes_a_single_reminder_and_false_takes_it_back(person: Person) -> None:
    made = await remind(person, schedule=..., reminder_date="2036-06-01T08:00")
    done = await put(person, made["id"], is_completed=True)
    assert (done["is_completed"], done["state"], done["reminder_date"]) == (True, "ended", None)
    again = await put(person, made["id"], is_completed=False)
    assert (again["is_completed"], again["state"]) == (False, "active")
    assert again["reminder_date"] == made["reminder_date"]


async def test_is_completed_on_a_recurring_one_completes_what_is_open_and_stays_false(person: Person) -> None:
    made = await remind(person)
    done = await put(person, made["id"], is_completed=True)
    assert (done["is_completed"], done["reminder_date"]) == (False, "2036-06-02T06:00:00Z")


async def test_moving_to_another_zone_moves_what_follows_the_user(person: Person, db: Database) -> None:
    """No stale notice, no lost later one: the pending nominal gets its instant in the new zone at once."""
    follows = await remind(person, schedule=DAILY | {"tz_mode": "follow_user"})
    stays = await remind(person)
    for made in (follows, stays):
        await heard(db, made["id"])
    answer = await person.request("PUT", "/users/profile", {"timezone": "America/New_York"})
    assert answer.status_code == 200, answer.text
    moved = (await person.request("GET", f"/reminders/{follows['id']}")).json()
    assert moved["reminder_date"] == "2036-06-01T12:00:00Z"
    assert (moved["schedule"]["tzid"], moved["schedule"]["version"]) == ("America/New_York", 1)
    assert (await person.request("GET", f"/reminders/{stays['id']}")).json() == stays
    assert (await bells(db, follows["id"]), await bells(db, stays["id"])) == (1, 0)


async def test_the_preview_of_a_saved_reminder_begins_with_what_is_pending(person: Person) -> None:
    made = await remind(person, schedule=DAILY | {"dtstart_local": "2026-01-01T08:00"})
    (first,) = await diary(person, made["id"])
    shown = (await person.request("GET", f"/reminders/{made['id']}/preview?days=7")).json()["occurrences"]
    assert shown[0]["key"] == first["key"]
    assert len(shown) == 7
    await person.request("POST", f"/occurrences/{first['id']}/complete", {})
    shown = (await person.request("GET", f"/reminders/{made['id']}/preview?days=7")).json()["occurrences"]
    assert first["key"] not in [occurrence["key"] for occurrence in shown]


async def test_a_pet_that_is_gone_ends_its_reminders(person: Person, db: Database) -> None:
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()["id"]
    made = await remind(person, pet_id=pet)
    await heard(db, made["id"])
    assert (await person.request("DELETE", f"/pets/{pet}")).status_code == 204
    shown = (await person.request("GET", f"/reminders/{made['id']}")).json()
    assert (shown["state"], shown["ended_reason"], shown["reminder_date"]) == ("ended", "pet_archived", None)
    assert await bells(db, made["id"]) == 1
    assert (await person.request("POST", f"/reminders/{made['id']}/resume")).json()["code"] == "series_ended"


async def test_a_pet_that_moves_takes_its_reminders_along(person: Person) -> None:
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()["id"]
    made = await remind(person, pet_id=pet)
    moved = await person.request("PUT", f"/pets/{pet}", {"home_tzid": "America/New_York"})
    assert moved.status_code == 200, moved.text
    shown = (await person.request("GET", f"/reminders/{made['id']}")).json()
    assert shown["reminder_date"] == "2036-06-01T12:00:00Z"


async def test_the_calendar_lists_what_comes_and_syncing_needs_a_connection(person: Person) -> None:
    made = await remind(person, title="Tablet")
    span = "from=2036-06-01T00:00:00Z&to=2036-06-04T00:00:00Z"
    items = (await person.request("GET", f"/integrations/calendar/events?{span}")).json()["items"]
    assert [(item["title"], item["start"], item["occurrence_id"] is None) for item in items] == [
        ("Tablet", "2036-06-01T06:00:00Z", False),
        ("Tablet", "2036-06-02T06:00:00Z", True),
        ("Tablet", "2036-06-03T06:00:00Z", True),
    ]
    assert {item["reminder_id"] for item in items} == {made["id"]}
    refused = await person.request("POST", "/integrations/calendar/sync")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_connection")
    backwards = await person.request(
        "GET", "/integrations/calendar/events?from=2036-06-04T00:00:00Z&to=2036-06-01T00:00:00Z"
    )
    assert backwards.status_code == 422
