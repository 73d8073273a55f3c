"""What is true of an account at Stripe, what is written of it here, and what its person was told: three books, read
from where they are kept, by nobody's code but this."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from domain.billing.catalogue import GRACE
from tests.faults.ledger import delivery_of
from tests.stack import Inbox

LIVE: Final = ("active", "trialing", "past_due", "unpaid", "paused")
"""Statuses of a subscription that charges, or may again."""
_SNAPSHOT: Final = """
SELECT s.status, s.subscription_id, s.price_id, s.period_end, s.scheduled_cancel_at, s.past_due_since,
       coalesce(e.tier, 'free') AS tier, e.grace_until
  FROM users u LEFT JOIN billing_snapshots s ON s.account_id = u.id LEFT JOIN entitlements e ON e.account_id = u.id
 WHERE u.id = $1"""
_REFUNDS: Final = "SELECT stripe_refund_id, amount_minor, state FROM refunds WHERE account_id = $1"
_SUMS: Final = "SELECT currency, sum(amount_minor)::bigint AS sum FROM ledger_entries WHERE account_id = $1 GROUP BY 1"
_OPEN: Final = """
SELECT 'event ' || type AS what FROM stripe_events WHERE state = 'received' AND account_id = $1
UNION ALL SELECT 'operation ' || kind FROM billing_operations WHERE state IN ('new', 'sent') AND account_id = $1
UNION ALL SELECT 'refund' FROM refunds WHERE state = 'reserved' AND account_id = $1
UNION ALL SELECT 'mail ' || event_key FROM deliveries WHERE state IN ('planned', 'deferred') AND user_id = $1"""
_MAILS: Final = """
SELECT id::text, event_key, step FROM deliveries
 WHERE user_id = $1 AND channel = 'email' AND state = 'sent' AND event_key LIKE 'billing/%'"""


@dataclass(frozen=True, slots=True)
class Book:
    """Of one account. `standing` is empty where nothing is subscribed to; `refunds`: (amount, state) by Stripe's id."""

    tier: str
    standing: Mapping[str, object] = field(default_factory=dict)
    refunds: Mapping[str | None, tuple[int, str]] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Theirs:
    """Everything that Stripe has, and its movements of money."""

    objects: Sequence[Mapping[str, Any]]
    ledger: Sequence[Mapping[str, Any]]

    def of(self, account_id: str, now: int, past_due_since: datetime | None) -> Book:
        """The account's book there; since when it owes is what only we know."""
        customers = self.customers(account_id)
        live = self.live(account_id)
        return Book(
            tier=_tier(live, now, past_due_since),
            standing=_standing(live),
            refunds={
                each["id"]: (each["amount"], each["status"])
                for each in self._all("refund")
                if self._customer_of(each["id"]) in customers
            },
            sums=_summed(
                (each["currency"].upper(), each["amount"])
                for each in self.ledger
                if each["kind"] != "stripe_fee" and self._customer_of(each["source"]) in customers
            ),
        )

    def customers(self, account_id: str) -> set[str]:
        """Whom an account is there: one."""
        return {each["id"] for each in self._all("customer") if each["metadata"].get("account_id") == account_id}

    def live(self, account_id: str) -> Mapping[str, Any] | None:
        """The subscription that charges. There is never a second one."""
        customers = self.customers(account_id)
        found = [each for each in self._all("subscription") if each["customer"] in customers and each["status"] in LIVE]
        assert len(found) <= 1, [(each["id"], each["status"]) for each in found]
        return found[0] if found else None

    def happened(self) -> Counter[str]:
        """How often what has happened there."""
        return Counter(each["type"] for each in self._all("event"))

    def charged_twice(self) -> list[str]:
        """Invoices that were paid more than once: none."""
        paid = (each["invoice"] for each in self._all("invoice_payment") if each["status"] == "paid")
        charges = (each["payment_intent"] for each in self._all("charge") if each["status"] == "succeeded")
        return [name for name, times in (Counter(paid) + Counter(charges)).items() if times > 1]

    def _customer_of(self, object_id: str) -> str | None:
        """Of a charge, or of what came of one."""
        found = next((each for each in self.objects if each["id"] == object_id), None)
        if found is None or found["object"] == "charge":
            return found and found["customer"]
        return self._customer_of(found["charge"])

    def _all(self, kind: str) -> list[Mapping[str, Any]]:
        return [each for each in self.objects if each["object"] == kind]


async def ours(database: asyncpg.Connection, account_id: str, now: int) -> tuple[Book, datetime | None]:
    """The account's book here, and since when it owes."""
    row = await database.fetchrow(_SNAPSHOT, account_id)
    names = ("status", "subscription_id", "price_id", "period_end", "scheduled_cancel_at")
    is_over = row["grace_until"] is not None and row["grace_until"] <= _at(now)
    book = Book(
        tier="free" if is_over else row["tier"],
        standing={name: row[name] for name in names} if row["status"] in LIVE else {},
        refunds={
            each["stripe_refund_id"]: (each["amount_minor"], each["state"])
            for each in await database.fetch(_REFUNDS, account_id)
            if each["state"] != "failed" or each["stripe_refund_id"] is not None
        },
        sums={each["currency"]: each["sum"] for each in await database.fetch(_SUMS, account_id)},
    )
    return book, row["past_due_since"]


async def unfinished(database: asyncpg.Connection, account_id: str) -> list[str]:
    """What somebody has still to do."""
    return [row["what"] for row in await database.fetch(_OPEN, account_id)]


async def mails(
    database: asyncpg.Connection, inbox: Inbox, account_id: str, email: str
) -> tuple[Counter[str], set[str]]:
    """How often each mail about billing has arrived, by its delivery; and the deliveries that were to."""
    rows = await database.fetch(_MAILS, account_id)
    assert len({(row["event_key"], row["step"]) for row in rows}) == len(rows)
    known = {
        row["id"] for row in await database.fetch("SELECT id::text FROM deliveries WHERE user_id = $1", account_id)
    }
    sent = {row["id"] for row in rows}
    arrived = Counter(delivery_of(each) for each in await inbox.messages(email))
    return Counter({each: times for each, times in arrived.items() if each not in known - sent}), sent


def _tier(live: Mapping[str, Any] | None, now: int, past_due_since: datetime | None) -> str:
    if live is None or live["status"] not in ("active", "trialing", "past_due"):
        return "free"
    is_over = live["status"] == "past_due" and past_due_since is not None and past_due_since + GRACE <= _at(now)
    return "free" if is_over else str(live["items"]["data"][0]["price"]["metadata"]["tier"])


def _standing(live: Mapping[str, Any] | None) -> Mapping[str, object]:
    if live is None:
        return {}
    items = live["items"]["data"]
    return {
        "status": live["status"],
        "subscription_id": live["id"],
        "price_id": items[0]["price"]["id"],
        "period_end": _at(min(each["current_period_end"] for each in items)),
        "scheduled_cancel_at": None if live["cancel_at"] is None else _at(live["cancel_at"]),
    }


def _summed(moves: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for currency, amount in moves:
        sums[currency] += amount
    return dict(sums)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
