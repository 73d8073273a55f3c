"""What operators see of an account's billing, and that its person can see that they looked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.schemas.staff_billing import AccountBillingOut
from api.staff_billing import why
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from temporal import ids
from tests.api.billing_kit import SWITCHED_ON, World, world_of
from tests.api.signing_in import Api, Person
from tests.api.stripe_kit import bells, documented


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


@pytest.fixture
async def operator(api: Api, db: Database) -> Person:
    person = await api.person()
    await db.reads.execute("UPDATE users SET is_staff = true WHERE id = $1", person.user_id)
    return person


async def seen(operator: Person, account_id: UUID) -> dict[str, Any]:
    answer = await operator.request("GET", f"/staff/accounts/{account_id}/billing")
    assert answer.status_code == 200, answer.text
    return documented(answer.json(), AccountBillingOut)


async def test_an_operator_sees_everything_of_an_account_and_why_its_tier_is_what_it_is(
    world: World, operator: Person, person: Person
) -> None:
    assert "Nothing was ever read" in (await seen(operator, person.user_id))["why"]
    await world.subscribe(person)
    await world.worker.work()
    found = await seen(operator, person.user_id)
    assert (found["tier"], found["snapshot"]["status"]) == ("plus", "active")
    assert "active for plus: plus" in found["why"]
    assert {event["state"] for event in found["events"]} == {"applied"}
    assert {operation["kind"] for operation in found["operations"]} >= {"customer", "checkout"}
    (paid,) = found["ledger"]
    assert found["sums"] == [{"currency": "EUR", "amount_minor": paid["amount_minor"]}]
    assert [visit["state"] for visit in found["visits"]] == ["completed"]
    assert not any(secret in str(found) for secret in ("http", "secret", "4242", person.email))


async def test_the_person_can_read_who_looked(world: World, operator: Person, person: Person) -> None:
    await seen(operator, person.user_id)
    log = (await person.request("GET", "/users/audit")).json()["items"]
    assert "staff.billing" in [entry["action"] for entry in log]


async def test_a_replay_has_events_handled_once_more_and_money_counted_anew(
    world: World, operator: Person, person: Person, db: Database
) -> None:
    await world.subscribe(person)
    await world.worker.work()
    ledger = (await seen(operator, person.user_id))["ledger"]
    await db.reads.execute("DELETE FROM ledger_entries WHERE account_id = $1", person.user_id)
    answer = await operator.request("POST", f"/staff/accounts/{person.user_id}/billing/replay")
    assert answer.status_code == 200, answer.text
    events = (await seen(operator, person.user_id))["events"]
    assert answer.json()["events"] == len(events) > 0
    assert {event["state"] for event in events} == {"received"}
    assert len(await bells(world.db, ids.billing(person.user_id))) == 1
    await world.worker.work()
    after = await seen(operator, person.user_id)
    assert {event["state"] for event in after["events"]} == {"applied"}
    assert (after["tier"], after["ledger"]) == ("plus", ledger)


async def test_only_operators_look(world: World, operator: Person, person: Person) -> None:
    for method, path in (("GET", "billing"), ("POST", "billing/replay")):
        answer = await person.request(method, f"/staff/accounts/{person.user_id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
        answer = await operator.request(method, f"/staff/accounts/{new_id()}/{path}")
        assert answer.status_code == 404


async def test_what_is_not_understood_is_said(world: World, operator: Person, person: Person, db: Database) -> None:
    await world.subscribe(person)
    async with db.sessions.begin() as session:
        await session.execute(
            text("UPDATE billing_snapshots SET status = 'dreaming' WHERE account_id = :id"), {"id": person.user_id}
        )
    assert "unknown_status (status dreaming): it keeps plus" in (await seen(operator, person.user_id))["why"]


def test_why_says_when_a_grace_ends() -> None:

    now = datetime(2026, 11, 29, tzinfo=UTC)
    row = {"fence": 1, "price_tier": "plus", "entitled": "plus", "status": "past_due", "now": now, "synced_at": now}
    row |= {"past_due_since": now - timedelta(days=13), "grace_until": now + timedelta(days=1), "tier": "plus"}
    assert why(row).endswith("past_due for plus; the grace until 2026-11-30 00:00:00 UTC lasts: plus.")
