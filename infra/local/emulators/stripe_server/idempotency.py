"""What was answered under an idempotency key, for a day on the account's clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from infra.local.emulators.stripe_server.clock import Clock
from infra.local.emulators.stripe_server.errors import StripeError

_KEPT_SECONDS: Final = 24 * 3600
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class Saved:
    """The first answer."""

    request: object
    status: int
    body: dict[str, Any]
    at: int


class Replays:
    """See the module. A request is equal when method, path and parameters are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._saved: dict[str, Saved] = {}
        self._busy: set[str] = set()

    def saved(self, key: str, request: object) -> Saved | None:
        """What to answer again. Raises `StripeError` 400 for a key that was used for something else."""
        if len(key) > _LONGEST:
            raise StripeError(400, "invalid_request_error", None, "Idempotency keys have at most 255 characters.")
        found = self._saved.get(key)
        if found is None or found.at + _KEPT_SECONDS <= self._clock.now():
            return None
        if found.request != request:
            message = "An idempotency key can only be used with the same parameters that it was first used with."
            raise StripeError(400, "idempotency_error", None, message)
        return found

    @contextmanager
    def turn(self, key: str | None) -> Iterator[None]:
        """One request under a key at a time. Raises `StripeError` 409 for a second one."""
        if key is None:
            yield
            return
        if key in self._busy:
            message = "There is currently another in-progress request using this idempotency key."
            raise StripeError(409, "idempotency_error", "idempotency_key_in_use", message)
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    def save(self, key: str | None, request: object, status: int, body: dict[str, Any]) -> None:
        """The answer is replayed from now on."""
        if key is not None:
            self._saved[key] = Saved(request, status, body, self._clock.now())
