"""Effects of a search. Each is one transaction under the lock of its rows, which say whether the step is still due: run
twice, the second one finds nothing to do."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from core.crypto import FieldCipher
from core.db import SessionFactory
from domain.lost import Search, SearchStep, ending, next_step
from domain.notification import Channel
from models.lost import LostCase, LostCaseState
from models.notification import MailTemplate
from models.pet import Pet, PetStatus
from models.queries import lost, notices
from temporal import outbox
from temporal.contracts.lost_case import ReviewSearch, SearchPlan, TakeStep


class LostCaseActivities:
    """See the module."""

    def __init__(self, sessions: SessionFactory, cipher: FieldCipher) -> None:
        self.sessions, self.cipher = sessions, cipher

    @activity.defn
    async def review_search(self, request: ReviewSearch) -> SearchPlan:
        """What comes next, and when."""
        async with self.sessions.begin() as session:
            found = await lost.lock(session, request.case_id)
            coming = next_step(found[2]) if found else None
        return SearchPlan(coming.step, coming.at) if coming else SearchPlan()

    @activity.defn
    async def ask_whether_lost(self, request: TakeStep) -> None:
        """Ask every member, in the app and by mail."""
        async with self.sessions.begin() as session:
            due = await self._due(session, request, SearchStep.ASK)
            if due is None:
                return
            case, pet, _ = due
            await lost.withdraw_question(session, case)
            case.asked_at = case.updated_at = request.now
            case.version += 1
            await self._tell(
                session,
                case,
                MailTemplate.STILL_LOST,
                lost.question_key(case.id, request.now),
                {"pet": await self._name(pet)},
                Channel.EMAIL,
                Channel.IN_APP,
            )

    @activity.defn
    async def close_search(self, request: TakeStep) -> None:
        """End what nobody answered for, or whose pet is not theirs any more."""
        async with self.sessions.begin() as session:
            due = await self._due(session, request, SearchStep.CLOSE)
            if due is None:
                return
            case, pet, search = due
            await lost.withdraw_question(session, case)
            case.state, case.closed_at, case.closed_reason = LostCaseState.CLOSED, request.now, ending(search)
            case.version, case.updated_at = case.version + 1, request.now
            if not search.pet_is_here:
                return
            if pet.status == PetStatus.LOST:
                pet.status, pet.version, pet.updated_at = PetStatus.ACTIVE, pet.version + 1, request.now
            params = {"pet": await self._name(pet), "ending": case.closed_reason, "by": None}
            await self._tell(session, case, MailTemplate.SEARCH_ENDED, lost.event_key(case.id, "ended"), params)

    @activity.defn
    async def wipe_search(self, request: TakeStep) -> None:
        """Forget what was written."""
        async with self.sessions.begin() as session:
            due = await self._due(session, request, SearchStep.WIPE)
            if due is not None:
                await lost.wipe(session, due[0], request.now)

    async def _due(
        self, session: AsyncSession, request: TakeStep, step: SearchStep
    ) -> tuple[LostCase, Pet, Search] | None:
        found = await lost.lock(session, request.case_id)
        coming = next_step(found[2]) if found else None
        return found if coming and coming.step is step and coming.at <= request.now else None

    async def _tell(
        self,
        session: AsyncSession,
        case: LostCase,
        template: MailTemplate,
        event_key: str,
        params: Mapping[str, object],
        *channels: Channel,
    ) -> None:
        for person in await lost.people(session, case.household_id, lost.MEMBERS):
            notice = lost.notice(person, template, event_key, params, *channels)
            await outbox.send(session, person, await notices.claim(session, self.cipher, notice))

    async def _name(self, pet: Pet) -> str:
        return await self.cipher.open("pets.name_ct", pet.id, pet.name_ct)
