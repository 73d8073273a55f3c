"""How a row of the outbox is told to Temporal, and what its answer means."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from core.db import AWAY as DATABASE_AWAY
from core.failpoint import failpoint
from integrations.keys.protocols import KeysUnavailable
from temporal import ids, queues, search_attributes
from temporal.client import AWAY as TEMPORAL_AWAY
from temporal.client import CALL_SECONDS
from temporal.codec import PayloadsErased
from workers.outbox_table import OutboxRow

# Answers about Temporal itself, not about the row: a namespace not made yet and a refused certificate are outages too.
_OUTAGE: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.PERMISSION_DENIED,
    }
)


@dataclass(frozen=True, slots=True)
class OutboxKind:
    """How rows of one kind reach Temporal.

    With a `signal`: signal-with-start of an entity, which may be started again after it ended. Without: started once
    per id for ever, and a second row of the same id is as good as sent; with `is_repeatable` once at a time, because
    what it does may have to be done again. `summary` tells operators what it is for.
    """

    workflow: str
    first_state: Callable[[OutboxRow], object]
    signal: str | None = None
    message: Callable[[OutboxRow], object] | None = None
    queue: Callable[[OutboxRow], str] = lambda _: queues.CORE
    priority: Callable[[OutboxRow], Priority] = lambda _: Priority.default
    is_repeatable: bool = False
    summary: str = field(kw_only=True)


class Sender:
    """Sends one row, within the limit of one call. `client` is lazy: Temporal need not be there."""

    def __init__(self, client: Client, kinds: Mapping[str, OutboxKind]) -> None:
        self._client, self._kinds = client, kinds

    async def send(self, row: OutboxRow) -> None:
        """Signal-with-start, or start. Raises what the SDK raises; what is there already or erased counts as sent."""
        kind = self._kinds[row.kind]
        owner = SearchAttributePair(search_attributes.OWNER, ids.owner_attribute(row.workflow_id))
        with suppress(WorkflowAlreadyStartedError, PayloadsErased):
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.start_workflow(
                    kind.workflow,
                    kind.first_state(row),
                    id=row.workflow_id,
                    task_queue=kind.queue(row),
                    priority=kind.priority(row),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
                    if kind.signal or kind.is_repeatable
                    else WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    search_attributes=TypedSearchAttributes([owner]),
                    static_summary=kind.summary,
                    start_signal=kind.signal,
                    start_signal_args=[] if kind.message is None else [kind.message(row)],
                )
            failpoint("relay_after_start")


def is_outage(error: Exception) -> bool:
    """Whether something everybody needs is away: Temporal, or the keeper of the keys that payloads are sealed with."""
    if isinstance(error, RPCError):
        return error.status in _OUTAGE
    return isinstance(error, (*TEMPORAL_AWAY, *DATABASE_AWAY, KeysUnavailable))
