"""What handlers ask for in their signature."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api.cursor import CursorText, Limit, Paging
from api.services import Services, services_of
from core.failpoint import failpoint


async def unit_of_work(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's one transaction. Nobody below commits."""
    async with services_of(request).db.sessions.begin() as session:
        request.state.unit_of_work = session
        yield session
    failpoint("api_after_commit")


# Function scope: FastAPI leaves it, and so commits, before the answer is sent. With the default scope a failed commit
# would follow a 2xx that is already on its way.
UnitOfWork = Annotated[AsyncSession, Depends(unit_of_work, scope="function")]


# Asynchronous although nothing is awaited: FastAPI runs plain functions in a thread, at 150 µs a call.
async def get_services(request: Request) -> Services:
    """The parts of this process."""
    return services_of(request)


ServicesDep = Annotated[Services, Depends(get_services)]


def paging(usual: int) -> Callable[..., Awaitable[Paging]]:
    """`?limit=&cursor=` of a list that shows so many items unless told otherwise."""

    async def asked(request: Request, limit: Limit = usual, cursor: CursorText = None) -> Paging:
        return Paging(services_of(request).cursors, request.url, limit, cursor)

    return asked


PagingDep = Annotated[Paging, Depends(paging(50))]
