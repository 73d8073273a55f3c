"""The agenda: rows and schedules in one order, each occurrence once, whatever happened to its series."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.reminder import ReminderActivities
from api.schemas.agenda import AgendaPage
from core.crypto import FieldCipher
from core.db import Database
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.signing_in import Api, Person
from tests.api.test_reminders import DAILY, DUE, diary, person, remind, settings

__all__ = ["person", "settings"]
SPAN = "from=2036-06-01T00:00:00Z&to=2036-06-08T00:00:00Z"


async def agenda(person: Person, query: str = SPAN) -> list[dict[str, Any]]:
    """All pages of it."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await person.request("GET", f"/agenda?{query}{cursor}")
        assert answer.status_code == 200, answer.text
        AgendaPage.model_validate(answer.json())
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.json()['next_cursor']}"


async def act(person: Person, reminder_id: str, what: str, index: int = 0, **body: Any) -> None:
    occurrence = (await diary(person, reminder_id))[index]
    answer = await person.request("POST", f"/occurrences/{occurrence['id']}/{what}", body or None)
    assert answer.status_code == 200, answer.text


def keys(items: list[dict[str, Any]]) -> list[str]:
    return [item["key"] for item in items]


async def test_the_next_one_has_a_row_and_the_rest_comes_from_the_schedule(person: Person) -> None:
    await remind(person)
    items = await agenda(person)
    assert [item["instant"] for item in items] == [f"2036-06-0{day}T06:00:00Z" for day in range(1, 8)]
    assert [item["occurrence_id"] is None for item in items] == [False] + [True] * 6
    assert {(item["title"], item["state"], item["local"][11:]) for item in items} == {
        ("Tablet", "scheduled", "08:00:00+02:00")
    }


async def test_a_page_of_three_at_a_time_shows_the_same_as_one_page(person: Person) -> None:
    for title, at in (("Tablet", "08:00"), ("Walk", "08:00"), ("Dinner", "18:00")):
        await remind(person, title=title, schedule=DAILY | {"dtstart_local": f"2036-06-01T{at}"})
    whole = await agenda(person)
    assert len(whole) == 21
    assert await agenda(person, f"{SPAN}&limit=3") == whole


async def test_what_was_done_ahead_is_shown_once_as_done(person: Person) -> None:
    made = await remind(person)
    await act(person, made["id"], "complete")
    items = await agenda(person)
    assert [(item["key"][-16:], item["state"]) for item in items][:3] == [
        ("2036-06-01T08:00", "done"),
        ("2036-06-02T08:00", "scheduled"),
        ("2036-06-03T08:00", "scheduled"),
    ]
    assert len(keys(items)) == len(set(keys(items)))


async def test_the_past_has_its_outcome(person: Person, db: Database, cipher: FieldCipher) -> None:
    made = await remind(person)
    activities = ReminderActivities(db.sessions, wording(cipher), MemoryNotifier())
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE + timedelta(days=1)))
    await act(person, made["id"], "complete", index=1)
    items = await agenda(person)
    assert [item["state"] for item in items][:3] == ["missed", "done", "scheduled"]
    assert items[1]["closed_by"] == made["user_id"]


async def test_a_paused_series_promises_nothing(person: Person) -> None:
    made = await remind(person)
    await person.request("POST", f"/reminders/{made['id']}/pause")
    assert await agenda(person) == []


async def test_an_edit_leaves_no_ghosts(person: Person) -> None:
    made = await remind(person)
    await person.request("PUT", f"/reminders/{made['id']}", {"schedule": DAILY | {"dtstart_local": "2036-06-01T07:00"}})
    assert [item["instant"][11:16] for item in await agenda(person)] == ["05:00"] * 7


async def test_what_depends_on_a_completion_is_listed_once(person: Person) -> None:
    schedule = {"mode": "after_completion", "dtstart_local": "2036-06-02T08:00", "every": {"n": 1, "unit": "day"}}
    await remind(person, schedule=schedule)
    assert len(await agenda(person)) == 1


