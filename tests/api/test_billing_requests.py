"""Everything that is asked of Stripe while people subscribe, change, owe, are paid back and leave: each request is one
that Stripe knows, under the pinned version, and each POST has the key of an operation that was stored before (S23)."""

import re
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from fastapi import FastAPI
from temporalio.testing import ActivityEnvironment

from core.db import Database
from core.settings import Settings
from integrations.payments.client import PIN
from temporal.contracts.billing import ATTEMPTS, AccountPlan, CancelSurplus, LoadFence, PayInvoice, PullAccount
from tests.api.billing_kit import SWITCHED_ON, World, world_of
from tests.api.signing_in import Api, Person
from tests.infra.stripe_server.shops import DAY

POSTS: Final = {
    "/v1/billing_portal/sessions",
    "/v1/checkout/sessions",
    "/v1/checkout/sessions/*/expire",
    "/v1/customers",
    "/v1/invoices/*/pay",
    "/v1/invoices/*/void",
    "/v1/invoices/create_preview",
    "/v1/refunds",
    "/v1/subscription_schedules",
    "/v1/subscription_schedules/*",
    "/v1/subscription_schedules/*/release",
    "/v1/subscriptions/*",
}
"""All that we have Stripe do here; the end of a subscription is a DELETE, without a key."""
KEY: Final = re.compile(r"pf:test:[a-z_]+:[\w:.-]+")


@dataclass(slots=True)
class Wire:
    """What went to Stripe from us: what tests do there themselves is left out."""

    world: World
    not_ours: set[str] = field(default_factory=set)

    async def by_others(self, call: Awaitable[Any]) -> Any:
        """Somebody else asks Stripe for this."""
        before = {each["request_id"] for each in await self.world.requests()}
        made = await call
        self.not_ours |= {each["request_id"] for each in await self.world.requests()} - before
        return made

    async def ours(self) -> list[dict[str, Any]]:
        """Since the log was emptied."""
        return [each for each in await self.world.requests() if each["request_id"] not in self.not_ours]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def wire(app: FastAPI, api: Api, db: Database) -> AsyncIterator[Wire]:
    async with world_of(app, api, db) as world:
        await world.box.control("requests", "DELETE")
        yield Wire(world)


async def read(world: World, person: Person) -> AccountPlan:
    """What a worker reads, without doing what follows."""
    run, billing = ActivityEnvironment().run, world.worker.billing
    fence = (await run(billing.load_fence, LoadFence(person.user_id))).fence
    request = PullAccount(person.user_id, fence // ATTEMPTS + 1, world.worker.now)
    plan: AccountPlan = await run(billing.pull_and_apply, request)
    return plan


async def done(person: Person, path: str, **body: Any) -> dict[str, Any]:
    answer = await person.request("POST", f"/billing/{path}", body)
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json())


async def subscribes_and_changes(world: World, person: Person) -> None:
    """Two pages, of which one is paid; up, down and back again, away and back again; a part of the money back."""
    await world.checkout(person, "plus_year")
    await world.subscribe(person, "plus_month")
    async with world.worker.working():
        quote = (await done(person, "plan-change/preview", plan="family_month"))["quote"]
        await done(person, "plan-change", plan="family_month", quote=quote)
        for plan in ("plus_month", "family_month"):
            await done(person, "plan-change", plan=plan)
        for path in ("cancel", "resume", "portal"):
            await done(person, path)
    await done(person, "refunds", amount={"amount": 100, "currency": "EUR"})
    await world.worker.work()


async def owes_and_leaves(wire: Wire, person: Person) -> None:
    """A renewal that no card pays, and an end of which the debt is taken away."""
    world, run = wire.world, ActivityEnvironment().run
    (customer,) = (each["id"] for each in world.objects("customer"))
    for method in world.objects("payment_method"):
        await world.box.control(f"payment_methods/{method['id']}", decline_code="insufficient_funds")
    await world.box.passes(33 * DAY)
    await read(world, person)
    await wire.by_others(world.shop.replace_method(customer, "pm_card_chargeCustomerFail"))
    plan = await read(world, person)
    assert plan.pay is not None
    await run(world.worker.billing.pay_invoice, PayInvoice(person.user_id, plan.pay, world.worker.now))
    (live,) = (each["id"] for each in world.objects("subscription"))
    await run(world.worker.billing.cancel_surplus, CancelSurplus(person.user_id, live, world.worker.now))


async def test_each_request_is_one_that_stripe_knows_and_each_write_has_a_stored_key(
    wire: Wire, person: Person, db: Database
) -> None:
    await subscribes_and_changes(wire.world, person)
    await owes_and_leaves(wire, person)
    made = await wire.ours()
    assert {each["headers"].get("stripe-version") for each in made} == {PIN}
    assert [each["path"] for each in made if not each["handled"]] == []
    refused = [(each["path"], each["status"]) for each in made if each["status"] >= 400]
    assert [status for path, status in refused if not path.endswith("/pay")] == []
    posts = [each for each in made if each["method"] == "POST"]
    assert {re.sub(r"/[a-z]+_(?:\w*_)?[A-Za-z0-9]{10,}", "/*", each["path"]) for each in posts} == POSTS
    keys = {each["headers"]["idempotency-key"] for each in posts}
    stored = await db.reads.fetch(
        "SELECT idempotency_key FROM billing_operations WHERE account_id = $1", person.user_id
    )
    assert keys <= {row["idempotency_key"] for row in stored}
    assert all(KEY.fullmatch(key) and len(key) <= 255 for key in keys)
