"""What tests of billing share: the local Stripe server in this process, with the plans on sale, and people who pay."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from api.billing_services import Billing
from core.db import Database
from infra.local.emulators.stripe_server.application import StripeServer
from infra.local.emulators.stripe_server.faults import Fault
from integrations.payments.factory import open_payments
from tests.api.signing_in import OPEN, Api, Person
from tests.api.stripe_kit import SECRET
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
WEBHOOK: Final = "http://test/api/v1/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class World:
    """The api, and an account at Stripe that is this test's own."""

    api: Api
    db: Database
    box: Sandbox
    shop: Shop
    billing: Billing

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


def session_of(url: str) -> str:
    """The Checkout Session's id, in the address that leads back."""
    return parse_qs(urlsplit(url).query)["session_id"][0]


@asynccontextmanager
async def world_of(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    """A new account at Stripe, whose events reach this api, and which this api sells with."""
    server = StripeServer(ADDRESS, httpx.ASGITransport(app=app))
    async with opened(server) as box:
        box.account.clock.freeze()
        shop = await shops.opened(box)
        await _put_on_sale(db, shop)
        endpoint = await box.v1.webhook_endpoints.create_async({"url": WEBHOOK, "enabled_events": ["*"]})
        client = open_payments(
            box.key, ADDRESS, seconds_per_call=10, retries=0, transport=httpx.ASGITransport(app=server)
        )
        billing = Billing(livemode=False, webhook_secrets=(endpoint.secret,), client=client)
        before = app.state.services
        app.state.services = replace(before, billing=billing)
        try:
            yield World(api, db, box, shop, billing)
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
