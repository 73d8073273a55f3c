"""Exchanges the keys that sign access tokens, once.

Promise: afterwards the next key is published if its time is near, and keys whose last token has expired are gone. Id
`system/signing-keys-{time}`, started by the Schedule; it ends by itself.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.signing_keys import SigningKeyActivities
    from temporal.contracts import signing_keys as contract
    from temporal.contracts.signing_keys import RotateSigningKeys, SigningKeysRotated
    from temporal.policies import PROVIDER_CALL


@workflow.defn(name=contract.WORKFLOW)
class SigningKeyWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: RotateSigningKeys) -> SigningKeysRotated:
        """One attempt after the other until the keeper of secrets answers; no token is made meanwhile without a key."""
        return await workflow.execute_activity_method(
            SigningKeyActivities.rotate_signing_keys, request, **PROVIDER_CALL
        )
