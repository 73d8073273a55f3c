"""Syncing now. The bell is committed first: what nobody takes within the seconds of a request happens without it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.auth import Caller
from api.services import Services
from core.errors import Conflict, NotFound
from models.queries import calendar_connections as queries
from models.queries.calendar_connections import Connected
from temporal import ids, outbox
from temporal.contracts.calendar_sync import Standing, SyncNow
from temporal.gateway import NotAccepted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one calendar within the request. Neither: it is under way."""

    connection_id: UUID
    workflow_id: str
    standing: Standing | None = None
    refused: NotAccepted | None = None

    @property
    def place(self) -> str:
        """Where its workflow is shown."""
        return f"/api/v1/workflows/{self.workflow_id}"

    def present(self) -> dict[str, Any]:
        """The document of `SyncedOut`."""
        result = "waiting" if self.refused else "done" if self.standing else "under_way"
        shown = {"connection_id": self.connection_id, "result": result, "standing": self.standing}
        return shown | {"workflow": self.place}


async def sync(services: Services, caller: Caller, connection_id: UUID | None, update_id: str) -> list[Outcome]:
    """Ring, and wait for what comes of it. Raises `NotFound`, `Conflict` where nothing is kept in step, and
    `NotAccepted` when nobody has taken any of them."""
    rung = await _ring(services, caller, connection_id)
    outcomes = await asyncio.gather(*(_outcome(services, each, update_id) for each in rung))
    refusals = [each.refused for each in outcomes if each.refused is not None]
    if len(refusals) == len(outcomes):
        raise refusals[0]
    return outcomes


async def _ring(services: Services, caller: Caller, connection_id: UUID | None) -> Sequence[Connected]:
    """The calendars that heard it."""
    async with services.db.sessions.begin() as session:
        found = await queries.lock_active(session, caller.user_id, connection_id)
        for each in found:
            await outbox.ring_calendar(session, caller.user_id, each.link.id, each.connection.provider)
        if not found and connection_id is not None:
            known = await queries.lock(session, caller.user_id, connection_id)
            if known is None:
                raise NotFound("no such connection")
            raise Conflict(f"This calendar is {known.connection.state}.", code="not_in_step")
    if not found:
        raise Conflict("Connect a calendar first, or resume one.", code="no_connection")
    return found


async def _outcome(services: Services, connected: Connected, update_id: str) -> Outcome:
    connection_id, link = connected.connection.id, connected.link
    workflow_id = ids.calendar(link.user_id, link.id)
    try:
        synced = await services.gateway.sync_now(workflow_id, SyncNow(link.id), update_id)
    except NotAccepted as refused:
        return Outcome(connection_id, workflow_id, refused=refused)
    return Outcome(connection_id, workflow_id, synced.standing if synced else None)
