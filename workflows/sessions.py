"""Forgets what sessions and the way to them no longer need, once.

Promise: afterwards no answer to a refresh lies in the database that may not be asked for again, no former token of a
session that is past its end, no expired device cookie, and no counter of an account that nobody tries any more. Id
`system/sessions-{time}`, started by the Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sessions import SessionActivities
    from temporal.contracts import sessions as contract
    from temporal.contracts.sessions import SessionsSwept, SweepSessions
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes milliseconds; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class SessionSweepWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: SweepSessions) -> SessionsSwept:
        """Page by page."""
        return await workflow.execute_activity_method(
            SessionActivities.sweep_sessions, request, heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
