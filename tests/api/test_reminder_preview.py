"""The recurrence vectors at the level of the API: `POST /reminders/preview` answers exactly those instants."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.signing_in import Api, Person

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "recurrence.json").read_text())


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["id"] for vector in vectors]


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    return await api.person(timezone="Europe/Berlin")


async def preview(person: Person, **body: Any) -> list[dict[str, Any]]:
    answer = await person.request("POST", "/reminders/preview", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["tzdata"] == VECTORS["tzdata"]
    return list(answer.json()["occurrences"])


def seconds(instant: str) -> str:
    """The vectors leave out seconds."""
    return instant.replace("Z", ":00Z")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=ids(VECTORS["vectors"]))
async def test_fixed_rules(person: Person, vector: dict[str, Any]) -> None:
    schedule = {
        "mode": "fixed",
        "dtstart_local": vector["dtstart_local"],
        "tzid": vector["tz"],
        "rrule": vector["rule"],
        "times": vector["times"],
    }
    shown = await preview(person, schedule=schedule, after=vector["after"], limit=len(vector["expect"]))
    assert [(o["nominal"], o["instant"]) for o in shown] == [
        (expected["nominal"], seconds(expected["utc"])) for expected in vector["expect"]
    ]


@pytest.mark.parametrize("vector", VECTORS["after_completion"], ids=ids(VECTORS["after_completion"]))
async def test_after_completion(person: Person, vector: dict[str, Any]) -> None:
    n, unit = vector["every"].split()
    schedule = {
        "mode": "after_completion",
        "dtstart_local": f"2020-01-01T{vector['time']}",
        "tzid": vector["tz"],
        "every": {"n": int(n), "unit": unit.rstrip("s")},
    }
    (shown,) = await preview(person, schedule=schedule, completed_at=vector["completed"])
    assert shown["instant"] == seconds(vector["expect"])


@pytest.mark.parametrize("vector", VECTORS["elapsed"], ids=ids(VECTORS["elapsed"]))
async def test_elapsed(person: Person, vector: dict[str, Any]) -> None:
    every = {"n": vector["every_hours"], "unit": "hour"}
    schedule = {"mode": "elapsed", "start_at": vector["start"], "every": every}
    shown = await preview(person, schedule=schedule, after=vector["start"], limit=3)
    assert [o["instant"] for o in shown] == [seconds(expected) for expected in vector["expect"]]


@pytest.mark.parametrize("vector", VECTORS["quiet_hours"], ids=ids(VECTORS["quiet_hours"]))
async def test_quiet_hours_move_the_notice_and_not_the_occurrence(person: Person, vector: dict[str, Any]) -> None:
    start, end = vector["window"].split("-")
    schedule = {"mode": "once", "dtstart_local": vector["fire"].rstrip("Z"), "tzid": "UTC"}
    quiet = {"start": start, "end": end, "tzid": vector["tz"]}
    (shown,) = await preview(person, schedule=schedule, quiet_hours=quiet, after="2020-01-01T00:00:00Z")
    assert (shown["instant"], shown["notice_at"]) == (seconds(vector["fire"]), seconds(vector["expect"]))


async def test_nothing_is_saved(person: Person) -> None:
    await preview(person, schedule={"mode": "once", "dtstart_local": "2036-01-01T08:00"})
    assert (await person.request("GET", "/reminders")).json()["items"] == []


async def test_a_clamped_and_a_shifted_one_say_why(person: Person) -> None:
    monthly = {"mode": "fixed", "dtstart_local": "2026-01-31T02:30", "tzid": "Europe/Berlin", "freq": "MONTHLY"}
    shown = await preview(person, schedule=monthly, after="2026-02-01T00:00:00Z", limit=1)
    assert (shown[0]["shift"], shown[0]["local"]) == (["clamped"], "2026-02-28T02:30:00+01:00")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"schedule": {}}, "missing_field"),
        ({"schedule": {"mode": "once", "dtstart_local": "2036-01-01T08:00Z"}}, "dtstart_must_be_local"),
        (
            {
                "schedule": {"mode": "once", "dtstart_local": "2036-01-01T08:00"},
                "quiet_hours": {"start": "22:00", "end": "22:00", "tzid": "UTC"},
            },
            "quiet_hours_empty",
        ),
        (
            {
                "schedule": {"mode": "once", "dtstart_local": "2036-01-01T08:00"},
                "quiet_hours": {"start": "22:00", "end": "23:00", "tzid": "../etc"},
            },
            "unknown_zone",
        ),
    ],
)
async def test_what_cannot_be_previewed_is_422(person: Person, body: dict[str, Any], code: str) -> None:
    answer = await person.request("POST", "/reminders/preview", body)
    assert answer.status_code == 422, answer.text
    assert [error["code"] for error in answer.json()["errors"]] == [code]
