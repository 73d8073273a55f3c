"""What becomes known of a file that was not taken, in the transaction that refuses it: the audit trail has it, and who
uploaded it is told once, in the app and by mail."""

from contextlib import suppress
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import FieldCipher, SubjectErased
from domain.media.reasons import GERMAN, SENTENCES, Reason
from domain.media.state import AssetState
from domain.notification import Category, Channel
from models.media import MediaLink
from models.notification import MailTemplate
from models.queries import audit, notices
from models.queries.notices import Notice
from temporal import outbox

NAME: Final = "media_links.name_ct"


async def write_down(session: AsyncSession, link: MediaLink, state: AssetState) -> None:
    """That it was refused, and whose it was."""
    await audit.record(
        session,
        action=f"media.{state}",
        outcome="refused",
        actor=link.by_user_id,
        subject=link.by_user_id,
        object=f"media:{link.id}",
        household=link.household_id,
    )


async def tell(session: AsyncSession, cipher: FieldCipher, link: MediaLink, reason: Reason) -> None:
    """Tell who uploaded it. Whoever left meanwhile is not told."""
    with suppress(SubjectErased):
        notice = Notice(
            user_id=link.by_user_id,
            category=Category.MEDIA,
            template=MailTemplate.MEDIA_REFUSED,
            event_key=f"media/{link.id}/refused",
            channels=(Channel.IN_APP, Channel.EMAIL),
            params={
                "name": await cipher.open(NAME, link.id, link.name_ct),
                "why": {"en": SENTENCES[reason], "de": GERMAN[reason]},
            },
        )
        await outbox.send(session, link.by_user_id, await notices.claim(session, cipher, notice))
