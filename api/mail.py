"""Mails to one person: the intent, written in the transaction that causes it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from models.notification import Channel, Delivery, MailTemplate
from temporal import ids, outbox
from temporal.contracts import mail

__all__ = ["MailTemplate", "send_mail"]


async def send_mail(session: AsyncSession, user_id: UUID, template: MailTemplate) -> None:
    """Have this mail sent. The id of its delivery row is the provider's idempotency key."""
    delivery_id = new_id()
    session.add(
        Delivery(
            id=delivery_id, event_key=f"mail/{delivery_id}", user_id=user_id, channel=Channel.EMAIL, template=template
        )
    )
    await session.flush()
    await outbox.enqueue(
        session,
        aggregate=f"user/{user_id}",
        kind=mail.KIND,
        workflow_id=ids.mail(user_id, delivery_id),
        args={"user_id": str(user_id), "delivery_id": str(delivery_id)},
        user_id=user_id,
    )
