"""What tests have asked to go wrong, and which of it a request meets."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(slots=True)
class Fault:
    """A request that goes wrong: `skip` requests pass, then it holds for `times` (None: until it is taken away).

    `when`: nothing was done yet (before), or it was done and stays so (after). `effect`: an answer with `status`,
    `code` and `headers`; the connection is dropped; or `seconds` of silence come first and all is well then (hang). A
    status that came after the commit is what the idempotency key replays, as at Stripe; `saved` says otherwise: with
    `when` before, nothing was done and the key says so for a day.
    """

    method: str = ".*"
    path: str = ".*"
    skip: int = 0
    times: int | None = 1
    when: Literal["before", "after"] = "before"
    effect: Literal["status", "drop", "hang"] = "status"
    status: int = 500
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 30.0
    saved: bool | None = None

    def __post_init__(self) -> None:
        if self.when not in ("before", "after") or self.effect not in ("status", "drop", "hang"):
            raise ValueError("when is before or after, effect is status, drop or hang")
        if not 0 <= self.seconds <= 120 or not 400 <= self.status <= 599:
            raise ValueError("seconds must lie between 0 and 120, status between 400 and 599")

    @property
    def is_saved(self) -> bool:
        """Whether the idempotency key remembers this answer."""
        return self.saved if self.saved is not None else self.when == "after" and self.effect == "status"

    def body(self) -> dict[str, Any]:
        """The error of a `status`."""
        kind = "invalid_request_error" if self.status < 500 else "api_error"
        code = self.code or ("rate_limit" if self.status == 429 else None)
        return {"error": {"type": kind, "message": "Asked to go wrong."} | ({"code": code} if code else {})}

    def meets(self, method: str, path: str) -> bool:
        """Whether it is about such a request; counts it then."""
        if not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """Those of an account; the first that a request meets counts."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """From now on."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Those that still hold."""
        return [asdict(fault) for fault in self._faults]

    def met(self, method: str, path: str) -> Fault | None:
        """The fault of a request."""
        found = next((fault for fault in self._faults if fault.meets(method, path)), None)
        if found and found.times is not None and found.times <= 0:
            self._faults.remove(found)
        return found
