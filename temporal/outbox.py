"""Intents to act, written in the transaction that causes them. The relay in `workers/` hands them to Temporal.

The caller has locked the aggregate's row before (an UPDATE or FOR UPDATE): only then is a higher `seq` a later commit,
which is what lets a workflow drop a bell lower than one it has heard. Nothing here commits.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core import live
from core.ids import new_id
from models.outbox import Outbox
from models.queries import calendar_links
from temporal import ids
from temporal.contracts import (
    billing,
    billing_resolve,
    calendar_sync,
    invitation,
    lost_case,
    mail,
    media,
    refund,
    reminder,
    sitter_grant,
    transfer,
)

CHANNEL = "outbox"
"""What the relay LISTENs to; the notification is empty and arrives with the commit."""


async def ring(
    session: AsyncSession,
    *,
    aggregate: str,
    kind: str,
    workflow_id: str,
    args: Mapping[str, object],
    user_id: UUID | None = None,
) -> None:
    """Tell a workflow that its rows changed; however often before it is sent, it stays one row.

    `args` holds ids and enums only; `user_id` is the person it acts for. The row gets a fresh `seq`, also while the
    former one is being sent: the relay marks done only what it sent, so a change during the send is sent after it.
    """
    rung = _row(aggregate, kind, workflow_id, args, user_id, coalescing=True)
    await _push(
        session,
        rung.on_conflict_do_update(
            index_elements=["workflow_id", "kind"],
            index_where=text("coalescing AND done_at IS NULL"),
            # A person acted again: a parked row gets its ten attempts anew.
            set_={
                "seq": rung.excluded.seq,
                "attempts": 0,
                "aggregate": rung.excluded.aggregate,
                "args": rung.excluded.args,
                "user_id": rung.excluded.user_id,
            },
        ),
    )


async def ring_reminder(
    session: AsyncSession, household_id: UUID, reminder_id: UUID, *, watching: Iterable[UUID] = ()
) -> None:
    """The bell of a reminder: its workflow plans again when it gets it. It is the household's, and outlives the account
    of who made it. `watching` are those whose screens hear of it."""
    await ring(
        session,
        aggregate=reminder.aggregate(reminder_id),
        kind=reminder.KIND,
        workflow_id=ids.reminder(household_id, reminder_id),
        args=reminder.bell_args(household_id, reminder_id),
    )
    say_workflow(session, watching, ids.reminder(household_id, reminder_id), "reminder")


async def ring_calendar(session: AsyncSession, user_id: UUID, calendar_link_id: UUID, provider: str) -> None:
    """The calendar may have changed there, or something about its connection has: its workflow reads its list when it
    gets the bell, however often it is rung until then."""
    await calendar_links.bring_news(session, calendar_link_id)
    await _ring_calendar(session, user_id, calendar_link_id, provider)


async def ring_calendars(session: AsyncSession, household_id: UUID, *, but: UUID | None = None) -> None:
    """An appointment or reminder of this household is another than it was: the calendars that its members connected
    hear of it, but for the one that said so. No list is read for it."""
    for link in await calendar_links.of_household(session, household_id):
        if link.id != but:
            await _ring_calendar(session, link.user_id, link.id, link.provider)


async def _ring_calendar(session: AsyncSession, user_id: UUID, calendar_link_id: UUID, provider: str) -> None:
    await ring(
        session,
        aggregate=calendar_sync.aggregate(calendar_link_id),
        kind=calendar_sync.KIND,
        workflow_id=ids.calendar(user_id, calendar_link_id),
        args=calendar_sync.bell_args(calendar_link_id, provider),
        user_id=user_id,
    )


async def ring_billing(session: AsyncSession, account_id: UUID) -> None:
    """Something about an account may have changed at Stripe, or here: its workflow reads it anew. What is to be handled
    stands in `stripe_events`, so however many events come until then, this stays one row."""
    await ring(
        session,
        aggregate=billing.aggregate(account_id),
        kind=billing.KIND,
        workflow_id=ids.billing(account_id),
        args=billing.nudge_args(account_id),
        user_id=account_id,
    )


async def ring_refund(session: AsyncSession, account_id: UUID, refund_id: UUID) -> None:
    """A refund was reserved, or Stripe has said something about it: its workflow starts, or looks again."""
    await ring(
        session,
        aggregate=refund.aggregate(refund_id),
        kind=refund.KIND,
        workflow_id=ids.refund(account_id, refund_id),
        args=refund.bell_args(account_id, refund_id),
        user_id=account_id,
    )


async def ring_media(session: AsyncSession, stored_under: UUID, asset_id: UUID, *, is_urgent: bool = True) -> None:
    """A content arrived, or nobody uses it any more: its workflow brings it to where it should be. Its id is of
    the household that the content came in, for ever: two ids would be two that write. What is not urgent lets people's
    uploads go first."""
    await ring(
        session,
        aggregate=media.aggregate(asset_id),
        kind=media.KIND,
        workflow_id=ids.media(stored_under, asset_id),
        args=media.bell_args(asset_id, is_urgent=is_urgent),
    )


async def start_resolve(session: AsyncSession, event_id: str) -> None:
    """An event names nobody we know: ask Stripe whose it is. Once at a time, and again where it was not found out."""
    await ring(
        session,
        aggregate=billing_resolve.aggregate(event_id),
        kind=billing_resolve.KIND,
        workflow_id=ids.billing_resolve(event_id),
        args={"event_id": event_id},
    )


@dataclass(frozen=True, slots=True)
class Bell:
    """Of an entity of a household. Nobody's in particular: it outlives the account of who began it."""

    kind: str
    aggregate: Callable[[UUID], str]
    workflow_id: Callable[[UUID, UUID], str]
    id_name: str

    async def ring(self, session: AsyncSession, household_id: UUID, entity_id: UUID) -> None:
        """Tell the entity that its row changed."""
        await ring(
            session,
            aggregate=self.aggregate(entity_id),
            kind=self.kind,
            workflow_id=self.workflow_id(household_id, entity_id),
            args={"household_id": str(household_id), self.id_name: str(entity_id)},
        )


