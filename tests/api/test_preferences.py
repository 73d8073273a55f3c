"""How somebody wants to be told, over HTTP: the matrix, quiet hours, the digest; and what a send then reads."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from core.db import Database, single_statement
from core.ids import new_id
from core.settings import Settings
from domain.notification import Account, Category, Channel, Forbidden, Standing, forbidden, free_at
from models.queries import notification_preferences as queries
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, version_in

MATRIX, QUIET, SETTINGS = "/users/notification-preferences", "/users/quiet-hours", "/users/notification-settings"


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture
async def person(api: Api) -> Person:
    return await api.person(timezone="Europe/Berlin", phone="+49 30 901820")


async def standing(db: Database, person: Person) -> Standing:
    async with single_statement(db.sessions) as session:
        found = await queries.standing(session, person.user_id)
    assert found is not None
    return found


async def cell(person: Person, category: str, channel: str) -> dict[str, Any]:
    shown = (await person.request("GET", MATRIX)).json()
    (found,) = [c for c in shown["cells"] if (c["category"], c["channel"]) == (category, channel)]
    return dict(found)


def named(category: str, channel: str, enabled: bool) -> dict[str, Any]:
    return {"cells": [{"category": category, "channel": channel, "enabled": enabled}]}


def problems(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


class TestMatrix:
    async def test_whoever_chose_nothing_sees_every_default(self, person: Person) -> None:
        answer = await person.request("GET", MATRIX)
        assert (answer.status_code, version_in(answer)) == (200, "v1")
        cells = answer.json()["cells"]
        assert len(cells) == len(Category) * len(Channel)
        assert all(c["enabled"] == c["default"] and c["reason"] for c in cells)
        locked = {(c["category"], c["enabled"]) for c in cells if c["locked"] and c["channel"] == "email"}
        assert locked == {("account", True), ("security", True), ("privacy", True), ("billing", True)}

    async def test_what_is_switched_off_stops_the_next_send(self, person: Person, db: Database) -> None:
        answer = await person.request("PATCH", MATRIX, named("grooming", "email", False))
        assert (answer.status_code, version_in(answer)) == (200, "v2")
        assert (await cell(person, "grooming", "email"))["enabled"] is False
        now = await standing(db, person)
        assert forbidden(Category.GROOMING, Channel.EMAIL, now) is Forbidden.PREFERENCE
        assert forbidden(Category.MEDICATION, Channel.EMAIL, now) is None

    async def test_a_patch_leaves_other_cells_and_a_put_brings_them_back(self, person: Person) -> None:
        await person.request("PATCH", MATRIX, named("grooming", "email", False))
        await person.request("PATCH", MATRIX, named("feeding", "push", False))
        assert (await cell(person, "grooming", "email"))["enabled"] is False
        await person.request("PUT", MATRIX, named("feeding", "push", False))
        assert (await cell(person, "grooming", "email"))["enabled"] is True
        assert (await cell(person, "feeding", "push"))["enabled"] is False

    async def test_only_what_differs_from_its_default_is_kept(self, person: Person, db: Database) -> None:
        await person.request("PATCH", MATRIX, named("grooming", "email", False))
        await person.request("PATCH", MATRIX, named("grooming", "email", True))
        await person.request("PATCH", MATRIX, named("calendar", "sms", True))
        rows = await db.reads.fetch(
            "SELECT category, channel, enabled FROM notification_preferences WHERE user_id = $1", person.user_id
        )
        assert [tuple(row) for row in rows] == [("calendar", "sms", True)]

    async def test_a_mail_that_protects_you_cannot_be_switched_off(self, person: Person) -> None:
        answer = await person.request("PATCH", MATRIX, named("security", "email", False))
        assert problems(answer) == [("/cells/0/enabled", "locked")]
        assert (await person.request("PATCH", MATRIX, named("security", "email", True))).status_code == 200

    async def test_a_digest_on_the_phone_cannot_be_switched_on(self, person: Person) -> None:
        answer = await person.request("PATCH", MATRIX, named("digest", "sms", True))
        assert problems(answer) == [("/cells/0/enabled", "locked")]

    async def test_an_answer_can_be_sent_back_as_it_is(self, person: Person) -> None:
        await person.request("PATCH", MATRIX, named("grooming", "email", False))
        shown = (await person.request("GET", MATRIX)).json()
        answer = await person.request("PUT", MATRIX, shown)
        assert answer.status_code == 200
        assert answer.json()["cells"] == shown["cells"]

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ({"cells": [{"category": "x", "channel": "sms", "enabled": True}]}, ("/cells/0/category", "enum")),
            ({"cells": [{"category": "other", "channel": "fax", "enabled": True}]}, ("/cells/0/channel", "enum")),
            ({"cells": [{"category": "other", "channel": "sms", "enabled": 1}]}, ("/cells/0/enabled", "bool_type")),
            ({"cells": [{"category": "other", "channel": "sms"}]}, ("/cells/0/enabled", "missing")),
            (
                {"cells": [{"category": "other", "channel": "sms", "enabled": True, "default": False}]},
                ("/cells/0/default", "read_only"),
            ),
            ({"cells": [{"category": "other", "channel": "sms", "enabled": True}] * 2}, ("/cells/1", "cell_twice")),
            ({"cells": [], "version": 7}, ("/version", "read_only")),
            ({"cells": [], "more": 1}, ("/more", "extra_forbidden")),
            ({}, ("/cells", "missing")),
        ],
    )
    async def test_what_is_no_preference_is_refused(self, person: Person, body: Any, problem: Any) -> None:
        assert problems(await person.request("PATCH", MATRIX, body)) == [problem]

    async def test_of_many_writers_with_one_etag_exactly_one_wins(self, person: Person) -> None:
        async def write(n: int) -> int:
            body = named("grooming", "email", bool(n % 2))
            return (await person.request("PATCH", MATRIX, body, {"If-Match": '"v1"'})).status_code

        assert sorted(await asyncio.gather(*map(write, range(8)))) == [200] + [412] * 7

    async def test_writers_without_an_etag_all_get_through(self, person: Person) -> None:
        async def write(n: int) -> int:
            one = [named("grooming", "email", False), named("feeding", "push", False)][n % 2]
            return (await person.request("PUT" if n % 3 else "PATCH", MATRIX, one)).status_code

        assert set(await asyncio.gather(*map(write, range(12)))) == {200}

    async def test_everybody_has_their_own(self, api: Api, person: Person) -> None:
        await person.request("PATCH", MATRIX, named("grooming", "email", False))
        assert (await cell(await api.person(), "grooming", "email"))["enabled"] is True


class TestQuietHours:
    async def test_several_windows_hold_on_the_person_s_own_clock(self, person: Person, db: Database) -> None:
        assert (await person.request("GET", QUIET)).json() == {
            "windows": [],
            "timezone": "Europe/Berlin",
            "version": 1,
        }
        windows = [{"start": "22:00", "end": "07:00"}, {"start": "06:30", "end": "08:00"}]
        answer = await person.request("PUT", QUIET, {"windows": windows})
        assert (answer.status_code, version_in(answer)) == (200, "v2")
        assert answer.json()["windows"] == sorted(windows, key=lambda window: window["start"])
        assert (await person.request("GET", QUIET)).json() == answer.json()
        night = datetime(2026, 11, 24, 1, tzinfo=UTC)
        assert free_at(night, await standing(db, person), critical=False) == datetime(2026, 11, 24, 7, tzinfo=UTC)

    async def test_they_move_with_the_person(self, person: Person, db: Database) -> None:
        await person.request("PUT", QUIET, {"windows": [{"start": "22:00", "end": "07:00"}]})
        await person.request("PUT", "/users/profile", {"timezone": "Asia/Tokyo"})
        assert (await person.request("GET", QUIET)).json()["timezone"] == "Asia/Tokyo"
        evening = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
        assert free_at(evening, await standing(db, person), critical=False) == datetime(2026, 11, 24, 22, tzinfo=UTC)

    async def test_a_new_list_replaces_the_old_one(self, person: Person) -> None:
        await person.request("PUT", QUIET, {"windows": [{"start": "22:00", "end": "07:00"}]})
        again = {"windows": [{"start": "22:00", "end": "06:00"}, {"start": "12:00", "end": "13:00"}]}
        assert len((await person.request("PUT", QUIET, again)).json()["windows"]) == 2
        assert (await person.request("PUT", QUIET, {"windows": []})).json()["windows"] == []

    @pytest.mark.parametrize(
        ("windows", "problem"),
        [
            ([{"start": "08:00", "end": "08:00"}], ("/windows/0", "quiet_hours_empty")),
            ([{"start": "08:00", "end": "20:00"}, {"start": "19:00", "end": "08:00"}],
             ("/windows", "quiet_hours_whole_day")),
            ([{"start": "8:00", "end": "20:00"}], ("/windows/0/start", "time_invalid")),
            ([{"start": "08:00", "end": "24:00"}], ("/windows/0/end", "time_invalid")),
            ([{"start": "08:00", "end": "09:00+02:00"}], ("/windows/0/end", "time_invalid")),
            ([{"start": "08:00", "end": "T9:00"}], ("/windows/0/end", "time_invalid")),
            ([{"start": "08:00", "end": 9}], ("/windows/0/end", "time_invalid")),
            ([{"start": "08:00"}], ("/windows/0/end", "missing")),
            ([{"start": "08:00", "end": "09:00"}] * 11, ("/windows", "too_long")),
        ],
    )  # fmt: skip
    async def test_what_is_no_quiet_hour_is_refused(self, person: Person, windows: Any, problem: Any) -> None:
        assert problems(await person.request("PUT", QUIET, {"windows": windows})) == [problem]
        assert (await person.request("GET", QUIET)).json()["windows"] == []

    async def test_a_stale_etag_changes_nothing(self, person: Person) -> None:
        await person.request("PATCH", MATRIX, named("grooming", "email", False))
        body = {"windows": [{"start": "22:00", "end": "07:00"}]}
        assert (await person.request("PUT", QUIET, body, {"If-Match": '"v1"'})).status_code == 412
        assert (await person.request("PUT", QUIET, body, {"If-Match": '"v2"'})).status_code == 200


class TestSettings:
    async def test_by_default_a_digest_comes_in_the_morning(self, person: Person) -> None:
        shown = (await person.request("GET", SETTINGS)).json()
        following = datetime.fromisoformat(shown.pop("next_digest_at"))
        assert timedelta(0) < following - datetime.now(UTC) <= timedelta(days=1, hours=1)
        assert following.astimezone(ZoneInfo("Europe/Berlin")).time() == time(8)
        assert shown == {
            "digest_frequency": "daily",
            "digest_weekday": "MO",
            "digest_at": "08:00",
            "critical_bypass": True,
            "timezone": "Europe/Berlin",
            "version": 1,
        }

    async def test_fields_present_change_and_absent_ones_stay(self, person: Person, db: Database) -> None:
        weekly = {"digest_frequency": "weekly", "digest_weekday": "FR", "digest_at": "18:30"}
        answer = await person.request("PUT", SETTINGS, weekly)
        assert (answer.status_code, version_in(answer)) == (200, "v2")
        following = datetime.fromisoformat(answer.json()["next_digest_at"]).astimezone(ZoneInfo("Europe/Berlin"))
        assert (following.weekday(), following.time()) == (4, time(18, 30))
        await person.request("PUT", SETTINGS, {"critical_bypass": False})
        now = await standing(db, person)
        assert (now.critical_bypass, now.digest.weekday, now.digest.at) == (False, 4, time(18, 30))

    async def test_switched_off_none_is_to_come(self, person: Person) -> None:
        answer = await person.request("PUT", SETTINGS, {"digest_frequency": "off"})
        assert answer.json()["next_digest_at"] is None

    async def test_an_answer_can_be_sent_back_as_it_is(self, person: Person) -> None:
        shown = (await person.request("GET", SETTINGS)).json()
        answer = await person.request("PUT", SETTINGS, shown | {"digest_at": "09:15"})
        assert (answer.status_code, answer.json()["digest_at"]) == (200, "09:15")

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ({"digest_frequency": "hourly"}, ("/digest_frequency", "enum")),
            ({"digest_weekday": "monday"}, ("/digest_weekday", "literal_error")),
            ({"digest_at": "25:00"}, ("/digest_at", "time_invalid")),
            ({"critical_bypass": "yes"}, ("/critical_bypass", "bool_type")),
            ({"timezone": "Asia/Tokyo"}, ("/timezone", "read_only")),
            ({"volume": 11}, ("/volume", "extra_forbidden")),
        ],
    )
    async def test_what_is_no_setting_is_refused(self, person: Person, body: Any, problem: Any) -> None:
        assert problems(await person.request("PUT", SETTINGS, body)) == [problem]


class TestStanding:
    async def test_it_knows_everything_a_send_has_to_know(self, person: Person, db: Database) -> None:
        now = await standing(db, person)
        assert (now.account, now.verified, now.timezone, now.locale) == (Account.ACTIVE, True, "Europe/Berlin", "en")
        assert (now.has_phone, now.has_device, now.suppressed, now.granted) == (True, False, False, frozenset())

    async def test_a_device_counts_while_it_is_not_disabled(self, person: Person, db: Database) -> None:
        device = new_id()
        await db.reads.execute(
            """INSERT INTO devices (id, user_id, session_id, kind, token_ct, token_bidx)
               SELECT $1, user_id, id, 'fcm', 'x', $3 FROM sessions WHERE user_id = $2""",
            device,
            person.user_id,
            device.bytes,
        )
        assert (await standing(db, person)).has_device
        await db.reads.execute("UPDATE devices SET disabled_at = now() WHERE id = $1", device)
        assert not (await standing(db, person)).has_device

    async def test_an_address_on_the_suppression_list_gets_no_bulk_mail(self, person: Person, db: Database) -> None:
        known_by = person.api.identity.blind_index(person.email)
        await db.reads.execute("INSERT INTO mail_suppressions VALUES ($1, 'bounce')", b"another")
        assert not (await standing(db, person)).suppressed
        await db.reads.execute("INSERT INTO mail_suppressions VALUES ($1, 'bounce')", known_by)
        assert (await standing(db, person)).suppressed

    async def test_an_account_waiting_for_its_erasure_is_blocked(self, person: Person, db: Database) -> None:
        await person.request("DELETE", "/users/account", {"password": PASSWORD})
        now = await standing(db, person)
        assert now.account is Account.BLOCKED
        assert forbidden(Category.MEDICATION, Channel.EMAIL, now) is Forbidden.ACCOUNT_BLOCKED

    async def test_of_a_stranger_there_is_none(self, db: Database) -> None:
        async with single_statement(db.sessions) as session:
            assert await queries.standing(session, new_id()) is None

    @pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
    async def test_it_reads_no_table_as_a_whole(self, person: Person, db: Database, mode: str) -> None:
        """It runs at every send: among a hundred thousand rows of others it finds one person's by keys."""
        async with db.sessions.begin() as session:
            for statement in _MANY:
                await session.execute(text(statement), {"user_id": person.user_id})
        await db.reads.execute("ANALYZE")
        query = queries.STANDING.replace(":user_id", "$1")
        async with db.reads.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            lines = await connection.fetch(f"EXPLAIN {query}", person.user_id)
        plan = "\n".join(line[0] for line in lines)
        assert "Seq Scan" not in plan, plan


