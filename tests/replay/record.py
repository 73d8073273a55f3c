"""Record histories for `test_histories.py`: `python -m tests.replay.record` writes those that are missing.

A file that exists is never written again: it stands for workflows that are asleep somewhere with exactly that past. A
scenario that changed gets a new name.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from temporalio import activity
from temporalio.client import WorkflowHandle, WorkflowHistory

from core.clock import pin_zone_data
from core.ids import new_id
from domain.escalation import Lead, Step
from integrations.notify.protocol import ProviderUnavailable
from temporal.contracts.audit import Audit
from temporal.contracts.data_keys import RotateDataKeys
from temporal.contracts.digest import Digests
from temporal.contracts.lost_sweep import SweepLost
from temporal.contracts.mail import SendMail
from temporal.contracts.reconcile import Reconcile
from temporal.contracts.sessions import SweepSessions
from temporal.contracts.zone_data import RollOver
from tests.replay.billing import ACCOUNTS, REFUNDS, BillingScenario
from tests.replay.calendars import CALENDARS, CalendarScenario
from tests.replay.media import UPLOADS, MediaScenario
from tests.workflows.billing_world import billing_world
from tests.workflows.calendar_world import calendar_world
from tests.workflows.grant_world import GrantWorld, grant_world
from tests.workflows.job_world import job_world
from tests.workflows.mail_world import mail_world
from tests.workflows.media_world import media_world
from tests.workflows.offer_world import OfferWorld, offer_world
from tests.workflows.reminder_world import ReminderWorld, days, hours, minutes, reminder_world
from tests.workflows.search_world import SearchWorld, search_world
from tests.workflows.test_billing_jobs import JOBS as BILLING_JOBS
from tests.workflows.test_billing_jobs import BillingJobs
from tests.workflows.test_jobs import Jobs
from tests.workflows.test_media_jobs import JOBS as MEDIA_JOBS
from tests.workflows.test_media_jobs import MediaJobs
from workflows.audit import AuditWorkflow
from workflows.data_keys import DataKeysWorkflow
from workflows.digest import DigestWorkflow
from workflows.lost_sweep import LostSweepWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.sessions import SessionSweepWorkflow
from workflows.zone_data import ZoneDataWorkflow

FOLDER: Final = Path(__file__).parent
Scenario = Callable[[ReminderWorld], Awaitable[None]]


async def once(world: ReminderWorld) -> None:
    """Due, announced, announced again after a week, completed."""
    reminder = await world.start(due=hours(1))
    await world.passes(days(9))
    await reminder.complete()
    await reminder.ended()


async def recurring_with_snooze(world: ReminderWorld) -> None:
    """Three days, the second one snoozed twice."""
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(days(1) + hours(2))
    await reminder.snooze(until=days(1) + hours(3))
    await world.passes(days(1) + hours(4))
    await reminder.snooze(until=days(1) + hours(5))
    await world.passes(days(2) + hours(2))


async def edited_paused_resumed(world: ReminderWorld) -> None:
    """Another rule while a delivery is in flight, then a pause across a due time."""
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(minutes(30))
    world.postgres.during.append(
        lambda: reminder.reschedule(mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(3)))
    )
    await world.passes(hours(4))
    await reminder.pause()
    await world.passes(days(2))
    await reminder.resume()
    await world.passes(days(3))


async def continued_as_new(world: ReminderWorld) -> None:
    """Fifty deliveries: the first run hands over; recorded is the run after it."""
    await world.start(due=hours(1), freq="DAILY")
    await world.passes(days(55))


async def deleted_then_rung(world: ReminderWorld) -> None:
    """A bell to a reminder whose row is gone: load, end."""
    reminder = await world.start(due=hours(1))
    await reminder.delete()
    await reminder.ended()
    await reminder.ring()
    await reminder.ended()


async def failed_and_planned_again(world: ReminderWorld) -> None:
    """A delivery that cannot be carried out backs off, plans again and succeeds."""
    world.postgres.fail_for_good()
    await world.start(due=hours(1), freq="DAILY")
    await world.passes(hours(3))


LADDER: Final = (Step(minutes(0), ("email",)), Step(minutes(10), ("push",)), Step(minutes(30), ("push",)))


async def escalated_until_seen(world: ReminderWorld) -> None:
    """Announced a day ahead, due, asked again twice; the next day seen after the first step."""
    reminder = await world.start_with(
        policy=LADDER, leads=(Lead(days(1)),), mode="fixed", freq="DAILY", dtstart_local=world.wall(days(2))
    )
    await world.passes(days(2) + hours(1))
    await world.passes(days(3) + minutes(5))
    await reminder.acknowledge()
    await world.passes(days(3) + hours(2))


async def escalated_and_snoozed(world: ReminderWorld) -> None:
    """Asked again, snoozed, asked again from the first step, done."""
    reminder = await world.start_with(
        policy=LADDER, mode="fixed", freq="DAILY", dtstart_local=world.wall(hours(1)), count=1
    )
    await world.passes(hours(1) + minutes(15))
    await reminder.snooze(until=hours(2))
    await world.passes(hours(2) + minutes(15))
    await reminder.complete()
    await reminder.ended()


async def announced_ahead(world: ReminderWorld) -> None:
    """A single date with two notices ahead of it, moved once between them; then due, then done."""
    reminder = await world.start_with(
        leads=(Lead(days(2)), Lead(hours(2))), mode="once", dtstart_local=world.wall(days(3))
    )
    await world.passes(days(1) + hours(1))
    await reminder.reschedule(mode="once", dtstart_local=world.wall(days(4)))
    await world.passes(days(4) + hours(1))
    await reminder.complete()
    await reminder.ended()


async def sent_again(world: ReminderWorld) -> None:
    """A provider is away at three attempts: woken for what is left, with a bell between; the next day as usual."""
    world.postgres.left_behind = [timedelta(seconds=2), timedelta(seconds=4), hours(1)]
    reminder = await world.start(due=hours(1), freq="DAILY")
    await world.passes(hours(1) + minutes(5))
    await reminder.snooze(until=hours(1) + minutes(30))
    await world.passes(days(1) + hours(2))


async def invited_twice_then_expired(world: OfferWorld) -> WorkflowHandle[Any, Any]:
    """Mailed while the provider was away, mailed again on the sixth day, never answered."""
    world.row.faults = [ProviderUnavailable("away")]
    handle = await world.invite()
    await world.passes(days(6))
    world.row.wanted, world.row.expires_at = 2, world.row.expires_at + days(6)
    await world.ring(handle)
    return handle


async def invited_and_answered(world: OfferWorld) -> WorkflowHandle[Any, Any]:
    """Answered on the second day."""
    handle = await world.invite()
    await world.passes(days(1))
    world.row.open = False
    await world.ring(handle)
    return handle


async def offered_and_moved(world: OfferWorld) -> WorkflowHandle[Any, Any]:
    """Accepted on the fourth day; the first try to move dies."""
    handle = await world.offer()
    await world.passes(days(3))
    world.row.faults, world.row.accepted = [RuntimeError("the worker died")], True
    await world.ring(handle)
    return handle


async def offered_and_expired(world: OfferWorld) -> WorkflowHandle[Any, Any]:
    """Nobody answers."""
    return await world.offer()


async def sat_for_a_week(world: GrantWorld) -> WorkflowHandle[Any, Any]:
    """Mailed while the provider was away, accepted on the second day, a summary every evening, over."""
    world.row.faults = [ProviderUnavailable("away")]
    handle = await world.offer()
    await world.passes(days(1))
    await world.change(handle, accepted=True)
    await world.passes(days(3))
    return handle


async def revoked_in_between(world: GrantWorld) -> WorkflowHandle[Any, Any]:
    """Begun, summed up, ended early; the first try to take it back dies."""
    handle = await world.offer()
    await world.change(handle, accepted=True)
    await world.passes(days(4))
    world.row.faults = [RuntimeError("the worker died")]
    await world.change(handle, revoked_at=await world.now())
    return handle


async def never_accepted(world: GrantWorld) -> WorkflowHandle[Any, Any]:
    """Nobody answers."""
    return await world.offer()


OFFERS: Final[Mapping[str, tuple[Callable[[OfferWorld], Awaitable[WorkflowHandle[Any, Any]]], ...]]] = {
    "invitation": (invited_twice_then_expired, invited_and_answered),
    "transfer": (offered_and_moved, offered_and_expired),
}


async def record_offers() -> None:
    """Write what invitations and transfers live through, unless it is there: asleep, and at their end."""
    for feature, scenarios in OFFERS.items():
        for scenario in scenarios:
            if not is_recorded(feature, scenario.__name__):
                async with offer_world(days(7)) as world:
                    handle = await scenario(world)
                    asleep = await handle.fetch_history()
                    await handle.result()
                    write(feature, scenario.__name__, [asleep, await handle.fetch_history()])


GRANTS: Final = (sat_for_a_week, revoked_in_between, never_accepted)


async def record_grants() -> None:
    """Write what sitters' grants live through, unless it is there: asleep, and at their end."""
    for scenario in GRANTS:
        if not is_recorded("sitter_grant", scenario.__name__):
            async with grant_world(begins=days(2), lasts=days(7)) as world:
                handle = await scenario(world)
                asleep = await handle.fetch_history()
                await handle.result()
                write("sitter_grant", scenario.__name__, [asleep, await handle.fetch_history()])


