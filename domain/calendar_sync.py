"""What is to become of an event and its counterpart in a calendar: the table of calendar-sync.md §4.3, and the guards.

Pure decisions; whoever carries them out does so under a write-ahead intent, with conditional writes, and looks again
whenever a condition did not hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from domain.calendar import ALL_FIELDS, EVERYTHING, Capabilities, Event, Field, Override, Point
from domain.calendar_form import order
from domain.calendar_merge import Conflict, Merged, Side, follow, merge
from domain.calendar_projection import changed, lift, project, shows

NAMES: Final = UUID("5b3c9a4e-58e1-5f0c-9d4e-8f1f4f6f2a11")
"""Namespace of the names under which events are created; changing it would make every event twice."""
CLEAN_LIST: Final = 3
"""An empty list says nothing about this many live events (calendar-sync.md §4.6 a)."""
MANY_GONE: Final = 5
ONE_IN: Final = 5
"""More than this many, and more than one in so many, missing at once: somebody is asked first."""


class LinkState(StrEnum):
    """Of the pair of a local event and its counterpart. `dead` is never revived; `hidden` was deleted in the calendar
    and goes on here; `conflict_copy` are two events of one."""

    LIVE = "live"
    DEAD = "dead"
    QUARANTINED = "quarantined"
    CONFLICT_COPY = "conflict_copy"
    HIDDEN = "hidden"


class Op(StrEnum):
    """A write that has to be resolved if its answer is lost. A delete needs no intent."""

    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a person chose for a connection. `delete_wins`: a deletion counts more than an edit on the other side.
    `adopt`: what they enter in the calendar becomes an appointment."""

    delete_wins: bool = False
    adopt: bool = True


@dataclass(frozen=True, slots=True)
class Local:
    """The event here. `event` is None once it is deleted, or was never there. `side` is what its kind can hold.
    `deletable`: a deletion in the calendar deletes it; a reminder is only hidden there. `revivable`: an edit in the
    calendar takes its deletion back."""

    event: Event | None
    version: int = 0
    updated_at: datetime | None = None
    side: Capabilities = EVERYTHING
    deletable: bool = True
    revivable: bool = True


