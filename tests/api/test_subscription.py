"""A subscription over HTTP, from the way back from Checkout to its end; the worker beside it reads Stripe (S6, S7, S9,
S13, S14)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from fastapi import FastAPI

from api.schemas.billing import PlansOut
from api.schemas.billing_changes import PreviewOut
from core.db import Database
from core.settings import Settings
from domain.billing.catalogue import LIMITS, Tier
from tests.api.billing_kit import SWITCHED_ON, World, mine, session_of, world_of
from tests.api.household_kit import pet_of
from tests.api.signing_in import Api, Person
from tests.api.stripe_kit import documented

DAY = 86_400


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


async def test_the_plans_are_those_on_sale_in_every_currency(world: World) -> None:
    plans = documented((await world.api.get("/billing/plans")).json(), PlansOut)["items"]
    assert [plan["tier"] for plan in plans] == ["free", "plus", "family"]
    assert [len(plan["prices"]) for plan in plans] == [0, 10, 10]
    assert plans[0]["limits"]["pets"] == LIMITS[Tier.FREE].pets
    yen = {"lookup_key": "plus_month", "interval": "month", "amount": {"amount": 800, "currency": "JPY"}}
    assert yen in plans[1]["prices"]


async def test_with_every_webhook_lost_whoever_comes_back_has_their_plan_within_seconds(
    world: World, person: Person
) -> None:
    await world.box.control("webhooks", rules=[{"what": "drop", "times": 1000}])
    session = session_of(await world.pay(await world.checkout(person)))
    async with world.worker.working():
        answer = await person.request("GET", f"/billing/return?session_id={session}")
    assert (answer.status_code, answer.json()["state"]) == (200, "done")
    shown = answer.json()["subscription"]
    assert (shown["tier"], shown["status"], shown["plan"]) == ("plus", "active", "plus_month")
    assert shown["price"] == {"amount": 499, "currency": "EUR"}
    assert shown == await mine(person)
    for _ in range(LIMITS[Tier.FREE].pets + 1):
        await pet_of(person)
    (home,) = (await mine(person))["use"]["households"]
    assert (home["tier"], home["pets"], home["limit"], home["read_only"]) == ("plus", 3, 5, 0)


async def test_events_in_any_order_end_in_the_right_state(world: World, person: Person) -> None:
    await world.box.control("webhooks", order="reversed")
    async with world.worker.working():
        await world.pay(await world.checkout(person))
        async with asyncio.timeout(10):
            while (await mine(person))["status"] != "active":
                await asyncio.sleep(0.05)
    assert (await mine(person))["tier"] == "plus"


async def test_a_bank_debit_grants_nothing_until_it_has_come_through(world: World, person: Person) -> None:
    await world.pay(await world.checkout(person), "DE89370400440532013000")
    await world.worker.pull(person.user_id)
    before = await mine(person)
    assert (before["tier"], before["status"], before["problem"]) == ("free", "incomplete", None)
    again = await person.request("POST", "/billing/checkout", {"plan": "plus_month", "currency": "EUR"})
    assert (again.status_code, again.json()["code"]) == (409, "payment_processing")
    await world.box.passes(6 * DAY)
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "plus"


async def test_a_bank_debit_that_fails_leaves_its_person_free(world: World, person: Person) -> None:
    await world.pay(await world.checkout(person), "DE62370400440532013001")
    await world.box.passes(6 * DAY)
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "free"


async def test_who_answers_the_bank_s_question_has_their_plan(world: World, person: Person) -> None:
    url = await world.checkout(person)
    assert await world.pay(url, "4000002760003184") == url, "the bank asks first"
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "free"
    assert session_of(await world.pay(url, action="authenticate"))
    await world.worker.pull(person.user_id)
    assert ((await mine(person))["tier"], (await mine(person))["status"]) == ("plus", "active")


async def test_who_abandons_the_bank_s_question_is_free_and_can_subscribe_again(world: World, person: Person) -> None:
    url = await world.checkout(person)
    await world.pay(url, "4000002760003184")
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "free"
    await world.box.passes(DAY + 1)
    await world.worker.pull(person.user_id)
    assert await world.checkout(person) != url
    await world.subscribe(person)
    assert (await mine(person))["tier"] == "plus"


async def test_who_has_a_subscription_is_shown_the_way_to_change_it(world: World, person: Person) -> None:
    await world.subscribe(person)
    answer = await person.request("POST", "/billing/checkout", {"plan": "family_month", "currency": "EUR"})
    said = answer.json()
    assert (answer.status_code, said["code"], said["plan_change"]) == (
        409,
        "already_subscribed",
        "/api/v1/billing/plan-change",
    )


async def test_another_currency_is_refused_with_the_one_that_counts(world: World, person: Person) -> None:
    await world.subscribe(person)
    answer = await person.request("POST", "/billing/plan-change", {"plan": "family_month", "quote": None})
    assert answer.status_code == 200
    await world.box.v1.subscriptions.cancel_async(world.objects("subscription")[0]["id"])
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "free"
    dollars = await person.request("POST", "/billing/checkout", {"plan": "plus_month", "currency": "USD"})
    assert (dollars.status_code, dollars.json()["code"], dollars.json()["currency"]) == (409, "other_currency", "EUR")
    assert {invoice["currency"] for invoice in world.objects("invoice")} == {"eur"}


async def test_an_upgrade_costs_what_the_preview_said_to_the_cent(world: World, person: Person) -> None:
    await world.subscribe(person)
    await world.box.passes(10 * DAY)
    preview = (await person.request("POST", "/billing/plan-change/preview", {"plan": "family_month"})).json()
    assert documented(preview, PreviewOut)["kind"] == "upgrade"
    lines = sum(line["amount"]["amount"] for line in preview["lines"])
    assert lines + preview["tax"]["amount"] == preview["total"]["amount"]
    await world.box.passes(20 * 60)
    async with world.worker.working():
        answer = await person.request(
            "POST", "/billing/plan-change", {"plan": "family_month", "quote": preview["quote"]}
        )
    assert (answer.status_code, answer.json()["state"]) == (200, "done"), answer.text
    assert answer.json()["subscription"]["tier"] == "family"
    newest = max(world.objects("invoice"), key=lambda each: each["created"])
    assert (newest["total"], newest["amount_paid"]) == (preview["total"]["amount"], preview["amount_due"]["amount"])


async def test_a_quote_is_good_for_its_own_change_alone(world: World, api: Api, person: Person) -> None:
    await world.subscribe(person)
    other = await api.person()
    await world.subscribe(other)
    path, body = "/billing/plan-change/preview", {"plan": "family_month"}
    theirs = (await other.request("POST", path, body)).json()["quote"]
    for quote in (theirs, "made-up", (await person.request("POST", path, {"plan": "family_year"})).json()["quote"]):
        answer = await person.request("POST", "/billing/plan-change", body | {"quote": quote})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "no_such_quote")


async def test_an_upgrade_whose_payment_fails_leaves_the_plan_as_it_was(world: World, person: Person) -> None:
    await world.subscribe(person)
    (customer,) = world.objects("customer")
    await world.shop.replace_method(customer["id"], "pm_card_chargeCustomerFail")
    (subscription,) = world.objects("subscription")
    await world.box.control(f"objects/{subscription['id']}", default_payment_method=None)
    async with world.worker.working():
        answer = await person.request("POST", "/billing/plan-change", {"plan": "family_month"})
    shown = answer.json()["subscription"]
    assert (shown["tier"], shown["plan"]) == ("plus", "plus_month")
    assert shown["pending_change_until"] is not None
    await world.box.passes(DAY)
    await world.worker.pull(person.user_id)
    assert (await mine(person))["pending_change_until"] is None


async def test_the_same_change_twice_under_one_key_is_one_invoice(world: World, person: Person) -> None:
    await world.subscribe(person)
    key, body = {"Idempotency-Key": "change-1"}, {"plan": "family_month"}
    async with world.worker.working():
        first = await person.request("POST", "/billing/plan-change", body, headers=key)
        second = await person.request("POST", "/billing/plan-change", body, headers=key)
        other = await person.request("POST", "/billing/plan-change", {"plan": "plus_year"}, headers=key)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["subscription"]["tier"] == "family"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(world.objects("invoice")) == 2


async def test_a_smaller_plan_begins_when_the_period_ends_and_can_be_taken_back(world: World, person: Person) -> None:
    await world.subscribe(person, "family_month")
    preview = (await person.request("POST", "/billing/plan-change/preview", {"plan": "plus_month"})).json()
    assert (preview["kind"], preview["at"], preview["quote"]) == (
        "downgrade",
        (await mine(person))["period_end"],
        None,
    )
    async with world.worker.working():
        planned = (await person.request("POST", "/billing/plan-change", {"plan": "plus_month"})).json()
        assert planned["state"] == "done"
        assert (planned["subscription"]["tier"], planned["subscription"]["next_plan"]["plan"]) == (
            "family",
            "plus_month",
        )
        undone = (await person.request("POST", "/billing/plan-change", {"plan": "family_month"})).json()
        assert (undone["state"], undone["subscription"]["next_plan"]) == ("done", None)
        await person.request("POST", "/billing/plan-change", {"plan": "plus_month"})
    await world.box.passes(32 * DAY)
    await world.worker.pull(person.user_id)
    assert (await mine(person))["tier"] == "plus"


async def test_a_cancel_is_for_the_end_of_the_period_and_can_be_taken_back(world: World, person: Person) -> None:
    await world.subscribe(person)
    async with world.worker.working():
        for _ in range(2):
            cancelled = (await person.request("POST", "/billing/cancel")).json()
            assert cancelled["state"] == "done"
            shown = cancelled["subscription"]
            assert (shown["tier"], shown["scheduled_cancel_at"]) == ("plus", shown["period_end"])
        resumed = (await person.request("POST", "/billing/resume")).json()
        assert (resumed["state"], resumed["subscription"]["scheduled_cancel_at"]) == ("done", None)
        await person.request("POST", "/billing/cancel")
    await world.box.passes(32 * DAY)
    await world.worker.pull(person.user_id)
    assert ((await mine(person))["tier"], (await mine(person))["status"]) == ("free", "canceled")


async def test_without_a_subscription_there_is_nothing_to_change(world: World, person: Person) -> None:
    requests = [("plan-change", {"plan": "plus_month"}), ("cancel", None), ("resume", None), ("portal", {})]
    for path, body in requests:
        answer = await person.request("POST", f"/billing/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_subscribed"), path


async def test_a_payment_that_failed_says_what_to_do_and_where(world: World, person: Person) -> None:
    await world.subscribe(person)
    (customer,) = world.objects("customer")
    await world.shop.replace_method(customer["id"], "pm_card_chargeCustomerFail")
    (subscription,) = world.objects("subscription")
    await world.box.control(f"objects/{subscription['id']}", default_payment_method=None)
    await world.box.passes(32 * DAY)
    await world.worker.pull(person.user_id)
    shown = await mine(person)
    assert (shown["tier"], shown["status"]) == ("plus", "past_due")
    assert shown["problem"]["pay_url"].startswith("http")
    since, until = (datetime.fromisoformat(shown["problem"][name]) for name in ("since", "plan_ends_at"))
    assert (until - since).days == 14
    answer = await person.request("POST", "/billing/plan-change", {"plan": "family_month"})
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_due")


async def test_what_nobody_paid_for_in_the_end_ends_at_once_and_is_begun_anew(world: World, person: Person) -> None:
    """A subscription that is `unpaid` would charge again one day: nobody subscribes beside it, they end it first."""
    await world.box.control("settings", after_retries="unpaid")
    await world.subscribe(person)
    (customer,) = world.objects("customer")
    await world.shop.replace_method(customer["id"], "pm_card_chargeCustomerFail")
    (subscription,) = world.objects("subscription")
    await world.box.control(f"objects/{subscription['id']}", default_payment_method=None)
    await world.box.passes(60 * DAY)
    await world.worker.pull(person.user_id)
    assert ((await mine(person))["tier"], (await mine(person))["status"]) == ("free", "unpaid")
    answer = await person.request("POST", "/billing/checkout", {"plan": "plus_month", "currency": "EUR"})
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_due")
    async with world.worker.working():
        answer = await person.request("POST", "/billing/resume")
        assert (answer.status_code, answer.json()["code"]) == (409, "payment_due")
        answer = await person.request("POST", "/billing/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "done")
        answer = await person.request("POST", "/billing/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_subscribed")
    assert (await mine(person))["status"] == "canceled"
    assert world.objects("subscription")[0]["status"] == "canceled"
    await world.subscribe(person)
    assert (await mine(person))["tier"] == "plus"


async def test_the_portal_leads_back_to_the_app(world: World, person: Person) -> None:
    await world.subscribe(person)
    answer = await person.request("POST", "/billing/portal", {"next": "/settings"})
    assert answer.status_code == 200, answer.text
    page = await world.box.http.get(answer.json()["url"])
    assert page.status_code == 200
    (session,) = world.objects("billing_portal.session")
    assert session["return_url"].endswith("/settings")


@pytest.mark.parametrize("path", ["resume", "plan-change", "plan-change/preview"])
async def test_a_plan_that_ended_at_stripe_a_moment_ago_is_a_conflict_and_read_anew(
    world: World, person: Person, path: str
) -> None:
    await world.subscribe(person)
    await world.box.control("webhooks", rules=[{"what": "drop", "times": 1000}])
    (subscription,) = world.objects("subscription")
    await world.box.v1.subscriptions.cancel_async(subscription["id"])
    body = None if path == "resume" else {"plan": "family_month"}
    answer = await person.request("POST", f"/billing/{path}", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "subscription_changed")
    await world.worker.work()
    assert (await mine(person))["tier"] == "free"


async def test_a_plan_that_is_to_end_gets_no_smaller(world: World, person: Person) -> None:
    await world.subscribe(person, "family_month")
    async with world.worker.working():
        await person.request("POST", "/billing/cancel")
        answer = await person.request("POST", "/billing/plan-change", {"plan": "plus_month"})
        assert (answer.status_code, answer.json()["code"]) == (409, "cancel_planned")
        await person.request("POST", "/billing/resume")
        assert (await person.request("POST", "/billing/plan-change", {"plan": "plus_month"})).status_code == 200
