"""/agenda"""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import AwareDatetime

from api import agenda, timeline
from api.auth import CurrentUser
from api.cursor import CursorText, Limit
from api.deps import ServicesDep
from api.json_response import listing
from api.routing import router as make_router
from api.schemas.agenda import AgendaPage

router = make_router("/agenda", "agenda")
From = Annotated[AwareDatetime | None, Query(alias="from", description="Inclusive. Default: today, on your clock.")]
To = Annotated[AwareDatetime | None, Query(alias="to", description="Exclusive, at most 100 days on. Default: a week.")]


@router.get("", operation_id="get_agenda", response_model=AgendaPage)
async def get_agenda(
    request: Request,
    caller: CurrentUser,
    services: ServicesDep,
    start: From = None,
    end: To = None,
    pet_id: UUID | None = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Response:
    """What was, is and will be due for all pets, in order: from rows, and from the code that drives deliveries."""
    binding = f"agenda:{caller.user_id}:{start}:{end}:{pet_id}"
    page = services.cursors.page(limit, cursor, binding)
    span = await agenda.span(services, caller.user_id, start, end)
    after = agenda.place_of(page.after)
    found = await timeline.entries(services.db, caller.user_id, span, pet_id=pet_id, after=after, limit=limit + 1)
    items, following, headers = services.cursors.answer(request, binding, limit, found, agenda.key_of)
    return listing(await agenda.present(services, caller.user_id, items), following, headers)
