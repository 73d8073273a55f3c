"""What people agree to, over HTTP: shown with its words, withdrawn as easily as granted, kept as events."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.db import Database, single_statement
from core.ids import new_id
from core.settings import Settings
from domain.consent import WORDINGS, Purpose
from domain.notification import Category, Channel, Forbidden, forbidden
from models.queries import notification_preferences
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, audit_of

PATH = "/users/consents"
GPC = {"Sec-GPC": "1"}
VERSION = WORDINGS[Purpose.SMS].version


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture
async def person(api: Api) -> Person:
    return await api.person(phone="+49 30 901820")


async def say(person: Person, purpose: str, action: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    body = {"purpose": purpose, "action": action} | ({"wording": VERSION} if action == "granted" else {}) | more
    answer = await person.request("POST", PATH, body, headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def states(person: Person, headers: dict[str, str] | None = None) -> dict[str, bool]:
    items = (await person.request("GET", PATH, headers=headers)).json()["items"]
    return {item["purpose"]: item["granted"] for item in items}


async def events(db: Database, person: Person) -> list[tuple[str, str, str]]:
    rows = await db.reads.fetch(
        "SELECT purpose, action, source FROM consents WHERE user_id = $1 ORDER BY id", person.user_id
    )
    return [tuple(row) for row in rows]


async def reason(db: Database, person: Person) -> Forbidden | None:
    async with single_statement(db.sessions) as session:
        standing = await notification_preferences.standing(session, person.user_id)
    assert standing is not None
    return forbidden(Category.MEDICATION, Channel.SMS, standing)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_nobody_has_agreed_to_anything_before_they_were_asked(person: Person) -> None:
    items = (await person.request("GET", PATH)).json()["items"]
    assert [item["purpose"] for item in items] == list(Purpose)
    assert not any(item["granted"] for item in items)
    assert all(item["text"] and item["wording"] for item in items)


async def test_text_messages_are_sent_from_the_grant_to_the_withdrawal(person: Person, db: Database) -> None:
    assert await reason(db, person) is Forbidden.NO_CONSENT
    granted = await say(person, "sms", "granted")
    assert (granted["granted"], granted["agreed_wording"], granted["source"]) == (True, VERSION, "app")
    assert datetime.now(UTC) - datetime.fromisoformat(granted["decided_at"]) < timedelta(minutes=1)
    assert await reason(db, person) is None
    assert (await say(person, "sms", "withdrawn"))["granted"] is False
    assert await reason(db, person) is Forbidden.NO_CONSENT
    assert await events(db, person) == [("sms", "granted", "app"), ("sms", "withdrawn", "app")]


async def test_saying_it_again_adds_nothing(person: Person, db: Database) -> None:
    for action in ("granted", "granted", "withdrawn", "withdrawn", "granted"):
        await say(person, "analytics", action)
    assert [action for _, action, _ in await events(db, person)] == ["granted", "withdrawn", "granted"]


async def test_the_event_holds_the_hash_of_the_words_in_the_language_they_were_shown(
    person: Person, db: Database
) -> None:
    shown = await say(person, "marketing", "granted", locale="de")
    row = await db.reads.fetchrow(
        "SELECT text_hash, wording, ip_trunc FROM consents WHERE user_id = $1", person.user_id
    )
    assert row is not None
    assert row["text_hash"] == hashlib.sha256(WORDINGS[Purpose.MARKETING].texts["de"].encode()).digest()
    assert (shown["locale"], shown["text"]) == ("de", WORDINGS[Purpose.MARKETING].texts["de"])
    assert row["ip_trunc"] == person.api.address.rpartition(".")[0] + ".0/24"


async def test_the_words_come_in_the_language_of_the_profile(person: Person) -> None:
    await person.request("PUT", "/users/profile", {"locale": "de-AT"})
    items = (await person.request("GET", PATH)).json()["items"]
    assert {item["locale"] for item in items} == {"de"}


async def test_every_event_is_in_the_audit_log(person: Person) -> None:
    await say(person, "sms", "granted")
    await say(person, "sms", "withdrawn")
    assert (await audit_of(person.api, person.email))[-2:] == [("consent.granted", "ok"), ("consent.withdrawn", "ok")]


async def test_granting_names_the_present_words(person: Person, db: Database) -> None:
    without = await person.request("POST", PATH, {"purpose": "sms", "action": "granted"})
    assert [(e["pointer"], e["code"]) for e in without.json()["errors"]] == [("/wording", "missing_field")]
    old = await person.request("POST", PATH, {"purpose": "sms", "action": "granted", "wording": "2019-01"})
    assert code(old) == (409, "wording_outdated")
    assert old.json()["wording"] == VERSION
    assert await events(db, person) == []


async def test_a_withdrawal_counts_although_the_clock_of_its_process_is_behind(person: Person, db: Database) -> None:
    await say(person, "sms", "granted")
    ahead = UUID(int=new_id().int + (10_000 << 80))  # a UUID v7 of a clock ten seconds ahead
    await db.reads.execute("UPDATE consents SET id = $1 WHERE user_id = $2", ahead, person.user_id)
    await say(person, "sms", "withdrawn")
    assert (await states(person))["sms"] is False


async def test_a_repeated_request_is_answered_once(person: Person, db: Database) -> None:
    body, key = {"purpose": "sms", "action": "granted", "wording": VERSION}, {"Idempotency-Key": "consent-1"}
    first = await person.request("POST", PATH, body, key)
    await say(person, "sms", "withdrawn")
    again = await person.request("POST", PATH, body, key)
    assert again.json() == first.json()
    assert (await states(person))["sms"] is False


@pytest.mark.parametrize(
    "body",
    [
        {"purpose": "everything", "action": "granted", "wording": VERSION},
        {"purpose": "sms", "action": "maybe"},
        {"purpose": "sms"},
        {"purpose": "sms", "action": "withdrawn", "source": "gpc"},
        {"purpose": "sms", "action": "withdrawn", "locale": "fr"},
    ],
)
async def test_what_is_no_consent_is_refused(person: Person, body: Any) -> None:
    assert (await person.request("POST", PATH, body)).status_code == 422


async def test_everybody_consents_for_themselves(api: Api, person: Person) -> None:
    await say(person, "sms", "granted")
    assert (await states(await api.person()))["sms"] is False


class TestGlobalPrivacyControl:
    """`Sec-GPC: 1` is an opt-out of sale and sharing, and is stored as an event."""

    async def test_the_signal_is_kept_once_when_somebody_signs_in(self, person: Person, db: Database) -> None:
        for _ in range(2):
            answer = await person.api.http.post(
                "/api/v1/auth/login", json={"email": person.email, "password": PASSWORD}, headers=GPC
            )
            assert answer.status_code == 200
        assert await events(db, person) == [("sale_or_share", "withdrawn", "gpc")]

    async def test_a_browser_without_it_leaves_no_event(self, person: Person, db: Database) -> None:
        assert await events(db, person) == []
        await person.request("POST", PATH, {"purpose": "sms", "action": "withdrawn"}, {"Sec-GPC": "0"})
        assert await events(db, person) == [("sms", "withdrawn", "app")]

    async def test_it_overrules_an_earlier_yes_from_the_first_request_on(self, person: Person, db: Database) -> None:
        await say(person, "sale_or_share", "granted")
        assert (await states(person, GPC))["sale_or_share"] is False
        assert (await states(person))["sale_or_share"] is True
        await say(person, "sms", "granted", headers=GPC)
        assert (await states(person))["sale_or_share"] is False
        assert ("sale_or_share", "withdrawn", "gpc") in await events(db, person)

    async def test_it_says_nothing_about_other_purposes(self, person: Person) -> None:
        await say(person, "sms", "granted", headers=GPC)
        assert (await states(person, GPC))["sms"] is True

    async def test_one_cannot_say_yes_while_the_browser_says_no(self, person: Person, db: Database) -> None:
        body = {"purpose": "sale_or_share", "action": "granted", "wording": VERSION}
        assert code(await person.request("POST", PATH, body, GPC)) == (409, "gpc_signal")
        assert await events(db, person) == []
