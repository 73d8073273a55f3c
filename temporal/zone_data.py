"""Starts the roll-over to a release's zone data: once per version, whatever deploys follow."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from temporal import ids, queues
from temporal.contracts import zone_data
from temporal.contracts.zone_data import RollOver


async def roll_over(client: Client, version: str) -> bool:
    """Start it. Answers False where it ran, or runs, already; one that failed is started again."""
    try:
        await client.start_workflow(
            zone_data.WORKFLOW,
            RollOver(version),
            id=ids.zone_data(version),
            task_queue=queues.CORE,
            static_summary=f"Moves what is pending to zone data {version}",
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
    except WorkflowAlreadyStartedError:
        return False
    return True
