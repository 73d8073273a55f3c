"""The caller's own account: the profile, and the wish to be forgotten, as a client sees them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import profile
from core.db import Database
from core.settings import ErasureSettings, Settings
from models.session import MailTokenKind, Session
from models.user import UserState
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, audit_of, bearer, said, version_in


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


async def put(person: Person, body: object, **headers: str) -> httpx.Response:
    return await person.request("PUT", "/users/profile", body, headers)


class TestProfile:
    async def test_a_profile_shows_what_was_registered_and_never_the_hash(self, api: Api) -> None:
        person = await api.person(first_name="Ada", last_name="Lovelace", phone="+44 20 7946", timezone="Asia/Tokyo")
        answer = await api.get("/users/profile", person.access_token)
        shown = answer.json()
        assert version_in(answer) == "v1"
        assert UUID(shown.pop("id")) == person.user_id
        for instant in ("created_at", "updated_at"):
            assert datetime.now(UTC) - datetime.fromisoformat(shown.pop(instant)) < timedelta(minutes=1)
        assert shown == {
            "email": person.email,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "phone": "+44 20 7946",
            "timezone": "Asia/Tokyo",
            "locale": "en",
            "subscription_tier": "free",
            "has_password": True,
            "version": 1,
        }

    async def test_fields_present_change_and_absent_ones_stay(self, api: Api) -> None:
        person = await api.person(first_name="Ada", last_name="Lovelace", timezone="Asia/Tokyo")
        answer = await put(person, {"first_name": "Augusta", "last_name": None, "locale": "pt-BR"})
        shown = answer.json()
        assert (shown["first_name"], shown["last_name"], shown["timezone"]) == ("Augusta", None, "Asia/Tokyo")
        assert (shown["version"], version_in(answer), shown["locale"]) == (2, "v2", "pt-BR")
        assert (await api.get("/users/profile", person.access_token)).json() == shown

    async def test_an_answer_can_be_sent_back_as_it_is(self, api: Api) -> None:
        person = await api.person(first_name="Ada")
        shown = (await api.get("/users/profile", person.access_token)).json()
        answer = await put(person, shown | {"first_name": "Augusta"})
        assert (answer.status_code, answer.json()["first_name"]) == (200, "Augusta")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", "other@example.test"),
            ("subscription_tier", "family"),
            ("id", "019aaf3e-0000-7000-8000-000000000002"),
            ("has_password", False),
            ("created_at", "2020-01-01T00:00:00Z"),
        ],
    )
    async def test_a_changed_read_only_field_is_refused(self, api: Api, field: str, value: object) -> None:
        person = await api.person()
        answer = await put(person, {field: value, "first_name": "Mallory"})
        assert answer.status_code == 422
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(f"/{field}", "read_only")]
        assert (await api.get("/users/profile", person.access_token)).json()["first_name"] is None

    @pytest.mark.parametrize(
        "body",
        [{"timezone": "Mars/Olympus"}, {"timezone": ""}, {"password_hash": "x"}, {"state": "active"}, {"locale": "??"}],
    )
    async def test_what_is_no_profile_is_refused(self, api: Api, body: object) -> None:
        assert (await put(await api.person(), body)).status_code == 422

    async def test_of_many_writers_with_one_etag_exactly_one_wins(self, api: Api) -> None:
        person = await api.person()
        answers = await asyncio.gather(
            *[put(person, {"first_name": f"Ada {n}"}, **{"If-Match": '"v1"'}) for n in range(10)]
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9

    async def test_a_caller_who_has_the_profile_already_gets_304(self, api: Api) -> None:
        person = await api.person()
        read = await api.get("/users/profile", person.access_token)
        headers = bearer(person.access_token) | {"If-None-Match": read.headers["etag"]}
        assert (await api.http.get("/api/v1/users/profile", headers=headers)).status_code == 304

    async def test_moving_to_another_zone_is_told_in_the_same_transaction(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[UUID] = []

        async def listen(session: AsyncSession, user_id: UUID) -> None:
            assert session.in_transaction()
            heard.append(user_id)

        monkeypatch.setattr(profile, "ZONE_LISTENERS", [listen])
        person = await api.person(timezone="Asia/Tokyo")
        await put(person, {"timezone": "Asia/Tokyo", "first_name": "Ada"})
        assert heard == []
        await put(person, {"timezone": "Europe/Lisbon"})
        assert heard == [person.user_id]

    async def test_every_answer_announces_the_limit(self, api: Api) -> None:
        answer = await api.get("/users/profile", (await api.person()).access_token)
        assert answer.headers["ratelimit-policy"] == '"default";q=100000;w=1'
        assert answer.headers["ratelimit"].startswith('"default";r=9')


async def erase(person: Person, body: object = None) -> httpx.Response:
    return await person.request("DELETE", "/users/account", body)


class TestErasure:
    async def test_the_account_is_blocked_at_once_and_everybody_signed_out(self, api: Api) -> None:
        person = await api.person()
        second = (await api.login(person.email)).json()["access_token"]
        answer = await erase(person, {"password": PASSWORD})
        assert (answer.status_code, answer.json()["state"]) == (202, "requested")
        days = datetime.fromisoformat(answer.json()["execute_at"]) - datetime.now(UTC)
        assert abs(days - timedelta(days=14)) < timedelta(minutes=1)
        assert [await person.is_let_in(token) for token in (person.access_token, second)] == [False, False]
        assert said(await api.login(person.email)) == said(await api.login("nobody@example.test"))
        assert (await person.refresh()).status_code == 401
        assert (await api.mails(person.email))[-1] == "erasure_requested"
        assert ("erasure.request", "ok") in await audit_of(api, person.email)

    async def test_the_mailed_link_takes_it_back_once(self, api: Api) -> None:
        person = await api.person()
        await erase(person, {"password": PASSWORD})
        token = await api.mailed_token(person.email, MailTokenKind.CANCEL_ERASURE)
        assert (await api.post("/users/erasure/cancel", {"token": token})).status_code == 204
        assert (await api.post("/users/erasure/cancel", {"token": token})).status_code == 400
        assert not await person.is_let_in(), "the sessions of before stay ended"
        fresh = (await api.login(person.email)).json()["access_token"]
        shown = (await api.get("/users/erasure", fresh)).json()
        assert shown["state"] == "cancelled"
        assert shown["cancelled_at"] is not None

    async def test_a_verification_token_takes_nothing_back(self, api: Api) -> None:
        person = await api.person()
        await erase(person, {"password": PASSWORD})
        token = await api.mailed_token(person.email, MailTokenKind.VERIFY)
        assert (await api.post("/users/erasure/cancel", {"token": token})).status_code == 400
        user = await api.user(person.email)
        assert user is not None
        assert user.state == UserState.BLOCKED

    async def test_a_wrong_password_changes_nothing_and_is_counted(self, api: Api) -> None:
        person = await api.person()
        answers = [await erase(person, {"password": "not the password at all"}) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [403] * 6 + [429]
        assert answers[0].json()["code"] == "password_wrong"
        assert await person.is_let_in()
        assert (await api.get("/users/erasure", person.access_token)).status_code == 404

    async def test_without_the_password_the_login_must_be_fresh(self, api: Api) -> None:
        person, other = await api.person(), await api.person()
        async with api.identity.db.sessions.begin() as session:
            mine = update(Session).where(col(Session.user_id) == person.user_id)
            await session.execute(mine.values(auth_time=datetime.now(UTC) - timedelta(minutes=6)))
        older = (await person.refresh()).json()["access_token"]
        refused = await api.delete("/users/account", older)
        assert (refused.status_code, refused.json()["code"]) == (403, "step_up_required")
        assert (await erase(other)).status_code == 202

    async def test_asking_many_times_at_once_records_one_wish(self, api: Api) -> None:
        person = await api.person()
        answers = await asyncio.gather(*[erase(person) for _ in range(5)])
        assert [answer.status_code for answer in answers].count(202) == 1
        assert {answer.status_code for answer in answers} <= {202, 401, 409}
        assert (await api.mails(person.email)).count("erasure_requested") == 1

    async def test_a_grace_of_no_days_is_a_setting(self, settings: Settings, db: Database) -> None:
        at_once = settings.model_copy(update={"rate_limits": OPEN, "erasure": ErasureSettings(grace_days=0)})
        async with api_process(at_once) as process:
            person = await process.person()
            answer = await erase(person, {"password": PASSWORD})
            assert datetime.fromisoformat(answer.json()["execute_at"]) <= datetime.now(UTC) + timedelta(seconds=5)

    async def test_registering_during_the_grace_makes_no_second_account(self, api: Api) -> None:
        person = await api.person()
        await erase(person)
        await api.register(person.email)
        assert (await api.mails(person.email))[-1] == "already_registered"
        async with api.identity.db.sessions() as session:
            users = select(Session.user_id).where(col(Session.user_id) == person.user_id).distinct()
            assert len((await session.scalars(users)).all()) == 1
