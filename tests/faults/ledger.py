"""The ledger method (reliability-and-privacy.md §4.7): what we asked for, what we were told, what really happened.

Every request is written down before it is sent and its outcome after it. What happened is read from the provider's
own store, never from the system under test; that one only says when it has nothing more to send.
"""

import math
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.person import Person
from tests.stack import Inbox, Stack, until

WORD = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds from the due time to the first message that the provider took, by nearest rank; 0 of none."""

    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Lateness":
        """Of a number of first messages."""
        ranked = sorted(seconds) or [0.0]
        return cls(*(ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99, 1.0)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lost`: accepted and never fired. `duplicates`: fired more than once. `ambiguous`: the same delivery seen twice
    by the provider under one delivery id, possible only where an acknowledgement was lost."""

    accepted: int
    refused: int
    unknown: int
    lost: list[str]
    duplicates: list[str]
    ambiguous: int
    late: Lateness


class Ledger:
    """One test's account of its own intents. Keys are the titles of reminders: one word, unique per ledger."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute(
            "CREATE TABLE intents (key TEXT PRIMARY KEY, due REAL, asked REAL, status INTEGER, answered REAL)"
        )

    async def ask(
        self, key: str, request: Awaitable[httpx.Response], *, due: datetime | None = None
    ) -> httpx.Response | None:
        """Send one request. None when its outcome is unknown (reset, timeout). Without `due` nobody counts how late."""
        values = (key, due and due.timestamp(), time.time())
        self.db.execute("INSERT INTO intents (key, due, asked) VALUES (?, ?, ?)", values)
        try:
            answer = await request
        except httpx.TransportError:
            return None
        self.db.execute(
            "UPDATE intents SET status = ?, answered = ? WHERE key = ?", (answer.status_code, time.time(), key)
        )
        return answer

    async def remind(self, person: Person, title: str, due: datetime, **fields: Any) -> httpx.Response | None:
        """Ask for a reminder that is to fire then."""
        return await self.ask(title, person.remind(due=due, title=title, **fields), due=due)

    def statuses(self) -> Counter[int | None]:
        """How often each status was answered; None counts the unknown."""
        return Counter(status for (status,) in self.db.execute("SELECT status FROM intents"))

    def asked(self) -> list[str]:
        """Everything that was asked for."""
        return [key for (key,) in self.db.execute("SELECT key FROM intents")]

    def accepted(self) -> list[str]:
        """Keys answered with 2xx: these must fire."""
        return [key for (key,) in self.db.execute("SELECT key FROM intents WHERE status BETWEEN 200 AND 299")]

    def unknown(self) -> list[str]:
        """Keys whose request was answered by nobody: these may have taken effect, once."""
        return [key for (key,) in self.db.execute("SELECT key FROM intents WHERE status IS NULL")]

    def verdict(self, messages: list[dict[str, Any]]) -> Verdict:
        """Compare with what the provider has recorded. A message belongs to the intent whose key its words hold."""
        rows = list(self.db.execute("SELECT key, due, status FROM intents"))
        fired: dict[str, list[dict[str, Any]]] = {key: [] for key, _, _ in rows}
        for message in messages:
            for key in fired.keys() & set(WORD.findall(f"{message['subject']} {message['text']}")):
                fired[key].append(message)
        ids = {key: [delivery_of(message) for message in of_key] for key, of_key in fired.items()}
        accepted = [key for key, _, status in rows if status is not None and 200 <= status < 300]
        return Verdict(
            accepted=len(accepted),
            refused=sum(1 for _, _, status in rows if status is not None and 400 <= status < 500),
            unknown=sum(1 for _, _, status in rows if status is None or status >= 500),
            lost=[key for key in accepted if not fired[key]],
            duplicates=[key for key in ids if len(set(ids[key])) > 1],
            ambiguous=sum(len(seen) - len(set(seen)) for seen in ids.values()),
            late=Lateness.of(min(map(sent_at, fired[key])) - due for key, due, _ in rows if due and fired[key]),
        )

    async def outcome(
        self, stack: Stack, inbox: Inbox, *people: Person, within: float, to: Sequence[str] = ()
    ) -> Verdict:
        """Wait until nothing accepted is missing and nothing more is to come; then the verdict about the messages to
        these addresses, the people's e-mail addresses if none is named."""
        addresses = to or [person.email for person in people]
        ids = [(await person.call("GET", "/users/profile")).json()["id"] for person in people]

        async def verdict() -> Verdict:
            return self.verdict([each for address in addresses for each in await inbox.messages(address)])

        async def complete() -> bool:
            return not await unsettled(stack, ids) and not (await verdict()).lost

        await until(complete, within=within, what="every accepted reminder fired, and nothing more is to come")
        return await verdict()


async def unsettled(stack: Stack, user_ids: Sequence[str]) -> int:
    """How many messages to these people the platform has still in mind: while there are some, a second copy of one may
    come, and no verdict is due."""
    database = await asyncpg.connect(stack.settings()["PETFOLIO_DATABASE_URL"], ssl=False)
    try:
        waiting = "SELECT count(*) FROM deliveries WHERE user_id = ANY($1) AND state IN ('planned', 'deferred')"
        return int(await database.fetchval(waiting, list(user_ids)))
    finally:
        await database.close()


def delivery_of(message: dict[str, Any]) -> str:
    """The delivery id of a mail or a push message. A text message carries none: its words stand for it."""
    headers = message["headers"]
    return str(headers.get("X-Petfolio-Delivery") or headers.get("delivery") or message["text"])


def sent_at(message: dict[str, Any]) -> float:
    """When the provider took it."""
    return datetime.fromisoformat(message["sent_at"]).timestamp()
