"""What the reminder's activities know as notifier: words of every channel, e-mail as the one that is spoken."""

from datetime import UTC, datetime
from uuid import UUID

from activities.reminder import ReminderMail
from integrations.notify import words
from integrations.notify.protocol import Channel as Email
from integrations.notify.protocol import ProviderRefused, Receipt
from integrations.notify.words import ReminderWords
from models.notification import Channel


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
        message = words.email(self._words(mail), mail.address)
        return await self.email.send(message, idempotency_key=idempotency_key)

    def _words(self, mail: ReminderMail) -> ReminderWords:
        return ReminderWords(
            locale=mail.locale,
            title=mail.title,
            description=mail.description,
            pet_name=mail.pet_name,
            step=mail.step,
            late=mail.late,
            due=mail.due,
            nominal=mail.nominal,
            tzid=mail.tzid,
            timezone=mail.timezone,
            now=datetime.now(UTC),
            missed=mail.missed,
            missed_from=mail.missed_from,
            public_url=self.public_url,
            link=self.public_url,
            also=tuple(map(self._words, mail.also)),
        )
