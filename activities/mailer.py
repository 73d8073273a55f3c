"""What the reminder's activities know as notifier: words by template, e-mail as the channel."""

from dataclasses import asdict
from uuid import UUID

from activities.reminder import ReminderMail
from integrations.notify.protocol import Channel, Receipt
from integrations.notify.render import render


class ReminderMailer:
    """`public_url` stands at the foot of every mail."""

    def __init__(self, email: Channel, public_url: str) -> None:
        self.email, self.public_url = email, public_url

    async def send_reminder(self, mail: ReminderMail, *, idempotency_key: UUID) -> Receipt:
        """Render and send. Raises `ProviderRefused` and `ProviderUnavailable`."""
        message = render("reminder_due", mail.locale, mail.address, {**asdict(mail), "public_url": self.public_url})
        return await self.email.send(message, idempotency_key=idempotency_key)
