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


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A message to the devices of one person: two lines and where they lead.

    Of messages with the same `collapse_key` (given by whoever knows the devices) a device shows the newest only;
    `withdrawn` ones take the place of what is shown without a sound. After `ttl_seconds` without a connection it is not
    delivered any more.
    """

    title: str = field(repr=False)
    body: str = field(repr=False)
    link: str
    collapse_key: str = ""
    ttl_seconds: int
    urgent: bool = False
    withdrawn: bool = False


class TargetGone(ProviderRefused):
    """The device will never take a message again: the app was removed, or its registration has expired."""

    code = "target_gone"


class PushChannel(Protocol):
    """A way to devices. Raises `TargetGone`, `ProviderRefused` and `ProviderUnavailable`, nothing else."""

    async def push(self, push: Push, target: str, *, idempotency_key: UUID) -> Receipt:
        """Hand it to the service of one device. The key travels with the message, so that a device can recognise a
        second one whose acknowledgement was lost."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
