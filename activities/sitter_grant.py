"""Effects of a sitter's grant. Each may run twice: the row and the ledger say what is done already."""

from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.sitter_wording import SitterWording
from activities.strangers import StrangerMail
from core.crypto import SubjectErased
from core.db import SessionFactory, single_statement
from domain import grant as rules
from domain.access import Right
from domain.grant import OPEN, GrantState, Span, Todo
from domain.notification import Category, Channel, Forbidden
from integrations.notify.protocol import Message
from integrations.notify.render import render
from models.household import Grant
from models.notification import MailTemplate
from models.queries import grants, notices, reminders, sitter_summaries
from models.queries.clock import database_now
from models.queries.notices import Notice
from temporal import outbox
from temporal.contracts.sitter_grant import EndGrant, MailGrant, ReviewGrant, StartGrant, SummariseGrant

_BY_MAIL_TOO: Final = (Channel.EMAIL, Channel.IN_APP)
_IN_APP: Final = (Channel.IN_APP,)


class SitterGrantActivities:
    """See the module. Everything is decided by the database's clock, which also decides who has access."""

    def __init__(self, sessions: SessionFactory, mail: StrangerMail) -> None:
        self.sessions, self.mail = sessions, mail
        self.wording = SitterWording(mail.cipher)

    @activity.defn
    async def review_grant(self, request: ReviewGrant) -> Todo:
        """What is to be done, and when."""
        async with self.sessions() as session:
            row = await session.get(Grant, request.grant_id)
            if row is None:
                return Todo()
            owners = await grants.owners(session, row.household_id)
            zones = [owner.timezone for owner in owners]
            return rules.todo(grants.standing_of(row), zones, await database_now(session))

    @activity.defn
    async def mail_grant(self, request: MailGrant) -> None:
        """Ask the sitter: by mail, whether or not there is an account with that address, and in the app where there is
        one. The mail of a grant that was answered or ended meanwhile is not sent."""
        async with self.sessions.begin() as session:
            row = await grants.lock_by_id(session, request.grant_id)
            if row is None or row.mailed or grants.standing_of(row).state(await database_now(session)) not in OPEN:
                return
            row.mail_key = key = uuid5(row.id, MailTemplate.GRANT_GIVEN)
            message, problem = await self._ask(session, row)
        if message is not None:
            problem = await self.mail.send(message, key)
        async with self.sessions.begin() as session:
            row = await grants.lock_by_id(session, request.grant_id)
            if row is not None:
                row.mailed, row.mail_problem = True, problem or row.mail_problem
                await grants.touch(session, row, await database_now(session))

    @activity.defn
    async def start_grant(self, request: StartGrant) -> None:
        """Hand over what is due, and tell the sitter that it has begun."""
        row = await self._find(request.grant_id)
        if row is None or row.user_id is None:
            return
        if Right.ACT in row.actions:
            await self._hand_over(row.id)
        async with self.sessions.begin() as session:
            locked, now = await grants.lock_by_id(session, row.id), await database_now(session)
            if locked is None or locked.started_at is not None:
                return
            if grants.standing_of(locked).state(now) is not GrantState.ACTIVE:
                return  # ended meanwhile
            locked.started_at = now
            await session.flush()
            params = await self.wording.scope(session, locked)
            await self._tell(session, row.user_id, MailTemplate.GRANT_STARTED, locked, _BY_MAIL_TOO, params)

    @activity.defn
    async def summarise_grant(self, request: SummariseGrant) -> None:
        """Tell every owner whose evening has come what was done since their last one."""
        async with self.sessions.begin() as session:
            row = await grants.lock_by_id(session, request.grant_id)
            if row is not None:
                await self._summarise(session, row, await database_now(session))

    @activity.defn
    async def end_grant(self, request: EndGrant) -> None:
        """Take back what is due, and tell the owners of the rest. One that was extended meanwhile goes on."""
        async with self.sessions() as session:
            row, now = await session.get(Grant, request.grant_id), await database_now(session)
        if row is None or grants.standing_of(row).state(now) in OPEN:
            return
        # Also of one that was ended while it began, and is not noted as begun.
        if grants.standing_of(row).gave_access(now) and Right.ACT in row.actions:
            await self._hand_over(row.id)
        async with self.sessions.begin() as session:
            locked, now = await grants.lock_by_id(session, row.id), await database_now(session)
            if locked is None or locked.ended_at is not None:
                return
            standing = grants.standing_of(locked)
            if standing.state(now) in OPEN:
                return
            if standing.gave_access(now):
                await self._summarise(session, locked, now)
            locked.ended_at = now

    async def _ask(self, session: AsyncSession, row: Grant) -> tuple[Message | None, str | None]:
        """Tell whoever has an account; answers the mail to an address that has not answered, or why there is none."""
        if row.user_id is not None and row.email_bidx is not None:
            return None, None  # accepted before the mail left
        words = await self.wording.given(session, row)
        if row.user_id is not None:
            await self._tell(session, row.user_id, MailTemplate.GRANT_GIVEN, row, _BY_MAIL_TOO, words.params)
            return None, None
        if words.account_id is not None:
            await self._tell(session, words.account_id, MailTemplate.GRANT_GIVEN, row, _IN_APP, words.params)
        if words.suppressed or row.email_ct is None:
            return None, Forbidden.SUPPRESSED
        address = await self.mail.cipher.open("grants.email_ct", row.id, row.email_ct)
        values = words.speakable | {"public_url": self.mail.public_url}
        return render(MailTemplate.GRANT_GIVEN, row.locale, address, values), None

    async def _find(self, grant_id: UUID) -> Grant | None:
        async with single_statement(self.sessions) as session:
            return await session.get(Grant, grant_id)

    async def _hand_over(self, grant_id: UUID) -> None:
        """One transaction per reminder: nobody who acts on one waits for the others."""
        async with single_statement(self.sessions) as session:
            reminder_ids = await grants.reminders(session, grant_id)
        for reminder_id in reminder_ids:
            async with self.sessions.begin() as session:
                locked = await reminders.hand_over(session, reminder_id)
                if locked is not None:
                    home = locked.series.household_id
                    await outbox.ring_reminder(session, home, reminder_id, watching=locked.watching)

    async def _summarise(self, session: AsyncSession, row: Grant, now: datetime) -> None:
        standing = grants.standing_of(row)
        for owner in await grants.owners(session, row.household_id):
            span = rules.summary_span(standing, owner.timezone, now)
            if span is not None:
                await self._summary(session, row, owner, span)
        row.summarised_at = now
        await session.flush()

    async def _summary(self, session: AsyncSession, row: Grant, owner: grants.Owner, span: Span) -> None:
        found = await sitter_summaries.happened(session, row, span)
        if not found.occurrences and not found.records:
            return
        params = await self.wording.summary(session, row, found, span, owner.timezone)
        event = f"{_event(row.id)}/summary/{span.end:%Y-%m-%dT%H:%MZ}"
        await self._send(
            session,
            Notice(
                user_id=owner.user_id,
                category=Category.DIGEST,
                template=MailTemplate.SITTER_SUMMARY,
                event_key=event,
                channels=(Channel.EMAIL,),
                params=params,
            ),
        )

    async def _tell(
        self,
        session: AsyncSession,
        user_id: UUID,
        template: MailTemplate,
        row: Grant,
        channels: tuple[Channel, ...],
        params: dict[str, object],
    ) -> None:
        await self._send(
            session,
            Notice(
                user_id=user_id,
                category=Category.ACCOUNT,
                template=template,
                event_key=f"{_event(row.id)}/{template}",
                channels=channels,
                params={"grant_id": str(row.id), **params},
            ),
        )

    async def _send(self, session: AsyncSession, notice: Notice) -> None:
        with suppress(SubjectErased):  # nobody is there to be told
            await outbox.send(session, notice.user_id, await notices.claim(session, self.mail.cipher, notice))


def _event(grant_id: UUID) -> str:
    return f"grant/{grant_id}"
