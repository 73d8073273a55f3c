"""Who goes first where a queue has more work than its workers: people before jobs of the night, and of people those who
have had less. A workflow starts with it, and its activities inherit it."""

from typing import Final

from temporalio.common import Priority

from temporal import ids

_PEOPLE: Final = 3
"""What Temporal gives whoever says nothing."""
_NIGHT: Final = 5


def media(workflow_id: str, *, is_urgent: bool) -> Priority:
    """Of an uploaded content: each household has its turn, however many files another one has sent."""
    return Priority(_PEOPLE if is_urgent else _NIGHT, fairness_key=ids.owner_attribute(workflow_id))
