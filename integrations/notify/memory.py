"""A channel that keeps what it is given: a real backend for tests, and one that honours idempotency keys."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from integrations.notify.protocol import Message, ProviderUnavailable, Push, Receipt, TargetGone


@dataclass(frozen=True, slots=True)
class Call:
    """One call, whatever became of it."""

    key: UUID
    at: datetime
    message: Message


@dataclass(slots=True)
class MemoryChannel:
    """`sent` holds each message once per key. `fail_next` calls fail before acting, `drop_next` after it."""

    sent: dict[UUID, Message] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    fail_next: int = 0
    drop_next: int = 0
    _receipts: dict[UUID, Receipt] = field(default_factory=dict)

    @property
    def keys(self) -> list[UUID]:
        """The keys of all calls, in order."""
        return [call.key for call in self.calls]

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says; the same key answers with the same receipt."""
        self.calls.append(Call(idempotency_key, datetime.now(UTC), message))
        if self.fail_next:
            self.fail_next -= 1
            raise ProviderUnavailable("told to fail", retry_after=1)
        receipt = self._receipts.setdefault(idempotency_key, Receipt(uuid4().hex))
        self.sent.setdefault(idempotency_key, message)
        if self.drop_next:
            self.drop_next -= 1
            raise ProviderUnavailable("told to lose the acknowledgement", ambiguous=True)
        return receipt


@dataclass(slots=True)
class MemoryPushChannel:
    """`shown` is what each device shows now, by collapse key. `gone` devices have left, `away` ones cannot be reached
    for as many calls as they are given."""

    shown: dict[str, dict[str, Push]] = field(default_factory=dict)
    pushes: list[tuple[str, Push]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    away: dict[str, int] = field(default_factory=dict)
    drop_next: int = 0

    async def push(self, push: Push, target: str, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        if target in self.gone:
            raise TargetGone("told to be gone")
        if self.away.get(target, 0):
            self.away[target] -= 1
            raise ProviderUnavailable("told to be away", retry_after=1)
        self.pushes.append((target, push))
        self.shown.setdefault(target, {})[push.collapse_key] = push
        if self.drop_next:
            self.drop_next -= 1
            raise ProviderUnavailable("told to lose the acknowledgement", ambiguous=True)
        return Receipt(str(idempotency_key))

    async def close(self) -> None:
        """Nothing to let go of."""
