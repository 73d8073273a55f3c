"""Digests: who is due one, and what it says. May run twice: each is claimed by its row, one a person and moment."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.wording import Links, Reader, line
from core.crypto import FieldCipher
from core.db import SessionFactory
from domain import notification
from domain.notification import Category, Channel, DigestFrequency, Forbidden, Standing
from domain.reminder_series import OccurrenceState, ReminderClass
from integrations.notify.protocol import Message
from integrations.notify.words import DigestWords, ReminderWords, digest_email
from models.notification import Delivery
from models.queries import digests, notification_preferences, reminder_notices
from models.queries.clock import database_now
from models.queries.digests import Waiting
from models.queries.reminders import occurrence_of
from temporal import outbox
from temporal.contracts.digest import DigestsEnqueued, EnqueueDigests


class DigestActivities:
    """See the module."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.sessions = sessions

    @activity.defn
    async def enqueue_digests(self, request: EnqueueDigests) -> DigestsEnqueued:
        """Claim every digest whose time has come, and have it mailed. Heartbeats with the last person looked at."""
        after, people, enqueued = _resumed()
        while page := await self._page(after, request.page_size):
            for waiting in page:
                enqueued += await self._enqueue(waiting, request.now)
            after, people = page[-1].user_id, people + len(page)
            activity.heartbeat(str(after), people, enqueued)
        return DigestsEnqueued(people, enqueued)

    async def _page(self, after: UUID | None, size: int) -> list[Waiting]:
        async with self.sessions() as session:
            return await digests.people(session, after, size)

    async def _enqueue(self, waiting: Waiting, now: datetime) -> bool:
        async with self.sessions.begin() as session:
            standing = await notification_preferences.standing(session, waiting.user_id)
            moment = notification.next_digest(waiting.oldest, standing) if standing else None
            refused = standing and notification.forbidden(Category.DIGEST, Channel.EMAIL, standing)
            if standing is None or moment is None or refused:
                dropped = await digests.drop(session, waiting.user_id, refused or "digest_off")
                if refused is Forbidden.SUPPRESSED:
                    await reminder_notices.tell_unreached(session, dropped)
                return False
            free = notification.free_at(moment, standing, critical=False)
            if free > now:
                return False
            digest_id = await digests.claim(session, waiting.user_id, free)
            if digest_id is None:
                return False
            await outbox.send(session, waiting.user_id, [digest_id])
            return True


class DigestWording:
    """What a digest says, as it stands when it is sent: what was done since it was written down is no news."""

    def __init__(self, cipher: FieldCipher, links: Links) -> None:
        self.cipher, self.links = cipher, links

    async def message(self, session: AsyncSession, delivery: Delivery, standing: Standing) -> Message | None:
        """The mail, without an address; None when nothing is left to tell, of which what is coming is no part."""
        rows = await digests.lines(session, delivery.id)
        if not rows:
            return None
        reader = Reader(standing.locale, standing.timezone)
        lines = [(OccurrenceState(row["occurrence_state"]), await self._line(row, reader)) for row in rows]
        words = DigestWords(
            locale=standing.locale,
            weekly=standing.digest.frequency is DigestFrequency.WEEKLY,
            coming=[await self._line(row, reader) for row in await self._coming(session, standing)],
            still_open=[line for state, line in lines if state is OccurrenceState.DUE],
            missed=[line for state, line in lines if state is OccurrenceState.MISSED],
            public_url=self.links.public_url,
            link=self.links.public_url,
            unsubscribe_token=self.links.token(standing.user_id, Category.DIGEST, Channel.EMAIL, delivery.created_at),
        )
        return digest_email(words, to="")

    async def _coming(self, session: AsyncSession, standing: Standing) -> Sequence[RowMapping]:
        """What is due before the next digest."""
        until = notification.next_digest(await database_now(session), standing)
        return await digests.coming(session, standing.user_id, until) if until else ()

    async def _line(self, row: RowMapping, reader: Reader) -> ReminderWords:
        pet_name = None
        if row["pet_id"] is not None:
            pet_name = await self.cipher.open_optional("pets.name_ct", row["pet_id"], row["pet_name_ct"])
        return line(
            occurrence_of(row),
            title=await self.cipher.open("reminders.title_ct", row["reminder_id"], row["title_ct"]),
            pet_name=pet_name,
            klass=ReminderClass(row["class"]),
            reader=reader,
            public_url=self.links.public_url,
        )


def _resumed() -> tuple[UUID | None, int, int]:
    """Last person, people and digests of the page that the former attempt told of last."""
    details = activity.info().heartbeat_details
    if not details:
        return None, 0, 0
    last, people, enqueued = details
    return UUID(last), people, enqueued
