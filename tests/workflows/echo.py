"""The smallest entity: answers what it was told first, once it is told to end."""

from dataclasses import dataclass

from temporalio import workflow


@dataclass(frozen=True, slots=True)
class Words:
    """What is said."""

    text: str


@workflow.defn
class EchoWorkflow:
    """See the module."""

    def __init__(self) -> None:
        self.over = False

    @workflow.run
    async def run(self, words: Words) -> Words:
        """Waits, then answers."""
        await workflow.wait_condition(lambda: self.over)
        return words

    @workflow.signal
    def told(self, words: Words) -> None:
        """Hears it."""

    @workflow.signal
    def end(self) -> None:
        """No argument, so that it needs no key."""
        self.over = True
