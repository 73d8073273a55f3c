"""How a reminder is told, over HTTP: escalation steps, pre-due notices, the dose guard, the class behind a category."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.db import Database
from tests.api.signing_in import Person
from tests.api.test_reminders import DAILY, bells, diary, heard, person, put, remind, settings

__all__ = ["person", "settings"]

SENT_BACK = ("title", "notification_methods", "lead_minutes", "steps")


async def act(person: Person, occurrence_id: str, what: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await person.request("POST", f"/occurrences/{occurrence_id}/{what}", body or None)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("category", "klass", "first", "leads", "steps"),
    [
        ("medication", "dose", "push", [], [10, 30, 60]),
        ("vaccination", "routine", "email", [20_160, 2_880], [10_080, 43_200]),
        ("appointment", "routine", "email", [10_080, 2_880, 120], []),
        ("grooming", "routine", "push", [1_440], [1_440]),
        ("feeding", "routine", "push", [], [30, 60]),
        ("other", "routine", "push", [], [1_440]),
    ],
)
async def test_each_category_has_sensible_defaults(
    person: Person, category: str, klass: str, first: str, leads: list[int], steps: list[int]
) -> None:
    made = await remind(person, category=category)
    assert made["class"] == klass
    assert made["notification_methods"] == [first, "in_app"]
    assert made["lead_minutes"] == leads
    assert [step["after_minutes"] for step in made["steps"]] == steps
    assert (made["dose_guard"] is not None) is (klass == "dose")


async def test_steps_of_ones_own_are_kept_and_null_brings_the_default_back(person: Person) -> None:
    steps = [{"after_minutes": 5, "channels": ["sms"], "who": "everyone"}]
    made = await remind(person, category="other", steps=steps, lead_minutes=[60, 1_440])
    assert (made["steps"], made["lead_minutes"]) == (steps, [1_440, 60])
    unchanged = await put(person, made["id"], steps=steps, lead_minutes=[1_440, 60])
    assert unchanged["version"] == made["version"]
    back = await put(person, made["id"], steps=None, lead_minutes=None)
    assert ([step["after_minutes"] for step in back["steps"]], back["lead_minutes"]) == ([1_440], [])


async def test_channels_that_were_not_chosen_are_those_of_the_category_and_chosen_ones_stay(person: Person) -> None:
    made = await remind(person)
    made = await put(person, made["id"], **{name: made[name] for name in SENT_BACK} | {"category": "appointment"})
    assert made["notification_methods"] == ["email", "in_app"]
    chosen = await remind(person, category="vaccination", notification_methods=["push", "in_app"])
    assert chosen["notification_methods"] == ["push", "in_app"]
    back = await put(person, chosen["id"], notification_methods=None)
    assert back["notification_methods"] == ["email", "in_app"]


async def test_what_was_shown_can_be_sent_back_and_changes_nothing(person: Person, db: Database) -> None:
    made = await remind(person, category="medication")
    await heard(db, made["id"])
    answer = await put(person, made["id"], **made)
    assert answer["version"] == made["version"]
    assert await bells(db, made["id"]) == 0


async def test_a_pre_due_notice_is_planned_and_shown(person: Person) -> None:
    made = await remind(person, lead_minutes=[90])
    (occurrence,) = await diary(person, made["id"])
    assert occurrence["lead_at"] == "2036-06-01T04:30:00Z"
    await put(person, made["id"], lead_minutes=[30])
    (occurrence,) = await diary(person, made["id"])
    assert occurrence["lead_at"] == "2036-06-01T05:30:00Z"


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"steps": [{"after_minutes": 5, "channels": []}]}, "/steps/0/channels", "too_short"),
        ({"steps": [{"after_minutes": 5, "channels": ["sms", "sms"]}]}, "/steps/0/channels", "channels_invalid"),
        (
            {"steps": [{"after_minutes": 5, "channels": ["sms"]}, {"after_minutes": 5, "channels": ["push"]}]},
            "/steps",
            "not_ascending",
        ),
        ({"steps": [{"after_minutes": 0, "channels": ["sms"]}]}, "/steps/0/after_minutes", "greater_than_equal"),
        ({"lead_minutes": [1]}, "/lead_minutes/0", "greater_than_equal"),
        ({"category": "other", "dose_guard": {"min_gap_minutes": 60}}, "/dose_guard", "not_a_dose"),
    ],
)
async def test_steps_that_make_no_sense_are_refused_by_name(
    person: Person, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await person.request("POST", "/reminders", {"title": "Tablet", "schedule": DAILY, **fields})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


async def test_an_early_dose_is_refused_and_given_all_the_same_with_a_reason(person: Person, db: Database) -> None:
    made = await remind(person, category="medication")
    (occurrence,) = await diary(person, made["id"])
    refused = await act(person, occurrence["id"], "complete", 409)
    assert (refused["code"], refused["allowed_from"]) == ("too_early", "2036-06-01T04:00:00Z")
    done = await act(person, occurrence["id"], "complete", override_reason="He spat the last one out")
    assert done["state"] == "done"
    row = await db.reads.fetchrow("SELECT state, override_reason_ct FROM doses WHERE occurrence_id = $1", done["id"])
    assert row["state"] == "given"
    assert "spat" not in row["override_reason_ct"]


async def test_a_second_dose_is_refused_with_who_and_when(person: Person) -> None:
    made = await remind(person, category="medication", dose_guard={"early_window_minutes": 10_080})
    soon = datetime.now(UTC) + timedelta(hours=1)
    await put(person, made["id"], schedule={"mode": "once", "dtstart_local": f"{soon:%Y-%m-%dT%H:%M}", "tzid": "UTC"})
    occurrence = next(o for o in await diary(person, made["id"]) if o["state"] == "scheduled")
    await act(person, occurrence["id"], "complete")
    refused = await act(person, occurrence["id"], "complete", 409)
    assert (refused["code"], refused["given_by_name"]) == ("already_given", "Anna")
    assert refused["occurrence_id"] == occurrence["id"]
    assert refused["given_at"] <= datetime.now(UTC).isoformat()


async def test_a_dose_that_was_not_given_after_all_can_be_given_again(person: Person, db: Database) -> None:
    made = await remind(person, category="medication")
    (occurrence,) = await diary(person, made["id"])
    for what in ("complete", "undo", "complete"):
        await act(person, occurrence["id"], what, **({"override_reason": "vet said so"} if what == "complete" else {}))
    states = await db.reads.fetch("SELECT state FROM doses ORDER BY id DESC LIMIT 2")
    assert [row["state"] for row in states] == ["given", "undone"]


async def test_a_saved_one_is_previewed_with_the_reader_s_quiet_hours_and_a_dose_without(person: Person) -> None:
    quiet = await person.request("PUT", "/users/quiet-hours", {"windows": [{"start": "22:00", "end": "09:30"}]})
    assert quiet.status_code == 200, quiet.text
    span = (datetime.now(UTC) + timedelta(days=1)).date()
    shown = {}
    for category in ("grooming", "medication"):
        made = await remind(person, category=category, schedule=DAILY | {"dtstart_local": f"{span}T08:00"})
        answer = await person.request("GET", f"/reminders/{made['id']}/preview?days=3")
        first = answer.json()["occurrences"][0]
        shown[category] = (first["local"][11:16], first["notice_at"] == first["instant"])
    assert shown == {"grooming": ("08:00", False), "medication": ("08:00", True)}
