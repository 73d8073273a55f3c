"""Uploads over HTTP: reserve room, sign where the bytes go, take over what arrived. The bytes never pass through here;
whether they are what was promised, the workflow finds out."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import media
from api.access import require_in
from api.auth import Caller
from api.idempotency import Once
from api.schemas.media import UploadIn
from api.services import Services
from core.crypto import Subject
from core.errors import Conflict, FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain.access import Access, Right
from domain.media import keys, names
from domain.media.limits import MULTIPART_ABOVE, PART_BYTES, Purpose, check_upload, part_sizes
from domain.media.state import SETTLED, AssetState, Stage
from integrations.storage.protocol import ObjectMissing, Part
from models.media import UploadState
from models.queries import health_records, limits, media_uploads, media_use, media_work, pets, storage_usage
from models.queries import media as media_queries
from models.queries.clock import database_now
from models.queries.media_uploads import Content, Place, Uploading
from temporal import outbox

FORM_LIVES: Final = timedelta(hours=1)
PARTS_LIVE: Final = timedelta(hours=24)
"""For somebody whose train is in a tunnel; each address of a part is good for an hour."""


async def begin(session: AsyncSession, services: Services, caller: Caller, body: UploadIn) -> Uploading:
    """Reserve the room for an upload. Raises `NotFound`, `NotPermitted`, `PetReadOnly`, `Invalid`, `QuotaExceeded`."""
    place = await _place(session, caller, body)
    check_upload(body.purpose, body.content_type, body.size)
    quota = await limits.storage(session, place.household_id)
    await storage_usage.reserve(session, place.household_id, body.size, quota)
    link_id, subject = new_id(), Subject.household(place.household_id)
    name_ct = await services.cipher.seal(subject, media.NAME, link_id, names.clean(body.filename))
    content = Content(
        content_type=body.content_type,
        size=body.size,
        sha256=bytes.fromhex(body.sha256),
        keeps_captured_at=body.keep_captured_at,
    )
    lives = PARTS_LIVE if is_in_parts(body.size) else FORM_LIVES
    until = await database_now(session) + lives
    return await media_uploads.begin(session, place, content, caller.user_id, name_ct, link_id, until)


async def may_begin(session: AsyncSession, caller: Caller, shown: Mapping[str, Any]) -> None:
    """Whether the caller may still add where this upload goes. Raises `NotFound`, `NotPermitted`."""
    await require_in(session, caller, UUID(shown["household_id"]), Right.ADD_RECORD)


OnceBegun = Once(may_begin)


def is_in_parts(size: int) -> bool:
    """Whether a content comes in parts rather than in one form."""
    return size > MULTIPART_ABOVE


async def present(services: Services, found: Uploading) -> dict[str, Any]:
    """The document of `UploadOut`. The form is signed anew for as long as the upload is open."""
    upload, asset = found.upload, found.asset
    in_parts, is_open = is_in_parts(asset.declared_bytes), upload.state == UploadState.OPEN
    return {
        "id": upload.id,
        "media_id": upload.link_id,
        "household_id": upload.household_id,
        "status": upload.state,
        "state": asset.state,
        "stage": asset.stage,
        "percent": asset.percent,
        "reason": media.present_reason(asset.reason),
        "form": None if in_parts or not is_open else _form(services, found),
        "part_size": PART_BYTES if in_parts else None,
        "part_count": len(part_sizes(asset.declared_bytes)) if in_parts else None,
        "expires_at": upload.expires_at,
    }


async def find(session: AsyncSession, caller: Caller, upload_id: UUID, *, lock: bool = False) -> Uploading:
    """An upload of the caller's. Raises `NotFound` for that of others, and for what they do not reach any more."""
    return (await _reached(session, caller, upload_id, lock=lock))[0]


