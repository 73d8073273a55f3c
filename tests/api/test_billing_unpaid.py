"""Renewals that are not paid, over HTTP: what is said about them, another card, an end, and who was deleted at Stripe
(S15–S17)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from core.db import Database
from core.settings import Settings
from tests.api.billing_kit import SWITCHED_ON, World, mine, world_of
from tests.api.signing_in import Api, Person
from tests.api.stripe_kit import deliver

DAY, HOUR = 86_400, 3_600
OUTCOMES = ["canceled", "unpaid", "past_due"]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


async def day(world: World, person: Person, number: int) -> dict[str, Any]:
    """As many days later, once more than once read; what is shown then."""
    await world.box.passes(number * DAY)
    for _ in range(2):
        await world.worker.pull(person.user_id)
    return await mine(person)


async def refused(world: World, person: Person, outcome: str = "unpaid") -> None:
    """Subscribed, and the renewal was refused. `outcome`: what Stripe does in the end."""
    await world.box.control("settings", after_retries=outcome)
    await world.subscribe(person)
    await replace_card(world, "pm_card_chargeCustomerFail")
    (subscription,) = world.objects("subscription")
    await world.box.control(f"objects/{subscription['id']}", default_payment_method=None)
    await world.box.passes(31 * DAY + 2 * HOUR)


async def declined(world: World, person: Person, outcome: str = "unpaid") -> dict[str, Any]:
    """`refused`, and read; what is shown."""
    await refused(world, person, outcome)
    return await day(world, person, 0)


async def replace_card(world: World, method: str) -> None:
    """At the Portal."""
    await world.shop.replace_method(world.objects("customer")[0]["id"], method)


async def paid(world: World) -> list[str]:
    """The keys under which we had something charged."""
    return [each["headers"]["idempotency-key"] for each in await world.requests("/v1/invoices/[^/]+/pay")]


async def dunned(world: World, person: Person) -> list[str]:
    """The steps that they were told by mail."""
    query = "SELECT step FROM deliveries WHERE user_id = $1 AND template = 'payment_failed' AND channel = 'email'"
    return [row["step"] for row in await world.db.reads.fetch(f"{query} ORDER BY id", person.user_id)]


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_what_becomes_of_a_renewal_that_nobody_pays_is_shown(world: World, person: Person, outcome: str) -> None:
    shown = await declined(world, person, outcome)
    assert (shown["status"], shown["tier"], shown["problem"]["todo"]) == ("past_due", "plus", "wait_or_pay")
    link = shown["problem"]["pay_url"]
    shown = await day(world, person, 16)
    assert (shown["status"], shown["tier"]) == (outcome, "free")
    if outcome == "canceled":
        assert shown["problem"] is None
    else:  # no attempt is planned any more, so none is promised
        assert (shown["problem"]["todo"], shown["problem"]["pay_url"]) == ("replace_card", link)


async def test_the_same_event_ten_times_at_once_is_one_row_and_one_mail(world: World, person: Person) -> None:
    kind, state = "invoice.payment_failed", "SELECT state FROM stripe_events WHERE id = $1"
    await world.box.control("webhooks", rules=[{"what": "drop", "types": kind, "times": 1000}])
    await refused(world, person)
    (event,) = (each for each in world.objects("event") if each["type"] == kind)
    assert await world.db.reads.fetchval(state, event["id"]) is None
    (secret,) = world.billing.webhook_secrets
    async with world.worker.working(), asyncio.timeout(20):
        answers = await asyncio.gather(*(deliver(world.api, event, secret) for _ in range(10)))
        while await world.db.reads.fetchval(state, event["id"]) != "applied":
            await asyncio.sleep(0.05)
    assert {answer.status_code for answer in answers} == {200}
    assert await dunned(world, person) == ["day_0"]


@pytest.mark.parametrize(("outcome", "later"), [("unpaid", 5), ("unpaid", 16), ("past_due", 16)])
async def test_another_card_is_charged_once_and_everything_is_as_before(
    world: World, person: Person, outcome: str, later: int
) -> None:
    await declined(world, person, outcome)
    await day(world, person, later)
    await replace_card(world, "pm_card_visa")
    shown = await day(world, person, 0)
    assert (shown["status"], shown["tier"], shown["problem"]) == ("active", "plus", None)
    assert len(await paid(world)) == 1
    told = await dunned(world, person)
    assert told[0] == "day_0"
    await day(world, person, 20)
    assert (len(await paid(world)), await dunned(world, person)) == (1, told)


async def test_what_is_ended_while_it_is_unpaid_is_not_owed_any_more(world: World, person: Person) -> None:
    """The link in an old mail still leads to the invoice; whoever subscribed anew would pay it as well."""
    await declined(world, person)
    await day(world, person, 16)
    async with world.worker.working():
        assert (await person.request("POST", "/billing/cancel")).json()["state"] == "done"
    await world.worker.pull(person.user_id)
    await world.subscribe(person)
    assert (await mine(person))["status"] == "active"
    assert sorted(invoice["status"] for invoice in world.objects("invoice")) == ["paid", "paid", "void"]


async def test_who_was_deleted_at_stripe_is_free_and_everything_is_answered(world: World, person: Person) -> None:
    await world.subscribe(person)
    (customer,) = world.objects("customer")
    await world.box.v1.customers.delete_async(customer["id"])
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "free"
    assert (await person.request("GET", "/billing/invoices")).status_code == 200
    portal = await person.request("POST", "/billing/portal", {})
    assert (portal.status_code, portal.json()["code"]) == (409, "not_subscribed")
    assert portal.json()["checkout"] == "/api/v1/billing/checkout"
    await world.subscribe(person)
    assert (await mine(person))["tier"] == "plus"
    assert (await person.request("POST", "/billing/portal", {})).status_code == 200


async def test_a_subscription_that_was_deleted_at_stripe_leaves_its_person_free(world: World, person: Person) -> None:
    await world.subscribe(person)
    await world.box.v1.subscriptions.cancel_async(world.objects("subscription")[0]["id"])
    await world.worker.pull(person.user_id)
    assert ((await mine(person))["tier"], (await mine(person))["status"]) == ("free", "canceled")
    assert (await person.request("POST", "/billing/portal", {})).status_code == 200
    await world.subscribe(person, "family_month")
    assert (await mine(person))["tier"] == "family"
    assert len(world.objects("customer")) == 1


async def test_a_plan_that_is_not_sold_since_last_night_is_a_conflict(world: World, person: Person) -> None:
    await world.box.v1.prices.update_async(world.shop.prices["plus_month"], {"active": False})
    body = {"plan": "plus_month", "currency": "EUR"}
    for _ in range(2):
        answer = await person.request("POST", "/billing/checkout", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_sold_now")
    assert await world.checkout(person, "family_month")


async def test_what_stripe_refuses_is_no_defect_of_ours(world: World, person: Person) -> None:
    await world.subscribe(person)
    await world.box.control("faults", method="POST", path="/v1/billing_portal/sessions", status=400, code="x")
    answer = await person.request("POST", "/billing/portal", {})
    assert (answer.status_code, answer.json()["code"], answer.json()["title"]) == (
        502,
        "payments_refused",
        "Bad Gateway",
    )
