"""/media, and what is shown of it below /pets and /health-records."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api import media, media_arrival, media_uploads
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.health_records import ReadableRecord
from api.households import ReadableHousehold
from api.json_response import computed, document, listing
from api.media import ReadableMedia, WritableMedia
from api.pets import ReadablePet
from api.routing import router as make_router
from api.schemas.media import MediaOut, MediaPage, PartsIn, PartsOut, PartUrlsOut, StorageOut, UploadIn, UploadOut
from models.queries import limits, storage_usage
from models.queries import media as queries

router = make_router("/media", "media")
of_pets: APIRouter = make_router("/pets", "media")
of_records: APIRouter = make_router("/health-records", "media")
of_households: APIRouter = make_router("/households", "media")
OnceBegun = Annotated[None, Depends(media_uploads.OnceBegun)]


@router.post("/uploads", operation_id="begin_upload", status_code=201, response_model=UploadOut)
async def begin_upload(
    body: UploadIn, caller: CurrentUser, session: UnitOfWork, services: ServicesDep, _: OnceBegun
) -> Response:
    """Announce a file. You are answered where to send it; the room it takes is kept for you until then. 409
    `quota_exceeded` where the plan has none."""
    found = await media_uploads.begin(session, services, caller, body)
    answer = computed(await media_uploads.present(services, found), status=201)
    answer.headers["Location"] = f"/api/v1/media/uploads/{found.upload.id}"
    return answer


@router.get("/uploads/{upload_id}", operation_id="get_upload", response_model=UploadOut)
async def get_upload(upload_id: UUID, caller: CurrentUser, session: UnitOfWork, services: ServicesDep) -> Response:
    """How far it is. The same is told live, as `media.progress`."""
    return computed(await media_uploads.present(services, await media_uploads.find(session, caller, upload_id)))


@router.post("/uploads/{upload_id}/parts", operation_id="sign_upload_parts", response_model=PartUrlsOut)
async def sign_upload_parts(upload_id: UUID, body: PartsIn, caller: CurrentUser, services: ServicesDep) -> Response:
    """Where to send these parts. Ask again for what did not get through."""
    return computed({"items": await media_arrival.sign_parts(services, caller, upload_id, body.numbers)})


@router.get("/uploads/{upload_id}/parts", operation_id="list_upload_parts", response_model=PartsOut)
async def list_upload_parts(upload_id: UUID, caller: CurrentUser, services: ServicesDep) -> Response:
    """What has arrived: whoever lost their connection, or their browser, goes on from here."""
    return computed(await media_arrival.parts(services, caller, upload_id))


@router.post("/uploads/{upload_id}/complete", operation_id="complete_upload", status_code=202, response_model=UploadOut)
async def complete_upload(upload_id: UUID, caller: CurrentUser, services: ServicesDep) -> Response:
    """All is sent: check it and publish it. 409 `parts_missing` names what is not there yet."""
    found = await media_arrival.complete(services, caller, upload_id)
    answer = computed(await media_uploads.present(services, found), status=202)
    answer.headers["Location"] = f"/api/v1/media/uploads/{upload_id}"
    return answer


@router.delete("/uploads/{upload_id}", operation_id="abort_upload", status_code=204)
async def abort_upload(upload_id: UUID, caller: CurrentUser, session: UnitOfWork) -> None:
    """Take back what is not published yet, and the room it took."""
    await media_uploads.abort(session, caller, upload_id)


@router.get("/{media_id}", operation_id="get_media", response_model=MediaOut)
async def get_media(request: Request, row: ReadableMedia, services: ServicesDep) -> Response:
    """One file, with the addresses of its renditions; they are good for half an hour at least."""
    return document(request, await media.present(services, row), row["version"])


@router.delete("/{media_id}", operation_id="delete_media", status_code=204)
async def delete_media(link: WritableMedia, if_match: IfMatch, session: UnitOfWork) -> None:
    """Remove a file with its former versions; a former version alone. Its addresses stop working."""
    if_match.check(link.version)
    await media.delete(session, link)


@router.get("/{media_id}/versions", operation_id="list_media_versions", response_model=MediaPage)
async def list_media_versions(
    row: ReadableMedia, caller: CurrentUser, services: ServicesDep, paging: PagingDep
) -> Response:
    """All versions of a file, the newest first."""
    page = paging.page(f"media-versions:{row['thread_id']}:{caller.user_id}")
    rows = await queries.versions(services.db, caller.user_id, row["thread_id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await media.present(services, each) for each in part.items], part)


@router.post("/{media_id}/restore", operation_id="restore_media", response_model=MediaOut)
async def restore_media(
    request: Request,
    link: WritableMedia,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Show this version again."""
    if_match.check(link.version)
    await media.restore(session, link)
    row = await queries.find_in(session, caller.user_id, link.id)
    return document(request, await media.present(services, row), row["version"])


@of_pets.get("/{pet_id}/media", operation_id="list_pet_media", response_model=MediaPage)
async def list_pet_media(pet: ReadablePet, caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """The photos, papers and videos of a pet, the newest first. What is still being checked is not among them."""
    page = paging.page(f"media:{pet['id']}:{caller.user_id}")
    rows = await queries.of_pet(services.db, caller.user_id, pet["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await media.present(services, each) for each in part.items], part)


@of_records.get("/records/{record_id}/media", operation_id="list_record_media", response_model=MediaPage)
async def list_record_media(
    record: ReadableRecord, caller: CurrentUser, services: ServicesDep, paging: PagingDep
) -> Response:
    """What is attached to an entry, the newest first."""
    page = paging.page(f"media:{record['id']}:{caller.user_id}")
    rows = await queries.of_record(services.db, caller.user_id, record["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await media.present(services, each) for each in part.items], part)


@of_households.get("/{household_id}/storage", operation_id="get_storage", response_model=StorageOut)
async def get_storage(household: ReadableHousehold, session: UnitOfWork) -> Response:
    """How much room is used, and how much there is."""
    used, reserved = await storage_usage.counts(session, household["id"])
    limit = await limits.storage(session, household["id"])
    return computed({"used": used, "reserved": reserved, "limit": limit})
