"""What lies in people's mailboxes: deliveries of the ledger, sent by the real activity into memory."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col
from temporalio.testing import ActivityEnvironment

from activities.mail import MailActivities
from activities.wording import Links
from core.unsubscribe import Unsubscriber
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Message
from models.notification import Channel, Delivery, DeliveryState
from temporal.contracts.mail import SendMail
from tests.activities.reminder_home import courier
from tests.api.signing_in import Api

PUBLIC_URL: Final = "https://petfolio.test"
_TOKEN: Final = re.compile(r"token=([\w-]{43})")


@dataclass
class Mailbox:
    """Every mail of the module's database that was asked for, sent when somebody looks."""

    api: Api
    channel: MemoryChannel = field(default_factory=MemoryChannel)

    async def to(self, address: str) -> list[Message]:
        """The mails to this address, oldest first."""
        await self.deliver()
        return [call.message for call in self.channel.calls if call.message.to == address]

    async def token(self, address: str) -> str:
        """The token in the newest mail to this address that has one."""
        found = [match[1] for message in await self.to(address) if (match := _TOKEN.search(message.text))]
        assert found, f"no link was mailed to {address}"
        return found[-1]

    async def deliver(self) -> None:
        """Send what waits."""
        identity = self.api.identity
        links = Links(PUBLIC_URL, Unsubscriber(b"u" * 32))
        mail = courier(identity.db, identity.cipher, self.channel)
        activities = MailActivities(identity.db.sessions, identity.cipher, mail, links=links, grace=timedelta(days=14))
        for delivery_id in await self._waiting():
            await ActivityEnvironment().run(activities.send_mail, SendMail(delivery_id))

    async def _waiting(self) -> list[UUID]:
        query = select(col(Delivery.id)).where(
            col(Delivery.state) == DeliveryState.PLANNED, col(Delivery.channel) == Channel.EMAIL
        )
        async with self.api.identity.db.sessions() as session:
            return list((await session.scalars(query.order_by(col(Delivery.id)))).all())
