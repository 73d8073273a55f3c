"""`reconcile`, the only thing that writes to a calendar (calendar-sync.md §4.3): for push, poll, full sync and retry.

Each round looks at both sides, has `domain.calendar_sync` decide, and carries one decision out: a remote write under an
intent that was committed before it, and everything it means here in one transaction after it. Whatever kills it in
between, the next round asks the calendar what became of the write before it does anything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from activities.calendar_create import Creator
from activities.calendar_read import read
from activities.calendar_store import LinkRow, Settlement, Store, Work
from domain.calendar import Event
from domain.calendar_merge import Conflict
from domain.calendar_projection import project
from domain.calendar_sync import (
    Agree,
    Agreement,
    Create,
    DeleteLocal,
    DeleteRemote,
    Drop,
    Intent,
    LinkState,
    Op,
    Policy,
    Remote,
    Resurrect,
    decide,
    decided,
    fold,
)
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarProvider,
    EtagMismatch,
    EventGone,
    EventRejected,
    RemoteEvent,
)

ROUNDS: Final = 5
"""Somebody who is always quicker is let through, and looked at later."""


class Outcome(StrEnum):
    """What became of one link."""

    DONE = "done"
    AGAIN = "again"
    """Somebody was always quicker; worth another try, later."""
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """For one calendar, whose link is `link_id`. `now` is naive, in the zone of the person."""

    store: Store
    provider: CalendarProvider
    calendar_id: str
    link_id: UUID
    policy: Policy
    now: datetime

    async def reconcile(self, link_id: UUID, fetched: Mapping[str, RemoteEvent] | None = None) -> Outcome:
        """Bring one pair into agreement. `fetched` are events that were read just now: they save the first look. Raises
        the provider's errors that say nothing about this event alone."""
        for _ in range(ROUNDS):
            work = next(iter(await self.store.load([link_id])), None)
            if work is None or work.link.state in (LinkState.DEAD, LinkState.HIDDEN) or work.nothing_to_do:
                return Outcome.DONE
            try:
                if await self._round(work, fetched or {}):
                    return Outcome.DONE
            except (EtagMismatch, EventGone):
                pass
            except EventRejected as refused:
                await self.store.quarantine(work, refused.problem_code)
                return Outcome.QUARANTINED
            fetched = None
        return Outcome.AGAIN

    async def _round(self, work: Work, fetched: Mapping[str, RemoteEvent]) -> bool:
        """One look and one decision. False: a condition did not hold, look again."""
        link, seen = await self._resolved(work.link) if work.link.intent else await self._looked(work.link, fetched)
        side = self.provider.capabilities
        remote = Remote(seen.event, seen.updated_at) if seen else None
        decision = decide(
            link.agreed, work.local, remote, side, self.policy, self.now, linked=link.remote_id is not None
        )
        match decision:
            case Drop():
                return await self._settle(work, _dead(link))
            case DeleteLocal(hide=True):
                return await self._settle(work, replace(_dead(link), state=LinkState.HIDDEN))
            case DeleteLocal():
                return await self._settle(work, _dead(link), delete=True)
            case Create():
                return await self._create(work, link, decision)
        assert seen is not None  # noqa: S101 - what remains is decided about something that is there
        match decision:
            case DeleteRemote():
                await self.provider.delete(self.calendar_id, seen)
                return await self._settle(work, _dead(link), sent=True)
            case Resurrect():
                agreed = Agreement(decision.event, seen.event)
                return await self._settle(work, _live(link, seen, agreed), write=decision.event, revive=True)
            case _:
                return await self._agree(work, link, seen, decision)

    async def _looked(self, link: LinkRow, fetched: Mapping[str, RemoteEvent]) -> tuple[LinkRow, RemoteEvent | None]:
        if link.remote_id is None:
            return link, None
        found = fetched.get(link.remote_id) or await self.provider.get(self.calendar_id, link.remote_id)
        return link, self._read(found)

    async def _resolved(self, link: LinkRow) -> tuple[LinkRow, RemoteEvent | None]:
        """What became of our unacknowledged write. The link as it is then, and what is in the calendar now."""
        intent = link.intent
        assert intent is not None  # noqa: S101 - the caller looked
        side = self.provider.capabilities
        if intent.op is Op.CREATE:
            found = self._read(await self._made(link, intent))
            if found is None:  # not created, or gone again: as if nothing had been tried
                return await self._looked(replace(link, intent=None, owed=intent.owed), {})
            link = replace(link, remote_id=found.remote_id, generation=intent.generation + 1)
        else:
            assert link.remote_id is not None  # noqa: S101 - there was something to update
            found = self._read(await self.provider.get(self.calendar_id, link.remote_id))
            if found is None:
                return replace(link, intent=None, owed=decided(intent, None, side)), None
        agreed, owed = fold(intent, found.event, side), decided(intent, found.event, side)
        return replace(link, agreed=agreed, intent=None, owed=owed), found

    async def _made(self, link: LinkRow, intent: Intent) -> RemoteEvent | None:
        if intent.remote_id is not None:
            return await self.provider.get(self.calendar_id, intent.remote_id)
        return await self.provider.find(self.calendar_id, self._creator.name(link, intent.generation))

    async def _create(self, work: Work, link: LinkRow, decision: Create) -> bool:
        """Under a name of its own, whose id a deleted event may still hold: then under the next."""
        intended = self._creator.intended(link, decision.event)
        await self.store.intend([intended])
        try:
            return await self._settle(work, await self._creator.make(intended), sent=True)
        except AlreadyExists as taken:
            assert intended.intent is not None  # noqa: S101 - it was just made
            intent = replace(intended.intent, remote_id=taken.remote_id or intended.intent.remote_id)
            following = replace(link, intent=intent)
            if await self._made(link, intent) is None:
                following = self._creator.intended(replace(link, generation=link.generation + 1), decision.event)
            await self.store.intend([following])
            return False

    async def _agree(self, work: Work, link: LinkRow, seen: RemoteEvent, decision: Agree) -> bool:
        if not decision.write_remote:
            agreed = Agreement(decision.event, seen.event)
            write = decision.event if decision.write_local else None
            return await self._settle(work, _live(link, seen, agreed), write=write, conflicts=decision.conflicts)
        intent = Intent(
            Op.UPDATE,
            link.remote_id,
            decision.event,
            link.agreed,
            link.generation,
            decision.sent,
            decision.conflicts,
            link.owed,
        )
        await self.store.intend([replace(link, intent=intent)])
        shown = project(decision.event, self.provider.capabilities)
        made = read(await self.provider.update(self.calendar_id, seen, shown), self.provider)
        write = decision.event if decision.write_local else None
        agreed = Agreement(decision.event, made.event)
        return await self._settle(work, _live(link, made, agreed), write=write, conflicts=decision.conflicts, sent=True)

    async def _settle(
        self,
        work: Work,
        link: LinkRow,
        *,
        write: Event | None = None,
        delete: bool = False,
        revive: bool = False,
        conflicts: tuple[Conflict, ...] = (),
        sent: bool = False,
    ) -> bool:
        settled = replace(link, intent=None, owed=())
        settlement = Settlement(work, settled, write, delete, revive, (*link.owed, *conflicts), sent)
        return bool(await self.store.settle([settlement]))

    def _read(self, found: RemoteEvent | None) -> RemoteEvent | None:
        return None if found is None else read(found, self.provider)

    @property
    def _creator(self) -> Creator:
        return Creator(self.provider, self.calendar_id, self.link_id)


def _live(link: LinkRow, seen: RemoteEvent, agreed: Agreement) -> LinkRow:
    return replace(link, state=LinkState.LIVE, remote_id=seen.remote_id, etag=seen.etag, agreed=agreed)


def _dead(link: LinkRow) -> LinkRow:
    """The id is free for what the person may restore from the calendar's bin."""
    return replace(link, state=LinkState.DEAD, remote_id=None, etag=None, agreed=None)
