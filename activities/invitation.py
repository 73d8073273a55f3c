"""Effects of invitations. Each may run twice: the row says which mail is the next, and its token follows from that."""

import hashlib
import hmac
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.strangers import StrangerMail
from core.db import SessionFactory
from domain.notification import Forbidden
from integrations.notify.protocol import Message
from integrations.notify.render import render
from models.household import Invitation, InvitationState
from models.notification import MailTemplate
from models.queries import invitations
from models.queries.clock import database_now
from temporal.contracts.invitation import InvitationPlan, MailInvitation, ReviewInvitation

KEY_PURPOSE: Final = "invitation-token"
"""What the key that tokens follow from is derived for."""


class InvitationActivities:
    """`key` makes the tokens: one mail carries one token however often it is tried, so that whichever copy arrives is
    good. Only its hash is kept, and a later mail replaces it."""

    def __init__(self, sessions: SessionFactory, mail: StrangerMail, key: bytes) -> None:
        self.sessions, self.mail, self.key = sessions, mail, key

    @activity.defn
    async def review_invitation(self, request: ReviewInvitation) -> InvitationPlan:
        """What is to be done; what nobody answered in time is closed."""
        async with self.sessions.begin() as session:
            row = await invitations.lock_by_id(session, request.invitation_id)
            if row is None or row.state != InvitationState.OPEN:
                return InvitationPlan()
            now = max(request.now, await database_now(session))
            if row.expires_at <= now:
                await invitations.close(session, row, InvitationState.EXPIRED, now)
                return InvitationPlan()
            return InvitationPlan(row.mailing if row.mailed < row.mailing else None, row.expires_at)

    @activity.defn
    async def mail_invitation(self, request: MailInvitation) -> None:
        """Mint the token, render, send, note it. A mail that has become pointless is not sent."""
        async with self.sessions.begin() as session:
            row = await invitations.lock_by_id(session, request.invitation_id)
            if row is None or not _is_wanted(row, request.mailing):
                return
            words = await invitations.mail_words(session, row.id)
            token = self.token(row.id, request.mailing)
            row.token_hash = hashlib.sha256(token.encode()).digest()
            row.mail_key = key = uuid5(row.id, str(request.mailing))
            message = None if words.suppressed else await self._words(row, words, token)
        problem = Forbidden.SUPPRESSED if message is None else await self.mail.send(message, key)
        async with self.sessions.begin() as session:
            await self._note(session, request, problem)

    def token(self, invitation_id: UUID, mailing: int) -> str:
        """256 bits that nobody can guess without the key."""
        return hmac.digest(self.key, f"{invitation_id}/{mailing}".encode(), hashlib.sha256).hex()

    async def _note(self, session: AsyncSession, request: MailInvitation, problem: str | None) -> None:
        row = await invitations.lock_by_id(session, request.invitation_id)
        if row is not None and row.mailed < request.mailing:
            row.mailed, row.mail_problem = request.mailing, problem or row.mail_problem
            await invitations.touch(session, row, await database_now(session))

    async def _words(self, row: Invitation, words: invitations.MailWords, token: str) -> Message:
        values = {
            "public_url": self.mail.public_url,
            "link": f"{self.mail.public_url}/invitation?token={token}",
            "inviter": await self.mail.name("users.first_name_ct", words.inviter_id, words.inviter_name_ct),
            "household": await self.mail.name("households.name_ct", row.household_id, words.household_name_ct),
            "role": row.role,
            "expires_at": row.expires_at.astimezone(ZoneInfo(words.timezone)),
        }
        address = await self.mail.cipher.open("invitations.email_ct", row.id, row.email_ct)
        return render(MailTemplate.INVITATION, row.locale, address, values)


def _is_wanted(row: Invitation, mailing: int) -> bool:
    return row.state == InvitationState.OPEN and row.mailed < mailing == row.mailing
