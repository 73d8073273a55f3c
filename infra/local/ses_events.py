"""Bounces and complaints in SES' own words (documented: "Amazon SNS notification contents for Amazon SES")."""

import json
from datetime import UTC, datetime
from typing import Literal


def notification(kind: Literal["bounce", "complaint"], message_id: str, recipient: str) -> str:
    """The JSON that SES publishes about one mail; the message id is the one that its sender got."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    report: dict[str, object] = {"timestamp": now, "feedbackId": f"local-{message_id}"}
    if kind == "bounce":
        refused = {"emailAddress": recipient, "action": "failed", "status": "5.1.1"}
        report |= {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [refused]}
    else:
        report |= {"complainedRecipients": [{"emailAddress": recipient}], "complaintFeedbackType": "abuse"}
    mail = {"timestamp": now, "messageId": message_id, "destination": [recipient]}
    return json.dumps({"notificationType": kind.capitalize(), kind: report, "mail": mail})
