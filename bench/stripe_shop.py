"""People who subscribe at the local Stripe server, made as quickly as it can: by its API, and by rows of ours."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import stripe

from bench.platform import Platform
from domain.billing import events
from integrations.payments.client import PIN

_PEOPLE = """INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object(
        'id', gen_random_uuid(), 'email_bidx', '\\x' || md5(random()::text)))).*
      FROM users u, generate_series(1, $2::int) WHERE u.id = $1 RETURNING id"""
_CUSTOMERS = """INSERT INTO billing_customers (account_id, stripe_customer_id, livemode)
      SELECT *, false FROM unnest($1::uuid[], $2::text[])"""


@dataclass(frozen=True, slots=True)
class Cast:
    """What is said, and about whom."""

    events: Sequence[dict[str, Any]]
    customers: Sequence[str]

    def written(self, folder: Path) -> Path:
        """In a file, for `bench.stripe_events`."""
        path = folder / "cast.json"
        path.write_text(json.dumps(asdict(self)))
        return path


@dataclass(frozen=True, slots=True)
class Shop:
    """`v1` are the official client's resources, `http` reaches what that does not; `database` is ours."""

    v1: Any
    http: httpx.AsyncClient
    database: "asyncpg.Connection[asyncpg.Record]"

    async def people(self, count: int) -> list[UUID]:
        """So many accounts, like the first one."""
        (owner,) = await self.database.fetchrow("SELECT id FROM users ORDER BY id LIMIT 1")
        return [row["id"] for row in await self.database.fetch(_PEOPLE, owner, count)]

    async def belong(self, accounts: Sequence[UUID], customers: Sequence[str]) -> None:
        """These are their customers."""
        await self.database.execute(_CUSTOMERS, accounts, customers)

    async def customer(self) -> str:
        """Somebody with a card that pays."""
        found = await self.v1.customers.create_async({"address": {"country": "DE"}})
        card = await self.v1.payment_methods.attach_async("pm_card_visa", {"customer": found.id})
        await self.v1.customers.update_async(found.id, {"invoice_settings": {"default_payment_method": card.id}})
        return str(found.id)

    async def price(self, lookup_key: str) -> str:
        """The id of a plan's."""
        return str((await self.v1.prices.list_async({"lookup_keys": [lookup_key]})).data[0].id)

    async def subscribe(self, customer: str, price: str) -> Any:
        """A live subscription."""
        return await self.v1.subscriptions.create_async({"customer": customer, "items": [{"price": price}]})

    async def events(self) -> list[dict[str, Any]]:
        """All that billing is told of and that name a customer, newest first, as they are delivered: the SDK would make
        other numbers of some."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"has_more": True}
        while page["has_more"]:
            after = {"starting_after": found[-1]["id"]} if found else {}
            answer = await self.http.get("/v1/events", params={"limit": "100", **after})
            page = answer.raise_for_status().json()
            found += page["data"]
        return [each for each in found if events.is_handled(each["type"]) and each["data"]["object"].get("customer")]

    async def control(self, path: str, method: str = "POST", **body: Any) -> Any:
        """`/_control/…`"""
        answer = await self.http.request(method, f"/_control/{path}", json=body)
        return answer.raise_for_status().json()


@asynccontextmanager
async def opened(on: Platform) -> AsyncIterator[Shop]:
    """At the stack's server, in the account that the platform uses. It tells nobody of anything: the bench does."""
    key, base = on.env["PETFOLIO_STRIPE_API_KEY"], on.env["PETFOLIO_STRIPE_API_BASE"]
    bases: Any = dict.fromkeys(("api", "files", "connect", "meter_events"), base)
    client = stripe.StripeClient(
        key, stripe_version=PIN, base_addresses=bases, http_client=stripe.HTTPXClient(timeout=60)
    )
    database = await asyncpg.connect(on.env["PETFOLIO_DATABASE_URL"], ssl=False)
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": PIN}
    try:
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as http:
            shop = Shop(client.v1, http, database)
            await shop.control("webhooks", rules=[{"what": "drop", "times": 10**9}])
            yield shop
    finally:
        await database.close()
