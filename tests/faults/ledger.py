"""The ledger method (reliability-and-privacy.md §4.7): what we asked for, what we were told, what really happened.

Every request is written down before it is sent and its outcome after it. What happened is read from the provider's
own store, never from the system under test.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


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


class Ledger:
    """One test's account of its own intents. Keys are the titles of reminders, unique per ledger."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("CREATE TABLE intents (key TEXT PRIMARY KEY, asked REAL, status INTEGER, answered REAL)")

    async def ask(self, key: str, request: Awaitable[httpx.Response]) -> httpx.Response | None:
        """Send one request. None when its outcome is unknown (reset, timeout)."""
        self.db.execute("INSERT INTO intents (key, asked) VALUES (?, ?)", (key, time.time()))
        try:
            answer = await request
        except httpx.TransportError:
            return None
        self.db.execute(
            "UPDATE intents SET status = ?, answered = ? WHERE key = ?", (answer.status_code, time.time(), key)
        )
        return answer

    def statuses(self) -> Counter[int | None]:
        """How often each status was answered; None counts the unknown."""
        return Counter(status for (status,) in self.db.execute("SELECT status FROM intents"))

    def accepted(self) -> list[str]:
        """Keys answered with 2xx: these must fire."""
        return [key for (key,) in self.db.execute("SELECT key FROM intents WHERE status BETWEEN 200 AND 299")]

    def verdict(self, messages: list[dict[str, Any]]) -> Verdict:
        """Compare with what the provider has recorded. A message belongs to the intent whose key its words hold."""
        fired: dict[str, list[str]] = {key: [] for (key,) in self.db.execute("SELECT key FROM intents")}
        for message in messages:
            for key in fired:
                if key in f"{message['subject']} {message['text']}":
                    fired[key].append(delivery_of(message))
        rows = list(self.db.execute("SELECT key, status FROM intents"))
        accepted = [key for key, status in rows if status is not None and 200 <= status < 300]
        return Verdict(
            accepted=len(accepted),
            refused=sum(1 for _, status in rows if status is not None and 400 <= status < 500),
            unknown=sum(1 for _, status in rows if status is None or status >= 500),
            lost=[key for key in accepted if not fired[key]],
            duplicates=[key for key, ids in fired.items() if len(set(ids)) > 1],
            ambiguous=sum(len(ids) - len(set(ids)) for ids in fired.values()),
        )


def delivery_of(message: dict[str, Any]) -> str:
    """The delivery id of a mail or a push message. A text message carries none: its words stand for it."""
    headers = message["headers"]
    return str(headers.get("X-Petfolio-Delivery") or headers.get("delivery") or message["text"])