@dataclass(frozen=True, slots=True)
class Remote:
    """The counterpart, as it was verified; None in its place when it is gone."""

    event: Event
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides had when they last agreed, and how the calendar had written it down: servers have their own way
    with text, which is no change."""

    event: Event
    seen: Event

    @classmethod
    def on(cls, event: Event, side: Capabilities) -> "Agreement":
        """As a calendar that writes down what it is given has it."""
        return cls(event, project(event, side))


@dataclass(frozen=True, slots=True)
class Sent:
    """What a write changes there to what it is here already: fields, and exceptions by their original start. What it
    leaves as it was there, and what is new to both sides, is not ours when it is found there afterwards."""

    fields: frozenset[Field] = frozenset()
    overrides: frozenset[Point] = frozenset()

    @classmethod
    def of(cls, event: Event, here: Event, there: Event) -> "Sent":
        """Of a write that makes `event` of both."""
        same = ALL_FIELDS - {Field.OVERRIDES} - changed(here, event)
        ours, theirs, wanted = (_by_original(each) for each in (here, there, event))
        return cls(
            fields=same & changed(there, event),
            overrides=frozenset(
                original
                for original in {**theirs, **wanted}
                if theirs.get(original) != wanted.get(original) == ours.get(original)
            ),
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that may have happened: `event` is what both sides are to have, `agreed` the last agreement, with what an
    earlier lost write had achieved folded in. `conflicts` are decided by this write, `owed` by such an earlier one."""

    op: Op
    remote_id: str | None
    event: Event
    agreed: Agreement | None
    generation: int
    sent: Sent
    conflicts: tuple[Conflict, ...] = ()
    owed: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is left on either side: the link is dead."""


@dataclass(frozen=True, slots=True)
class Create:
    """Write it to the calendar: for the first time, or because it was edited here while it was deleted there."""

    event: Event


@dataclass(frozen=True, slots=True)
class DeleteLocal:
    """It was deleted in the calendar. `hide`: it goes on here, and is not shown there any more."""

    hide: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRemote:
    """It was deleted here."""


@dataclass(frozen=True, slots=True)
class Resurrect:
    """It was deleted here while it was edited there: the edit stays, and the person is told."""

    event: Event


@dataclass(frozen=True, slots=True)
class Agree:
    """Both sides are to have this. Where neither write is needed, only the agreement is recorded."""

    event: Event
    write_local: bool
    write_remote: bool
    sent: Sent
    conflicts: tuple[Conflict, ...] = ()


Decision = Drop | Create | DeleteLocal | DeleteRemote | Resurrect | Agree


def name_of(link_id: UUID, local_id: UUID, part: str, generation: int) -> UUID:
    """What a create is known by, however often it is tried (calendar-sync.md §4.5)."""
    return uuid5(NAMES, f"{link_id}|{local_id}|{part}|{generation}")


def adopted_id(link_id: UUID, remote_id: str) -> UUID:
    """The id of the appointment that an event of the calendar becomes: the same however often it is adopted."""
    return uuid5(NAMES, f"{link_id}|{remote_id}")


def fold(intent: Intent, remote: Event, side: Capabilities) -> Agreement:
    """The last agreement, given that our unacknowledged write may have happened: what the calendar has as we sent it
    is ours, the rest is somebody's edit. A created event has what we sent, except what took further requests."""
    sent = project(intent.event, side)
    remote = _named_as_sent(remote, intent, sent)
    before = intent.agreed
    if before is None:
        created = replace(intent.event, overrides=())
        before = Agreement.on(created, side)
    ours = [str(name) for name in intent.sent.fields if getattr(sent, name) == getattr(remote, name)]
    event = replace(before.event, **{name: getattr(intent.event, name) for name in ours})
    seen = replace(before.seen, **{name: getattr(remote, name) for name in ours})
    return _fold_overrides(Agreement(event, seen), intent, sent, remote)


def decided(intent: Intent, remote: Event | None, side: Capabilities) -> tuple[Conflict, ...]:
    """The conflicts that were decided by the unacknowledged write, if it happened, and by those before it. One that the
    calendar won, or whose write did not happen, is still there to be found. Where the calendar has neither value, or
    nothing any more, somebody was there since, and only they know what they saw: what lost is told rather than lost."""
    sent = project(intent.event, side)
    remote = remote and _named_as_sent(remote, intent, sent)
    there = lift(remote, intent.agreed.event, side, intent.agreed.seen) if remote and intent.agreed else remote

    def happened(each: Conflict) -> bool:
        if remote and _value(sent, each) == _value(remote, each):
            return each.winner is not Side.REMOTE
        return each.winner is Side.LOCAL and (there is None or _value(there, each) != each.remote)

    return (*intent.owed, *filter(happened, intent.conflicts))


def _value(event: Event, conflict: Conflict) -> object:
    """What the event has of what the conflict is about."""
    if conflict.field is not Field.OVERRIDES:
        return getattr(event, conflict.field)
    return next((each for each in event.overrides if each.original == conflict.original), None)


def _named_as_sent(remote: Event, intent: Intent, sent: Event) -> Event:
    """Where somebody moved the series since, its exceptions are known by the names that we gave them."""
    return remote if Field.WHEN in intent.sent.fields else follow(remote, sent.when)


def _fold_overrides(before: Agreement, intent: Intent, sent: Event, remote: Event) -> Agreement:
    """Exceptions are written one by one: each that the calendar has as we sent it is agreed on."""
    agreed, seen, wanted, written, there = (
        _by_original(event) for event in (before.event, before.seen, intent.event, sent, remote)
    )
    for original in intent.sent.overrides:
        if written.get(original) != there.get(original):
            continue
        if original in wanted:
            agreed[original], seen[original] = wanted[original], there[original]
        else:
            agreed.pop(original, None)
            seen.pop(original, None)
    return Agreement(replace(before.event, overrides=_sorted(agreed)), replace(before.seen, overrides=_sorted(seen)))


