"""What the reminder's activities know as notifier: words by template, e-mail as the channel."""

from dataclasses import fields
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from activities.reminder import ReminderMail
from domain.recurrence import zone_shift
from integrations.notify.protocol import Channel as Email
from integrations.notify.protocol import ProviderRefused, Receipt
from integrations.notify.render import render
from models.notification import Channel

_FIELDS: Final = tuple(field.name for field in fields(ReminderMail))


class ChannelPending(ProviderRefused):
    """A channel that this installation does not speak."""

    code = "pending_channel"


class ReminderMailer:
    """`public_url` is where the mail's button and foot lead."""

    def __init__(self, email: Email, public_url: str) -> None:
        self.email, self.public_url = email, public_url

    async def send_reminder(self, mail: ReminderMail, *, idempotency_key: UUID) -> Receipt:
        """Render and send. Raises `ProviderRefused` and `ProviderUnavailable`."""
        if mail.channel is not Channel.EMAIL:
            raise ChannelPending(f"{mail.channel} is not spoken yet")
        message = render("reminder_due", mail.locale, mail.address, {**words(mail), "public_url": self.public_url})
        return await self.email.send(message, idempotency_key=idempotency_key)


def words(mail: ReminderMail) -> dict[str, object]:
    """What the template shows beside the mail's own fields.

    `here`: the same moment where the reader is, unless their clock shows the same; `planned` and `shift`: the nominal
    time, and what a change of the clocks did to it (`gap`, `overlap_first`).
    """
    here = mail.due.astimezone(ZoneInfo(mail.timezone))
    all_day = "T" not in mail.nominal
    planned = None if all_day or mail.tzid is None else datetime.fromisoformat(mail.nominal)
    shift = zone_shift(planned, mail.tzid) if planned is not None and mail.tzid is not None else ()
    return {name: getattr(mail, name) for name in _FIELDS} | {
        "all_day": all_day,
        "here": here if here.utcoffset() != mail.due.utcoffset() else None,
        "planned": planned,
        "shift": shift[0] if shift else None,
        "overdue": mail.step.startswith("overdue"),
    }
