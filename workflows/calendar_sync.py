"""One connected calendar, for as long as it is connected: wait, look, bring both sides into agreement, and start over.

Promise: what changes on either side reaches the other within seconds where the provider tells us of it, else after a
pause between two looks; nothing is asked of a provider while its person has to act first; a provider that is away is
asked more and more seldom. Id: `user/{user_id}/calendar/{calendar_link_id}`. It ends a month after the account was
disconnected. It holds no truth: a bell makes it look at the rows anew.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.calendar_push import CalendarPushActivities
    from activities.calendar_sync import CalendarSyncActivities
    from temporal import ids
    from temporal.contracts import calendar_sync as contract
    from temporal.contracts.calendar_sync import CalendarPlan, CalendarState, Dirty, Standing, Synced, SyncNow
    from temporal.policies import CALENDAR_RUN, PUSH_RENEWAL
    from temporal.search_attributes import OWNER, STATE

DEBOUNCE = timedelta(seconds=1)
"""Several bells at once are one look."""
REST = timedelta(seconds=3)
"""Between the end of a look and one that a bell asks for: the provider also tells us of what we wrote."""
BATCHES_PER_LOOK = 25
"""Five thousand pairs; the rest comes with the next look, and whoever rang meanwhile is heard between them."""
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)
"""After looks that failed."""
SPREAD = (0.75, 1.25)
"""Pauses differ, so that those who were all refused at once do not all come back at once."""
PUSH_RETRY = timedelta(hours=1)


@workflow.defn(name=contract.WORKFLOW)
class CalendarSyncWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, state: CalendarState) -> None:
        self.state = state
        self.begun = self.done = self.awaited = 0
        self.rested_at = workflow.now() if workflow.info().continued_run_id else None
        self.shown: Standing | None = state.standing if state.obeyed >= 0 else None

    @workflow.run
    async def run(self, state: CalendarState) -> None:
        """Until the account is disconnected and forgotten, or a new run takes over."""
        self.tell()
        while not (self.is_over() or self.run_is_long()):
            await self.wait()
            await self.settle_down()
            await self.look()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self.is_over():
            following = replace(self.state, looks_per_run=contract.LOOKS_PER_RUN)
            workflow.continue_as_new(following, search_attributes=introduction(following))

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

    def is_over(self) -> bool:
        """Whether the calendar is disconnected, and nobody has said anything since."""
        return self.state.standing is Standing.OVER and not self.is_rung()

    def run_is_long(self) -> bool:
        """Whether the history should start over. Bells are handed over to the next run, those who wait are not."""
        is_long = self.done >= self.state.looks_per_run or workflow.info().is_continue_as_new_suggested()
        return is_long and not self.is_awaited()

    def is_rung(self) -> bool:
        """Whether somebody wants a look."""
        return self.state.heard > self.state.obeyed or self.is_awaited()

    def is_awaited(self) -> bool:
        """Whether somebody waits for a look that has not begun."""
        return self.awaited > self.begun

    async def wait(self) -> None:
        """Until the next look is due, or somebody wants one."""
        await self.sleep(
            min((at for at in (self.state.next_at, self.state.renew_at) if at), default=None), self.is_rung
        )

    async def settle_down(self) -> None:
        """Let bells that belong together come in; while the provider is away they bring nothing forward. A person who
        waits is not kept waiting, and a look that was due anyway waits for nobody."""
        if not self.is_rung():
            return
        until = workflow.now() + DEBOUNCE
        if self.rested_at is not None:
            until = max(until, self.rested_at + REST)
        if self.state.standing is Standing.FAILING and self.state.next_at is not None:
            until = max(until, self.state.next_at)
        await self.sleep(until, self.is_awaited)

    async def sleep(self, until: datetime | None, is_woken: Callable[[], bool]) -> None:
        """Until then (None: for ever), or until woken. A time that has passed costs no timer."""
        timeout = None if until is None else max(until - workflow.now(), timedelta())
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(is_woken, timeout=timeout)

    async def look(self) -> None:
        """Read the calendar's list, and bring every pair into agreement."""
        poll, heard = self.is_poll(), self.state.heard
        self.begun += 1
        try:
            plan = await self.agree(poll)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            plan = self.failed(error)
        self.follow(plan, heard)
        self.done, self.rested_at = self.begun, workflow.now()
        await self.renew_push()

    def is_poll(self) -> bool:
        """Whether the list is read, whatever is known of it: it is time, a person waits, or nobody has told us for a
        while. Else it is read if somebody said that it may have changed."""
        is_due = self.state.next_at is not None and self.state.next_at <= workflow.now()
        return is_due or self.is_awaited() or self.state.obeyed < 0

    async def agree(self, poll: bool) -> CalendarPlan:
        """Both sides, until nothing is left; or for as long as a look may last, then again soon."""
        plan = await self.pull(poll)
        listed = plan.listed
        for _ in range(BATCHES_PER_LOOK):
            if not plan.more:
                return plan
            plan = await self.reconcile(listed)
        return replace(plan, poll_seconds=SHORTEST_PAUSE.total_seconds()) if plan.more else plan

    async def pull(self, poll: bool) -> CalendarPlan:
        """Read the list to its end, if there is reason to."""
        return await workflow.execute_activity_method(
            CalendarSyncActivities.pull_changes,
            contract.PullChanges(self.state.calendar_link_id, workflow.now(), poll),
            **CALENDAR_RUN,
        )

    async def reconcile(self, listed: bool) -> CalendarPlan:
        """Bring some pairs into agreement."""
        return await workflow.execute_activity_method(
            CalendarSyncActivities.reconcile_batch,
            contract.ReconcileBatch(self.state.calendar_link_id, workflow.now(), listed),
            **CALENDAR_RUN,
        )

    async def renew_push(self) -> None:
        """Have the provider tell us of changes for longer, once half of the time is over. Without push we poll."""
        if self.state.renew_at is None or self.state.renew_at > workflow.now():
            return
        try:
            renewed = await workflow.execute_activity_method(
                CalendarPushActivities.renew_push,
                contract.RenewPush(self.state.calendar_link_id, workflow.now()),
                **PUSH_RENEWAL,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self.put_off_push()
        else:
            self.follow_push(renewed.renew_at)
        self.show()

    def follow_push(self, at: datetime | None) -> None:
        """Take over until when there is a channel, if there is one."""
        if at is not None and at <= workflow.now():
            self.put_off_push()  # it was over before it began
            return
        # A change between our look and the new channel was told to nobody: look once more.
        self.state = replace(self.state, renew_at=at, obeyed=self.state.obeyed if at is None else -1)

    def put_off_push(self) -> None:
        """It is asked for again later, whatever the rows say until then."""
        after = workflow.now() + PUSH_RETRY
        self.state = replace(self.state, renew_at=after, push_after=after)

    def failed(self, error: ActivityError) -> CalendarPlan:
        """The provider is away: a longer pause each time, and never shorter than the one it asks for. Push has time
        until it is back."""
        pause = min(SHORTEST_PAUSE * 2 ** min(self.state.failures, 10), LONGEST_PAUSE)
        asked = error.cause.next_retry_delay if isinstance(error.cause, ApplicationError) else None
        if asked is not None:
            pause = max(pause, asked / min(SPREAD))  # the spread brings nobody back before
        return CalendarPlan(Standing.FAILING, poll_seconds=pause.total_seconds())

    def follow(self, plan: CalendarPlan, heard: int) -> None:
        """Take over what the look has shown."""
        spread = workflow.random().uniform(*SPREAD)
        next_at = None if plan.poll_seconds is None else workflow.now() + timedelta(seconds=plan.poll_seconds * spread)
        if not (plan.listed or plan.more) and self.state.next_at is not None:
            next_at = self.state.next_at
        put_off = self.state.push_after
        renew_at = max(plan.renew_at, put_off) if plan.renew_at and put_off else plan.renew_at
        self.state = replace(
            self.state,
            obeyed=heard,
            failures=self.state.failures + 1 if plan.standing is Standing.FAILING else 0,
            standing=plan.standing,
            next_at=next_at,
            renew_at=renew_at,
        )
        self.show()

    def show(self) -> None:
        """Tell operators how it stands; what they can search for costs an action, and is written when it changes."""
        self.tell()
        state = self.state
        if self.shown is None:
            workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in introduction(state)])
        elif state.standing is not self.shown:
            workflow.upsert_search_attributes([STATE.value_set(state.standing)])
        self.shown = state.standing

    def tell(self) -> None:
        """What operators read when they open it."""
        state = self.state
        workflow.set_current_details(
            f"{state.provider}: {state.standing}; next look: {state.next_at or 'when somebody rings'};"
            f" failed in a row: {state.failures}; push is renewed: {state.renew_at or 'never'}"
        )


def introduction(state: CalendarState) -> TypedSearchAttributes:
    """What operators can search for."""
    owner = ids.owner_attribute(workflow.info().workflow_id)
    return TypedSearchAttributes([SearchAttributePair(OWNER, owner), SearchAttributePair(STATE, state.standing)])
