"""Enforces `domain/access.py`: every operation has a rule, and the dependencies that load things ask for its right."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import CurrentUser, rule_of
from api.identity import Client, Identity, get_client, get_identity
from api.tokens import Caller
from api.trail import note
from core.errors import NotFound
from domain.access import OPERATIONS, Access, NotPermitted, Right, Role
from models.queries import households, users

NO_RULE: Final = "has no row in domain/access.py"


# Asynchronous although nothing is awaited: FastAPI runs plain functions in a thread, at 150 µs a call.
async def needed_right(request: Request) -> Right:
    """The right that this operation needs on the thing it names."""
    right = rule_of(request).right
    if right is None:
        raise LookupError(f"{request.scope['route'].operation_id} names no right in domain/access.py")
    return right


async def current_staff(caller: CurrentUser, request: Request) -> Caller:
    """The caller, an operator of the platform. Raises `NotPermitted`."""
    identity = await get_identity(request)
    if not await users.is_staff(identity.db.reads, caller.user_id):
        raise NotPermitted("This is for operators of the platform.", extra={"needs": "staff"})
    return caller


Needed = Annotated[Right, Depends(needed_right)]
CurrentStaff = Annotated[Caller, Depends(current_staff)]


async def require(request: Request, caller: Caller, row: asyncpg.Record, right: Right) -> None:
    """Raises `NotPermitted` unless the caller's access to this row has the right.

    The row selected `role`, `actions`, `id` and, unless it is the household itself, `household_id`. An operator's look
    is written down before they see anything.
    """
    access = Access.of(row["role"], row["actions"], read_only=row.get("read_only", False))
    access.require(right)
    if access.role == Role.ADMIN:
        looked_at = f"{request.scope['route'].operation_id}/{row['id']}"
        await _note_look(request, caller, row.get("household_id") or row["id"], looked_at)


async def require_in(session: AsyncSession, caller: Caller, household_id: UUID, right: Right) -> None:
    """Raises `NotFound` for a household that the caller may not know of, `NotPermitted`."""
    access = await households.access(session, caller.user_id, household_id)
    if access is None:
        raise NotFound("no such household")
    access.require(right)


async def _note_look(request: Request, caller: Caller, household_id: UUID, looked_at: str) -> None:
    identity, client = await get_identity(request), await get_client(request)
    async with identity.db.sessions.begin() as session:
        await note_for_owners(session, identity, client, caller, household_id, "staff.look", looked_at)


async def note_denial(request: Request) -> None:
    """What their role did not allow is in the caller's log, although nothing else of the request is kept. Strangers
    are not written down: whoever has no token could fill the log."""
    identity, client, caller = await get_identity(request), await get_client(request), request.state.caller
    async with identity.db.sessions.begin() as session:
        await note(
            session,
            identity,
            client,
            "access.denied",
            outcome="refused",
            actor=caller.user_id,
            subject=caller.user_id,
            sid=caller.session_id,
            object=request.scope["route"].operation_id,
        )


async def note_for_owners(
    session: AsyncSession,
    identity: Identity,
    client: Client,
    caller: Caller,
    household_id: UUID,
    action: str,
    object: str | None = None,
) -> tuple[UUID, ...]:
    """One entry in the log of every owner of the household; answers who they are."""
    owners = await households.owners(session, household_id)
    for owner in owners or (None,):
        await note(
            session,
            identity,
            client,
            action,
            actor=caller.user_id,
            subject=owner,
            sid=caller.session_id,
            object=object,
            household=household_id,
        )
    return owners


def check_rules(routes: Iterable[APIRoute]) -> None:
    """Default deny: raises `LookupError` for an operation without a rule, which keeps the api from starting."""
    missing = [route.path for route in routes if route.operation_id not in OPERATIONS]
    if missing:
        raise LookupError(f"{', '.join(missing)} {NO_RULE}")