def _by_original(event: Event) -> dict[Point, Override]:
    return {each.original: each for each in event.overrides}


def _sorted(overrides: Mapping[Point, Override]) -> tuple[Override, ...]:
    return tuple(overrides[original] for original in sorted(overrides, key=order))


def decide(
    agreed: Agreement | None,
    local: Local,
    remote: Remote | None,
    side: Capabilities,
    policy: Policy,
    now: datetime,
    *,
    linked: bool,
) -> Decision:
    """The row of the table. `linked`: there was a counterpart before. `side` is what the calendar can hold. `now` is
    naive, on any clock."""
    shown = local.event if local.event is not None and shows(local.event, side) else None
    if remote is None:
        return _without_remote(agreed, local, shown, side, policy, linked=linked)
    if shown is None:
        return _without_local(agreed, local, remote, side, policy, now)
    return _both(agreed, local, shown, remote, side, now)


def _without_remote(
    agreed: Agreement | None, local: Local, shown: Event | None, side: Capabilities, policy: Policy, *, linked: bool
) -> Decision:
    if shown is None:
        return Drop()
    if not linked:
        return Create(shown)
    edited = agreed is None or bool(changed(agreed.event, lift(shown, agreed.event, local.side), side))
    if edited and not policy.delete_wins:
        return Create(shown)
    return DeleteLocal(hide=not local.deletable)


def _without_local(
    agreed: Agreement | None, local: Local, remote: Remote, side: Capabilities, policy: Policy, now: datetime
) -> Decision:
    there = lift(remote.event, agreed.event, side, agreed.seen) if agreed else remote.event
    if local.event is not None:  # it is here, but does not take place
        moved = agreed is not None and there.when != agreed.event.when
        return Resurrect(there) if moved and order(there.when.start) > now else DeleteRemote()
    edited = agreed is None or there != agreed.event
    return Resurrect(there) if edited and local.revivable and not policy.delete_wins else DeleteRemote()


def _both(
    agreed: Agreement | None, local: Local, shown: Event, remote: Remote, side: Capabilities, now: datetime
) -> Agree:
    base = agreed.event if agreed else None
    here = lift(shown, base, local.side) if base else shown
    there = lift(remote.event, base or here, side, agreed.seen if agreed else None)
    merged = _decided_here(merge(base, here, there, later=_later(local, remote), now=now), base, here, there, local)
    return Agree(
        merged.event,
        write_local=bool(changed(here, merged.event, local.side)),
        write_remote=bool(changed(there, merged.event, side)),
        sent=Sent.of(merged.event, here, there),
        conflicts=merged.conflicts,
    )


def _later(local: Local, remote: Remote) -> Side:
    if remote.updated_at is None or local.updated_at is None:
        return Side.LOCAL
    return Side.REMOTE if remote.updated_at > local.updated_at else Side.LOCAL


def _decided_here(merged: Merged, base: Event | None, here: Event, there: Event, local: Local) -> Merged:
    """What only the local side decides stays as it is here; whoever changed it in the calendar finds that among the
    conflicts."""
    decides = local.side.decides
    kept = {str(name): getattr(here, name) for name in decides}
    refused = tuple(
        Conflict(name, getattr(base, name) if base else None, getattr(here, name), getattr(there, name), Side.LOCAL)
        for name in sorted(decides & changed(base or here, there))
        if getattr(there, name) != getattr(here, name)
    )
    settled = tuple(each for each in merged.conflicts if each.field not in decides)
    return Merged(replace(merged.event, **kept), (*settled, *refused))


def too_many_gone(gone: int, live: int, listed: int) -> bool:
    """Whether a list says so much is missing that it is not believed (calendar-sync.md §4.6 a)."""
    if listed == 0 and live >= CLEAN_LIST and gone > 0:
        return True
    return gone > MANY_GONE and gone * ONE_IN > live
