"""How much room a household has for media, counted before an upload begins: two at once do not both take the last
megabyte. Whoever changes an asset's share holds the asset's row."""

from collections import Counter
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.media.limits import QuotaExceeded
from models.media import Held, MediaAsset

_BEGIN: Final = text("INSERT INTO storage_usage (household_id) VALUES (:home) ON CONFLICT DO NOTHING")
_RESERVE: Final = text(
    """UPDATE storage_usage SET reserved = reserved + :bytes, updated_at = clock_timestamp()
        WHERE household_id = :home AND used + reserved + :bytes <= :quota RETURNING household_id"""
)
_COUNT: Final = text("SELECT used, reserved FROM storage_usage WHERE household_id = :home")
_MOVE: Final = text(
    """UPDATE storage_usage SET used = used + :used, reserved = reserved + :reserved, updated_at = clock_timestamp()
        WHERE household_id = :home"""
)


async def reserve(session: AsyncSession, household_id: UUID, size: int, quota: int) -> None:
    """Keep room for an upload; it is released when that comes to nothing. Raises `QuotaExceeded`."""
    await begin(session, household_id)
    values = {"home": household_id, "bytes": size, "quota": quota}
    if (await session.execute(_RESERVE, values)).first() is None:
        raise QuotaExceeded.of(quota, sum(await counts(session, household_id)), size)


async def begin(session: AsyncSession, household_id: UUID) -> None:
    """Whatever is counted for a household is counted in its row."""
    await session.execute(_BEGIN, {"home": household_id})


async def release(session: AsyncSession, household_id: UUID, sizes: Iterable[tuple[Held, int]]) -> None:
    """Contents of these sizes, which were counted as `Held` says, are not any more."""
    freed = Counter[Held]()
    for held, size in sizes:
        freed[held] += size
    values = {"home": household_id, "used": -freed[Held.USED], "reserved": -freed[Held.RESERVED]}
    await session.execute(_MOVE, values)


async def counts(session: AsyncSession, household_id: UUID) -> tuple[int, int]:
    """(used, reserved) bytes."""
    row = (await session.execute(_COUNT, {"home": household_id})).first()
    return (0, 0) if row is None else (row.used, row.reserved)


async def hold(session: AsyncSession, asset: MediaAsset, held: Held) -> None:
    """Count an asset, whose row is locked, as `held` says from now on; saying it twice changes nothing."""
    change = {Held.USED: 0, Held.RESERVED: 0, Held.NOTHING: 0}
    change[Held(asset.held)] -= asset.declared_bytes
    change[held] += asset.declared_bytes
    asset.held = held
    values = {"home": asset.household_id, "used": change[Held.USED], "reserved": change[Held.RESERVED]}
    if values["used"] or values["reserved"]:
        await session.execute(_MOVE, values)
