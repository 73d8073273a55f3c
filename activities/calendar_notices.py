"""What the calendar sync tells a person: in the app and by mail, once, in the transaction that makes it true."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import FieldCipher
from domain.notification import Category, Channel
from models.notification import MailTemplate
from models.queries import notices
from models.queries.calendar_sync import Calendar
from models.queries.notices import Notice
from temporal import outbox

_PROVIDERS: Final = {"google": "Google Calendar", "microsoft": "Outlook", "caldav": "CalDAV"}


async def tell(
    session: AsyncSession, cipher: FieldCipher, calendar: Calendar, template: MailTemplate, once: str, **words: object
) -> None:
    """Tell the person whose calendar it is. `once` names what happened among all that this template says of this
    calendar; `words` are what it says beside the provider. Raises `SubjectErased`."""
    notice = Notice(
        user_id=calendar.user_id,
        category=Category.CALENDAR,
        template=template,
        event_key=f"calendar/{calendar.id}/{template}/{once}",
        channels=(Channel.IN_APP, Channel.EMAIL),
        params={"provider": _PROVIDERS[calendar.provider], **words},
    )
    await outbox.send(session, calendar.user_id, await notices.claim(session, cipher, notice))
