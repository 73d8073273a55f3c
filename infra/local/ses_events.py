"""What SES reports, in its own words (documented: "Contents of event data that Amazon SES publishes to Amazon SNS")."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

ACCOUNT: Final = "123456789012"
EVENTS_TOPIC: Final = "petfolio-ses-events"
Feedback = Literal["bounce", "complaint", "delivery", "delay", "reject"]
_Object = dict[str, object]


def event(
    kind: Feedback, message_id: str, recipient: str, *, headers: Sequence[Mapping[str, str]] = (), **more: object
) -> str:
    """The JSON that SES publishes about one mail; the message id is the one that its sender got. `more` changes fields
    of the report."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    name, field, make = _KINDS[kind]
    mail = {"timestamp": now, "messageId": message_id, "destination": [recipient], "headersTruncated": False}
    mail["headers"] = list(headers)
    report = {"timestamp": now, **make(message_id, recipient), **more}
    return json.dumps({"eventType": name, field: report, "mail": mail})


def topic_arn(region: str) -> str:
    """Where SES publishes them."""
    return f"arn:aws:sns:{region}:{ACCOUNT}:{EVENTS_TOPIC}"


def _bounce(message_id: str, recipient: str) -> _Object:
    refused = {"emailAddress": recipient, "action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1"}
    of = {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [refused]}
    return {**of, "feedbackId": f"local-{message_id}"}


def _complaint(message_id: str, recipient: str) -> _Object:
    of = {"complainedRecipients": [{"emailAddress": recipient}], "complaintFeedbackType": "abuse"}
    return {**of, "feedbackId": f"local-{message_id}"}


def _delivery(_: str, recipient: str) -> _Object:
    return {"processingTimeMillis": 500, "recipients": [recipient], "smtpResponse": "250 ok"}


def _delay(_: str, recipient: str) -> _Object:
    return {"delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": recipient, "status": "4.2.2"}]}


def _reject(_: str, __: str) -> _Object:
    return {"reason": "Bad content"}


_KINDS: Final[Mapping[str, tuple[str, str, Callable[[str, str], _Object]]]] = {
    "bounce": ("Bounce", "bounce", _bounce),
    "complaint": ("Complaint", "complaint", _complaint),
    "delivery": ("Delivery", "delivery", _delivery),
    "delay": ("DeliveryDelay", "deliveryDelay", _delay),
    "reject": ("Reject", "reject", _reject),
}
