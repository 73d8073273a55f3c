"""The in-app list over HTTP: one line per notice, in today's words, gone when the task is done."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from activities.reminder import ReminderActivities
from api.schemas.notifications import NotificationOut
from core.crypto import FieldCipher
from core.db import Database
from core.settings import Settings
from models.queries import notifications
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier
from tests.api.signing_in import OPEN, Api, Person

DUE = datetime(2036, 6, 1, 6, tzinfo=UTC)
DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY"}
Remind = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network."""
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def person(api: Api) -> Person:
    """Somebody in Berlin."""
    return await api.person(timezone="Europe/Berlin")


@pytest.fixture
def remind(db: Database, cipher: FieldCipher) -> Remind:
    """A reminder that has just become due, and its notice sent."""
    activities = ReminderActivities(db.sessions, cipher, MemoryNotifier())

    async def run(person: Person, title: str = "Tablet", **fields: Any) -> dict[str, Any]:
        answer = await person.request("POST", "/reminders", {"title": title, "schedule": DAILY} | fields)
        assert answer.status_code == 201, answer.text
        await activities.deliver_occurrence(DeliverOccurrence(UUID(answer.json()["id"]), DUE + timedelta(seconds=1)))
        return dict(answer.json())

    return run


async def lines(person: Person, query: str = "") -> dict[str, Any]:
    answer = await person.request("GET", f"/notifications{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def unread(person: Person) -> int:
    return int((await person.request("GET", "/notifications/unread")).json()["unread"])


async def test_a_reminder_that_fell_due_is_a_line_with_its_words(person: Person, remind: Remind) -> None:
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()
    reminder = await remind(person, pet_id=pet["id"])
    (line,) = (await lines(person))["items"]
    NotificationOut.model_validate(line)
    assert (line["title"], line["pet_name"], line["due"]) == ("Tablet", "Milo", "2036-06-01T06:00:00Z")
    assert (line["reminder_id"], line["state"], line["read_at"]) == (reminder["id"], "due", None)
    assert await unread(person) == 1


async def test_the_words_are_those_of_today(person: Person, remind: Remind) -> None:
    reminder = await remind(person, "Half a tablet")
    await person.request("PUT", f"/reminders/{reminder['id']}", {"title": "A whole tablet"})
    assert [line["title"] for line in (await lines(person))["items"]] == ["A whole tablet"]


async def test_reading_twice_keeps_the_first_time(person: Person, remind: Remind) -> None:
    await remind(person)
    (line,) = (await lines(person))["items"]
    first = await person.request("POST", f"/notifications/{line['id']}/read")
    again = await person.request("POST", f"/notifications/{line['id']}/read")
    assert first.status_code == again.status_code == 200
    assert first.json()["read_at"] == again.json()["read_at"] is not None
    assert await unread(person) == 0
    assert [it["id"] for it in (await lines(person))["items"]] == [line["id"]]


async def test_the_newest_come_first_page_by_page_while_others_arrive(person: Person, remind: Remind) -> None:
    for n in range(5):
        await remind(person, f"Number {n}")
    first = await lines(person, "?limit=2")
    await remind(person, "Number 5")
    second = await lines(person, f"?limit=2&cursor={first['next_cursor']}")
    third = await lines(person, f"?limit=2&cursor={second['next_cursor']}")
    shown = [line["title"] for page in (first, second, third) for line in page["items"]]
    assert shown == [f"Number {n}" for n in (4, 3, 2, 1, 0)]
    assert third["next_cursor"] is None


async def test_a_task_that_is_done_is_withdrawn_and_an_undo_brings_it_back(person: Person, remind: Remind) -> None:
    await remind(person)
    (line,) = (await lines(person))["items"]
    await person.request("POST", f"/occurrences/{line['occurrence_id']}/complete")
    assert ((await lines(person))["items"], await unread(person)) == ([], 0)
    assert (await person.request("POST", f"/notifications/{line['id']}/read")).status_code == 404
    await person.request("POST", f"/occurrences/{line['occurrence_id']}/undo")
    assert len((await lines(person))["items"]) == 1


async def test_a_deleted_reminder_leaves_no_line(person: Person, remind: Remind) -> None:
    reminder = await remind(person)
    await person.request("DELETE", f"/reminders/{reminder['id']}")
    assert ((await lines(person))["items"], await unread(person)) == ([], 0)


async def test_others_lines_do_not_exist(api: Api, person: Person, remind: Remind) -> None:
    await remind(person)
    (line,) = (await lines(person))["items"]
    stranger = await api.person()
    assert (await lines(stranger))["items"] == []
    answer = await stranger.request("POST", f"/notifications/{line['id']}/read")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await unread(person) == 1


async def test_whoever_left_the_household_reads_nothing_of_it(person: Person, remind: Remind, db: Database) -> None:
    await remind(person)
    async with db.sessions.begin() as session:
        await session.execute(
            text("UPDATE memberships SET left_at = now() WHERE user_id = :id"), {"id": person.user_id}
        )
    assert ((await lines(person))["items"], await unread(person)) == ([], 0)


async def test_a_cursor_of_another_list_or_person_is_refused(api: Api, person: Person, remind: Remind) -> None:
    for n in range(2):
        await remind(person, f"Number {n}")
    cursor = (await lines(person, "?limit=1"))["next_cursor"]
    stranger = await api.person()
    assert (await stranger.request("GET", f"/notifications?cursor={cursor}")).status_code == 400
    assert (await person.request("GET", f"/pets?cursor={cursor}")).status_code == 400


async def test_the_index_serves_the_list_in_its_order(person: Person, db: Database) -> None:
    """Without it, a page of the newest would read and sort all that somebody ever got."""
    async with db.reads.acquire() as connection, connection.transaction():
        for way in ("seqscan", "bitmapscan", "sort"):  # few rows: the planner would not bother
            await connection.execute(f"SET LOCAL enable_{way} = off")
        rows = await connection.fetch(f"EXPLAIN {notifications.PAGE}", person.user_id, None, 51)
    plan = "\n".join(row[0] for row in rows)
    assert "ix_notifications_user" in plan
    assert "Sort" not in plan