async def sign_parts(
    session: AsyncSession, services: Services, caller: Caller, upload_id: UUID, numbers: list[int]
) -> list[dict[str, Any]]:
    """Where these parts go; the first time, storage is told that they will come. Raises `NotFound`, `Conflict`,
    `Invalid`, `StorageUnavailable`."""
    found = await _open(session, caller, upload_id)
    sizes = part_sizes(found.asset.declared_bytes)
    unknown = sorted(set(numbers) - set(sizes))
    if not is_in_parts(found.asset.declared_bytes) or unknown:
        problem = FieldProblem("/numbers", "no_such_part", f"parts have the numbers 1 to {len(sizes)}")
        raise Invalid("There is no such part.", errors=(problem,))
    key = keys.upload(found.asset.stored_under, found.asset.id)
    if found.upload.multipart_id is None:
        content_type = found.asset.declared_type
        found.upload.multipart_id = await asyncio.to_thread(
            services.storage.begin_multipart, key, content_type=content_type
        )
    asked = {number: sizes[number] for number in sorted(set(numbers))}
    urls = services.storage.part_urls(key, found.upload.multipart_id, asked, expires_in=FORM_LIVES)
    return [{"number": number, "size": size, "url": urls[number]} for number, size in asked.items()]


async def parts(services: Services, found: Uploading) -> dict[str, Any]:
    """The document of `PartsOut`. Raises `StorageUnavailable`."""
    sizes = part_sizes(found.asset.declared_bytes)
    missing = _missing(found, await _arrived(services, found) or ())
    return {
        "items": [{"number": number, "size": size} for number, size in sizes.items() if number not in missing],
        "missing": missing,
    }


async def complete(session: AsyncSession, services: Services, caller: Caller, upload_id: UUID) -> Uploading:
    """Take over what arrived: from now on its workflow decides. Repeating it changes nothing. Raises `NotFound`,
    `Conflict` (`upload_expired`, `parts_missing`), `NotPermitted`, `StorageUnavailable`."""
    before, allowed = await _reached(session, caller, upload_id)
    if before.upload.state == UploadState.COMPLETED:
        return before
    _require(allowed, before)
    if is_in_parts(before.asset.declared_bytes):
        await _join_parts(services, before)
    found = await _open(session, caller, upload_id, completed=True)
    if found.upload.state == UploadState.OPEN:
        found.upload.state, found.asset.state = UploadState.COMPLETED, AssetState.SCANNING
        await media_work.advance(session, found.asset, Stage.VERIFYING)
        await outbox.ring_media(session, found.asset.household_id, found.asset.id)
    return found


async def abort(session: AsyncSession, caller: Caller, upload_id: UUID) -> None:
    """Take it back, as long as nobody else can see it. Raises `NotFound`, `Conflict` for what is published."""
    found = await find(session, caller, upload_id, lock=True)
    if found.asset.state == AssetState.READY:
        raise Conflict("It is published already: delete the media instead.", code="already_published")
    if found.upload.state == UploadState.OPEN:
        found.upload.state = UploadState.ABORTED
    await session.flush()
    await media.let_go(session, await media_use.delete_links(session, "id", found.link.id))


async def _place(session: AsyncSession, caller: Caller, body: UploadIn) -> Place:
    """Where it goes, locked, for who may put it there."""
    if body.record_id is not None:
        found = await health_records.lock(session, caller.user_id, body.record_id)
        if found is None:
            raise NotFound("no such record")
        record, allowed = found
        return await _in(session, caller, body, record.household_id, record.pet_id, allowed)
    assert body.pet_id is not None  # noqa: S101 - `UploadIn.has_one_place`
    of_pet = await pets.lock(session, caller.user_id, body.pet_id)
    if of_pet is None:
        raise NotFound("no such pet")
    return await _in(session, caller, body, of_pet[0].household_id, of_pet[0].id, of_pet[1])


async def _in(
    session: AsyncSession, caller: Caller, body: UploadIn, household_id: UUID, pet_id: UUID, allowed: Access
) -> Place:
    media.require_for(allowed, body.purpose, replaces=body.replaces is not None)
    return Place(
        household_id=household_id,
        pet_id=pet_id,
        record_id=body.record_id,
        purpose=body.purpose,
        thread_id=await _thread(session, caller, body, pet_id),
    )


