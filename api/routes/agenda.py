"""/agenda"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response

from api import agenda, timeline
from api.auth import CurrentUser
from api.cursor import Paging
from api.deps import ServicesDep, paging
from api.json_response import listing
from api.routing import router as make_router
from api.schemas.agenda import AgendaPage
from api.schemas.instant import Instant

router = make_router("/agenda", "agenda")
From = Annotated[Instant | None, Query(alias="from", description="Inclusive. Default: today, on your clock.")]
To = Annotated[Instant | None, Query(alias="to", description="Exclusive, at most 100 days on. Default: a week.")]


@router.get("", operation_id="get_agenda", response_model=AgendaPage)
async def get_agenda(
    caller: CurrentUser,
    services: ServicesDep,
    paging: Annotated[Paging, Depends(paging(100))],
    start: From = None,
    end: To = None,
    pet_id: UUID | None = None,
) -> Response:
    """What was, is and will be due for all pets, in order: from rows, and from the code that drives deliveries."""
    page = paging.page(f"agenda:{caller.user_id}:{start}:{end}:{pet_id}")
    span = await agenda.span(services, caller.user_id, start, end)
    after = agenda.place_of(page.after)
    found = await timeline.entries(services.db, caller.user_id, span, pet_id=pet_id, after=after, limit=page.rows)
    part = page.part(found, agenda.key_of)
    return listing(await agenda.present(services, caller.user_id, part.items), part)
