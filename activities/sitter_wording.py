"""What mails about a sitter's grant say: opened on the way out, and sealed again under the key of whoever gets it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import FieldCipher, SubjectErased
from domain.access import Right
from domain.grant import Span
from domain.household import speakable
from domain.reminder_series import OccurrenceState
from models.household import Grant
from models.queries import grants
from models.queries.sitter_summaries import Happened
from models.user import User

LINES_SHOWN: Final = 30
"""Of one section of a summary; the rest is counted."""
_SECTIONS: Final = {
    OccurrenceState.DONE: "done",
    OccurrenceState.SKIPPED: "skipped",
    OccurrenceState.MISSED: "missed",
    OccurrenceState.DUE: "open",
}

Params = dict[str, object]
"""JSON: names, and instants with the offset of the reader's clock."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is said to whom a grant is given: `speakable` to an address, which may be a stranger's; `account_id` is the
    account of that address, if there is one."""

    params: Params
    speakable: Params
    account_id: UUID | None
    suppressed: bool


class SitterWording:
    """See the module."""

    def __init__(self, cipher: FieldCipher) -> None:
        self.cipher = cipher

    async def given(self, session: AsyncSession, row: Grant) -> Given:
        """The words of an offer, or of what somebody known is given."""
        words = await grants.mail_words(session, row.id)
        giver = await self._name("users.first_name_ct", row.granted_by, words["giver_name_ct"])
        household = await self._name("households.name_ct", row.household_id, words["household_name_ct"])
        params = await self.scope(session, row) | {
            "giver": giver,
            "household": household,
            "asked": row.user_id is None,
            "acts": Right.ACT in row.actions,
            "adds": Right.ADD_RECORD in row.actions,
        }
        said: Params = {"giver": giver and speakable(giver), "household": household and speakable(household)}
        pets = [name for name in await self._pets(session, row) if speakable(name)]
        return Given(params, params | said | {"pets": pets}, words["account_id"], words["suppressed"])

    async def scope(self, session: AsyncSession, row: Grant) -> Params:
        """Which animals, from when until when, on the clock of whoever looks after them."""
        sitter = await session.get(User, row.user_id) if row.user_id else None
        zone = ZoneInfo(sitter.timezone if sitter else (await grants.mail_words(session, row.id))["home_tzid"])
        return {
            "pets": await self._pets(session, row),
            "begins": row.valid_from.astimezone(zone).isoformat(),
            "ends": row.valid_until.astimezone(zone).isoformat(),
        }

    async def summary(self, session: AsyncSession, row: Grant, happened: Happened, span: Span, timezone: str) -> Params:
        """What was done, skipped and missed, is still open, and was added, on the owner's clock."""
        zone = ZoneInfo(timezone)
        lines: dict[str, list[Params]] = {"done": [], "skipped": [], "missed": [], "open": [], "added": []}
        for found in happened.occurrences:
            section = _SECTIONS[OccurrenceState(found["state"])]
            at = found["instant"] if section in ("open", "missed") else found["at"]
            lines[section].append(await self._line(found, "reminders.title_ct", found["reminder_id"], at, zone))
        for found in happened.records:
            lines["added"].append(await self._line(found, "health_records.title_ct", found["id"], found["at"], zone))
        sitter = await session.get(User, row.user_id)
        return {
            "grant_id": str(row.id),
            "sitter": sitter and await self._name("users.first_name_ct", sitter.id, sitter.first_name_ct),
            "until": span.end.astimezone(zone).isoformat(),
            "sections": [
                (name, found[:LINES_SHOWN], max(0, len(found) - LINES_SHOWN)) for name, found in lines.items() if found
            ],
        }

    async def _line(self, found: RowMapping, column: str, row_id: UUID, at: datetime, zone: ZoneInfo) -> Params:
        by = found["by_id"] and await self._name("users.first_name_ct", found["by_id"], found["by_name_ct"])
        return {
            "title": await self.cipher.open(column, row_id, found["title_ct"]),
            "pet": await self.cipher.open("pets.name_ct", found["pet_id"], found["pet_name_ct"]),
            "at": at.astimezone(zone).isoformat(),
            "by": by,
        }

    async def _pets(self, session: AsyncSession, row: Grant) -> list[str]:
        sealed = await grants.pets_in(session, row.household_id, row.pet_ids)
        return [await self.cipher.open("pets.name_ct", pet_id, name_ct) for pet_id, name_ct in sealed.items()]

    async def _name(self, column: str, row_id: UUID, sealed: str | None) -> str | None:
        """A name; None for who gave none, and for who was forgotten."""
        try:
            return await self.cipher.open_optional(column, row_id, sealed)
        except SubjectErased:
            return None
