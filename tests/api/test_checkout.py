"""Subscribing: one page however often somebody clicks, and nothing granted by coming back from it (S10–S12, S22)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from core.db import Database
from core.settings import Settings
from integrations.payments.client import PIN
from tests.api.billing_kit import SWITCHED_ON, World, session_of, world_of
from tests.api.signing_in import Api, Person

OURS = {"/v1/customers", "/v1/checkout/sessions", "/v1/billing_portal/sessions"}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


async def code_of(person: Person, **body: Any) -> tuple[int, str]:
    answer = await person.request("POST", "/billing/checkout", {"plan": "plus_month", "currency": "EUR"} | body)
    return answer.status_code, answer.json().get("code", "")


async def test_twenty_clicks_at_once_are_one_customer_and_one_page(world: World, person: Person) -> None:
    async def click() -> str:
        """As the app does: what is too much at once is asked for again."""
        for _ in range(20):
            answer = await person.request("POST", "/billing/checkout", {"plan": "plus_month", "currency": "EUR"})
            if answer.status_code != 503:
                break
        assert answer.status_code == 200, answer.text
        return str(answer.json()["url"])

    urls = await asyncio.gather(*(click() for _ in range(20)))
    assert len(set(urls)) == 1
    assert len(world.objects("customer")) == 1
    assert len(world.objects("checkout.session")) == 1
    assert await world.checkout(person) == urls[0]


async def test_another_plan_closes_the_page_of_the_first(world: World, person: Person) -> None:
    first = await world.checkout(person)
    second = await world.checkout(person, "family_year")
    assert second != first
    newer, older = world.objects("checkout.session")
    assert (newer["status"], older["status"]) == ("open", "expired")
    states = await world.db.reads.fetch(
        "SELECT state FROM checkout_intents WHERE account_id = $1 ORDER BY id", person.user_id
    )
    assert [row["state"] for row in states] == ["superseded", "open"]


async def test_who_has_paid_a_moment_ago_gets_no_page_for_another_plan(world: World, person: Person) -> None:
    await world.box.control("webhooks", hold=True)
    await world.pay(await world.checkout(person))
    assert await code_of(person, plan="family_month") == (409, "already_subscribed")


async def test_what_one_person_asks_of_stripe_is_limited(
    world: World, app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = world.api.identity.limiter._arguments
    monkeypatch.setitem(limits, "payments", ("1", "3600", "2"))
    codes = [(await code_of(person))[0] for _ in range(3)]
    assert codes == [200, 200, 429]
    assert (await person.request("GET", "/billing/subscription")).status_code == 200


async def test_nothing_that_leads_to_a_payment_is_in_a_log(
    world: World,
    person: Person,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.fails("/v1/billing_portal/sessions")
    url = await world.checkout(person)
    paid = await world.pay(url)
    await person.request("GET", f"/billing/return?session_id={session_of(paid)}")
    await world.worker.pull(person.user_id)
    await person.request("POST", "/billing/portal", {})
    stored = await world.db.reads.fetch("SELECT params::text FROM billing_operations")
    row = await world.db.reads.fetch("SELECT * FROM checkout_intents")
    said = [caplog.text, *capsys.readouterr(), *(str(dict(each)) for each in (*stored, *row))]
    for canary in (url, "client_secret", "whsec_", world.box.key, "4242", person.email):
        assert not any(canary in text for text in said), canary


async def test_what_is_not_sold_is_refused(world: World, person: Person) -> None:
    assert await code_of(person, plan="platinum_month") == (422, "validation_failed")
    assert await code_of(person, currency="SEK") == (422, "validation_failed")
    assert await code_of(person, next="//evil.example") == (422, "next_not_allowed")
    assert world.objects("checkout.session") == []


async def test_a_page_that_stripe_could_not_make_is_made_anew_when_it_is_asked_for_again(
    world: World, person: Person
) -> None:
    world.fails("/v1/checkout/sessions", when="after")
    assert await code_of(person) == (503, "payments_unavailable")
    await world.db.reads.execute("UPDATE checkout_intents SET updated_at = updated_at - interval '1 minute'")
    assert await world.checkout(person)
    assert len(world.objects("customer")) == 1


async def test_a_customer_whom_stripe_could_not_make_is_made_anew_under_another_key(
    world: World, person: Person
) -> None:
    world.fails("/v1/customers", when="after")
    assert await code_of(person) == (503, "payments_unavailable")
    for table, instant in (("checkout_intents", "updated_at"), ("billing_operations", "first_sent_at")):
        await world.db.reads.execute(f"UPDATE {table} SET {instant} = {instant} - interval '1 minute'")
    assert await world.checkout(person)
    keys = [each["headers"]["idempotency-key"] for each in await world.requests("/v1/customers")]
    assert [key.rpartition(":")[2] for key in keys if "customer:" in key] == ["1", "2"]


async def test_while_somebody_makes_the_page_the_others_wait_and_give_up_in_time(
    world: World, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.billing.WAIT_SECONDS", 0.3)
    world.fails("/v1/checkout/sessions")
    assert await code_of(person) == (503, "payments_unavailable")
    assert await code_of(person) == (503, "checkout_in_progress")


async def test_a_customer_who_was_deleted_at_stripe_gets_a_successor(world: World, person: Person) -> None:
    await world.checkout(person)
    (customer,) = world.objects("customer")
    await world.box.v1.customers.delete_async(customer["id"])
    await world.db.reads.execute("UPDATE checkout_intents SET state = 'expired'")
    await world.checkout(person)
    row = await world.db.reads.fetchrow("SELECT * FROM billing_customers WHERE account_id = $1", person.user_id)
    assert (row["generation"], row["stripe_customer_id"] == customer["id"]) == (2, False)


async def test_the_page_of_another_person_is_not_found_and_stripe_is_not_asked(
    world: World, api: Api, person: Person
) -> None:
    paid = session_of(await world.pay(await world.checkout(person)))
    before, other = len(await world.requests()), await api.person()
    answer = await other.request("GET", f"/billing/return?session_id={paid}")
    assert answer.status_code == 404
    assert len(await world.requests()) == before
    assert (await other.request("GET", "/billing/subscription")).json()["tier"] == "free"


async def test_coming_back_grants_nothing_by_itself(
    world: World, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.billing.WAIT_SECONDS", 0.2)
    session = session_of(await world.pay(await world.checkout(person)))
    answer = await person.request("GET", f"/billing/return?session_id={session}")
    assert (answer.status_code, answer.json()["state"]) == (200, "processing")
    assert answer.json()["subscription"]["tier"] == "free"


async def test_the_page_of_thanks_tells_nobody_anything(world: World, person: Person) -> None:
    url = await world.checkout(person)
    session = session_of(await world.pay(url))
    pages = [await world.api.http.get(f"/billing/return?session_id={each}") for each in (session, "cs_unknown")]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].text == pages[1].text
    left = await world.api.http.get("/billing/return", headers={"Accept-Language": "de"})
    assert "Nichts wurde bezahlt" in left.text


async def test_every_request_to_stripe_has_the_pinned_version_and_a_key_of_ours(world: World, person: Person) -> None:
    await world.pay(await world.checkout(person))
    assert (await person.request("POST", "/billing/portal", {})).status_code == 200
    made = [each for each in await world.requests() if each["method"] == "POST" and each["path"] in OURS]
    assert {each["path"] for each in made} == OURS
    keys = [each["headers"]["idempotency-key"] for each in made]
    assert all(key.startswith("pf:test:") and len(key) <= 255 for key in keys)
    assert {each["headers"]["stripe-version"] for each in made} == {PIN}