async def test_a_gap_is_named_in_rows_and_in_the_preview_alike(person: Person) -> None:
    await remind(person, schedule=DAILY | {"dtstart_local": "2037-03-28T02:30"})
    items = await agenda(person, "from=2037-03-28T00:00:00Z&to=2037-03-31T00:00:00Z")
    assert [item["shift"] for item in items] == [[], ["gap"], []]


async def test_one_pet_of_several(person: Person) -> None:
    pets = [(await person.request("POST", "/pets", {"name": name})).json()["id"] for name in ("Milo", "Luna")]
    for pet in pets:
        await remind(person, pet_id=pet)
    items = await agenda(person, f"{SPAN}&pet_id={pets[1]}")
    assert {item["pet_name"] for item in items} == {"Luna"}
    assert len(items) == 7


async def test_by_default_it_begins_today_on_the_person_s_clock(person: Person) -> None:
    today = datetime.now(UTC).date()
    await remind(person, schedule=DAILY | {"dtstart_local": f"{today - timedelta(days=2)}T23:59"})
    answer = await person.request("GET", "/agenda")
    assert 6 <= len(answer.json()["items"]) <= 7


@pytest.mark.parametrize(
    "query",
    [
        "from=2036-06-02T00:00:00Z&to=2036-06-01T00:00:00Z",
        "from=2036-06-02T00:00:00Z&to=2037-06-01T00:00:00Z",
        "from=0001-01-01T00:00:00Z",
        "from=9999-12-31T23:59:59Z",
        "from=tomorrow",
    ],
)
async def test_a_span_that_is_none_is_refused(person: Person, query: str) -> None:
    assert (await person.request("GET", f"/agenda?{query}")).status_code == 422


async def test_others_see_nothing_of_it(api: Api, person: Person) -> None:
    await remind(person)
    assert await agenda(await api.person()) == []


async def test_open_and_closed_ones_are_found_by_their_state(person: Person) -> None:
    made = await remind(person)
    await act(person, made["id"], "complete")
    answers = {
        state: (await person.request("GET", f"/occurrences?{SPAN}&state={state}")).json()["items"]
        for state in ("done", "scheduled", "missed")
    }
    assert {state: len(items) for state, items in answers.items()} == {"done": 1, "scheduled": 1, "missed": 0}
    first = (await person.request("GET", f"/occurrences?{SPAN}&limit=1")).json()
    second = (await person.request("GET", f"/occurrences?{SPAN}&limit=1&cursor={first['next_cursor']}")).json()
    assert [item["state"] for item in first["items"] + second["items"]] == ["done", "scheduled"]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happened_each_occurrence_is_there_once_and_none_is_missing(person: Person, seed: int) -> None:
    """Rows and preview have a seam; early completions, skips, snoozes and edits move it."""
    schedules: list[dict[str, Any]] = [
        DAILY,
        DAILY | {"times": ["08:00", "20:00"]},
        {"mode": "elapsed", "start_at": "2036-06-01T01:00:00Z", "every": {"n": 7, "unit": "hour"}},
        {"mode": "fixed", "dtstart_local": "2036-05-31T09:00", "freq": "MONTHLY"},
        {"mode": "fixed", "dtstart_local": "2036-06-01T09:00", "freq": "WEEKLY", "byday": ["MO", "TH"]},
        DAILY | {"count": 4},
    ]
    made = await remind(person, schedule=schedules[seed])
    for what in ("complete", "skip", "complete", "undo")[: seed % 4 + 1]:
        with suppress(AssertionError):
            await act(person, made["id"], what, index=0)
    expected = await person.request(
        "POST", "/reminders/preview", {"schedule": schedules[seed], "after": "2036-05-31T23:59:59Z", "limit": 100}
    )
    promised = [o["key"] for o in expected.json()["occurrences"] if o["instant"] < "2036-06-08T00:00:00Z"]
    shown = keys(await agenda(person))
    assert shown == promised
