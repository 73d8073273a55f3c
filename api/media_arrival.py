"""The way of large files in parts, and the end of every upload: what storage is asked for. It may not answer for a long
time, so no transaction and no connection is open meanwhile, and its calls have threads of their own."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from api.auth import Caller
from api.media_uploads import FORM_LIVES, find, find_open, is_in_parts
from api.services import Services
from core.errors import Conflict, FieldProblem, Invalid
from domain.media import keys
from domain.media.limits import part_sizes
from domain.media.state import Stage
from integrations.storage.protocol import ObjectMissing, Part
from models.media import UploadState
from models.queries import media_work
from models.queries.media_uploads import Uploading
from temporal import outbox

_T = TypeVar("_T")

_THREADS: Final = ThreadPoolExecutor(16, thread_name_prefix="storage")
"""Not those of the event loop: names are looked up there, for everybody."""


async def sign_parts(services: Services, caller: Caller, upload_id: UUID, numbers: list[int]) -> list[dict[str, Any]]:
    """Where these parts go; the first time, storage is told that they will come. Raises `NotFound`, `NotPermitted`,
    `Conflict`, `Invalid`, `StorageUnavailable`."""
    async with services.db.sessions.begin() as session:
        found = await find_open(session, caller, upload_id)
    sizes = part_sizes(found.asset.declared_bytes)
    if not is_in_parts(found.asset.declared_bytes) or set(numbers) - set(sizes):
        problem = FieldProblem("/numbers", "no_such_part", f"parts have the numbers 1 to {len(sizes)}")
        raise Invalid("There is no such part.", errors=(problem,))
    multipart_id = found.upload.multipart_id or await _begin_multipart(services, caller, found)
    asked = {number: sizes[number] for number in sorted(set(numbers))}
    urls = services.storage.part_urls(_key(found), multipart_id, asked, expires_in=FORM_LIVES)
    return [{"number": number, "size": size, "url": urls[number]} for number, size in asked.items()]


async def parts(services: Services, caller: Caller, upload_id: UUID) -> dict[str, Any]:
    """The document of `PartsOut`. Raises `NotFound`, `StorageUnavailable`."""
    async with services.db.sessions() as session:
        found = await find(session, caller, upload_id)
    missing = _missing(found, await _arrived(services, found) or ())
    return {
        "items": [
            {"number": number, "size": size}
            for number, size in part_sizes(found.asset.declared_bytes).items()
            if number not in missing
        ],
        "missing": missing,
    }


async def complete(services: Services, caller: Caller, upload_id: UUID) -> Uploading:
    """Take over what arrived: from now on its workflow decides. Repeating it changes nothing. Raises `NotFound`,
    `Conflict` (`upload_expired`, `parts_missing`), `NotPermitted`, `StorageUnavailable`."""
    async with services.db.sessions.begin() as session:
        before = await find_open(session, caller, upload_id, completed=True)
    if before.upload.state == UploadState.COMPLETED:
        return before
    if is_in_parts(before.asset.declared_bytes):
        await _join_parts(services, before)
    async with services.db.sessions.begin() as session:
        found = await find_open(session, caller, upload_id, completed=True)
        if found.upload.state == UploadState.OPEN:
            found.upload.state = UploadState.COMPLETED
            await media_work.look_anew(session, found.asset)
            await media_work.advance(session, found.asset, Stage.VERIFYING)
            await outbox.ring_media(session, found.asset.stored_under, found.asset.id)
    return found


async def _begin_multipart(services: Services, caller: Caller, found: Uploading) -> str:
    """Storage's id of it. Of two that are begun at once the first to be written counts; one that is lost has no parts,
    and is ended by the lifecycle of the bucket, or goes with the upload."""
    begin = partial(services.storage.begin_multipart, _key(found), content_type=found.asset.declared_type)
    begun = await _ask(begin)
    async with services.db.sessions.begin() as session:
        upload = (await find_open(session, caller, found.upload.id)).upload
        upload.multipart_id = upload.multipart_id or begun
        return upload.multipart_id


async def _join_parts(services: Services, found: Uploading) -> None:
    """Make one object of the parts, if that was not done before. Raises `Conflict` where some have not arrived."""
    arrived, multipart_id = await _arrived(services, found), found.upload.multipart_id
    if arrived is None:
        return
    missing = _missing(found, arrived)
    if missing or multipart_id is None:
        raise Conflict("Not all parts have arrived.", code="parts_missing", extra={"missing": missing})
    with suppress(ObjectMissing):  # somebody else was quicker
        await _ask(partial(services.storage.finish_multipart, _key(found), multipart_id, arrived))


async def _arrived(services: Services, found: Uploading) -> list[Part] | None:
    """None: storage knows of no such parts any more, because they were joined; else the workflow finds nothing."""
    if found.upload.multipart_id is None:
        return []
    try:
        return list(await _ask(partial(services.storage.parts, _key(found), found.upload.multipart_id)))
    except ObjectMissing:
        return None


def _missing(found: Uploading, arrived: Iterable[Part]) -> list[int]:
    sizes, present = part_sizes(found.asset.declared_bytes), {each.number: each.size for each in arrived}
    return [number for number, size in sizes.items() if present.get(number) != size]


def _key(found: Uploading) -> str:
    return keys.upload(found.asset.stored_under, found.asset.id)


async def _ask(call: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)
