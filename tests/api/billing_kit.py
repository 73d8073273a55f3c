"""What tests of billing share: the local Stripe server in this process, with the plans on sale, and people who pay."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.billing import BillingActivities
from activities.billing_resolve import BillingResolveActivities
from activities.refund import RefundActivities
from api.billing_services import Billing
from api.schemas.billing import SubscriptionOut
from core.db import Database
from infra.local.emulators.stripe_server.application import StripeServer
from infra.local.emulators.stripe_server.faults import Fault
from integrations.payments.factory import open_payments
from temporal.contracts import billing, billing_resolve, refund
from tests.api.signing_in import OPEN, Api, Person
from tests.api.stripe_kit import SECRET, documented
from tests.infra.stripe_server import shops
from tests.infra.stripe_server.shops import Shop
from tests.stripe_servers import ADDRESS, Sandbox, opened

SWITCHED_ON: Final[Mapping[str, Any]] = {
    "rate_limits": OPEN,
    "stripe_api_key": SecretStr("sk_test_of_nobody"),
    "stripe_webhook_secrets": (SecretStr(SECRET),),
}
"""Settings of a process that has billing."""
VISA: Final = "4242424242424242"
KINDS: Final = [billing.KIND, billing_resolve.KIND, refund.KIND]
_HEAR: Final = """
UPDATE outbox SET done_at = clock_timestamp() WHERE kind = ANY($1) AND done_at IS NULL RETURNING kind, args"""
WEBHOOK: Final = "http://test/api/v1/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class World:
    """The api, and an account at Stripe that is this test's own."""

    api: Api
    db: Database
    box: Sandbox
    shop: Shop
    billing: Billing

    @property
    def worker(self) -> "Worker":
        """What workers do for billing."""
        return Worker(self)

    async def subscribe(self, person: Person, plan: str = "plus_month", currency: str = "EUR") -> None:
        """They have paid for this plan, and it has been read."""
        await self.pay(await self.checkout(person, plan, currency))
        await self.worker.pull(person.user_id)

    async def checkout(self, person: Person, plan: str = "plus_month", currency: str = "EUR") -> str:
        """The address of their Checkout page."""
        answer = await person.request("POST", "/billing/checkout", {"plan": plan, "currency": currency})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["url"])

    async def pay(self, url: str, number: str = VISA, action: str = "pay") -> str:
        """Fill in the page; answers where it leads to, the page itself if nowhere."""
        path = urlsplit(url).path
        form = {"action": action, "number": number, "country": "DE"}
        answer = await self.box.http.post(path, data=form)
        return answer.headers.get("location", url)

    def fails(self, path: str, **how: Any) -> None:
        """The next request there does."""
        self.box.account.faults.add(Fault(path=path, status=503, **how))

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What Stripe has of a kind, newest first."""
        return list(self.box.account.objects.find(kind))

    async def requests(self, path: str = ".*") -> list[dict[str, Any]]:
        """What was asked of Stripe, oldest first."""
        found = await self.box.control("requests", "GET")
        return [each for each in found if re.fullmatch(path, each["path"])]


async def mine(person: Person) -> dict[str, Any]:
    """What the person's own subscription is said to be, just as it is documented."""
    answer = await person.request("GET", "/billing/subscription")
    assert answer.status_code == 200, answer.text
    return documented(answer.json(), SubscriptionOut)


def session_of(url: str) -> str:
    """The Checkout Session's id, in the address that leads back."""
    return parse_qs(urlsplit(url).query)["session_id"][0]


