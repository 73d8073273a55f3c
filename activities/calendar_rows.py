"""What the sync remembers of a pair, as the JSON that is sealed into `…_ct` columns, and back."""

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from core.crypto import FieldCipher, Subject
from domain.calendar import Event, Field
from domain.calendar_json import from_json, read_point, to_json, value_from_json, value_to_json
from domain.calendar_merge import Conflict, Side
from domain.calendar_sync import Agreement, Intent, Op, Sent
from models.queries import calendar_external

AGREED: Final = "event_links.agreed_ct"
INTENT: Final = "event_links.intent_ct"
PAYLOAD: Final = "calendar_inbox_items.payload_ct"
VALUES: Final = "calendar_conflicts.values_ct"


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals for one person, whose calendar it is."""

    cipher: FieldCipher
    user_id: UUID

    async def seal(self, column: str, row_id: UUID, document: Any) -> str:
        """Raises `SubjectErased`."""
        return await self.cipher.seal(Subject.user(self.user_id), column, row_id, json.dumps(document))

    async def open(self, column: str, row_id: UUID, sealed: str | None) -> Any:
        """None stays None."""
        return None if sealed is None else json.loads(await self.cipher.open(column, row_id, sealed))

    async def seal_agreed(self, row_id: UUID, agreed: Agreement | None) -> str | None:
        """`event_links.agreed_ct`."""
        return None if agreed is None else await self.seal(AGREED, row_id, _agreement_to_json(agreed))

    async def open_agreed(self, row_id: UUID, sealed: str | None) -> Agreement | None:
        """The inverse."""
        written = await self.open(AGREED, row_id, sealed)
        return written and _agreement_from_json(written)

    async def seal_intent(self, row_id: UUID, intent: Intent | None) -> str | None:
        """`event_links.intent_ct`."""
        return None if intent is None else await self.seal(INTENT, row_id, _intent_to_json(intent))

    async def open_intent(self, row_id: UUID, sealed: str | None) -> Intent | None:
        """The inverse."""
        written = await self.open(INTENT, row_id, sealed)
        return written and _intent_from_json(written)

    async def seal_shown(self, row_id: UUID, event: Event) -> str:
        """`calendar_inbox_items.event_ct`; the api opens it."""
        return await self.seal(calendar_external.COLUMN, row_id, to_json(event))

    async def seal_values(self, row_id: UUID, conflict: Conflict) -> str:
        """`calendar_conflicts.values_ct`: all three values."""
        values = {name: value_to_json(getattr(conflict, name)) for name in ("base", "local", "remote")}
        return await self.seal(VALUES, row_id, values)


def _agreement_to_json(agreed: Agreement) -> dict[str, Any]:
    seen = {} if agreed.seen == agreed.event else {"seen": to_json(agreed.seen)}
    return {"event": to_json(agreed.event), **seen}


def _agreement_from_json(written: dict[str, Any]) -> Agreement:
    event = from_json(written["event"])
    return Agreement(event, from_json(written["seen"]) if "seen" in written else event)


def _intent_to_json(intent: Intent) -> dict[str, Any]:
    return {
        "op": intent.op,
        "remote_id": intent.remote_id,
        "event": to_json(intent.event),
        "agreed": intent.agreed and _agreement_to_json(intent.agreed),
        "generation": intent.generation,
        "sent": sorted(intent.sent.fields),
        "sent_overrides": sorted(point.isoformat() for point in intent.sent.overrides),
        "conflicts": [_conflict_to_json(each) for each in intent.conflicts],
        "owed": [_conflict_to_json(each) for each in intent.owed],
    }


def _intent_from_json(written: dict[str, Any]) -> Intent:
    event: Event = from_json(written["event"])
    return Intent(
        op=Op(written["op"]),
        remote_id=written["remote_id"],
        event=event,
        agreed=written["agreed"] and _agreement_from_json(written["agreed"]),
        generation=written["generation"],
        sent=Sent(frozenset(map(Field, written["sent"])), frozenset(map(read_point, written["sent_overrides"]))),
        conflicts=tuple(map(_conflict_from_json, written["conflicts"])),
        owed=tuple(map(_conflict_from_json, written["owed"])),
    )


def _conflict_to_json(conflict: Conflict) -> dict[str, Any]:
    return {
        "field": conflict.field,
        "base": value_to_json(conflict.base),
        "local": value_to_json(conflict.local),
        "remote": value_to_json(conflict.remote),
        "winner": conflict.winner,
        "original": conflict.original and conflict.original.isoformat(),
    }


def _conflict_from_json(written: dict[str, Any]) -> Conflict:
    name = Field(written["field"])
    return Conflict(
        field=name,
        base=value_from_json(name, written["base"]),
        local=value_from_json(name, written["local"]),
        remote=value_from_json(name, written["remote"]),
        winner=Side(written["winner"]),
        original=written["original"] and read_point(written["original"]),
    )
