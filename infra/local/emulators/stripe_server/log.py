"""What was asked of an account: one entry per request, oldest first."""

from collections import deque
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 20_000
SHOWN: Final = ("idempotency-key", "stripe-version", "content-type", "user-agent")


@dataclass(slots=True)
class Entry:
    """`body` is the raw form; `status` is None when the connection was dropped; `handled` is False for what the SDK
    knows and this server does not do. Whom it was authorised by is never kept."""

    at: int
    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    request_id: str
    status: int | None = None
    handled: bool = True
    replayed: bool = False


class Log:
    """The last requests."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_KEPT)

    def note(self, entry: Entry) -> None:
        """One more."""
        self.entries.append(entry)
