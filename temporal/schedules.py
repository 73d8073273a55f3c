"""Jobs of the operators, as Temporal Schedules. People's reminders are not among them (temporal.md §2).

Created or updated by `python -m workers setup` at each deploy. Ids are those of `temporal.ids.job`.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from temporal import ids, queues
from temporal.contracts import (
    audit,
    billing_ledger,
    billing_reconcile,
    billing_sweep,
    data_keys,
    digest,
    lost_sweep,
    media_compare,
    media_renew,
    media_sweep,
    reconcile,
    sessions,
    signing_keys,
)


@dataclass(frozen=True, slots=True)
class Job:
    """A workflow run by the clock. `cron` is in UTC; `jitter` spreads the starts of several installations."""

    name: str
    summary: str
    workflow: str
    argument: object
    cron: str
    jitter: timedelta
    queue: str = queues.CORE
    # A run missed for longer than this (Temporal was down) is left to the next one.
    catchup_window: timedelta = timedelta(hours=6)

    def schedule(self) -> Schedule:
        """What Temporal is told. A run that overlaps the former one is skipped: both would do the same."""
        return Schedule(
            action=ScheduleActionStartWorkflow(
                self.workflow,
                self.argument,
                id=ids.job(self.name),
                task_queue=self.queue,
                static_summary=self.summary,
            ),
            spec=ScheduleSpec(cron_expressions=[self.cron], jitter=self.jitter),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=self.catchup_window),
        )


JOBS: Final = (
    Job(
        "reconcile",
        "Compares reminders with their workflows",
        reconcile.WORKFLOW,
        reconcile.Reconcile(),
        cron="17 3 * * *",
        jitter=timedelta(minutes=20),
    ),
    Job(
        "signing-keys",
        "Makes the next key that signs access tokens",
        signing_keys.WORKFLOW,
        signing_keys.RotateSigningKeys(),
        cron="47 2 * * *",
        jitter=timedelta(minutes=20),
    ),
    Job(
        "sessions",
        "Forgets what ended sessions leave behind",
        sessions.WORKFLOW,
        sessions.SweepSessions(),
        cron="*/15 * * * *",
        jitter=timedelta(minutes=5),
    ),
    Job(
        "lost",
        "Forgets what finders wrote, and rings the searches that go on",
        lost_sweep.WORKFLOW,
        lost_sweep.SweepLost(),
        cron="27 3 * * *",
        jitter=timedelta(minutes=20),
    ),
    # Zones differ by quarters of an hour, and so do the times at which people read their mail.
    Job(
        "digest",
        "Sends the digests that are due",
        digest.WORKFLOW,
        digest.Digests(),
        cron="*/15 * * * *",
        jitter=timedelta(seconds=30),
    ),
    Job(
        "data-keys",
        "Rotates the keys that protect personal data",
        data_keys.WORKFLOW,
        data_keys.RotateDataKeys(),
        cron="11 4 * * 0",
        jitter=timedelta(minutes=30),
    ),
    Job(
        "audit-seal",
        "Seals new entries of the audit log",
        audit.WORKFLOW,
        audit.Audit(),
        cron="*/15 * * * *",
        jitter=timedelta(minutes=2),
    ),
    Job(
        "media-sweep",
        "Ends uploads that nobody completed",
        media_sweep.WORKFLOW,
        media_sweep.SweepMedia(),
        cron="*/10 * * * *",
        jitter=timedelta(minutes=1),
        queue=queues.MEDIA,
    ),
    Job(
        "media-compare",
        "Compares rows of media with the objects in storage, both ways",
        media_compare.WORKFLOW,
        media_compare.CompareMedia(),
        cron="57 2 * * *",
        jitter=timedelta(minutes=20),
        queue=queues.MEDIA,
    ),
    Job(
        "media-renew",
        "Renders and scans anew what former releases and rules have done",
        media_renew.WORKFLOW,
        media_renew.RenewMedia(),
        cron="7 1 * * *",
        jitter=timedelta(minutes=20),
        queue=queues.MEDIA,
    ),
    Job(
        "audit-verify",
        "Compares the audit log with its seals",
        audit.WORKFLOW,
        audit.Audit(verify=True),
        cron="41 2 * * *",
        jitter=timedelta(minutes=20),
    ),
)


BILLING_JOBS: Final = (
    Job(
        "billing-sweep",
        "Rings accounts whose events nobody has handled",
        billing_sweep.WORKFLOW,
        billing_sweep.SweepBilling(),
        cron="*/5 * * * *",
        jitter=timedelta(seconds=30),
        queue=queues.BILLING,
    ),
    Job(
        "billing-events",
        "Finds events that Stripe did not manage to tell",
        billing_sweep.WORKFLOW,
        billing_sweep.SweepBilling(asks_stripe=True),
        cron="23 * * * *",
        jitter=timedelta(minutes=5),
        queue=queues.BILLING,
    ),
    Job(
        "billing-reconcile",
        "Compares subscriptions with Stripe's, both ways, and reads prices",
        billing_reconcile.WORKFLOW,
        billing_reconcile.ReconcileBilling(),
        cron="37 3 * * *",
        jitter=timedelta(minutes=20),
        queue=queues.BILLING,
    ),
    Job(
        "billing-ledger",
        "Compares the ledger with Stripe's balance",
        billing_ledger.WORKFLOW,
        billing_ledger.CheckLedger(),
        cron="7 4 1 * *",
        jitter=timedelta(minutes=20),
        queue=queues.BILLING,
    ),
)
"""Those that ask Stripe: there is nobody to run them where there is no key."""


async def ensure_schedules(client: Client, *, billing: bool) -> None:
    """Make every job exist as this release describes it; one that an operator paused stays paused. Without `billing`
    its jobs end.

    A job that did not exist runs at once: after Temporal lost its database, this is what brings the reminders back.
    """
    for job in JOBS + (BILLING_JOBS if billing else ()):
        await _ensure(client, job)
    for job in () if billing else BILLING_JOBS:
        await _end(client, job)


async def _end(client: Client, job: Job) -> None:
    """Whether it was there or not."""
    try:
        await client.get_schedule_handle(ids.job(job.name)).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def _ensure(client: Client, job: Job) -> None:
    wanted = job.schedule()
    try:
        await client.create_schedule(ids.job(job.name), wanted, trigger_immediately=True)
    except ScheduleAlreadyRunningError:

        def updated(current: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(replace(wanted, state=current.description.schedule.state))

        await client.get_schedule_handle(ids.job(job.name)).update(updated)
