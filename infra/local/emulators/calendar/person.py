"""Somebody at their own calendar: what `/_control/remote`, races and the page do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from infra.local.emulators.calendar.call import World
from infra.local.emulators.calendar.google_events import NOT_FOUND, GoogleEvents
from infra.local.emulators.calendar.graph_events import GraphEvents
from infra.local.emulators.calendar.hands import GoogleHand, GraphHand, Hand
from infra.local.emulators.calendar.store import Calendar, Document, Provider

_FIELDS: Final = frozenset({"title", "notes", "location", "start", "end", "zone", "all_day", "repeats"})


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done. `fields` are plain words (`_FIELDS`), `body` is the vendor's JSON and wins over them; `calendar` is
    an id, or None for the account's own."""

    provider: Provider
    account: str
    action: str
    calendar: str | None = None
    event: str = ""
    occurrence: str | None = None
    to: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: Document = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.provider not in ("google", "microsoft") or (unknown := set(self.fields) - _FIELDS):
            raise ValueError(f"not a provider, or no fields: {self.provider} {unknown}")


class Person:
    """See the module."""

    def __init__(self, world: World, google: GoogleEvents, graph: GraphEvents) -> None:
        self._world = world
        self._hands: Mapping[Provider, Hand] = {"google": GoogleHand(google), "microsoft": GraphHand(graph)}

    def does(self, about: Mapping[str, Any]) -> str:
        """One deed, in one transaction; the id of the event. Raises `ValueError` and the vendor's refusals."""
        deed = Deed(**about)
        with self._world.store.transaction():
            return self._do(deed, self._hands[deed.provider])

    def calendar(self, provider: Provider, account: str, calendar_id: str | None) -> Calendar:
        """A calendar of somebody; their own without an id. Raises the refusal 404."""
        with self._world.store.transaction():
            own = self._world.primary(provider, account)
            found = self._world.store.calendar(provider, account, calendar_id) if calendar_id else own
            if found is None:
                raise NOT_FOUND
            return found

    def _do(self, deed: Deed, hand: Hand) -> str:
        calendar = self.calendar(deed.provider, deed.account, deed.calendar)
        body = hand.plain(deed.fields) | deed.body
        match deed.action:
            case "create":
                return hand.create(calendar, body)
            case "edit":
                return hand.edit(calendar, deed.event, deed.occurrence, body)
            case "delete":
                return hand.delete(calendar, deed.event, deed.occurrence)
            case "move" | "copy":
                to = self.calendar(deed.provider, deed.account, deed.to or deed.calendar)
                return (hand.move if deed.action == "move" else hand.copy)(calendar, deed.event, to)
            case "split":
                return hand.split(calendar, deed.event, str(deed.occurrence), body)
            case _:
                raise ValueError(f"no such action: {deed.action}")
