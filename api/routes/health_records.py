"""/health-records, and the same lists below /pets."""

from fastapi import APIRouter, Request, Response

from api import health_records as records
from api import media
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.health_records import ReadableRecord, WritableRecord
from api.idempotency import Idempotent
from api.json_response import document, listing
from api.pets import ReadablePet
from api.routing import router as make_router
from api.schemas.health_records import RecordIn, RecordOut, RecordPage, RecordUpdate
from models.queries import health_records as queries
from models.queries.clock import database_now

router = make_router("/health-records", "health records")
alias: APIRouter = make_router("/pets", "health records")


@alias.get("/{pet_id}/records", operation_id="list_pet_records", response_model=RecordPage)
@router.get("/pets/{pet_id}/records", operation_id="list_records", response_model=RecordPage)
async def list_records(
    pet: ReadablePet,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """The health diary of a pet, newest first."""
    page = paging.page(f"records:{pet['id']}:{caller.user_id}")
    rows = await queries.page(services.db, caller.user_id, pet["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await records.present(services.cipher, row) for row in part.items], part)


@alias.post("/{pet_id}/records", operation_id="create_pet_record", status_code=201, response_model=RecordOut)
@router.post("/pets/{pet_id}/records", operation_id="create_record", status_code=201, response_model=RecordOut)
async def create_record(
    request: Request,
    body: RecordIn,
    pet: ReadablePet,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Add an entry to a pet's diary."""
    record = await records.create(session, services, caller, pet, body)
    location = f"/api/v1/health-records/records/{record['id']}"
    body_out = await records.present(services.cipher, record)
    return document(request, body_out, record["version"], status=201, location=location)


@router.get("/records/{record_id}", operation_id="get_record", response_model=RecordOut)
async def get_record(request: Request, record: ReadableRecord, services: ServicesDep) -> Response:
    """One entry."""
    return document(request, await records.present(services.cipher, record), record["version"])


@router.put("/records/{record_id}", operation_id="replace_record", response_model=RecordOut)
@router.patch("/records/{record_id}", operation_id="change_record", response_model=RecordOut)
async def change_record(
    request: Request,
    body: RecordUpdate,
    record: WritableRecord,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Change the fields that are present; absent ones keep their value."""
    if_match.check(record.version)
    changed = await records.change(session, services, caller, record, body)
    return document(request, await records.present(services.cipher, changed), changed["version"])


@router.delete("/records/{record_id}", operation_id="delete_record", status_code=204)
async def delete_record(record: WritableRecord, if_match: IfMatch, session: UnitOfWork) -> None:
    """Remove an entry, with what is attached to it."""
    if_match.check(record.version)
    record.deleted_at = await database_now(session)
    await media.record_gone(session, record.id)