async def lost_and_found(world: SearchWorld) -> None:
    """Asked for three days, answered for once, found after a week, forgotten a month later."""
    handle = await world.ring()
    await world.passes(days(3))
    await world.answer(answered_at=await world.now())
    await world.passes(days(4))
    await world.answer(closed_at=await world.now())
    await handle.result()


async def never_found(world: SearchWorld) -> None:
    """Nobody answers; a step fails on the way."""
    world.rows.faults = [RuntimeError("Postgres is away")]
    await (await world.ring()).result()


async def taken_over(world: SearchWorld) -> None:
    """Answered for every four weeks, until a new run has taken over: recorded is that one."""
    await world.ring()
    for _ in range(4):
        await world.passes(days(28))
        await world.answer(answered_at=await world.now())


async def job(workflow: type, request: object) -> list[WorkflowHistory]:
    """One run of an operators' job."""
    async with job_world(workflow, *Jobs().activities, *BillingJobs().activities) as world:
        handle = await world.start(request)
        await handle.result()
        return [await handle.fetch_history()]


async def mail(failures: int) -> AsyncIterator[WorkflowHistory]:
    """One mail whose provider is away this often: its history while the first attempt fails, and at its end."""
    attempted, go_on = asyncio.Event(), asyncio.Event()

    @activity.defn(name="send_mail")
    async def send_mail(request: SendMail) -> None:
        if activity.info().attempt > failures:
            return
        attempted.set()
        await go_on.wait()
        raise ProviderUnavailable("away")

    async with mail_world(lambda _: send_mail) as world:
        handle = await world.start(SendMail(new_id()))
        if failures:
            await attempted.wait()
            yield await handle.fetch_history()
        go_on.set()
        await handle.result()
        yield await handle.fetch_history()


