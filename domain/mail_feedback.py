"""What a provider's report about a mail means: for the mail, and for its address.

A receipt never takes a mail back: what bounced stays failed whatever comes later. A bounce may follow a receipt (the
server took the mail and sent it back). What proves that a mail arrived, or cannot, also ends its sending where our own
acknowledgement was lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What became of a mail that the provider had taken."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    """The address does not exist, or takes nothing from us: for good."""
    RETURNED = "returned"
    """This mail was sent back; another one may arrive (a full mailbox, too large a message)."""
    UNCERTAIN = "uncertain"
    """Something came back, perhaps an answer from somebody on holiday."""
    DELAYED = "delayed"
    REJECTED = "rejected"
    """The provider took it and then thought better of it."""
    COMPLAINED = "complained"


class Suppression(StrEnum):
    """Why an address gets no mail that could be switched off."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Consequence:
    """`kind` of the line in the delivery's diary; the state it gets and from which ones, and the reason; whether the
    address is suppressed from now on."""

    kind: str
    state: str | None = None
    before: tuple[str, ...] = ()
    reason: str | None = None
    suppresses: Suppression | None = None


RETURNED_REASON: Final = "bounced"
_OPEN: Final = ("planned", "deferred", "sent")
CONSEQUENCES: Final[Mapping[Verdict, Consequence]] = {
    Verdict.DELIVERED: Consequence("delivered", "delivered", _OPEN),
    Verdict.BOUNCED: Consequence("bounced", "failed", (*_OPEN, "delivered"), RETURNED_REASON, Suppression.BOUNCE),
    Verdict.RETURNED: Consequence("bounced", "failed", (*_OPEN, "delivered"), RETURNED_REASON),
    Verdict.UNCERTAIN: Consequence("bounced"),
    Verdict.DELAYED: Consequence("delayed"),
    Verdict.REJECTED: Consequence("refused", "failed", _OPEN, "provider_refused"),
    # Whoever complains about a mail has got it.
    Verdict.COMPLAINED: Consequence("complained", "delivered", _OPEN, suppresses=Suppression.COMPLAINT),
}
