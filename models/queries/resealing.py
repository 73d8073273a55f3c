"""Words about a pet under the key of the household it lives in now: page by page, each row once.

A row tells by its ciphertext whose key it is under, so a run that died is taken up where it stopped.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import FieldCipher, Subject


@dataclass(frozen=True, slots=True)
class SealedTable:
    """Columns sealed under the household's key; `of_pet` finds a pet's rows, `bound_to` names the id in the AAD."""

    name: str
    columns: tuple[str, ...]
    of_pet: str = "t.pet_id = :pet_id"
    bound_to: str = "id"


TABLES: Final = (
    SealedTable("pets", ("name_ct",), of_pet="t.id = :pet_id"),
    SealedTable("microchips", ("code_ct", "code_as_entered_ct")),
    SealedTable("health_records", ("title_ct", "description_ct", "veterinarian_ct")),
    SealedTable("reminders", ("title_ct", "description_ct")),
    SealedTable("appointments", ("title_ct", "notes_ct", "location_ct")),
    SealedTable(
        "appointment_overrides",
        ("title_ct", "notes_ct", "location_ct"),
        of_pet="t.appointment_id IN (SELECT id FROM appointments WHERE pet_id = :pet_id)",
    ),
    SealedTable(
        "doses",
        ("override_reason_ct",),
        of_pet="t.reminder_id IN (SELECT id FROM reminders WHERE pet_id = :pet_id)",
        bound_to="occurrence_id",
    ),
    SealedTable("media_links", ("name_ct",)),
    SealedTable(
        "media_assets",
        ("captured_at_ct",),
        of_pet="t.id IN (SELECT asset_id FROM media_links WHERE pet_id = :pet_id)",
    ),
    SealedTable("pet_tags", ("note_ct", "care_note_ct")),
)


async def reseal(
    session: AsyncSession, cipher: FieldCipher, table: SealedTable, pet_id: UUID, household_id: UUID, limit: int
) -> int:
    """Seal up to `limit` rows under the key of this household; answers how many there were.

    The words stay, and with them version and time of change. Raises `SubjectErased`, `CiphertextInvalid`.
    """
    subject = Subject.household(household_id)
    foreign = " OR ".join(f"t.{name} NOT LIKE :ours" for name in table.columns)
    rows = text(
        f"""SELECT t.id, t.{table.bound_to} AS bound_to, {", ".join(f"t.{name}" for name in table.columns)}
              FROM {table.name} t WHERE {table.of_pet} AND ({foreign}) ORDER BY t.id LIMIT :limit FOR NO KEY UPDATE"""  # noqa: S608 - our own names
    )
    write = text(
        f"""UPDATE {table.name} t SET {", ".join(f"{name} = :{name}" for name in table.columns)}
             WHERE {table.of_pet} AND t.id = :id"""  # noqa: S608 - our own names
    )
    found = (
        (await session.execute(rows, {"pet_id": pet_id, "ours": f"v1.{subject}:%", "limit": limit})).mappings().all()
    )
    for row in found:
        sealed = {}
        for name in table.columns:
            column = f"{table.name}.{name}"
            words = await cipher.open_optional(column, row["bound_to"], row[name])
            sealed[name] = await cipher.seal_optional(subject, column, row["bound_to"], words)
        await session.execute(write, {"pet_id": pet_id, "id": row["id"], **sealed})
    return len(found)