MAIL: Final = {"sent": 0, "sent_after_an_outage": 3}
"""How often the provider of each scenario is away."""
REMINDER: Final[tuple[Scenario, ...]] = (
    once,
    recurring_with_snooze,
    edited_paused_resumed,
    continued_as_new,
    deleted_then_rung,
    failed_and_planned_again,
    escalated_until_seen,
    escalated_and_snoozed,
    announced_ahead,
    sent_again,
)
SEARCHES: Final[tuple[Callable[[SearchWorld], Awaitable[None]], ...]] = (
    lost_and_found,
    never_found,
    taken_over,
)
JOBS: Final[Mapping[tuple[str, str], tuple[type, object]]] = {
    ("digest", "enqueued"): (DigestWorkflow, Digests(page_size=50)),
    ("lost_sweep", "swept"): (LostSweepWorkflow, SweepLost()),
    ("zone_data", "rolled_over"): (ZoneDataWorkflow, RollOver("2026f")),
    ("sessions", "swept"): (SessionSweepWorkflow, SweepSessions()),
    ("data_keys", "rotated"): (DataKeysWorkflow, RotateDataKeys()),
    ("audit", "sealed_and_verified"): (AuditWorkflow, Audit(verify=True)),
    ("reconcile", "compared"): (ReconcileWorkflow, Reconcile(page_size=50)),
}
"""Of each job's scenario: its workflow, and what it is started with."""


