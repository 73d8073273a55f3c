"""Simpler syncs, each with one precaution left out (calendar-sync.md §4.4): what a test of the sync must notice."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from activities import calendar_create, calendar_reconcile
from activities.calendar_store import LinkRow, Position, Settlement
from domain import calendar_sync
from domain.calendar import Event
from domain.calendar_merge import Merged
from domain.calendar_sync import LinkState
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.protocol import Page, RemoteEvent
from tests.calendar.memory_store import MemoryStore

Mutant = Callable[[pytest.MonkeyPatch], None]


def random_id(patch: pytest.MonkeyPatch) -> None:
    """Each attempt of a create has a name of its own."""
    patch.setattr(calendar_create, "name_of", lambda *_: uuid4())


def cursor_first(patch: pytest.MonkeyPatch) -> None:
    """The cursor is kept before the entries are."""
    whole = MemoryStore.take_page

    async def take_page(self: MemoryStore, position: Position, page: Page) -> Position:
        if page.next_page is None:
            self.at = Position(page.cursor, None, False, position.epoch)
            self.steps.passed()
        return await whole(self, position, page)

    patch.setattr(MemoryStore, "take_page", take_page)


def no_base(patch: pytest.MonkeyPatch) -> None:
    """What both sides had is not remembered."""
    decide = calendar_sync.decide
    patch.setattr(calendar_reconcile, "decide", lambda _, *args, **named: decide(None, *args, **named))


def whole_event(patch: pytest.MonkeyPatch) -> None:
    """The later side wins as a whole."""

    def merge(base: Event | None, local: Event, remote: Event, **_: Any) -> Merged:
        return Merged(local if base is None or local != base else remote)

    patch.setattr(calendar_sync, "merge", merge)


def unconditional_update(patch: pytest.MonkeyPatch) -> None:
    """No If-Match on update."""
    update = MemoryCalendars.update

    async def blind(self: MemoryCalendars, calendar_id: str, known: RemoteEvent, event: Event, **named: Any) -> Any:
        self.server.race_before("update", calendar_id)
        stored = self.server.stored(calendar_id).get(known.remote_id)
        return await update(self, calendar_id, replace(known, etag=stored.etag if stored else None), event, **named)

    patch.setattr(MemoryCalendars, "update", blind)


def unconditional_delete(patch: pytest.MonkeyPatch) -> None:
    """No If-Match on delete."""
    delete = MemoryCalendars.delete

    async def blind(self: MemoryCalendars, calendar_id: str, known: RemoteEvent) -> None:
        self.server.race_before("delete", calendar_id)
        stored = self.server.stored(calendar_id).get(known.remote_id)
        await delete(self, calendar_id, replace(known, etag=stored.etag if stored else None))

    patch.setattr(MemoryCalendars, "delete", blind)


def no_intent(patch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered before a write."""

    intend = MemoryStore.intend

    async def careless(self: MemoryStore, links: Sequence[LinkRow]) -> None:
        await intend(self, [replace(link, intent=None) for link in links])

    patch.setattr(MemoryStore, "intend", careless)


def intent_stays(patch: pytest.MonkeyPatch) -> None:
    """An intent is not cleared by the settlement of its write."""
    settle = MemoryStore._settle

    def forgetful(self: MemoryStore, settlement: Settlement) -> bool:
        intent = self.links[settlement.link.id].intent
        done = settle(self, settlement)
        if done and intent is not None:
            settled = self.links[settlement.link.id]
            self.links[settled.id] = replace(settled, intent=replace(intent, remote_id=settled.remote_id))
        return done

    patch.setattr(MemoryStore, "_settle", forgetful)


def torn_settlement(patch: pytest.MonkeyPatch) -> None:
    """The local row is written in one transaction, the link in another."""
    settle = MemoryStore._settle

    def torn(self: MemoryStore, settlement: Settlement) -> bool:
        local_id, version = settlement.link.local_id, settlement.work.local.version
        if settlement.write is None or self.rows[local_id].version != version:
            return settle(self, settlement)
        self.put(local_id, settlement.write)
        self.steps.passed()
        local = replace(settlement.work.local, version=self.rows[local_id].version)
        return settle(self, replace(settlement, work=replace(settlement.work, local=local), write=None))

    patch.setattr(MemoryStore, "_settle", torn)


def no_dead_links(patch: pytest.MonkeyPatch) -> None:
    """A pair whose events are gone lives on."""
    patch.setattr(calendar_reconcile, "_dead", lambda link: replace(link, state=LinkState.LIVE))


def absence_ignored(patch: pytest.MonkeyPatch) -> None:
    """What a whole list does not name is not asked for."""
    patch.setattr(MemoryStore, "_sweep", lambda *_: None)


def own_event_adopted(patch: pytest.MonkeyPatch) -> None:
    """An event of ours that nobody acknowledged is taken for a copy of ours."""

    async def relink(self: MemoryStore, remote: RemoteEvent) -> bool:
        return False

    patch.setattr(MemoryStore, "relink", relink)
