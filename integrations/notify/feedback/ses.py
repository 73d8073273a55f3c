"""Events of Amazon SES as our own words.

Source: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS" (`eventType`), and
"Amazon SNS notification contents for Amazon SES" (`notificationType`: the same objects). Types of bounces: same guide,
"Bounce types".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from core.errors import PetfolioError
from domain.auth import canonical_address
from domain.mail_feedback import Verdict
from integrations.notify.mime import DELIVERY_HEADER

# Transient bounces by which a mail certainly did not arrive; `General` is what answers of absent people are, too.
_RETURNED: Final = frozenset({"MailboxFull", "MessageTooLarge", "ContentRejected", "AttachmentRejected"})
_NOT_SPAM: Final = "not-spam"
_Word = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z-]*$")]


class EventUnreadable(PetfolioError):
    """It came from our topic and is no event about a mail."""

    code = "event_unreadable"
    http_status = 400


@dataclass(frozen=True, slots=True)
class MailFeedback:
    """A verdict about one mail. `delivery_id` is our own header, where SES shows headers; `address` is canonical."""

    verdict: Verdict
    provider_id: str
    delivery_id: UUID | None
    address: str | None = field(repr=False)
    code: str


class _Header(BaseModel):
    name: str
    value: str = Field(repr=False)


class _Mail(BaseModel):
    message_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(alias="messageId")
    destination: list[str] = Field(default=[], repr=False)
    headers: list[_Header] = Field(default=[], repr=False)


class _Bounce(BaseModel):
    type: _Word = Field(alias="bounceType")
    subtype: _Word = Field(alias="bounceSubType", default="")


class _Complaint(BaseModel):
    type: _Word | None = Field(alias="complaintFeedbackType", default=None)


class _Delay(BaseModel):
    type: _Word = Field(alias="delayType", default="")


class _Event(BaseModel):
    event_type: str | None = Field(alias="eventType", default=None)
    notification_type: str | None = Field(alias="notificationType", default=None)
    mail: _Mail
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None
    delay: _Delay | None = Field(alias="deliveryDelay", default=None)


def read_event(text: str) -> MailFeedback | None:
    """What SES says about a mail; None for what is nothing to us (sends, opens, clicks). Raises `EventUnreadable`."""
    try:
        event = _Event.model_validate_json(text)
    except ValidationError:
        raise EventUnreadable("not an event of SES") from None
    judge = _JUDGES.get(event.event_type or event.notification_type or "")
    found = judge(event) if judge else None
    if found is None:
        return None
    verdict, code = found
    return MailFeedback(verdict, event.mail.message_id, _delivery_id(event.mail), _address(event.mail), code)


def _bounce(event: _Event) -> tuple[Verdict, str] | None:
    if event.bounce is None:
        return None
    code = f"{event.bounce.type}/{event.bounce.subtype}"
    if event.bounce.type == "Permanent":
        return Verdict.BOUNCED, code
    return (Verdict.RETURNED if event.bounce.subtype in _RETURNED else Verdict.UNCERTAIN), code


def _complaint(event: _Event) -> tuple[Verdict, str]:
    """`not-spam` is the opposite: the reader took it out of the folder for spam."""
    kind = event.complaint.type if event.complaint else None
    return (Verdict.DELIVERED if kind == _NOT_SPAM else Verdict.COMPLAINED), kind or "complaint"


_JUDGES: Final[dict[str, Callable[[_Event], tuple[Verdict, str] | None]]] = {
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Delivery": lambda event: (Verdict.DELIVERED, "delivery"),
    "DeliveryDelay": lambda event: (Verdict.DELAYED, event.delay.type if event.delay else ""),
    "Reject": lambda event: (Verdict.REJECTED, "reject"),
}


def _delivery_id(mail: _Mail) -> UUID | None:
    for header in mail.headers:
        if header.name.casefold() == DELIVERY_HEADER.casefold():
            try:
                return UUID(header.value.strip())
            except ValueError:
                return None
    return None


def _address(mail: _Mail) -> str | None:
    """Where we sent it: what bounced is reported in the words of the server that refused it. We write to one person
    per mail."""
    if len(mail.destination) != 1:
        return None
    try:
        found = validate_email(mail.destination[0], check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return canonical_address(found.local_part, found.ascii_domain or found.domain)
