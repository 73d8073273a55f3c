"""The in-app list over HTTP: one line per notice, in today's words, gone when the task is done."""

import asyncio
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
from domain.notification import Category, Channel
from models.queries import notices, notifications
from models.queries.notices import Notice
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
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
    activities = ReminderActivities(db.sessions, wording(cipher), MemoryNotifier())

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


class TestOtherFeatures:
    """Lines about no occurrence: what billing, calendars, privacy and security have to say."""

    async def tell(self, person: Person, db: Database, cipher: FieldCipher, event: str, **params: object) -> list[UUID]:
        notice = Notice(
            user_id=person.user_id,
            category=Category.CALENDAR,
            template="calendar_reconnect",
            event_key=event,
            channels=(Channel.IN_APP, Channel.EMAIL),
            params=params,
        )
        async with db.sessions.begin() as session:
            return await notices.claim(session, cipher, notice)

    async def test_they_are_lines_among_the_others_with_what_they_are_about(
        self, person: Person, remind: Remind, db: Database, cipher: FieldCipher
    ) -> None:
        await remind(person)
        await self.tell(person, db, cipher, "calendar/1", account="ada@example.test")
        newest, older = (await lines(person))["items"]
        NotificationOut.model_validate(newest)
        assert (newest["kind"], newest["category"]) == ("calendar_reconnect", "calendar")
        assert newest["params"] == {"account": "ada@example.test"}
        assert (newest["title"], newest["reminder_id"], newest["occurrence_id"], newest["state"]) == (None,) * 4
        assert (older["kind"], older["params"]) == ("reminder_due", {})
        assert await unread(person) == 2

    async def test_one_event_is_one_line_however_often_it_is_seen(
        self, person: Person, db: Database, cipher: FieldCipher
    ) -> None:
        first = await asyncio.gather(*[self.tell(person, db, cipher, "calendar/2") for _ in range(4)])
        assert sorted(map(len, first)) == [0, 0, 0, 1]
        assert len((await lines(person))["items"]) == 1
        await self.tell(person, db, cipher, "calendar/3")
        assert len((await lines(person))["items"]) == 2

    async def test_its_words_lie_sealed_in_the_ledger(self, person: Person, db: Database, cipher: FieldCipher) -> None:
        await self.tell(person, db, cipher, "calendar/4", account="ada@example.test")
        rows = await db.reads.fetch("SELECT params_ct FROM deliveries WHERE event_key = 'calendar/4'")
        assert len(rows) == 2
        assert all(row["params_ct"].startswith("v1.user:") and "ada@" not in row["params_ct"] for row in rows)

    async def test_whoever_wants_none_in_the_app_gets_none_and_the_ledger_says_why(
        self, person: Person, db: Database, cipher: FieldCipher
    ) -> None:
        off = {"cells": [{"category": "calendar", "channel": "in_app", "enabled": False}]}
        assert (await person.request("PATCH", "/users/notification-preferences", off)).status_code == 200
        assert len(await self.tell(person, db, cipher, "calendar/5")) == 1
        assert (await lines(person))["items"] == []
        row = await db.reads.fetchrow(
            "SELECT state, reason FROM deliveries WHERE event_key = 'calendar/5' AND channel = 'in_app'"
        )
        assert row is not None
        assert tuple(row) == ("withdrawn", "preference")

    async def test_one_can_be_read_and_is_nobody_else_s(
        self, api: Api, person: Person, db: Database, cipher: FieldCipher
    ) -> None:
        await self.tell(person, db, cipher, "calendar/6")
        (line,) = (await lines(person))["items"]
        stranger = await api.person()
        assert (await stranger.request("POST", f"/notifications/{line['id']}/read")).status_code == 404
        assert (await lines(stranger))["items"] == []
        answer = await person.request("POST", f"/notifications/{line['id']}/read")
        assert (answer.status_code, answer.json()["read_at"] is None) == (200, False)

    async def test_a_stolen_session_is_told_in_the_app_too(self, api: Api, person: Person) -> None:
        old = person.refresh_token
        live = (await person.refresh(old)).json()["refresh_token"]
        await person.refresh(live)
        assert (await person.refresh(old)).status_code == 401
        fresh = (await api.login(person.email)).json()["access_token"]
        answer = await api.get("/notifications", fresh)
        assert [(line["kind"], line["category"]) for line in answer.json()["items"]] == [("session_reuse", "security")]
        assert (await api.mails(person.email)).count("session_reuse") == len(Channel)


class TestReadAll:
    async def test_all_of_them_are_read_at_once(self, person: Person, remind: Remind) -> None:
        for n in range(3):
            await remind(person, f"Number {n}")
        for _ in range(2):
            answer = await person.request("POST", "/notifications/read-all")
            assert (answer.status_code, answer.json()) == (200, {"unread": 0})
        assert all(line["read_at"] for line in (await lines(person))["items"])

    async def test_what_came_since_the_newest_that_was_seen_stays_unread(self, person: Person, remind: Remind) -> None:
        await remind(person, "Seen")
        (seen,) = (await lines(person))["items"]
        await remind(person, "Came since")
        answer = await person.request("POST", "/notifications/read-all", {"up_to": seen["id"]})
        assert answer.json() == {"unread": 1}
        newest, older = (await lines(person))["items"]
        assert (newest["read_at"], older["read_at"] is None) == (None, False)

    async def test_it_touches_nobody_else_s(self, api: Api, person: Person, remind: Remind) -> None:
        await remind(person)
        stranger = await api.person()
        assert (await stranger.request("POST", "/notifications/read-all")).status_code == 200
        assert await unread(person) == 1


async def test_a_pre_due_notice_is_shown_before_anything_is_due(person: Person, remind: Remind, db: Database) -> None:
    reminder = await remind(person)
    async with db.sessions.begin() as session:
        which = {"id": UUID(reminder["id"])}
        await session.execute(
            text("UPDATE occurrences SET state = 'scheduled' WHERE reminder_id = :id AND state = 'due'"), which
        )
    assert (await lines(person))["items"] == []
    async with db.sessions.begin() as session:
        await session.execute(text("UPDATE deliveries SET step = 'lead-60' WHERE reminder_id = :id"), which)
    (line,) = (await lines(person))["items"]
    assert (line["step"], line["state"]) == ("lead-60", "scheduled")


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
