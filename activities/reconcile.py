"""Comparing reminders with their workflows, and ringing what is shared.

Ringing once too often is harmless, so no method needs to be exact.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause
from temporalio import activity
from temporalio.client import Client

from core.crypto import KeySource, Subject, SubjectErased
from core.db import SessionFactory
from integrations.keys.store import KeyMissing
from models.queries import reconcile as rows
from models.queries.reconcile import ReminderRef
from temporal import ids, outbox
from temporal.contracts import reminder
from temporal.contracts.reconcile import EndOrphans, MissingRung, OrphansEnded, RingMissing
from temporal.ids import UnknownWorkflowId

_ENTITIES: Final = (
    (rows.GRANTS, outbox.GRANT),
    (rows.TRANSFERS, outbox.TRANSFER),
    (rows.INVITATIONS, outbox.INVITATION),
)
"""They are few: each is rung, and one whose workflow lives reads its row once more."""
_RUNNING = f"WorkflowType = '{reminder.WORKFLOW}' AND ExecutionStatus = 'Running'"


class ReconcileActivities:
    """Both methods heartbeat after each page and change nothing but the outbox, except for a termination."""

    def __init__(self, sessions: SessionFactory, temporal: Client, keys: KeySource) -> None:
        self._sessions, self._temporal, self._keys = sessions, temporal, keys

    @activity.defn
    async def ring_missing(self, request: RingMissing) -> MissingRung:
        """Page by page; a retry goes on after the last page of reminders it told of."""
        last, seen, rung = _resumed()
        while True:
            async with self._sessions.begin() as session:
                page = await rows.active_after(session, last, request.page_size)
            if not page:
                for kind, bell in _ENTITIES:
                    await self._ring_entities(kind, bell, request.page_size)
                return MissingRung(seen, rung)
            missing = await self._without_workflow(page)
            await self._ring(missing)
            last, seen, rung = page[-1].id, seen + len(page), rung + len(missing)
            activity.heartbeat(str(last), seen, rung)

    @activity.defn
    async def end_orphans(self, request: EndOrphans) -> OrphansEnded:
        """A retry starts over: whoever was told already has ended by then, or is told again."""
        seen = rung = terminated = 0
        async for page in self._running(request.page_size):
            to_ring, to_end = await self._orphans(page)
            await self._ring(to_ring)
            for workflow_id in to_end:
                # A reason, no details: details would be sealed, and the key may be gone.
                await self._temporal.get_workflow_handle(workflow_id).terminate(reason="no reminder here")
            seen, rung, terminated = seen + len(page), rung + len(to_ring), terminated + len(to_end)
            activity.heartbeat(seen)
        return OrphansEnded(seen, rung, terminated)

    async def _ring(self, reminders: Sequence[ReminderRef]) -> None:
        async with self._sessions.begin() as session:
            for ref in reminders:
                await outbox.ring_reminder(session, ref.household_id, ref.id)

    async def _ring_entities(self, kind: TextClause, bell: outbox.Bell, page_size: int) -> None:
        last: UUID | None = None
        while True:
            async with self._sessions.begin() as session:
                page = await rows.unfinished_after(session, kind, last, page_size)
                for entity_id, household_id in page:
                    await bell.ring(session, household_id, entity_id)
            if not page:
                return
            last = page[-1][0]
            activity.heartbeat()

    async def _without_workflow(self, page: Sequence[ReminderRef]) -> list[ReminderRef]:
        wanted = {ids.reminder(ref.household_id, ref.id): ref for ref in page}
        named = ", ".join(f"'{workflow_id}'" for workflow_id in wanted)
        async for running in self._temporal.list_workflows(f"{_RUNNING} AND WorkflowId IN ({named})"):
            wanted.pop(running.id, None)
        return list(wanted.values())

    async def _running(self, page_size: int) -> AsyncIterator[list[str]]:
        page: list[str] = []
        async for running in self._temporal.list_workflows(_RUNNING, page_size=page_size):
            page.append(running.id)
            if len(page) == page_size:
                yield page
                page = []
        if page:
            yield page

    async def _orphans(self, workflow_ids: Sequence[str]) -> tuple[list[ReminderRef], list[str]]:
        """Those a bell will end, and those that no bell ends: their key is destroyed, or the reminder lives in another
        household now, where a new workflow looks after it."""
        refs = {workflow_id: _reminder_of(workflow_id) for workflow_id in workflow_ids}
        async with self._sessions.begin() as session:
            living = await rows.households_of_living(session, [ref.id for ref in refs.values()])
        to_ring: list[ReminderRef] = []
        to_end: list[str] = []
        for workflow_id, ref in refs.items():
            household_id = living.get(ref.id)
            if household_id == ref.household_id:
                continue
            if household_id is not None or await self._erased(ref.household_id):
                to_end.append(workflow_id)
            else:
                to_ring.append(ref)
        return to_ring, to_end

    async def _erased(self, household_id: UUID) -> bool:
        try:
            await self._keys.current(Subject.household(household_id))
        except SubjectErased:
            return True
        except KeyMissing:
            # Nothing is ended on a guess: the relay will fail to ring it, park the row, and so call an operator.
            return False
        return False


def _reminder_of(workflow_id: str) -> ReminderRef:
    parsed = ids.parse(workflow_id)
    if parsed.subject.id is None or parsed.object_id is None:
        raise UnknownWorkflowId("a reminder's workflow id names its household and the reminder")
    return ReminderRef(parsed.object_id, parsed.subject.id)


def _resumed() -> tuple[UUID | None, int, int]:
    """Last id, rows and bells of the page the former attempt told of last."""
    details = activity.info().heartbeat_details
    if not details:
        return None, 0, 0
    last, seen, rung = details
    return UUID(last), seen, rung
