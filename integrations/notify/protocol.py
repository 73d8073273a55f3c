"""What a channel promises: one message to one person, honouring an idempotency key as far as its vendor does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from core.errors import PetfolioError, Unavailable


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered message. `repr` shows nothing of it: it is personal throughout."""

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider's word that it took the message over."""

    provider_id: str


class ProviderRefused(PetfolioError):
    """The provider will never take this message: a bad address, a blocked recipient, a template it rejects."""

    code = "provider_refused"
    http_status = 502


class ProviderUnavailable(Unavailable):
    """The provider did not take the message now, or asks to come back later (`retry_after` in seconds).

    `ambiguous`: it may have taken it all the same, only its acknowledgement never arrived. Asking again with the same
    key is right; whoever keeps a ledger notes that the person may have got it twice.
    """

    code = "provider_unavailable"

    def __init__(self, detail: str, *, retry_after: int | None = None, ambiguous: bool = False) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.ambiguous = ambiguous


class Channel(Protocol):
    """A way to reach people. Raises `ProviderRefused` and `ProviderUnavailable`, nothing else."""

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """Hand the message over; the same key again is the same message."""
        ...
