"""An account that pays: its rows in Postgres, its customer at the local Stripe server, and what workers do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.billing import BillingActivities
from activities.refund import RefundActivities
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from domain.billing.catalogue import Tier
from domain.billing.standing import tier_at
from integrations.keys.store import KeyStore
from integrations.payments import mapping
from integrations.payments.client import Payments
from integrations.payments.factory import open_payments
from models.billing import EventState
from models.queries import billing, billing_events
from models.user import User
from temporal.contracts.billing import (
    AccountPlan,
    CancelSurplus,
    CloseCheckouts,
    PayInvoice,
    PullAccount,
    VoidInvoice,
)
from temporal.contracts.refund import LookAtRefund
from tests.infra.stripe_server.shops import Shop
from tests.stripe_servers import ADDRESS

ENVIRONMENT = "test"


@dataclass
class Till:
    """See the module. `told` counts how far the shop's events have come to us."""

    db: Database
    cipher: FieldCipher
    shop: Shop
    payments: Payments
    account_id: UUID
    customer_id: str = ""
    seq: int = 0
    known: set[str] = field(default_factory=set)

    @property
    def activities(self) -> BillingActivities:
        """As a worker has them."""
        return BillingActivities(self.db.sessions, self.payments, self.cipher, ENVIRONMENT)

    @property
    def refunds(self) -> RefundActivities:
        """As a worker has them."""
        return RefundActivities(self.db.sessions, self.payments, self.cipher, ENVIRONMENT)

    @property
    def now(self) -> datetime:
        """On the shop's clock."""
        return datetime.fromtimestamp(self.shop.account.now(), UTC)

    async def join(self, method: str | None = "pm_card_visa") -> str:
        """Become a customer."""
        self.customer_id = await self.shop.customer(method)
        await self.belong(self.customer_id)
        return self.customer_id

    async def belong(self, customer_id: str, generation: int = 1) -> None:
        """This customer is the account's."""
        async with self.db.sessions.begin() as session:
            await billing.add_customer(session, self.account_id, customer_id, generation=generation, livemode=False)

    async def tell(self) -> int:
        """The shop's news arrive, as the webhook stores them; how many."""
        fresh = [each for each in self.shop.account.objects.find("event") if each["id"] not in self.known]
        self.known |= {each["id"] for each in fresh}
        for event in map(mapping.event, fresh):
            await self.receive(event.id, event.type, event.object_id)
        return len(fresh)

    async def receive(self, event_id: str, kind: str, object_id: str | None) -> None:
        """One event."""
        row = {"id": event_id, "type": kind, "object_id": object_id, "account": self.account_id}
        rest = {"format": "snapshot", "created": self.now, "api_version": None, "livemode": False, "customer_id": None}
        async with self.db.sessions.begin() as session:
            await billing_events.add(session, {**rest, **row, "state": EventState.RECEIVED.value})

    async def pull(self, *, attempt: int = 1, seq: int | None = None) -> AccountPlan:
        """Read the account; the next read of it, unless one is named."""
        if seq is None:
            self.seq += 1
        request = PullAccount(self.account_id, self.seq if seq is None else seq, self.now)
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        return await environment.run(self.activities.pull_and_apply, request)

    async def follow(self, limit: int = 5) -> AccountPlan:
        """Read, and do what follows, until nothing does: a workflow without its waits."""
        for _ in range(limit):
            plan = await self.pull()
            if not await self.act(plan):
                return plan
        raise AssertionError("there is always more to do")

    async def act(self, plan: AccountPlan) -> bool:
        """The one thing that follows; whether there was any."""
        environment = ActivityEnvironment()
        if plan.surplus_id is not None:
            surplus = CancelSurplus(self.account_id, plan.surplus_id, self.now)
            await environment.run(self.activities.cancel_surplus, surplus)
        elif plan.pay is not None:
            await environment.run(self.activities.pay_invoice, PayInvoice(self.account_id, plan.pay, self.now))
        elif plan.void_invoice_id is not None:
            void = VoidInvoice(self.account_id, plan.void_invoice_id, self.now)
            await environment.run(self.activities.void_invoice, void)
        elif plan.has_stale_checkouts:
            await environment.run(self.activities.close_checkouts, CloseCheckouts(self.account_id, self.now))
        return any((plan.surplus_id, plan.pay, plan.void_invoice_id, plan.has_stale_checkouts))

    async def look_at_refund(self, step: str, refund_id: UUID) -> Any:
        """One step of a refund."""
        return await ActivityEnvironment().run(getattr(self.refunds, step), LookAtRefund(refund_id, self.now))

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Of the account (`:account`)."""
        async with self.db.sessions() as session:
            return list((await session.execute(text(query), {"account": self.account_id, **values})).all())

    async def value(self, query: str, **values: Any) -> Any:
        """The one value of the one row."""
        ((found,),) = await self.rows(query, **values)
        return found

    async def execute(self, query: str, **values: Any) -> None:
        """Somebody changes rows."""
        async with self.db.sessions.begin() as session:
            await session.execute(text(query), {"account": self.account_id, **values})

    async def tier(self) -> Tier:
        """What the account has now, as anybody reads it."""
        async with self.db.sessions() as session:
            return tier_at(await billing.entitlement(session, self.account_id), self.now)

    async def states(self) -> dict[str, int]:
        """How many events are in which state."""
        query = "SELECT state, count(*) FROM stripe_events WHERE account_id = :account GROUP BY state"
        return {row.state: row.count for row in await self.rows(query)}

    async def told(self) -> list[tuple[str, str]]:
        """What the account was told by mail: template and step, in order."""
        query = "SELECT template, step FROM deliveries WHERE user_id = :account AND channel = 'email' ORDER BY id"
        return [(row.template, row.step) for row in await self.rows(query)]

    async def ledger(self) -> list[tuple[str, int, str]]:
        """Its movements of money."""
        query = "SELECT kind, amount_minor, currency FROM ledger_entries WHERE account_id = :account ORDER BY at, kind"
        return [(row.kind, row.amount_minor, row.currency) for row in await self.rows(query)]


@asynccontextmanager
async def opened(db: Database, keys: KeyStore, cipher: FieldCipher, shop: Shop) -> AsyncIterator[Till]:
    """A new account, and the client that a worker has."""
    account_id = new_id()
    await keys.create(Subject.user(account_id))
    async with db.sessions.begin() as session:
        email = await cipher.seal(Subject.user(account_id), "users.email_ct", account_id, f"{account_id}@example.test")
        verified = datetime.now(UTC)
        session.add(User(id=account_id, email_ct=email, email_bidx=account_id.bytes, email_verified_at=verified))
    transport = httpx.ASGITransport(app=shop.box.server)
    payments = open_payments(shop.box.key, ADDRESS, transport=transport)
    yield Till(db, cipher, shop, payments, account_id)
    await payments.close()
