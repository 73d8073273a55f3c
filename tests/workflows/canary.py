"""A workflow that says a secret in every way a workflow can, to see that none of them is readable in its history."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from temporalio.common import RetryPolicy
    from temporalio.exceptions import ActivityError, ApplicationError

    from core.errors import Conflict

CANARY = "CANARY-Rex-the-dog"


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that may be in no history."""

    text: str = CANARY


@activity.defn
async def whisper(secret: Secret) -> Secret:
    """Heartbeats, and answers what it was told."""
    activity.heartbeat(secret)
    return secret


@activity.defn
async def refuse(secret: Secret) -> Secret:
    """Fails: with an error of somebody else's, which is tried again, then with a refusal of ours, which is not."""
    if activity.info().attempt == 1:
        raise ValueError(secret.text)
    raise Conflict(f"{secret.text} is taken")


@activity.defn
async def echo(secret: Secret) -> Secret:
    """For a local activity, which cannot heartbeat."""
    return secret


@activity.defn
async def linger(secret: Secret) -> None:
    """Heartbeats until it is cancelled: its details stand in the description of the running workflow."""
    while True:
        activity.heartbeat(secret)
        await asyncio.sleep(0.05)


@workflow.defn
class CanaryWorkflow:
    """Told in its input, a signal, an update and a query; tells activities; fails with it."""

    def __init__(self) -> None:
        self.heard: list[Secret] = []
        self.go_on = False

    @workflow.run
    async def run(self, secret: Secret) -> None:
        """Everything in turn, then a failure."""
        workflow.upsert_memo({"said": secret.text})
        workflow.set_current_details(secret.text)
        ten = timedelta(seconds=10)
        await workflow.execute_activity(whisper, secret, start_to_close_timeout=ten, summary=secret.text)
        await workflow.execute_local_activity(echo, secret, start_to_close_timeout=ten)
        try:
            await workflow.execute_activity(
                refuse, secret, start_to_close_timeout=ten, retry_policy=RetryPolicy(maximum_attempts=9)
            )
        except ActivityError as error:
            self.heard.append(Secret(str(error.cause)))
        lingering = workflow.start_activity(
            linger, secret, start_to_close_timeout=timedelta(minutes=1), heartbeat_timeout=ten
        )
        await workflow.wait_condition(lambda: self.go_on)
        lingering.cancel()
        raise ApplicationError(secret.text, secret)

    @workflow.signal
    def told(self, secret: Secret) -> None:
        """A fact."""
        self.heard.append(secret)

    @workflow.update
    def ended(self, secret: Secret) -> Secret:
        """Let it end."""
        self.go_on = True
        return secret

    @workflow.query
    def repeated(self, secret: Secret) -> list[Secret]:
        """What it heard."""
        return [*self.heard, secret]