async def _thread(session: AsyncSession, caller: Caller, body: UploadIn, pet_id: UUID) -> UUID | None:
    """What it is a newer version of, in the same place. Raises `NotFound`."""
    if body.replaces is None:
        return await media_uploads.photo_thread(session, pet_id) if body.purpose is Purpose.PROFILE_PHOTO else None
    found = await media_queries.lock(session, caller.user_id, body.replaces)
    if found is None or (found[0].pet_id, found[0].record_id, found[0].purpose) != (
        pet_id,
        body.record_id,
        body.purpose,
    ):
        raise NotFound("no such media")
    return found[0].thread_id


async def _reached(
    session: AsyncSession, caller: Caller, upload_id: UUID, *, lock: bool = False
) -> tuple[Uploading, Access]:
    """As `find`, with what the caller may do there by now."""
    found = await media_uploads.find(session, caller.user_id, upload_id, lock=lock)
    if found is None:
        raise NotFound("no such upload")
    return found


def _require(allowed: Access, found: Uploading) -> None:
    """Whether they may still put it there. Raises `NotPermitted`, `PetReadOnly`."""
    media.require_for(allowed, Purpose(found.link.purpose), replaces=found.link.thread_id != found.link.id)


async def _open(session: AsyncSession, caller: Caller, upload_id: UUID, *, completed: bool = False) -> Uploading:
    """The upload, locked, while bytes may come and the caller may still put them there. `completed`: or when they have.
    Raises `NotFound`, `NotPermitted`, `PetReadOnly`, `Conflict`."""
    found, allowed = await _reached(session, caller, upload_id, lock=True)
    if completed and found.upload.state == UploadState.COMPLETED:
        return found
    _require(allowed, found)
    is_late = found.upload.expires_at <= await database_now(session)
    is_over = found.upload.state != UploadState.OPEN or found.asset.state in SETTLED
    if is_late or is_over or found.link.deleted_at is not None:
        raise Conflict("This upload is over: begin another one.", code="upload_over")
    return found


async def _join_parts(services: Services, found: Uploading) -> None:
    """Make one object of the parts, if that was not done before. Raises `Conflict` where some have not arrived."""
    arrived, multipart_id = await _arrived(services, found), found.upload.multipart_id
    if arrived is None:
        return
    missing = _missing(found, arrived)
    if missing or multipart_id is None:
        raise Conflict("Not all parts have arrived.", code="parts_missing", extra={"missing": missing})
    key = keys.upload(found.asset.stored_under, found.asset.id)
    with suppress(ObjectMissing):  # somebody else was quicker
        await asyncio.to_thread(services.storage.finish_multipart, key, multipart_id, arrived)


async def _arrived(services: Services, found: Uploading) -> list[Part] | None:
    """None: storage knows of no such parts any more, because they were joined; else the workflow finds nothing."""
    if found.upload.multipart_id is None:
        return []
    key = keys.upload(found.asset.stored_under, found.asset.id)
    try:
        return list(await asyncio.to_thread(services.storage.parts, key, found.upload.multipart_id))
    except ObjectMissing:
        return None


def _missing(found: Uploading, arrived: Iterable[Part]) -> list[int]:
    sizes, present = part_sizes(found.asset.declared_bytes), {each.number: each.size for each in arrived}
    return [number for number, size in sizes.items() if present.get(number) != size]


def _form(services: Services, found: Uploading) -> dict[str, Any]:
    asset = found.asset
    form = services.storage.upload_form(
        keys.upload(asset.stored_under, asset.id),
        content_type=asset.declared_type,
        size=asset.declared_bytes,
        sha256=asset.sha256.hex(),
        expires_in=FORM_LIVES,
    )
    return {"url": form.url, "fields": dict(form.fields)}
