"""Invoices and money back over HTTP: what can be paid back is decided under the lock of the payment."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from api.schemas.billing import InvoicePage
from api.schemas.billing_changes import RefundOut
from core.db import Database
from core.settings import Settings
from tests.api.billing_kit import SWITCHED_ON, World, world_of
from tests.api.signing_in import Api, Person
from tests.api.stripe_kit import documented


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


async def invoices(person: Person, query: str = "") -> dict[str, Any]:
    answer = await person.request("GET", f"/billing/invoices{query}")
    assert answer.status_code == 200, answer.text
    return documented(answer.json(), InvoicePage)


async def refund(person: Person, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await person.request("POST", "/billing/refunds", body)
    return answer.status_code, dict(answer.json())


def euros(cents: int) -> dict[str, Any]:
    return {"amount": cents, "currency": "EUR"}


async def test_an_invoice_is_shown_with_its_payment(world: World, api: Api, person: Person) -> None:
    assert (await invoices(person))["items"] == []
    await world.subscribe(person)
    (invoice,) = (await invoices(person))["items"]
    (theirs,) = world.objects("invoice")
    assert (invoice["id"], invoice["status"], invoice["total"]) == (theirs["id"], "paid", euros(theirs["total"]))
    assert invoice["payment"]["refundable"] == euros(theirs["amount_paid"])
    assert (await invoices(await api.person()))["items"] == []


async def test_invoices_come_in_pages_the_newest_first(world: World, person: Person) -> None:
    await world.subscribe(person)
    for _ in range(4):
        await world.box.passes(31 * 86_400)
    wanted = [each["id"] for each in world.objects("invoice") if each["status"] != "draft"]
    found, cursor = [], ""
    while True:
        page = await invoices(person, f"?limit=2{cursor}")
        found += [each["id"] for each in page["items"] if each["status"] != "draft"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) >= 4
    assert found == wanted


async def test_a_part_is_paid_back_and_never_more_than_the_rest(world: World, person: Person) -> None:
    await world.subscribe(person)
    paid = (await invoices(person))["items"][0]["payment"]
    status, asked = await refund(person, charge_id=paid["charge_id"], amount=euros(100))
    documented(asked, RefundOut)
    assert (status, asked["state"], asked["amount"]) == (202, "reserved", euros(100))
    assert (await person.request("GET", asked["workflow"].removeprefix("/api/v1"))).json()["status"] == "reserved"
    await world.worker.work()
    (shown,) = (await person.request("GET", "/billing/refunds")).json()["items"]
    assert (shown["id"], shown["state"]) == (asked["id"], "succeeded")
    rest = paid["refundable"]["amount"] - 100
    assert (await invoices(person))["items"][0]["payment"]["refundable"] == euros(rest)
    status, said = await refund(person, charge_id=paid["charge_id"], amount=euros(rest + 1))
    assert (status, said["code"]) == (409, "refund_too_high")
    assert (await refund(person))[0] == 202
    status, said = await refund(person)
    assert (status, said["code"]) == (409, "already_refunded")


async def test_refunds_at_once_never_exceed_the_payment(world: World, person: Person) -> None:
    await world.subscribe(person)
    captured = (await invoices(person))["items"][0]["payment"]["refundable"]["amount"]
    part = captured // 3
    answers = await asyncio.gather(*(refund(person, amount=euros(part)) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [202] * 3 + [409] * 5
    await world.worker.work()
    assert sum(each["amount"] for each in world.objects("refund")) == 3 * part


async def test_the_same_key_asks_once(world: World, person: Person) -> None:
    await world.subscribe(person)
    key, body = {"Idempotency-Key": "refund-1"}, {"amount": euros(100)}
    answers = [await person.request("POST", "/billing/refunds", body, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len((await person.request("GET", "/billing/refunds")).json()["items"]) == 1


async def test_a_payment_of_others_is_not_found(world: World, api: Api, person: Person) -> None:
    await world.subscribe(person)
    charge = (await invoices(person))["items"][0]["payment"]["charge_id"]
    status, said = await refund(await api.person(), charge_id=charge)
    assert (status, said["code"]) == (404, "not_found")


async def test_after_the_window_and_in_another_currency_nothing_is_paid_back(world: World, person: Person) -> None:
    await world.subscribe(person)
    status, said = await refund(person, amount={"amount": 100, "currency": "USD"})
    assert (status, said["code"]) == (409, "refund_currency")
    await world.db.reads.execute("UPDATE billing_charges SET paid_at = paid_at - interval '15 days'")
    status, said = await refund(person)
    assert (status, said["code"]) == (409, "refund_window_over")


async def test_a_refund_that_ends_the_subscription_ends_it_first(world: World, person: Person) -> None:
    await world.subscribe(person)
    status, asked = await refund(person, cancel=True)
    assert (status, asked["cancels"]) == (202, True)
    await world.worker.work()
    (subscription,) = world.objects("subscription")
    (paid_back,) = world.objects("refund")
    assert subscription["status"] == "canceled"
    assert subscription["canceled_at"] <= paid_back["created"]
    await world.worker.pull(person.user_id)
    assert (await person.request("GET", "/billing/subscription")).json()["tier"] == "free"


async def test_all_of_a_payment_goes_back_only_with_what_it_was_for(world: World, person: Person) -> None:
    """Else a call a month would be a plan for nothing."""
    await world.subscribe(person)
    status, asked = await refund(person)
    assert (status, asked["cancels"]) == (202, True)
    await world.worker.work()
    await world.worker.pull(person.user_id)
    assert (await person.request("GET", "/billing/subscription")).json()["tier"] == "free"
    await world.box.passes(32 * 86_400)
    assert len(world.objects("charge")) == 1


async def test_a_payment_for_no_subscription_ends_none(world: World, person: Person) -> None:
    await world.subscribe(person)
    await world.db.reads.execute("UPDATE billing_charges SET subscription_id = NULL")
    status, said = await refund(person, cancel=True)
    assert (status, said["code"]) == (409, "refund_no_subscription")
    status, asked = await refund(person)
    assert (status, asked["cancels"]) == (202, False)


async def test_a_refund_that_stripe_refuses_leaves_the_plan(world: World, person: Person) -> None:
    """Nobody has told us yet that the bank disputes the payment."""
    await world.subscribe(person)
    await world.worker.work()
    (charge,) = world.objects("charge")
    await world.box.control("webhooks", rules=[{"what": "drop", "times": 100}])
    await world.box.control("disputes", charge=charge["id"])
    assert (await refund(person, cancel=True))[0] == 202
    await world.worker.work()
    (shown,) = (await person.request("GET", "/billing/refunds")).json()["items"]
    assert (shown["state"], shown["failure"]) == ("failed", "charge_disputed")
    await world.worker.pull(person.user_id)
    assert (await person.request("GET", "/billing/subscription")).json()["tier"] == "plus"


async def test_nothing_is_left_of_a_payment_that_its_bank_took_back(world: World, person: Person) -> None:
    await world.subscribe(person)
    (charge,) = world.objects("charge")
    dispute = await world.box.control("disputes", charge=charge["id"])
    await world.box.control(f"disputes/{dispute['id']}", status="lost")
    await world.box.account.webhooks.settle()
    for _ in ("whose it is", "what it is about"):
        await world.worker.work()
    payment = (await invoices(person))["items"][0]["payment"]
    assert (payment["refundable"], payment["disputed"]) == (euros(0), True)
    status, said = await refund(person)
    assert (status, said["code"]) == (409, "charge_disputed")


async def test_while_stripe_is_away_what_one_has_is_still_answered(world: World, person: Person) -> None:
    await world.subscribe(person)
    world.fails(".*", times=None)
    assert (await person.request("GET", "/billing/subscription")).json()["tier"] == "plus"
    assert (await world.api.get("/billing/plans")).status_code == 200
    for method, path in (("GET", "invoices"), ("POST", "cancel"), ("POST", "resume")):
        answer = await person.request(method, f"/billing/{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, "payments_unavailable")
        assert "retry-after" in answer.headers
