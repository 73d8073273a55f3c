"""Enforces `domain/access.py`: every operation has a rule, and the dependencies that load things ask for its right."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from domain.access import OPERATIONS, Access, Right, Rule

NO_RULE: Final = "has no row in domain/access.py"


def rule_of(request: Request) -> Rule:
    """The rule of the operation that this request is for."""
    return OPERATIONS[request.scope["route"].operation_id]


# Asynchronous although nothing is awaited: FastAPI runs plain functions in a thread, at 150 µs a call.
async def needed_right(request: Request) -> Right:
    """The right that this operation needs on the thing it names."""
    right = rule_of(request).right
    if right is None:
        raise LookupError(f"{request.scope['route'].operation_id} names no right in domain/access.py")
    return right


Needed = Annotated[Right, Depends(needed_right)]


def require(role: str, actions: Iterable[str] | None, right: Right) -> Access:
    """The access of a row that selected `role` and `actions`. Raises `NotPermitted` unless it has the right."""
    access = Access.of(role, actions)
    access.require(right)
    return access


def check_rules(routes: Iterable[APIRoute]) -> None:
    """Default deny: raises `LookupError` for an operation without a rule, which keeps the api from starting."""
    missing = [route.path for route in routes if route.operation_id not in OPERATIONS]
    if missing:
        raise LookupError(f"{', '.join(missing)} {NO_RULE}")
