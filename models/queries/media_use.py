"""Who uses a content: whose it is then, whether the household has it already, and when nobody wants it any more.

Rows are locked in one order, pets, assets, links, usage: who changes what is shown of a pet holds the pet first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVarTuple
from uuid import UUID

from sqlalchemy import Row, Select, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.media.state import AssetState
from models.media import Held, MediaAsset, MediaLink, MediaUpload
from models.queries import storage_usage
from models.queries.clock import database_now
from models.queries.media_work import links, lock

Columns = TypeVarTuple("Columns")
_HOMES: Final = text("SELECT DISTINCT household_id FROM media_links WHERE asset_id = :id AND deleted_at IS NULL")
_WANTS_DATE: Final = text(
    "SELECT EXISTS (SELECT FROM media_links WHERE asset_id = :id AND keeps_captured_at AND deleted_at IS NULL)"
)
_HOLD_PETS: Final = text(
    """SELECT FROM pets WHERE id IN (SELECT pet_id FROM media_links WHERE asset_id = :id AND deleted_at IS NULL)
        ORDER BY id FOR NO KEY UPDATE"""
)
_HOLD: Final = """
SELECT FROM media_assets WHERE id IN (SELECT asset_id FROM media_links WHERE {which} AND deleted_at IS NULL)
 ORDER BY id FOR UPDATE"""
_DELETE: Final = """
UPDATE media_links SET deleted_at = clock_timestamp(), is_current = false WHERE {which} AND deleted_at IS NULL"""
_DOOM_UNUSED: Final = """
UPDATE media_assets m SET doomed_at = clock_timestamp(), held = 'nothing'
  FROM (SELECT id, held FROM media_assets u
         WHERE u.doomed_at IS NULL AND u.id IN (SELECT asset_id FROM media_links WHERE {which})
           AND NOT EXISTS (SELECT FROM media_links l WHERE l.asset_id = u.id AND l.deleted_at IS NULL)
         ORDER BY id FOR UPDATE) unused
 WHERE m.id = unused.id
