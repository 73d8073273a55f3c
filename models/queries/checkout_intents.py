"""Visits to the Checkout page, as far as workers look after them: what is of no use any more is closed."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import IntentState

_HAS_OPEN: Final = text("SELECT EXISTS (SELECT FROM checkout_intents WHERE account_id = :account AND state = 'open')")
_OPEN: Final = text(
    """SELECT id, checkout_session_id FROM checkout_intents
        WHERE account_id = :account AND state = 'open' AND checkout_session_id IS NOT NULL ORDER BY id"""
)
_CLOSE: Final = text(
    """UPDATE checkout_intents SET state = :state, url_ct = NULL, version = version + 1, updated_at = clock_timestamp()
        WHERE id = :id AND state IN ('creating', 'open')"""
)


async def has_open(session: AsyncSession, account_id: UUID) -> bool:
    """Whether a page is open, as far as we know."""
    return bool((await session.execute(_HAS_OPEN, {"account": account_id})).scalar_one())


async def open_pages(session: AsyncSession, account_id: UUID) -> Sequence[tuple[UUID, str]]:
    """The intents whose pages are open, as far as we know."""
    rows = await session.execute(_OPEN, {"account": account_id})
    return [(row.id, row.checkout_session_id) for row in rows]


async def close(session: AsyncSession, intent_id: UUID, state: IntentState) -> None:
    """It is over; its link is forgotten."""
    await session.execute(_CLOSE, {"id": intent_id, "state": state.value})
