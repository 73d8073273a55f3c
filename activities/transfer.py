"""Effects of a pet's move. Each may run twice: what is done already is not done again, because the rows say so."""

from datetime import datetime
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.strangers import StrangerMail
from core import live
from core.db import SessionFactory
from domain.notification import Forbidden
from integrations.notify.protocol import Message
from integrations.notify.render import render
from models.household import PetTransfer, TransferState
from models.notification import MailTemplate
from models.pet import Pet, PetStatus
from models.queries import audit, households, lost, media_use, reminders, resealing, transfers
from models.queries.clock import database_now
from temporal import outbox
from temporal.contracts.transfer import MailOffer, MovePet, ResealPet, ReviewTransfer, TransferPlan


class TransferActivities:
    """See the module."""

    def __init__(self, sessions: SessionFactory, mail: StrangerMail) -> None:
        self.sessions, self.mail = sessions, mail

    @activity.defn
    async def review_transfer(self, request: ReviewTransfer) -> TransferPlan:
        """What is to be done; an offer that nobody answered in time is closed."""
        async with self.sessions.begin() as session:
            row = await transfers.lock(session, request.transfer_id)
            if row is not None and row.state == TransferState.ACCEPTED:
                return TransferPlan(move=True)
            if row is None or row.state != TransferState.OFFERED:
                return TransferPlan()
            now = max(request.now, await database_now(session))
            if row.expires_at <= now:
                await transfers.close(session, row, TransferState.EXPIRED, now)
                return TransferPlan()
            return TransferPlan(mail=not row.mailed, until=row.expires_at)

    @activity.defn
    async def mail_offer(self, request: MailOffer) -> None:
        """Render, send, note it. The mail of an offer that was closed meanwhile is not sent."""
        async with self.sessions.begin() as session:
            row = await transfers.lock(session, request.transfer_id)
            if row is None or row.state != TransferState.OFFERED or row.mailed:
                return
            row.mail_key = key = uuid5(row.id, "offer")
            words = await transfers.mail_words(session, row.id)
            message = None if words.suppressed else await self._words(row, words)
        problem = Forbidden.SUPPRESSED if message is None else await self.mail.send(message, key)
        async with self.sessions.begin() as session:
            noted = await transfers.lock(session, request.transfer_id)
            if noted is not None and not noted.mailed:
                noted.mailed, noted.mail_problem = 1, problem or noted.mail_problem
                await transfers.touch(session, noted, await database_now(session))

    @activity.defn
    async def move_pet(self, request: MovePet) -> None:
        """Switch in one transaction: from its commit on the new household has the pet and all that is known of it, the
        old one nothing, and the new one's people are told of what is due."""
        async with self.sessions.begin() as session:
            row = await transfers.find(session, request.transfer_id)
            if row is None or row.to_household_id is None:
                return
            await households.lock_all(session, (row.from_household_id, row.to_household_id))
            pet = await transfers.lock_pet(session, row.pet_id)
            transfer = await transfers.lock(session, request.transfer_id)
            if transfer is None or pet is None or pet.household_id not in (row.from_household_id, row.to_household_id):
                return  # removed, or given on already
            now = await database_now(session)
            if pet.household_id == row.from_household_id and transfer.moved_at is None:
                await self._switch(session, transfer, pet, now)
            await self._hand_over(session, transfer, pet)

    @activity.defn
    async def reseal_pet(self, request: ResealPet) -> None:
        """Page by page, for the household that the pet lives in by then; a row that was sealed anew is not looked at
        again. Heartbeats after each page."""
        async with self.sessions() as session:
            row = await transfers.find(session, request.transfer_id)
        if row is None or row.moved_at is None:
            return
        for table in resealing.TABLES:
            while await self._reseal_page(table, row.pet_id, request.page_size):
                activity.heartbeat()

    async def _reseal_page(self, table: resealing.SealedTable, pet_id: UUID, page_size: int) -> int:
        async with self.sessions.begin() as session:
            household_id = await transfers.household_of(session, pet_id)
            return await resealing.reseal(session, self.mail.cipher, table, pet_id, household_id, page_size)

    async def _switch(self, session: AsyncSession, transfer: PetTransfer, pet: Pet, now: datetime) -> None:
        """The pet itself, on record on both sides."""
        assert transfer.to_household_id is not None  # noqa: S101 - it was accepted
        if (search := await lost.open_case(session, pet)) is not None:
            pet.status = PetStatus.ACTIVE
            await outbox.LOST_CASE.ring(session, search.household_id, search.id)  # it ends with the move
        pet.household_id, pet.home_tzid = transfer.to_household_id, None
        pet.version += 1
        pet.updated_at = transfer.moved_at = now
        await transfers.touch(session, transfer, now)
        for household_id in (transfer.from_household_id, transfer.to_household_id):
            await audit.record(
                session,
                action="pet.moved",
                outcome="ok",
                actor=transfer.decided_by,
                subject=transfer.offered_by,
                object=f"pet:{pet.id}",
                household=household_id,
            )
            people = await households.roles(session, household_id)
            live.say(session, people, live.Name.HOUSEHOLD_UPDATED, household_id=household_id)
            await outbox.ring_calendars(session, household_id)

    async def _hand_over(self, session: AsyncSession, transfer: PetTransfer, pet: Pet) -> None:
        """What belongs to the pet follows it, but not what finders wrote. A reminder rings at the workflow that is
        over, and at the new one."""
        await lost.wipe_foreign(session, pet)
        for reminder_id in await transfers.move_all(session, pet.id, pet.household_id):
            locked = await reminders.hand_over(session, reminder_id)
            if locked is None:
                continue
            await outbox.ring_reminder(session, transfer.from_household_id, reminder_id)
            await outbox.ring_reminder(session, pet.household_id, reminder_id, watching=locked.watching)
        for each in await media_use.move_pet(session, pet.id):
            await outbox.ring_media(session, each.stored_under, each.asset_id)

    async def _words(self, row: PetTransfer, words: transfers.MailWords) -> Message:
        values = {
            "public_url": self.mail.public_url,
            "offerer": await self.mail.name("users.first_name_ct", words.offerer_id, words.offerer_name_ct),
            "pet": await self.mail.name("pets.name_ct", row.pet_id, words.pet_name_ct),
            "expires_at": row.expires_at.astimezone(ZoneInfo(words.timezone)),
        }
        address = await self.mail.cipher.open("pet_transfers.email_ct", row.id, row.email_ct)
        return render(MailTemplate.PET_OFFERED, row.locale, address, values)
