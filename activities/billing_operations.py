"""How a POST to Stripe is made: its operation is committed first, the call has its key, what came of it is noted.

Every attempt of an activity comes through here again and is the same operation. A key may be forgotten by Stripe after
a day; an operation as old as that is looked up before it is made once more (billing.md §4.5).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from activities import billing_metrics
from core.db import SessionFactory
from integrations.payments.errors import Declined, KeyReused, Refused
from integrations.payments.requests import Params
from models.billing import OperationState
from models.queries import billing_operations as operations
from models.queries.billing_operations import Intended, Operation

KEY_LIFETIME: Final = timedelta(hours=operations.KEPT_HOURS)


class Made(Protocol):
    """What a call answers with."""

    @property
    def id(self) -> str:
        """Stripe's id of it."""
        ...


R = TypeVar("R", bound=Made)


@dataclass(frozen=True, slots=True)
class Operator:
    """See the module. `environment` tells the keys of several installations apart."""

    sessions: SessionFactory
    environment: str

    async def run(
        self,
        intended: Intended,
        call: Callable[[Params, str], Awaitable[R]],
        *,
        now: datetime,
        find: Callable[[Operation], Awaitable[R | None]] | None = None,
    ) -> R | None:
        """Make it, or find what was made; None: it had ended before, well or badly. Raises `PaymentsError`, and what
        raises for good is not made again under this key."""
        async with self.sessions.begin() as session:
            operation = await operations.begin(session, self.environment, intended)
        if operation.state in _ENDED:
            return None
        async with self._noted(intended, operation):
            made = await self._look_up(operation, now, find) or await call(operation.params, operation.key)
        await self._end(operation, OperationState.DONE, stripe_id=made.id)
        return made

    async def repeat(self, intended: Intended, call: Callable[[], Awaitable[R]]) -> R:
        """As `run`, however it had ended before: for a DELETE, which has no key, and is done once however often it is
        made (billing.md §4.5). Raises `PaymentsError`."""
        async with self.sessions.begin() as session:
            operation = await operations.begin(session, self.environment, intended)
        async with self._noted(intended, operation):
            made = await call()
        await self._end(operation, OperationState.DONE, stripe_id=made.id)
        return made

    @asynccontextmanager
    async def _noted(self, intended: Intended, operation: Operation) -> AsyncIterator[None]:
        """A refusal in here is what came of it."""
        try:
            yield
        except (Declined, Refused, KeyReused) as refused:
            billing_metrics.refused(intended.kind, refused.problem_code)
            await self._end(operation, OperationState.FAILED, error=refused.stripe_code or refused.problem_code)
            raise

    async def _look_up(
        self, operation: Operation, now: datetime, find: Callable[[Operation], Awaitable[R | None]] | None
    ) -> R | None:
        is_old = operation.first_sent_at is not None and now - operation.first_sent_at > KEY_LIFETIME
        return await find(operation) if is_old and find is not None else None

    async def _end(
        self, operation: Operation, state: OperationState, *, stripe_id: str | None = None, error: str | None = None
    ) -> None:
        async with self.sessions.begin() as session:
            await operations.end(session, operation.op_id, state, stripe_id=stripe_id, error=error)


_ENDED: Final = (OperationState.DONE, OperationState.FAILED, OperationState.AMBIGUOUS)
