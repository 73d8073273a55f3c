"""People who subscribe at the local Stripe server of the platform, and who they are here.

The server tells nobody of anything meanwhile: the bench brings the events.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import stripe

from bench.platform import Platform
from core.crypto import Subject
from core.db import WORKER_POOL, Database, connect
from domain.billing import events
from integrations.keys.factory import open_keys
from integrations.keys.store import KeyStore
from integrations.payments.client import PIN
from models.queries.keys import KeyTable
from temporal import outbox

_PEOPLE = """INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object(
        'id', gen_random_uuid(), 'email_bidx', '\\x' || md5(random()::text)))).*
      FROM users u, generate_series(1, $2::int) WHERE u.id = $1 RETURNING id"""
_CUSTOMERS = """INSERT INTO billing_customers (account_id, stripe_customer_id, livemode)
      SELECT *, false FROM unnest($1::uuid[], $2::text[])"""
PRICES = ("plus_month", "family_month", "family_year")


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
    """`v1` are the official client's resources, `http` reaches what that does not; `prices` by lookup key. `db` is
    ours."""

    v1: Any
    http: httpx.AsyncClient
    prices: Mapping[str, str]
    db: Database
    keys: KeyStore

    async def people(self, like: UUID, count: int) -> list[UUID]:
        """So many accounts like that one."""
        return [row["id"] for row in await self.db.reads.fetch(_PEOPLE, like, count)]

    async def payers(self, like: UUID, count: int) -> dict[str, UUID]:
        """So many accounts with a key of their own and a card that pays, by their customers at Stripe."""
        accounts = await self.people(like, count)
        for account in accounts:
            await self.keys.create(Subject.user(account))
        found = {await self.customer(): account for account in accounts}
        await self.belong(found)
        return found

    async def belong(self, customers: Mapping[str, UUID]) -> None:
        """These are their customers."""
        await self.db.reads.execute(_CUSTOMERS, list(customers.values()), list(customers))

    async def customer(self) -> str:
        """Somebody with a card that pays."""
        found = await self.v1.customers.create_async({"address": {"country": "DE"}})
        card = await self.v1.payment_methods.attach_async("pm_card_visa", {"customer": found.id})
        await self.v1.customers.update_async(found.id, {"invoice_settings": {"default_payment_method": card.id}})
        return str(found.id)

    async def subscribe(self, customer: str, lookup_key: str = PRICES[0]) -> Any:
        """A live subscription."""
        price = self.prices[lookup_key]
        return await self.v1.subscriptions.create_async({"customer": customer, "items": [{"price": price}]})

    async def subscription(self, customer: str) -> Any | None:
        """What a customer has, or had."""
        found = (await self.v1.subscriptions.list_async({"customer": customer, "status": "all"})).data
        return found[0] if found else None

    async def ring(self, account: UUID) -> None:
        """The platform is to read it."""
        async with self.db.sessions.begin() as session:
            await outbox.ring_billing(session, account)

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

    async def requests(self) -> list[dict[str, Any]]:
        """What the server was asked since the last call of this."""
        found: list[dict[str, Any]] = await self.control("requests", "GET")
        await self.control("requests", "DELETE")
        return found


@asynccontextmanager
async def opened(on: Platform) -> AsyncIterator[Shop]:
    """In the account that the platform uses."""
    key, base = on.env["PETFOLIO_STRIPE_API_KEY"], on.env["PETFOLIO_STRIPE_API_BASE"]
    bases: Any = dict.fromkeys(("api", "files", "connect", "meter_events"), base)
    client = stripe.StripeClient(
        key, stripe_version=PIN, base_addresses=bases, http_client=stripe.HTTPXClient(timeout=60)
    )
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": PIN}
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as http,
        connect(on.settings, WORKER_POOL) as db,
    ):
        listed = await client.v1.prices.list_async({"lookup_keys": list(PRICES)})
        prices = {str(each.lookup_key): each.id for each in listed.data}
        shop = Shop(client.v1, http, prices, db, KeyStore(open_keys(on.settings)[0], KeyTable(db.reads)))
        await shop.control("webhooks", rules=[{"what": "drop", "times": 10**9}])
        yield shop
        await shop.control("webhooks")
