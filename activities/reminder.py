"""Effects of reminders: read the plan, carry it out. Every method may run twice; the ledger makes that harmless."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from jinja2 import TemplateError
from temporalio import activity

from activities import metrics
from activities.courier import Notifier, text_message
from activities.wording import ReminderWording
from core.crypto import CiphertextInvalid
from core.db import SessionFactory, single_statement
from core.logging import logger
from domain import notification, reminder_delivery, reminder_series, sms
from domain.absence import AWAY
from domain.billing.catalogue import limits_of
from domain.notification import Category, Channel, Forbidden
from domain.reminder import Plan, PlanState
from domain.reminder_delivery import QUIET_HOURS, RESEND
from domain.reminder_series import ReminderClass, Series
from domain.reminder_steps import MISSED, WITHDRAWN
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Receipt
from integrations.notify.words import ReminderWords
from models.notification import DeliveryState
from models.queries import (
    deliveries,
    notification_preferences,
    reminder_notices,
    reminders,
    retractions,
    sms_usage,
)
from models.queries.reminder_notices import Claimed, Leased
from temporal import ids as workflow_ids
from temporal import outbox
from temporal.contracts.reminder import DeliverOccurrence, PlanReminder

log = logger(__name__)

_A_MOMENT: Final = timedelta(seconds=1)
POISON: Final = (CiphertextInvalid, ValueError, TypeError, LookupError, AttributeError, TemplateError)
"""Mistakes in a template or in data: asking again would fail again. Anything else may be an outage and is repeated."""


class ReminderActivities:
    """See the module. Decisions happen under the reminder's row lock, on the later of two clocks: the workflow's, which
    said the time has come, and the database's, which knows how long a retry has been waiting."""

    def __init__(self, sessions: SessionFactory, wording: ReminderWording, notifier: Notifier) -> None:
        self.sessions, self.wording, self.notifier = sessions, wording, notifier

    @activity.defn
    async def plan_reminder(self, request: PlanReminder) -> Plan:
        """What to do next and when, or that the series has ended. Zone rules are applied here and recorded."""
        async with single_statement(self.sessions) as session:
            series = await reminders.find(session, request.reminder_id)
        if series is None:
            return await self._farewell(request.reminder_id)
        return Plan.over() if _lives_elsewhere(series, request) else reminder_delivery.plan(series)

    @activity.defn
    async def deliver_occurrence(self, request: DeliverOccurrence) -> Plan:
        """Claim what is due and hand it to the channels; answers the next plan.

        What did not leave has its next time in the ledger, and the plan wakes for it: a provider that is away holds up
        neither the other channels nor the next step.
        """
        plan, claimed = await self._claim(request)
        settled, failures = [], []
        for delivery_id in claimed.pending:
            try:
                settled.append(await self._send(delivery_id, request.now))
            except Exception as error:  # everybody else is told before the first failure is raised
                failures.append(error)
        if failures:
            raise failures[0]
        if all(settled) and not claimed.waiting:
            return plan
        return await self._woken_for_the_rest(request, plan)

    async def _claim(self, request: DeliverOccurrence) -> tuple[Plan, Claimed]:
        async with self.sessions.begin() as session:
            locked = await reminders.lock(session, request.reminder_id)
            if locked is None:  # deleted: what devices show of it is still called back
                rest = await reminder_notices.unsent(session, request.reminder_id, request.now)
                return Plan.over(), Claimed(rest, waiting=bool(rest))
            if _lives_elsewhere(locked.series, request):
                return Plan.over(), Claimed()
            now = max(request.now, locked.read_at)
            change = reminder_delivery.deliver(locked.series, now)
            ids = await reminders.save(session, locked, change.series)
            if change.series.state != locked.series.state:
                said = workflow_ids.reminder(change.series.household_id, request.reminder_id)
                outbox.say_workflow(session, locked.watching, said, "reminder")
            left = await reminder_notices.unsent(session, request.reminder_id, now) if locked.series.unsent_at else ()
            claimed = Claimed(left, waiting=locked.series.unsent_at is not None)
            if change.notices:
                planned = reminder_delivery.plan(replace(locked.series, unsent_at=None)).at or now
                metrics.fired(now - planned, locked.series.klass)
            for notice in change.notices:
                late = change.series.find(notice.key).late or notice.step == MISSED
                claimed += await reminder_notices.claim(session, locked, notice, ids[notice.key], late=late)
            closed = reminder_series.closed(locked.series, change.series).values()
            claimed += Claimed(await retractions.take_back(session, [ids[key] for keys in closed for key in keys]))
        return reminder_delivery.plan(change.series), claimed

    async def _woken_for_the_rest(self, request: DeliverOccurrence, plan: Plan) -> Plan:
        rest = await self._farewell(request.reminder_id)
        if rest.at is None:
            return plan
        # A moment later at least: two clocks that disagree must not make a busy loop.
        at = max(rest.at, request.now + _A_MOMENT)
        if plan.at is not None and plan.at <= at:
            return plan
        state = PlanState.ACTIVE if plan.ended else plan.state
        return replace(plan, at=at, occurrence=None, step=RESEND, state=state)

    async def _farewell(self, reminder_id: UUID) -> Plan:
        """The plan of a reminder that is gone: over, once nothing is left to send or to call back."""
        async with single_statement(self.sessions) as session:
            at = await reminder_notices.waiting(session, reminder_id)
        return Plan.over() if at is None else Plan(at, step=RESEND)

    async def _send(self, delivery_id: UUID, now: datetime) -> bool:
        """One message, if it is still wanted now. Answers whether that was the last word about it."""
        async with single_statement(self.sessions) as session:
            leased = await reminder_notices.lease(session, delivery_id, now)
        if leased is None:  # somebody else has it, or had: what follows from their word is not known here
            return False
        if leased.unwanted is not None:
            return await self._settle((leased,), DeliveryState.WITHDRAWN, reason=leased.unwanted)
        held_back = await self._hold_back(leased, max(now, leased.now))
        return await self._hand_over(leased) if held_back is None else held_back

    async def _hold_back(self, leased: Leased, now: datetime) -> bool | None:
        """None: the person may be told on this channel, now. Otherwise whether that was the last word about it."""
        if leased.step.startswith(WITHDRAWN):
            return None  # taking a push back disturbs nobody
        async with single_statement(self.sessions) as session:
            standing = await notification_preferences.standing(session, leased.user_id)
        if standing is None:
            return await self._settle((leased,), DeliveryState.WITHDRAWN, reason="not_a_member")
        refused = notification.forbidden(Category(leased.category), leased.channel, standing)
        if refused is Forbidden.NO_DEVICE and await self._becomes_a_mail(leased):
            return await self._send(leased.id, now)
        if refused is not None:
            return await self._settle((leased,), DeliveryState.WITHDRAWN, reason=refused)
        if leased.away_until is not None:
            return await self._put_off(leased, leased.away_until, AWAY)
        free_at = notification.free_at(now, standing, critical=leased.klass is not ReminderClass.ROUTINE)
        if free_at <= now:
            return None
        if leased.next_at is not None and leased.next_at <= free_at:  # its notice says that this one was missed
            return await self._settle((leased,), DeliveryState.FOLDED, reason=QUIET_HOURS)
        return await self._put_off(leased, free_at, QUIET_HOURS)

    async def _put_off(self, leased: Leased, until: datetime, reason: str) -> bool:
        async with single_statement(self.sessions) as session:
            await deliveries.defer(session, leased.id, until, reason)
        return False

    async def _becomes_a_mail(self, leased: Leased) -> bool:
        async with single_statement(self.sessions) as session:
            return await reminder_notices.mail_instead(session, leased.id)

    async def _hand_over(self, leased: Leased) -> bool:
        """Send it, with the late ones that are said in the same message (recurrence.md §4.9)."""
        worded = [
            (each, words)
            for each in (leased, *await self._companions(leased))
            if (words := await self._worded(each)) is not None
        ]
        if not worded:
            return True
        together, (notice, *also) = [each for each, _ in worded], [words for _, words in worded]
        first = together[0]
        try:
            if first.channel is Channel.SMS and not await self._affordable(first, notice):
                return await self._settle(together, DeliveryState.FAILED, reason="sms_budget")
            receipt = await self.notifier.send_reminder(
                replace(notice, also=tuple(also)), await self.wording.address(first), idempotency_key=first.id
            )
        except ProviderRefused as refused:
            return await self._settle(together, DeliveryState.FAILED, reason=refused.problem_code)
        except ProviderUnavailable as away:
            await self._release(together, away)
            return False
        except POISON as error:
            return await self._give_up(together, error)
        if len(together) > 1:
            return await self._settle_together(together, receipt)
        return await self._settle((first,), DeliveryState.SENT, provider_id=receipt.provider_id)

    async def _settle_together(self, together: Sequence[Leased], receipt: Receipt) -> bool:
        """One message for several: all settled or none. A bounce that was quicker than this note failed them all."""
        first, *others = together
        async with self.sessions.begin() as session:
            failed = await deliveries.failure(session, first.id)
            for each in others:
                await deliveries.settle(
                    session, each.id, DeliveryState.FOLDED, reason="said_together", folded_into=first.id
                )
            await deliveries.settle(session, first.id, DeliveryState.SENT, provider_id=receipt.provider_id)
            if failed is not None:
                await reminder_notices.fail_folded(session, first.id, failed)
        metrics.settled(first.channel, DeliveryState.SENT, None)
        for each in others:
            metrics.settled(each.channel, DeliveryState.FOLDED, "said_together")
        return True

    async def _worded(self, leased: Leased) -> ReminderWords | None:
        """What it says; None for one that cannot be said, which is no reason to keep quiet about the others."""
        try:
            return await self.wording.words(leased)
        except POISON as error:
            await self._give_up((leased,), error)
            return None

    async def _give_up(self, together: Sequence[Leased], error: Exception) -> bool:
        log.error("notice_cannot_be_made", delivery_id=str(together[0].id), error=type(error).__name__)
        return await self._settle(together, DeliveryState.FAILED, reason="unsendable")

    async def _affordable(self, leased: Leased, notice: ReminderWords) -> bool:
        """Take the segments from the month's budget, once per message however often it is tried."""
        segments = sms.segments(text_message(notice))
        async with self.sessions.begin() as session:
            allowed = limits_of(await sms_usage.plan(session, leased.user_id)).sms_per_month
            return await sms_usage.charge(session, leased.user_id, leased.id, segments, allowed)

    async def _companions(self, leased: Leased) -> list[Leased]:
        """Other late notices of this person on this channel that are wanted, and may be said, now."""
        if not leased.gathering:
            return []
        async with self.sessions.begin() as session:
            found = await reminder_notices.lease_companions(session, leased)
        wanted = []
        for each in found:
            if each.unwanted is not None:
                await self._settle((each,), DeliveryState.WITHDRAWN, reason=each.unwanted)
            elif await self._hold_back(each, each.now) is None:
                wanted.append(each)
        return wanted

    async def _release(self, together: Sequence[Leased], away: ProviderUnavailable) -> None:
        async with self.sessions.begin() as session:
            for each in together:
                wait = deliveries.back_off(each.attempt, away.retry_after)
                metrics.put_off(each.channel)
                await deliveries.release(session, each.id, away.problem_code, ambiguous=away.ambiguous, wait=wait)

    async def _settle(
        self,
        together: Sequence[Leased],
        state: DeliveryState,
        *,
        provider_id: str | None = None,
        reason: str | None = None,
    ) -> bool:
        over = True
        for each in together:
            metrics.settled(each.channel, state, reason)
            if state is DeliveryState.SENT and each.channel is not Channel.PUSH:  # nothing can follow from it
                async with single_statement(self.sessions) as session:
                    await deliveries.settle(session, each.id, state, provider_id=provider_id)
            else:
                async with self.sessions.begin() as session:
                    over &= await reminder_notices.settle(session, each, state, provider_id=provider_id, reason=reason)
        return over


def _lives_elsewhere(series: Series, request: PlanReminder | DeliverOccurrence) -> bool:
    """Its pet has moved: the workflow of the other household sends what is due, and nothing is sent twice."""
    return request.household_id not in (None, series.household_id)
