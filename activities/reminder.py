"""Effects of reminders: read the plan, carry it out. Every method may run twice; the ledger makes that harmless."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from temporalio import activity

from core.crypto import FieldCipher
from core.db import SessionFactory, single_statement
from core.errors import Unavailable
from domain import reminder_delivery
from domain.reminder import Plan
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Receipt
from models.notification import DeliveryState
from models.queries import deliveries, reminder_notices, reminders
from models.queries.reminder_notices import Leased
from temporal.contracts.reminder import DeliverOccurrence, PlanReminder


@dataclass(frozen=True, slots=True)
class ReminderMail:
    """What a notice says to one person, in clear: it leaves the activity for the channel only."""

    address: str = field(repr=False)
    first_name: str | None = field(repr=False)
    locale: str
    title: str = field(repr=False)
    description: str | None = field(repr=False)
    pet_name: str | None = field(repr=False)
    due: datetime
    """On the clock of the reminder's zone; of the person's where the reminder has none."""
    nominal: str
    """The wall-clock time the schedule names; a date alone when it is all day."""
    tzid: str | None
    timezone: str
    """The person's own."""
    late: bool
    missed: int
    step: str
    reminder_id: UUID
    occurrence_id: UUID


class Notifier(Protocol):
    """Words and channel in one. Raises `ProviderRefused` and `ProviderUnavailable`."""

    async def send_reminder(self, mail: ReminderMail, *, idempotency_key: UUID) -> Receipt:
        """Hand it over; the same key again is the same message."""
        ...


class ReminderActivities:
    """See the module. Decisions happen under the reminder's row lock, on the later of two clocks: the workflow's, which
    said the time has come, and the database's, which knows how long a retry has been waiting."""

    def __init__(self, sessions: SessionFactory, cipher: FieldCipher, notifier: Notifier) -> None:
        self.sessions, self.cipher, self.notifier = sessions, cipher, notifier

    @activity.defn
    async def plan_reminder(self, request: PlanReminder) -> Plan:
        """What to do next and when, or that the series has ended. Zone rules are applied here and recorded."""
        async with single_statement(self.sessions) as session:
            series = await reminders.find(session, request.reminder_id)
        return reminder_delivery.plan(series) if series else Plan.over()

    @activity.defn
    async def deliver_occurrence(self, request: DeliverOccurrence) -> Plan:
        """Claim what is due and hand it to the channels; answers the next plan.

        Everything is tried before the first failure is raised, so one address that hangs holds up nobody else.
        """
        plan, pending = await self._claim(request)
        failures = [failure for delivery_id in pending if (failure := await self._send(delivery_id)) is not None]
        if failures:
            raise failures[0]
        return plan

    async def _claim(self, request: DeliverOccurrence) -> tuple[Plan, Sequence[UUID]]:
        async with self.sessions.begin() as session:
            locked = await reminders.lock(session, request.reminder_id)
            if locked is None:
                return Plan.over(), ()
            change = reminder_delivery.deliver(locked.series, max(request.now, locked.read_at))
            ids = await reminders.save(session, locked, change.series)
            pending = await reminder_notices.unsent(session, request.reminder_id) if locked.series.unsent else []
            for notice in change.notices:
                pending += await reminder_notices.claim(
                    session,
                    request.reminder_id,
                    notice,
                    ids[notice.key],
                    people=locked.people,
                    methods=locked.methods,
                )
        return reminder_delivery.plan(change.series), pending

    async def _send(self, delivery_id: UUID) -> Unavailable | None:
        """One message, if it is still wanted now. Answers what went wrong if another attempt makes sense."""
        async with single_statement(self.sessions) as session:
            leased = await reminder_notices.lease(session, delivery_id)
        if leased is None:
            return await self._busy(delivery_id)
        if leased.unwanted is not None:
            await self._settle(delivery_id, DeliveryState.WITHDRAWN, reason=leased.unwanted)
            return None
        try:
            receipt = await self.notifier.send_reminder(await self._words(leased), idempotency_key=delivery_id)
        except ProviderRefused as refused:
            await self._settle(delivery_id, DeliveryState.FAILED, reason=refused.problem_code)
        except ProviderUnavailable as unavailable:
            async with single_statement(self.sessions) as session:
                await deliveries.release(
                    session, delivery_id, unavailable.problem_code, ambiguous=unavailable.ambiguous
                )
            return unavailable
        else:
            await self._settle(delivery_id, DeliveryState.SENT, provider_id=receipt.provider_id)
        return None

    async def _busy(self, delivery_id: UUID) -> deliveries.DeliveryBusy | None:
        """Why there was no lease: it is settled, or another attempt has it."""
        async with single_statement(self.sessions) as session:
            settled = await deliveries.is_settled(session, delivery_id)
        return None if settled else deliveries.DeliveryBusy()

    async def _settle(
        self, delivery_id: UUID, state: DeliveryState, *, provider_id: str | None = None, reason: str | None = None
    ) -> None:
        async with single_statement(self.sessions) as session:
            await deliveries.settle(session, delivery_id, state, provider_id=provider_id, reason=reason)

    async def _words(self, leased: Leased) -> ReminderMail:
        zone = ZoneInfo(leased.occurrence.tzid or leased.timezone)
        pet_name = None
        if leased.pet_id is not None:
            pet_name = await self.cipher.open_optional("pets.name_ct", leased.pet_id, leased.pet_name_ct)
        return ReminderMail(
            address=await self.cipher.open("users.email_ct", leased.user_id, leased.email_ct),
            first_name=await self.cipher.open_optional("users.first_name_ct", leased.user_id, leased.first_name_ct),
            locale=leased.locale,
            title=await self.cipher.open("reminders.title_ct", leased.reminder_id, leased.title_ct),
            description=await self.cipher.open_optional(
                "reminders.description_ct", leased.reminder_id, leased.description_ct
            ),
            pet_name=pet_name,
            due=leased.occurrence.instant.astimezone(zone),
            nominal=leased.occurrence.nominal,
            tzid=leased.occurrence.tzid,
            timezone=leased.timezone,
            late=leased.occurrence.late,
            missed=leased.missed,
            step=leased.step,
            reminder_id=leased.reminder_id,
            occurrence_id=leased.occurrence_id,
        )
