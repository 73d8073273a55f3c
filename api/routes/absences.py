"""/households/{id}/absences: when nobody is there to be asked."""

from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from api import absences
from api.absences import ReadableAbsence
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.households import ReadableHousehold, WritableHousehold
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import document, listing
from api.routing import router as make_router
from api.schemas.absences import AbsenceIn, AbsenceOut, AbsencePage, AbsenceUpdate
from models.queries import absences as queries

router = make_router("/households/{household_id}/absences", "absences")
Answers = dict[int | str, dict[str, Any]]
_MANY: Final[Answers] = {409: {"description": "`too_many_absences`."}}
_OVER: Final[Answers] = {409: {"description": "`absence_over`."}}


@router.get("", operation_id="list_absences", response_model=AbsencePage)
async def list_absences(
    household: ReadableHousehold,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """When the household was, is and will be away, the newest first."""
    page = paging.page(f"absences:{household['id']}:{caller.user_id}")
    rows = await queries.page(services.db, household["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([absences.present(row) for row in part.items], part)


@router.post("", operation_id="declare_absence", status_code=201, response_model=AbsenceOut, responses=_MANY)
async def declare_absence(
    request: Request,
    body: AbsenceIn,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Nobody is asked for what can wait, until you are back. Where a sitter looks after a pet, the sitter is asked."""
    made = await absences.create(session, services, client, caller, household, body)
    location = f"/api/v1/households/{household.id}/absences/{made['id']}"
    return document(request, absences.present(made), made["version"], status=201, location=location)


@router.get("/{absence_id}", operation_id="get_absence", response_model=AbsenceOut)
async def get_absence(request: Request, absence: ReadableAbsence) -> Response:
    """One of them."""
    return document(request, absences.present(absence), absence["version"])


@router.patch("/{absence_id}", operation_id="change_absence", response_model=AbsenceOut, responses=_OVER)
async def change_absence(
    request: Request,
    absence_id: UUID,
    body: AbsenceUpdate,
    household: WritableHousehold,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Another end. What is over is not taken up again."""
    absence = await absences.lock(session, household, absence_id)
    if_match.check(absence.version)
    changed = await absences.change(session, services, client, caller, absence, body)
    return document(request, absences.present(changed), changed["version"])


@router.delete("/{absence_id}", operation_id="end_absence", status_code=204)
async def end_absence(
    absence_id: UUID,
    household: WritableHousehold,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """You are back, or do not leave: what waits asks at once. What was skipped stays so. Repeating it changes
    nothing."""
    absence = await absences.lock(session, household, absence_id)
    if_match.check(absence.version)
    await absences.end(session, services, client, caller, absence)
