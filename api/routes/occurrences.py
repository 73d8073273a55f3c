"""/occurrences: what people do when a reminder is due. Each is one transaction and works while Temporal is down."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Body, Request, Response

from api import agenda, explain, occurrences
from api.access import Needed, require
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.json_response import computed, document, listing
from api.occurrences import OnceActed
from api.routes.agenda import From, To
from api.routing import router as make_router
from api.schemas.explain import ExplanationOut
from api.schemas.occurrences import CompleteIn, OccurrenceOut, OccurrencePage, SnoozeIn
from core.errors import NotFound
from domain.reminder_actions import Acknowledge, Skip, Undo
from domain.reminder_series import OccurrenceState
from models.queries import explanations
from models.queries import reminder_views as views

router = make_router("/occurrences", "occurrences")
State = Literal["scheduled", "due", "done", "skipped", "missed", "cancelled", "coalesced"]


@router.get("", operation_id="find_occurrences", response_model=OccurrencePage)
async def find_occurrences(
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
    start: From = None,
    end: To = None,
    state: State | None = None,
    pet_id: UUID | None = None,
) -> Response:
    """Occurrences of all reminders that have rows: the diary, what is open, and the next one of each series."""
    page = paging.page(f"occurrences:{caller.user_id}:{start}:{end}:{state}:{pet_id}")
    span = await agenda.span(services, caller.user_id, start, end)
    states, after = [state] if state else [*OccurrenceState], agenda.place_of(page.after)
    rows = await views.timeline(services.db, caller.user_id, span, states, page.rows, pet_id=pet_id, after=after)
    part = page.part(rows, occurrences.cursor_key)
    return listing([occurrences.present(row) for row in part.items], part)


@router.get("/{occurrence_id}", operation_id="get_occurrence", response_model=OccurrenceOut)
async def get_occurrence(
    request: Request, occurrence_id: UUID, caller: CurrentUser, services: ServicesDep, needed: Needed
) -> Response:
    """One occurrence."""
    row = await views.occurrence(services.db, caller.user_id, occurrence_id)
    if row is None:
        raise NotFound("no such occurrence")
    await require(request, caller, row, needed)
    return document(request, occurrences.present(row), row["version"])


@router.get("/{occurrence_id}/explain", operation_id="explain_occurrence", response_model=ExplanationOut)
async def explain_occurrence(
    request: Request, occurrence_id: UUID, caller: CurrentUser, services: ServicesDep, needed: Needed
) -> Response:
    """Why it did, or did not, reach the caller: rule, zone, shifts, every step with its attempts and receipts."""
    record = await explanations.record(services.db, caller.user_id, occurrence_id)
    if record is None:
        raise NotFound("no such occurrence")
    await require(request, caller, record.occurrence, needed)
    return computed(await explain.present(services.cipher, record, caller.user_id))


@router.post("/{occurrence_id}/complete", operation_id="complete_occurrence", response_model=OccurrenceOut)
async def complete_occurrence(
    request: Request,
    occurrence_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceActed,
    body: Annotated[CompleteIn, Body()] = CompleteIn(),
) -> Response:
    """It is done. 409 `already_closed` (of a dose `already_given`) when somebody was quicker, with name and time;
    `too_early` and `too_soon` of a dose, unless `override_reason` says why it was given all the same."""
    row = await occurrences.act(
        session,
        services,
        caller,
        occurrence_id,
        lambda key, _: occurrences.complete(body, key, caller.user_id),
        override_reason=body.override_reason,
    )
    return document(request, occurrences.present(row), row["version"])


@router.post("/{occurrence_id}/snooze", operation_id="snooze_occurrence", response_model=OccurrenceOut)
async def snooze_occurrence(
    request: Request,
    occurrence_id: UUID,
    body: SnoozeIn,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceActed,
) -> Response:
    """Move the notice of an open occurrence to a later time. 409 `snooze_past_next` names the latest."""
    zone = await occurrences.zone_of(session, caller)
    row = await occurrences.act(
        session, services, caller, occurrence_id, lambda key, _: occurrences.snooze(body, key, zone)
    )
    return document(request, occurrences.present(row), row["version"])


@router.post("/{occurrence_id}/skip", operation_id="skip_occurrence", response_model=OccurrenceOut)
async def skip_occurrence(
    request: Request,
    occurrence_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceActed,
) -> Response:
    """Not this time; never recorded as done."""
    row = await occurrences.act(session, services, caller, occurrence_id, lambda key, _: Skip(key, caller.user_id))
    return document(request, occurrences.present(row), row["version"])


@router.post("/{occurrence_id}/undo", operation_id="undo_occurrence", response_model=OccurrenceOut)
async def undo_occurrence(
    request: Request,
    occurrence_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceActed,
) -> Response:
    """It was not done after all. 409 `undo_window_closed` once the next one was announced."""
    row = await occurrences.act(session, services, caller, occurrence_id, lambda key, _: Undo(key))
    return document(request, occurrences.present(row), row["version"])


@router.post("/{occurrence_id}/acknowledge", operation_id="acknowledge_occurrence", response_model=OccurrenceOut)
async def acknowledge_occurrence(
    request: Request,
    occurrence_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceActed,
) -> Response:
    """Seen, and still to be done."""
    row = await occurrences.act(
        session, services, caller, occurrence_id, lambda key, _: Acknowledge(key, caller.user_id)
    )
    return document(request, occurrences.present(row), row["version"])