_MANY = [
    """INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object(
           'id', gen_random_uuid(), 'email_bidx', '\\x' || md5(random()::text)))).*
         FROM users u, generate_series(1, 3000) WHERE u.id = :user_id""",
    "INSERT INTO notification_settings (user_id) SELECT id FROM users ON CONFLICT DO NOTHING",
    """INSERT INTO notification_preferences SELECT u.id, c, 'push', false
         FROM users u, unnest(ARRAY['grooming', 'feeding', 'other']) c ON CONFLICT DO NOTHING""",
    """INSERT INTO quiet_hours SELECT u.id, t::time, '07:00' FROM users u, unnest(ARRAY['22:00', '13:00']) t
         ON CONFLICT DO NOTHING""",
    """INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object(
           'id', gen_random_uuid(), 'user_id', u.id, 'rt_hash', '\\x' || md5(random()::text)))).*
         FROM sessions s, users u WHERE s.user_id = :user_id AND u.id <> :user_id""",
    """INSERT INTO devices (id, user_id, session_id, kind, token_ct, token_bidx)
         SELECT gen_random_uuid(), s.user_id, s.id, 'fcm', 'x', decode(md5(random()::text), 'hex') FROM sessions s""",
    """INSERT INTO mail_suppressions SELECT decode(md5(n::text), 'hex'), 'bounce' FROM generate_series(1, 5000) n
         ON CONFLICT DO NOTHING""",
    """INSERT INTO consents (id, user_id, purpose, wording, text_hash, action, source)
       SELECT gen_random_uuid(), u.id, p, '2026-11', 'x', 'granted', 'app'
         FROM users u, unnest(ARRAY['sms', 'analytics', 'marketing']) p""",
]