class Worker:
    """The worker's side: hears the bells of billing as the relay hands them over, and does what the workflows would."""

    def __init__(self, world: World) -> None:
        self._db, sessions, cipher = world.db, world.db.sessions, world.api.identity.cipher
        self.billing = BillingActivities(sessions, world.billing.client, cipher, world.billing.environment)
        self.resolve = BillingResolveActivities(sessions, world.billing.client)
        self.refund = RefundActivities(sessions, world.billing.client, cipher, world.billing.environment)
        self._clock = world.box.account.clock

    async def work(self) -> int:
        """All that has been rung for by now; answers how many bells that were."""
        bells = await self._db.reads.fetch(_HEAR, KINDS)
        for bell in bells:
            await self._heed(bell["kind"], bell["args"])
        return len(bells)

    async def _heed(self, kind: str, args: Mapping[str, str]) -> None:
        run = ActivityEnvironment().run
        if kind == billing.KIND:
            await self.pull(UUID(args["account_id"]))
        elif kind == billing_resolve.KIND:
            await run(self.resolve.resolve_event, billing_resolve.ResolveEvent(args["event_id"]))
        else:
            look = refund.LookAtRefund(UUID(args["refund_id"]), self.now)
            if (await run(self.refund.check_refund, look)).cancels:
                await run(self.refund.cancel_before_refund, look)
            await run(self.refund.send_refund, look)
            await run(self.refund.conclude_refund, look)

    async def pull(self, account_id: UUID) -> None:
        """Read the account, and do what follows from it."""
        run, now = ActivityEnvironment().run, self.now
        fence = await run(self.billing.load_fence, billing.LoadFence(account_id))
        plan = await run(
            self.billing.pull_and_apply, billing.PullAccount(account_id, fence.fence // billing.ATTEMPTS + 1, now)
        )
        if plan.has_stale_checkouts:
            await run(self.billing.close_checkouts, billing.CloseCheckouts(account_id, now))
        if plan.surplus_id is not None:
            await run(self.billing.cancel_surplus, billing.CancelSurplus(account_id, plan.surplus_id, now))
        elif plan.pay is not None:
            await run(self.billing.pay_invoice, billing.PayInvoice(account_id, plan.pay, now))
        elif plan.void_invoice_id is not None:
            await run(self.billing.void_invoice, billing.VoidInvoice(account_id, plan.void_invoice_id, now))

    @property
    def now(self) -> datetime:
        """By Stripe's clock, as time-skipping tests have it."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Meanwhile every bell is answered."""

        async def serve() -> None:
            while True:
                await self.work()
                await asyncio.sleep(0.02)

        task = asyncio.create_task(serve())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def world_of(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    """A new account at Stripe, whose events reach this api, and which this api sells with."""
    server = StripeServer(ADDRESS, httpx.ASGITransport(app=app))
    async with opened(server) as box:
        box.account.clock.freeze()
        shop = await shops.opened(box)
        await _put_on_sale(db, shop)
        await db.reads.fetch(_HEAR, KINDS)  # what was rung for in other tests
        portal = {"features": {"invoice_history": {"enabled": True}}}
        await box.v1.billing_portal.configurations.create_async(portal)
        endpoint = await box.v1.webhook_endpoints.create_async({"url": WEBHOOK, "enabled_events": ["*"]})
        client = open_payments(
            box.key, ADDRESS, seconds_per_call=10, retries=0, transport=httpx.ASGITransport(app=server)
        )
        selling = Billing(livemode=False, webhook_secrets=(endpoint.secret,), client=client)
        before = app.state.services
        app.state.services = replace(before, billing=selling)
        try:
            yield World(api, db, box, shop, selling)
        finally:
            app.state.services = before


async def _put_on_sale(db: Database, shop: Shop) -> None:
    """As the worker keeps them: what it read of Stripe last."""
    await db.reads.execute("UPDATE billing_prices SET active = false")
    for key, price_id in shop.prices.items():
        tier, _, interval = key.partition("_")
        option = shops.OPTIONS[key]
        amounts = {"eur": option["unit_amount"]} | {name: option[name] for name in ("usd", "gbp", "chf", "jpy")}
        for currency, amount in amounts.items():
            await db.reads.execute(
                """INSERT INTO billing_prices
                   (price_id, currency, lookup_key, tier, interval, amount_minor, active, synced_at)
                   VALUES ($1, $2, $3, $4, $5, $6, true, clock_timestamp())""",
                price_id,
                currency.upper(),
                key,
                tier,
                interval,
                amount,
            )
