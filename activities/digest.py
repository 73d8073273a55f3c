"""Digests: who is due one. May run twice: a digest is claimed by its row, one per person and moment."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from core.db import SessionFactory
from domain import notification
from domain.notification import Category, Channel
from models.queries import digests, notification_preferences
from models.queries.digests import Waiting
from temporal import ids, outbox
from temporal.contracts import mail
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
            if moment is None or refused:
                await digests.drop(session, waiting.user_id, refused or "digest_off")
                return False
            if moment > now:
                return False
            digest_id = await digests.claim(session, waiting.user_id, moment)
            if digest_id is None:
                return False
            await _have_it_mailed(session, waiting.user_id, digest_id)
            return True


async def _have_it_mailed(session: AsyncSession, user_id: UUID, delivery_id: UUID) -> None:
    await outbox.enqueue(
        session,
        aggregate=f"user/{user_id}",
        kind=mail.KIND,
        workflow_id=ids.mail(user_id, delivery_id),
        args={"user_id": str(user_id), "delivery_id": str(delivery_id)},
        user_id=user_id,
    )


def _resumed() -> tuple[UUID | None, int, int]:
    """Last person, people and digests of the page that the former attempt told of last."""
    details = activity.info().heartbeat_details
    if not details:
        return None, 0, 0
    last, people, enqueued = details
    return UUID(last), people, enqueued
