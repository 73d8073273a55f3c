"""What was asked of the servers: one entry per request to a vendor's path."""

import time
from collections import deque
from typing import Any, Final

from werkzeug.wrappers import Request

_KEPT: Final = 20_000
"""Requests that the log remembers."""
_SECRET: Final = frozenset({"token", "code", "access_token"})
_SHOWN: Final = ("If-Match", "If-None-Match", "Prefer", "Content-Type", "User-Agent", "client-request-id")


class Log:
    """The last requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def note(self, request: Request, account: str | None, status: int | str, began: float, *, handled: bool) -> None:
        """One request with what became of it; never whom it was authorised by."""
        headers = {name: request.headers[name] for name in _SHOWN if name in request.headers}
        about = {"at": time.time(), "method": request.method, "path": request.path, "headers": headers}
        given = (each for each in request.args.lists() if each[0] not in _SECRET)
        query = {name: values if len(values) > 1 else values[0] for name, values in given}
        more = {"query": query, "account": account, "status": status, "seconds": time.monotonic() - began}
        self._entries.append(about | more | ({} if handled else {"unhandled": True}))

    def entries(self) -> list[dict[str, Any]]:
        """All that are remembered."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget them."""
        self._entries.clear()
