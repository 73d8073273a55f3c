"""One mail to one person: verification, notices about the account.

Promise: handed to the provider once, however often anything dies in between, or knowingly given up. Id
`user/{user_id}/mail/{delivery_id}`. It ends when the mail is sent or can never be.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.mail import MailActivities
    from temporal.contracts import mail as contract
    from temporal.contracts.mail import SendMail
    from temporal.policies import PROVIDER_CALL


@workflow.defn(name=contract.WORKFLOW)
class MailWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: SendMail) -> None:
        """Try until it is sent; the activity knows when trying has become useless."""
        await workflow.execute_activity_method(MailActivities.send_mail, request, **PROVIDER_CALL)