RETURNING m.id, m.household_id, m.stored_under, m.declared_bytes, unused.held"""
_STRAYED: Final = """
SELECT m.id FROM media_assets m
 WHERE m.state = 'ready' AND m.doomed_at IS NULL AND m.id IN (SELECT asset_id FROM media_links WHERE {which})
   AND NOT EXISTS (SELECT FROM media_links l
                    WHERE l.asset_id = m.id AND l.deleted_at IS NULL AND l.household_id = m.household_id)
 ORDER BY m.id"""


@dataclass(frozen=True, slots=True)
class Doomed:
    """An asset that nobody uses any more, and whose workflow has to hear of it: that of the household it came in,
    wherever its pets have moved since."""

    asset_id: UUID
    stored_under: UUID


async def hold_pets(session: AsyncSession, asset_id: UUID) -> None:
    """Keep the pets as they are for which a content is used, until it is decided what is shown of them."""
    await session.execute(_HOLD_PETS, {"id": asset_id})


async def reread(session: AsyncSession, statement: Select[*Columns]) -> Row[*Columns] | None:
    """The first row of a statement that locks links together with their contents, read once more where nothing came: a
    link that was given another content while this transaction waited for it fits neither in the first reading
    (PostgreSQL, "Read Committed Isolation Level")."""
    return (await session.execute(statement)).first() or (await session.execute(statement)).first()


async def home_of(session: AsyncSession, asset: MediaAsset) -> UUID:
    """The household whose it is: that in which it is used, should its pets have moved; otherwise the one it came in."""
    homes = set((await session.execute(_HOMES, {"id": asset.id})).scalars())
    return asset.household_id if asset.household_id in homes or not homes else min(homes)


async def twin(session: AsyncSession, asset: MediaAsset) -> MediaAsset | None:
    """The same content, ready in the household whose it is; locked, so that it is not doomed meanwhile."""
    query = select(MediaAsset).where(
        col(MediaAsset.household_id) == await home_of(session, asset),
        col(MediaAsset.sha256) == asset.sha256,
        col(MediaAsset.id) != asset.id,
        col(MediaAsset.state) == AssetState.READY,
        col(MediaAsset.doomed_at).is_(None),
    )
    return (await session.scalars(query.with_for_update())).one_or_none()


async def wants_date(session: AsyncSession, asset_id: UUID) -> bool:
    """Whether somebody who uploaded it wants to know when it was taken."""
    return bool((await session.execute(_WANTS_DATE, {"id": asset_id})).scalar_one())


async def merge(session: AsyncSession, asset: MediaAsset, known: MediaAsset) -> None:
    """Let what uses `asset` use `known`; nobody uses `asset` then."""
    if await wants_date(session, asset.id) and not await wants_date(session, known.id):
        known.plan_version = 0  # it is looked at once more, for the date
    for table in (MediaLink, MediaUpload):
        await session.execute(update(table).where(col(table.asset_id) == asset.id).values(asset_id=known.id))
    asset.doomed_at = await database_now(session)
    await storage_usage.hold(session, asset, Held.NOTHING)
    await session.flush()


async def bring_home(session: AsyncSession, asset: MediaAsset) -> MediaAsset:
    """Let a content, whose row is locked, be one of the household whose it is, whether there is room or not. Where that
    has it already, its places use that one. Answers the one that is used."""
    known = await twin(session, asset)
    if known is not None:
        await merge(session, asset, known)
        return known
    held, home = Held(asset.held), await home_of(session, asset)
    if home != asset.household_id:
        await storage_usage.hold(session, asset, Held.NOTHING)
        asset.household_id = home
        await storage_usage.begin(session, home)
        await storage_usage.hold(session, asset, held)
        await session.flush()
    return asset


async def is_doomed(session: AsyncSession, asset: MediaAsset) -> bool:
    """Whether nobody uses the asset, which is locked. A place that came in the moment in which the last one went keeps
    it, or has what its household uses instead."""
    if asset.doomed_at is None or not await links(session, asset.id):
        return asset.doomed_at is not None
    if await bring_home(session, asset) is not asset:
        return True
    asset.doomed_at = None
    await storage_usage.hold(session, asset, Held.USED if asset.state == AssetState.READY else Held.NOTHING)
    return False


async def delete_links(session: AsyncSession, which: str, value: UUID) -> Sequence[Doomed]:
    """Take the links of a column's value (`id`, `thread_id`, `pet_id`, `record_id`, `asset_id`) away; answers the
    assets that nobody uses any more."""
    where, values = f"{which} = :value", {"value": value}
    for step in (_HOLD, _DELETE):
        await session.execute(text(step.format(which=where)), values)
    unused = (await session.execute(text(_DOOM_UNUSED.format(which=where)), values)).all()
    for home in {row.household_id for row in unused}:
        held = [(Held(row.held), row.declared_bytes) for row in unused if row.household_id == home]
        await storage_usage.release(session, home, held)
    return [*(Doomed(row.id, row.stored_under) for row in unused), *await _bring_strayed(session, which, value)]


async def move_pet(session: AsyncSession, pet_id: UUID) -> Sequence[Doomed]:
    """Contents that are used for this pet alone come along with their links; answers those that the new household has
    already. One that is under way comes when it is published, by the workflow that works on it; one that the former
    household uses too when that gives it up."""
    return await _bring_strayed(session, "pet_id", pet_id)


async def _bring_strayed(session: AsyncSession, which: str, value: UUID) -> Sequence[Doomed]:
    """Contents that are shown, and that their household does not use any more, but another one does."""
    found = await session.execute(text(_STRAYED.format(which=f"{which} = :value")), {"value": value})
    doomed = []
    for asset_id in found.scalars().all():
        asset = await lock(session, asset_id)
        if asset is None or asset.state != AssetState.READY or asset.doomed_at is not None:
            continue
        if await bring_home(session, asset) is not asset:
            doomed.append(Doomed(asset.id, asset.stored_under))
    return doomed