INVITATION: Final = Bell(invitation.KIND, invitation.aggregate, ids.invitation, "invitation_id")
TRANSFER: Final = Bell(transfer.KIND, transfer.aggregate, ids.transfer, "transfer_id")
GRANT: Final = Bell(sitter_grant.KIND, sitter_grant.aggregate, ids.grant, "grant_id")
LOST_CASE: Final = Bell(lost_case.KIND, lost_case.aggregate, ids.lost_case, "case_id")


def say_workflow(session: AsyncSession, people: Iterable[UUID], workflow_id: str, kind: str) -> None:
    """Screens hear that what `GET /workflows/{workflow_id}` answers has changed."""
    live.say(session, people, live.Name.WORKFLOW_UPDATED, workflow_id=workflow_id, type=kind)


async def enqueue(
    session: AsyncSession,
    *,
    aggregate: str,
    kind: str,
    workflow_id: str,
    args: Mapping[str, object],
    user_id: UUID | None = None,
) -> None:
    """Start a workflow once. Arguments as `ring`; each call is a row of its own."""
    await _push(session, _row(aggregate, kind, workflow_id, args, user_id, coalescing=False))


async def send(session: AsyncSession, user_id: UUID, delivery_ids: Iterable[UUID]) -> None:
    """Have these rows of the ledger sent: messages to one person that belong to no reminder."""
    for delivery_id in delivery_ids:
        await enqueue(
            session,
            aggregate=f"user/{user_id}",
            kind=mail.KIND,
            workflow_id=ids.mail(user_id, delivery_id),
            args={"user_id": str(user_id), "delivery_id": str(delivery_id)},
            user_id=user_id,
        )


def _row(
    aggregate: str, kind: str, workflow_id: str, args: Mapping[str, object], user_id: UUID | None, *, coalescing: bool
) -> Insert:
    return insert(Outbox).values(
        id=new_id(),
        aggregate=aggregate,
        kind=kind,
        workflow_id=workflow_id,
        args=dict(args),
        user_id=user_id,
        coalescing=coalescing,
        attempts=0,
    )


async def _push(session: AsyncSession, row: Insert) -> None:
    """The row and the notification in one round trip."""
    pushed = row.returning(col(Outbox.id)).cte("pushed")
    await session.execute(select(func.pg_notify(CHANNEL, "")).select_from(pushed))
