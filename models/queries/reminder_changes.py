"""What a decision about a reminder changed, written: rows, doses, the ledger of what was closed."""

from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from core import live
from core.crypto import FieldCipher, Subject
from core.live import Name
from domain import reminder_series
from domain.recurrence import AfterCompletion
from domain.reminder_series import Change, Series
from models.queries import doses, reminder_notices, reminders
from models.queries.reminders import Locked

_SAID: Final = text(
    "SELECT title_ct, description_ct, version, updated_at FROM reminders WHERE id = :id AND deleted_at IS NULL"
)
_RENAME: Final = text(
    "UPDATE reminders SET title_ct = :title_ct, description_ct = :description_ct WHERE id = :reminder_id"
)


async def keep(
    session: AsyncSession, locked: Locked, change: Change, *, reworded: bool = False, reason_ct: str | None = None
) -> bool:
    """Write it, and say it to whoever watches. Whether the reminder's workflow has to hear of it.

    `reason_ct`: why a dose was given against its guard, sealed.
    """
    series = change.series
    if series == locked.series and not reworded:
        return False
    ids = await reminders.save(session, locked, series, reworded=reworded)
    await doses.record(session, ids, change, series.reminder_id, reason_ct)
    for reason, keys in reminder_series.closed(locked.series, series).items():
        gone = [ids[key] for key in keys]
        await reminder_notices.withdraw(session, gone, reason)
        for occurrence_id in gone:
            live.say(session, locked.members, Name.NOTIFICATION_WITHDRAWN, occurrence_id=occurrence_id)
    return series != locked.series


async def said(session: AsyncSession, reminder_id: UUID) -> RowMapping | None:
    """`title_ct, description_ct, version, updated_at`; None when it is gone."""
    return (await session.execute(_SAID, {"id": reminder_id})).mappings().one_or_none()


async def rename(session: AsyncSession, cipher: FieldCipher, series: Series, title: str, notes: str) -> None:
    """Other words, sealed under the household's key. `keep(…, reworded=True)` follows."""
    household = Subject.household(series.household_id)
    sealed = {
        name: await cipher.seal_optional(household, f"reminders.{name}_ct", series.reminder_id, words or None)
        for name, words in (("title", title), ("description", notes))
    }
    row = {f"{name}_ct": ciphertext for name, ciphertext in sealed.items()}
    await session.execute(_RENAME, {"reminder_id": series.reminder_id, **row})


def calendars_differ(before: Series, after: Series) -> bool:
    """Whether a calendar shows something else now. A dose that was given moves nothing there, unless what comes next
    depends on it."""
    shown = [(each.schedule, each.state, each.zone) for each in (before, after)]
    return shown[0] != shown[1] or (isinstance(after.schedule, AfterCompletion) and before.next_at != after.next_at)
