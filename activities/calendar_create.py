"""Counterparts made in the calendar, each under a deterministic name and an intent that was committed before it.

Of many, a few are on their way at a time. Each lane takes some, announces them in one transaction, makes them one
after the other, and keeps what was acknowledged in another: while one talks to the database the calendar works for the
others. Where anything is in the way its intent stays, and `reconcile` asks the calendar what became of it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from activities.calendar_read import read
from activities.calendar_store import LinkRow, Settlement, Store, Work
from domain.calendar import ALL_FIELDS, Event, Field
from domain.calendar_projection import project
from domain.calendar_sync import Agreement, Create, Intent, LinkState, Op, Policy, Sent, decide, name_of
from integrations.calendar.protocol import AlreadyExists, CalendarError, CalendarProvider, EventRejected, Marker

CHUNK: Final = 10
"""Of how many a lane announces and keeps at once."""
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Creator:
    """For one calendar, whose link is `link_id`."""

    provider: CalendarProvider
    calendar_id: str
    link_id: UUID

    def name(self, link: LinkRow, generation: int) -> UUID:
        """Under which the counterpart of a pair is made."""
        return name_of(self.link_id, link.local_id, link.part, generation)

    def intended(self, link: LinkRow, event: Event) -> LinkRow:
        """The pair with the intent to make its counterpart."""
        remote_id = self.provider.remote_id_of(self.calendar_id, self.name(link, link.generation))
        sent = Sent(ALL_FIELDS - {Field.OVERRIDES}, frozenset(each.original for each in event.overrides))
        return replace(link, intent=Intent(Op.CREATE, remote_id, event, None, link.generation, sent, owed=link.owed))

    async def make(self, link: LinkRow) -> LinkRow:
        """Do what the pair intends; the pair as it is then, in agreement. Raises `AlreadyExists`, and as the port."""
        intent = link.intent
        assert intent is not None  # noqa: S101 - the caller has committed it
        marker = Marker(link.local_id, link.part, link.generation)
        shown = project(intent.event, self.provider.capabilities)
        made = await self.provider.create(self.calendar_id, self.name(link, link.generation), marker, shown)
        seen = read(made, self.provider)
        return replace(
            link,
            state=LinkState.LIVE,
            remote_id=seen.remote_id,
            etag=seen.etag,
            agreed=Agreement(intent.event, seen.event),
            intent=None,
            generation=link.generation + 1,
        )

    async def make_all(self, store: Store, works: Sequence[Work], policy: Policy, now: datetime) -> Collection[UUID]:
        """The counterparts of those that want one; answers which of them are in agreement. Raises the errors of the
        port that say nothing about one event, having kept what was made."""
        wanted = [(work, link) for work in works if (link := self._wanted(work, policy, now)) is not None]
        agreed = set[UUID]()

        async def make(chunk: Sequence[tuple[Work, LinkRow]]) -> None:
            agreed.update(await self._make_some(store, chunk))

        chunks = (wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK))
        await in_lanes(self.provider.capabilities.writes_at_once, chunks, make)
        return agreed

    async def _make_some(self, store: Store, wanted: Sequence[tuple[Work, LinkRow]]) -> Collection[UUID]:
        made: list[Settlement] = []
        await store.intend([link for _, link in wanted])
        try:
            for work, link in wanted:
                with suppress(AlreadyExists, EventRejected):
                    made.append(Settlement(work, await self.make(link), sent=True))
        except CalendarError:
            await store.settle(made)
            raise
        return await store.settle(made)

    def _wanted(self, work: Work, policy: Policy, now: datetime) -> LinkRow | None:
        """The pair with its intent, where nothing but a create is to be decided."""
        link, side = work.link, self.provider.capabilities
        if link.remote_id is not None or link.intent is not None or link.state is not LinkState.LIVE:
            return None
        decision = decide(link.agreed, work.local, None, side, policy, now, linked=False)
        return self.intended(link, decision.event) if isinstance(decision, Create) else None


async def in_lanes(lanes: int, items: Iterable[_Item], do: Callable[[_Item], Awaitable[None]]) -> None:
    """Do it for all, so many at a time. After a failure nothing more is begun, what was begun ends, and the failure is
    raised."""
    left = deque(items)

    async def lane() -> None:
        while left:
            try:
                await do(left.popleft())
            except BaseException:
                left.clear()
                raise

    ended = await asyncio.gather(*(lane() for _ in range(min(lanes, len(left)))), return_exceptions=True)
    for failure in ended:
        if failure is not None:
            raise failure
