"""One intended POST to Stripe from a request: its row is committed before the call and closed after it, no transaction
stays open meanwhile, and the same key does the same thing once (billing.md §4.5).

Somebody waits for the answer: what had ended before is asked for again, and Stripe repeats what it said. A worker has
nobody to answer, and lets what has ended be (`activities.billing_operations`)."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol, TypeVar
from uuid import UUID, uuid5

from fastapi import Depends, Request

from api.auth import CurrentUser
from api.billing_services import Billing
from api.idempotency import key_of
from core.db import Database
from core.errors import Invalid
from core.ids import new_id
from integrations.payments.errors import Declined, KeyReused, PaymentsError, Refused
from integrations.payments.requests import Params
from models.billing import OperationState
from models.queries import billing_operations, billing_views
from models.queries.billing_operations import Intended

_FINAL = (Declined, Refused, KeyReused)
"""Asking again changes nothing."""


class HasId(Protocol):
    """What Stripe made or changed."""

    @property
    def id(self) -> str:
        """Stripe's id of it."""
        ...


T = TypeVar("T")
Made = TypeVar("Made", bound=HasId)
Call = Callable[[Params, str], Awaitable[T]]
"""With the parameters of the operation and its key."""


async def perform(
    db: Database, billing: Billing, intended: Intended, call: Call[Made], *, by_person: bool = False
) -> Made:
    """`call`, as an operation of this account; with the parameters of before, where it was begun before. Raises
    `PaymentsError`; after `PaymentsUnavailable` the same operation is welcome again. `by_person`: its key is one of
    theirs, and other parameters are another request: raises `Invalid`."""
    return await _perform(db, billing, intended, call, lambda made: made.id, by_person=by_person)


async def perform_without_object(db: Database, billing: Billing, intended: Intended, call: Call[T]) -> T:
    """`perform` of what leaves no object at Stripe: a preview, the address of a page."""
    return await _perform(db, billing, intended, call, lambda _: None, by_person=False)


async def _perform(
    db: Database,
    billing: Billing,
    intended: Intended,
    call: Call[T],
    id_of: Callable[[T], str | None],
    *,
    by_person: bool,
) -> T:
    async with db.sessions.begin() as session:
        operation = await billing_operations.begin(session, billing.environment, intended)
    if by_person and dict(operation.params) != dict(intended.params):
        raise reused()
    try:
        made = await call(operation.params, operation.key)
    except _FINAL as error:
        await _end(db, operation.op_id, OperationState.FAILED, error=_code(error))
        raise
    await _end(db, operation.op_id, OperationState.DONE, stripe_id=id_of(made))
    return made


async def _end(
    db: Database, op_id: UUID, state: OperationState, *, stripe_id: str | None = None, error: str | None = None
) -> None:
    async with db.sessions.begin() as session:
        await billing_operations.end(session, op_id, state, stripe_id=stripe_id, error=error)


def _code(error: PaymentsError) -> str:
    return error.stripe_code or error.code


async def done_before(db: Database, billing: Billing, account_id: UUID, key: str) -> Params | None:
    """The parameters of what was done under this key (without its prefix); None: it was not."""
    intended = Intended(account_id=account_id, kind="", key=key)
    return await billing_views.done(db.reads, account_id, billing_operations.key_of(billing.environment, intended))


def reused() -> Invalid:
    """What a key is answered that was used for another request."""
    return Invalid("this Idempotency-Key was used for another request", code="idempotency_key_reused")


class OperationKey:
    """The dependency of a POST that makes an operation: the id of the operation follows from the `Idempotency-Key` of
    its person, so that a repeated request goes on with what the first one began."""

    async def __call__(self, request: Request, caller: CurrentUser) -> UUID:
        """Raises 400 `invalid_idempotency_key`."""
        key = key_of(request)
        return new_id() if key is None else uuid5(caller.user_id, f"{request.scope['route'].operation_id}/{key}")


OperationId = Annotated[UUID, Depends(OperationKey())]
