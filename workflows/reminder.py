"""One reminder, for as long as it lives: decide, wait, deliver, and start over.

Promise: what Postgres says is due is handed to the channels when it is due, once, however often anything dies in
between. Id: `household/{household_id}/reminder/{reminder_id}`. It ends when the series has ended, its row is gone or
lives in another household; the next bell starts it again. It holds no truth: a bell makes it read its plan anew.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.reminder import ReminderActivities
    from domain import reminder
    from domain.reminder import Deliver, Load, Plan, PlanState, State, Stop, Wait
    from temporal import ids
    from temporal.contracts import reminder as contract
    from temporal.contracts.reminder import Bell, DeliverOccurrence, PlanReminder
    from temporal.policies import DB_WRITE, PROVIDER_CALL
    from temporal.search_attributes import NEXT_FIRE, OWNER, PET, STATE

DELIVERIES_PER_RUN = 50
"""About 550 events: a history that replays in milliseconds (temporal.md §5.1)."""
BACK_OFF = timedelta(minutes=1)
"""Pause before a plan that could not be carried out is read again; a bell ends it early."""


@workflow.defn(name=contract.WORKFLOW)
class ReminderWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, state: State) -> None:
        self.state = state
        self.deliveries = 0
        self.household_id = ids.household_of(workflow.info().workflow_id)
        self.shown: PlanState | None = state.plan.state if state.loaded >= 0 else None

    @workflow.run
    async def run(self, state: State) -> None:
        """Until the series has ended; then, or after enough deliveries, a new run takes over."""
        while not self.run_is_long():
            match reminder.decide(self.state, workflow.now()):
                case Load():
                    await self.load()
                case Deliver(plan):
                    await self.deliver(plan)
                case Wait(until):
                    await self.wait(until)
                case Stop():
                    return
        # What operators search for is renewed here, where it costs no action of its own.
        workflow.continue_as_new(self.state, search_attributes=introduction(self.state.plan))

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: Bell) -> None:
        """Somebody changed the rows."""
        self.state = reminder.heard(self.state, bell.seq)

    def run_is_long(self) -> bool:
        """Whether the history should start over."""
        return self.deliveries >= DELIVERIES_PER_RUN or workflow.info().is_continue_as_new_suggested()

    async def load(self) -> None:
        """Read the plan from the rows."""
        heard = self.state.announced
        plan = await workflow.execute_local_activity_method(
            ReminderActivities.plan_reminder,
            PlanReminder(self.state.reminder_id, workflow.now(), self.household_id),
            **DB_WRITE,
        )
        self.follow(plan, heard)

    async def deliver(self, plan: Plan) -> None:
        """Hand what is due to the channels; the answer is the next plan. One that failed for good is planned again."""
        heard = self.state.announced
        self.deliveries += 1
        try:
            plan = await workflow.execute_activity_method(
                ReminderActivities.deliver_occurrence,
                DeliverOccurrence(
                    self.state.reminder_id, workflow.now(), plan.occurrence, plan.step, self.household_id
                ),
                **PROVIDER_CALL,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self.state = reminder.doubted(self.state)
            await self.wait(workflow.now() + BACK_OFF)
        else:
            self.follow(plan, heard)

    async def wait(self, until: datetime | None) -> None:
        """Sleep until then, or until a bell."""
        before = self.state
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self.state is not before,
                timeout=until - workflow.now() if until else None,
            )

    def follow(self, plan: Plan, heard: int) -> None:
        """Take over a plan, and show operators where the reminder stands."""
        self.state = reminder.planned(self.state, plan, heard)
        workflow.set_current_details(f"{plan.state}; next: {plan.at or 'when somebody rings'} {plan.occurrence or ''}")
        if plan.state is self.shown or (plan.ended and self.shown is None):
            return  # an ordinary delivery costs no upsert, a bell to a reminder that is gone no event more
        if self.shown is None:
            workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in introduction(plan)])
        else:
            workflow.upsert_search_attributes([STATE.value_set(plan.state)])
        self.shown = plan.state


def introduction(plan: Plan) -> TypedSearchAttributes:
    """What operators can search for, said once per run; only the state is kept up to date after that."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(OWNER, ids.owner_attribute(workflow.info().workflow_id)),
        SearchAttributePair(STATE, plan.state),
    ]
    if plan.pet_id is not None:
        pairs.append(SearchAttributePair(PET, str(plan.pet_id)))
    if plan.at is not None:
        pairs.append(SearchAttributePair(NEXT_FIRE, plan.at))
    return TypedSearchAttributes(pairs)
