"""Seals the audit log, and once a day compares the whole chain with it.

Promise: an entry that is changed, taken out or slipped in later than five minutes after it was written is found by the
next verification, which is on record and rings. Ids `system/audit-seal` and `system/audit-verify`, started by their
Schedules; a run ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.audit import AuditActivities
    from temporal.contracts import audit as contract
    from temporal.contracts.audit import Audit, Audited, SealEntries, VerifyChain
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A stretch takes a tenth of a second; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class AuditWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: Audit) -> Audited:
        """What is new first: it is compared with the rest."""
        sealed = await workflow.execute_activity_method(
            AuditActivities.seal_entries, SealEntries(), heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
        if not request.verify:
            return Audited(sealed, None)
        verified = await workflow.execute_activity_method(
            AuditActivities.verify_chain, VerifyChain(), heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
        return Audited(sealed, verified)
