"""Wishes to subscribe. Who begins one, or replaces it, holds the lock of the account's row: of two clicks the second
finds what the first began. Workers close what is of no use any more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.ids import new_id
from models.billing import CheckoutIntent, IntentState

_STANDING: Final = (IntentState.CREATING, IntentState.OPEN)
_END: Final = text(
    """UPDATE checkout_intents SET state = :state, url_ct = NULL, version = version + 1, updated_at = clock_timestamp()
        WHERE id = :id AND state IN ('creating', 'open')"""
)
_OPENED: Final = text(
    """UPDATE checkout_intents
          SET state = 'open', checkout_session_id = :session, url_ct = :url_ct, expires_at = :expires_at,
              version = version + 1, updated_at = clock_timestamp()
        WHERE id = :id AND state = 'creating'"""
)


_HAS_OPEN: Final = text("SELECT EXISTS (SELECT FROM checkout_intents WHERE account_id = :account AND state = 'open')")
_OPEN: Final = text(
    """SELECT id, checkout_session_id FROM checkout_intents
        WHERE account_id = :account AND state = 'open' AND checkout_session_id IS NOT NULL ORDER BY id"""
)


async def standing(session: AsyncSession, account_id: UUID) -> CheckoutIntent | None:
    """The one that is being made, or is open."""
    query = select(CheckoutIntent).where(
        col(CheckoutIntent.account_id) == account_id, col(CheckoutIntent.state).in_(_STANDING)
    )
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def add(session: AsyncSession, account_id: UUID, lookup_key: str, currency: str) -> CheckoutIntent:
    """A new one; there is no other that stands."""
    intent = CheckoutIntent(id=new_id(), account_id=account_id, lookup_key=lookup_key, currency=currency)
    session.add(intent)
    await session.flush()
    return intent


async def end(session: AsyncSession, intent_id: UUID, state: IntentState) -> None:
    """It stands no longer; its link is forgotten."""
    await session.execute(_END, {"id": intent_id, "state": state.value})


async def opened(session: AsyncSession, intent_id: UUID, session_id: str, url_ct: str, expires_at: datetime) -> None:
    """Its page is there."""
    values = {"id": intent_id, "session": session_id, "url_ct": url_ct, "expires_at": expires_at}
    await session.execute(_OPENED, values)


async def has_open(session: AsyncSession, account_id: UUID) -> bool:
    """Whether a page is open, as far as we know."""
    return bool((await session.execute(_HAS_OPEN, {"account": account_id})).scalar_one())


async def open_pages(session: AsyncSession, account_id: UUID) -> Sequence[tuple[UUID, str]]:
    """The wishes whose pages are open, as far as we know."""
    rows = await session.execute(_OPEN, {"account": account_id})
    return [(row.id, row.checkout_session_id) for row in rows]