async def record_reminder(scenario: Scenario) -> None:
    """Write the last two runs of the scenario's workflow, unless they are there."""
    if is_recorded("reminder", scenario.__name__):
        return
    async with reminder_world() as world:
        await scenario(world)
        (reminder,) = world.reminders
        write("reminder", scenario.__name__, (await reminder.histories())[-2:])


async def record_mail(scenario: str, failures: int) -> None:
    """Write what a mail lived through, unless it is there."""
    if not is_recorded("mail", scenario):
        write("mail", scenario, [history async for history in mail(failures)])


async def record_search(scenario: Callable[[SearchWorld], Awaitable[None]]) -> None:
    """Write the last run of the scenario's search, unless it is there."""
    if is_recorded("lost_case", scenario.__name__):
        return
    async with search_world() as world:
        await scenario(world)
        write("lost_case", scenario.__name__, (await world.histories())[-1:])


async def record_calendar(scenario: CalendarScenario) -> None:
    """Write the runs that the scenario names, unless they are there."""
    if not is_recorded("calendar_sync", scenario.__name__):
        async with calendar_world() as world:
            write("calendar_sync", scenario.__name__, await scenario(world))


async def record_billing(feature: str, scenario: BillingScenario) -> None:
    """Write the runs that the scenario names, unless they are there."""
    if not is_recorded(feature, scenario.__name__):
        async with billing_world() as world:
            write(feature, scenario.__name__, await scenario(world))


async def record_media(scenario: MediaScenario) -> None:
    """Write all runs of the scenario's upload, unless they are there."""
    if not is_recorded("media", scenario.__name__):
        async with media_world() as world:
            write("media", scenario.__name__, await scenario(world))


async def record_media_jobs() -> None:
    """Write what the jobs that look after media live through, unless it is there."""
    for (feature, scenario), (workflow, request) in MEDIA_JOBS.items():
        if not is_recorded(feature, scenario):
            jobs = MediaJobs()
            async with job_world(workflow, *jobs.activities) as world:
                handle = await world.start(request)
                await handle.result()
                write(feature, scenario, [await handle.fetch_history()])


def is_recorded(feature: str, scenario: str) -> bool:
    """Whether a past of this name stands already."""
    return any((FOLDER / feature).glob(f"{scenario}-[0-9].json"))


def write(feature: str, scenario: str, histories: list[WorkflowHistory]) -> None:
    """One file per history."""
    for number, history in enumerate(histories, start=1):
        path = FOLDER / feature / f"{scenario}-{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(_without_stacks(json.loads(history.to_json())), indent=1) + "\n")
        sys.stdout.write(f"{path.relative_to(FOLDER)}: {len(history.events)} events\n")


def _without_stacks(value: Any) -> Any:
    """Stack traces name the machine they were recorded on, and replay does not read them."""
    if isinstance(value, dict):
        return {key: _without_stacks(inner) for key, inner in value.items() if key != "stackTrace"}
    return [_without_stacks(inner) for inner in value] if isinstance(value, list) else value


async def main() -> None:
    """All scenarios that have no file yet."""
    for scenario in REMINDER:
        await record_reminder(scenario)
    for name, failures in MAIL.items():
        await record_mail(name, failures)
    await record_grants()
    await record_offers()
    for search in SEARCHES:
        await record_search(search)
    for calendar in CALENDARS:
        await record_calendar(calendar)
    for account in ACCOUNTS:
        await record_billing("billing", account)
    for refund in REFUNDS:
        await record_billing("refund", refund)
    for upload in UPLOADS:
        await record_media(upload)
    await record_media_jobs()
    for (feature, scenario), (workflow, request) in {**JOBS, **BILLING_JOBS}.items():
        if not is_recorded(feature, scenario):
            write(feature, scenario, await job(workflow, request))


if __name__ == "__main__":
    pin_zone_data()
    asyncio.run(main())
