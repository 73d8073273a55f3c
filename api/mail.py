"""Messages to one person: the intent, written in the transaction that causes it."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import FieldCipher
from core.ids import new_id
from domain.notification import Category
from models.notification import Channel, Delivery, MailTemplate
from models.queries import notices
from models.queries.notices import Notice
from temporal import outbox

__all__ = ["MailTemplate", "Notice", "notify", "send_mail"]

_CATEGORIES: Final[Mapping[MailTemplate, Category]] = {
    MailTemplate.SESSION_REUSE: Category.SECURITY,
    MailTemplate.ERASURE_REQUESTED: Category.PRIVACY,
}


async def send_mail(session: AsyncSession, user_id: UUID, template: MailTemplate) -> None:
    """Have this mail sent. The id of its delivery row is the provider's idempotency key."""
    delivery_id = new_id()
    session.add(
        Delivery(
            id=delivery_id,
            event_key=f"mail/{delivery_id}",
            user_id=user_id,
            channel=Channel.EMAIL,
            template=template,
            category=_CATEGORIES.get(template, Category.ACCOUNT),
        )
    )
    await session.flush()
    await outbox.send(session, user_id, (delivery_id,))


async def notify(session: AsyncSession, cipher: FieldCipher, notice: Notice) -> None:
    """Tell a person on the channels of the notice, once per event. Activities call the same two functions."""
    await outbox.send(session, notice.user_id, await notices.claim(session, cipher, notice))
