"""Rotates the keys that protect personal data, once.

Promise: afterwards no data key is wrapped by a former master key, so that one can be retired, and nobody writes under a
data key that is older than a year. Nothing that was sealed before becomes unreadable. Id `system/data-keys`, started
by the Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.data_keys import DataKeyActivities
    from temporal.contracts import data_keys as contract
    from temporal.contracts.data_keys import DataKeysRotated, RenewKeys, RewrapKeys, RotateDataKeys
    from temporal.policies import BULK_PAGE

KEY_LIMIT = timedelta(minutes=1)
"""A key takes one or two calls of the keeper; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class DataKeysWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: RotateDataKeys) -> DataKeysRotated:
        """Master keys first: new data keys are wrapped by the present one anyway."""
        rewrapped = await workflow.execute_activity_method(
            DataKeyActivities.rewrap_keys, RewrapKeys(request.page_size), heartbeat_timeout=KEY_LIMIT, **BULK_PAGE
        )
        renewed = await workflow.execute_activity_method(
            DataKeyActivities.renew_keys,
            RenewKeys(request.page_size, request.max_age_days),
            heartbeat_timeout=KEY_LIMIT,
            **BULK_PAGE,
        )
        return DataKeysRotated(rewrapped.keys, renewed.keys)
