"""A channel that keeps what it is given: a real backend for tests, and one that honours idempotency keys."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from integrations.notify.protocol import Message, ProviderUnavailable, Receipt


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
