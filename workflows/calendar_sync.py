"""One connected calendar, for as long as it is connected: wait, look, bring both sides into agreement, and start over.

Promise: what changes on either side reaches the other within seconds where the provider tells us of it, else after a
pause between two looks; nothing is asked of a provider while its person has to act first; a provider that is away is
asked more and more seldom. Id: `user/{user_id}/calendar/{calendar_link_id}`. It ends a month after the account was
disconnected. It holds no truth: a bell makes it look at the rows anew.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.calendar_push import CalendarPushActivities
    from activities.calendar_sync import CalendarSyncActivities
    from temporal import ids
    from temporal.contracts import calendar_sync as contract
    from temporal.contracts.calendar_sync import (
        CalendarPlan,
        CalendarState,
        Dirty,
        PullChanges,
        ReconcileBatch,
        RenewPush,
        Standing,
        Synced,
        SyncNow,
    )
    from temporal.policies import CALENDAR_RUN
    from temporal.search_attributes import OWNER, STATE

LOOKS_PER_RUN = 500
"""About 6,000 events at most of a calendar that is edited all day; an idle one takes days for them."""
DEBOUNCE = timedelta(seconds=1)
"""Several bells at once are one look."""
REST = timedelta(seconds=3)
"""Between the end of a look and one that a bell asks for: the provider also tells us of what we wrote."""
BATCHES_PER_LOOK = 500
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)
"""After looks that failed."""
PUSH_RETRY = timedelta(hours=1)


@workflow.defn(name=contract.WORKFLOW)
class CalendarSyncWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, state: CalendarState) -> None:
        self.state = state
        self.begun = self.done = self.awaited = 0
        self.rested_at: datetime | None = None
        self.shown: Standing | None = None

    @workflow.run
    async def run(self, state: CalendarState) -> None:
        """Until the account is disconnected and forgotten; then, or after many looks, a new run takes over."""
        while not self.run_is_long():
            await self.wait()
            await self.settle_down()
            await self.look()
            if self.state.standing is Standing.OVER:
                break
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self.state.standing is not Standing.OVER:
            workflow.continue_as_new(self.state, search_attributes=introduction(self.state))

    @workflow.signal(name=contract.DIRTY)
    def dirty(self, bell: Dirty) -> None:
        """Something may have changed."""
        self.state = replace(self.state, heard=max(self.state.heard, bell.seq))

    @workflow.update(name=contract.SYNC_NOW)
    async def sync_now(self, request: SyncNow) -> Synced:
        """Look now; the answer comes when a look that began after this has ended. Harmless twice."""
        wanted = self.awaited = self.begun + 1
        await workflow.wait_condition(lambda: self.done >= wanted)
        return Synced(self.state.standing)

    @workflow.query(name=contract.STATUS)
    def status(self) -> CalendarState:
        """What it knows, for debugging."""
        return self.state

    def run_is_long(self) -> bool:
        """Whether the history should start over."""
        return self.done >= LOOKS_PER_RUN or workflow.info().is_continue_as_new_suggested()

    def is_rung(self) -> bool:
        """Whether somebody wants a look."""
        return self.state.heard > self.state.obeyed or self.awaited > self.begun

    async def wait(self) -> None:
        """Until the next look is due, or somebody wants one."""
        until = min((at for at in (self.state.next_at, self.state.renew_at) if at is not None), default=None)
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(self.is_rung, timeout=None if until is None else until - workflow.now())

    async def settle_down(self) -> None:
        """Let bells that belong together come in. A person who waits is not kept waiting."""
        until = workflow.now() + DEBOUNCE
        if self.rested_at is not None:
            until = max(until, self.rested_at + REST)
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.awaited > self.begun, timeout=until - workflow.now())

    async def look(self) -> None:
        """Read the calendar's list, and bring every pair into agreement."""
        self.begun += 1
        heard = self.state.heard
        try:
            plan = await self.pull()
            for _ in range(BATCHES_PER_LOOK):
                if not plan.more:
                    break
                plan = await self.reconcile()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self.follow(self.failed(), heard)
        else:
            self.follow(plan, heard)
            await self.renew_push(plan)
        self.done = self.begun
        self.rested_at = workflow.now()

    async def pull(self) -> CalendarPlan:
        """Read the list to its end."""
        return await workflow.execute_activity_method(
            CalendarSyncActivities.pull_changes,
            PullChanges(self.state.calendar_link_id, workflow.now()),
            **CALENDAR_RUN,
        )

    async def reconcile(self) -> CalendarPlan:
        """Bring some pairs into agreement."""
        return await workflow.execute_activity_method(
            CalendarSyncActivities.reconcile_batch,
            ReconcileBatch(self.state.calendar_link_id, workflow.now()),
            **CALENDAR_RUN,
        )

    async def renew_push(self, plan: CalendarPlan) -> None:
        """Have the provider tell us of changes for longer, once half of the time is over. Without push we poll."""
        if plan.renew_at is None or plan.renew_at > workflow.now():
            return
        try:
            renewed = await workflow.execute_activity_method(
                CalendarPushActivities.renew_push,
                RenewPush(self.state.calendar_link_id, workflow.now()),
                **CALENDAR_RUN,
            )
            at, fresh = renewed.renew_at, renewed.renew_at is not None
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            at, fresh = workflow.now() + PUSH_RETRY, False
        # A change between our look and the new channel was told to nobody: look once more.
        obeyed = -1 if fresh else self.state.obeyed
        self.state = replace(self.state, renew_at=at, obeyed=obeyed)

    def failed(self) -> CalendarPlan:
        """The provider is away: a longer pause each time."""
        pause = min(SHORTEST_PAUSE * 2 ** min(self.state.failures, 10), LONGEST_PAUSE)
        return CalendarPlan(Standing.FAILING, poll_seconds=pause.total_seconds(), renew_at=self.state.renew_at)

    def follow(self, plan: CalendarPlan, heard: int) -> None:
        """Take over what the look has shown, and show it to operators. Pauses differ, so that those who were all
        refused at once do not all come back at once."""
        spread = workflow.random().uniform(0.75, 1.25)
        next_at = None if plan.poll_seconds is None else workflow.now() + timedelta(seconds=plan.poll_seconds * spread)
        failures = self.state.failures + 1 if plan.standing is Standing.FAILING else 0
        self.state = replace(
            self.state,
            obeyed=heard,
            failures=failures,
            standing=plan.standing,
            next_at=next_at,
            renew_at=plan.renew_at,
        )
        workflow.set_current_details(
            f"{self.state.provider}: {plan.standing}; next look: {next_at or 'when somebody rings'};"
            f" looks: {self.begun}; failed in a row: {failures}; push channel until: {plan.renew_at or 'none'}"
        )
        if plan.standing is not self.shown:
            workflow.upsert_search_attributes([STATE.value_set(plan.standing)])
            self.shown = plan.standing


def introduction(state: CalendarState) -> TypedSearchAttributes:
    """What operators can search for."""
    owner = ids.owner_attribute(workflow.info().workflow_id)
    return TypedSearchAttributes([SearchAttributePair(OWNER, owner), SearchAttributePair(STATE, state.standing)])
