"""What providers report about mails, written down: the diary of the delivery, its state, its address.

One transaction, under the delivery's row lock, and each message of the provider once: the line in the diary carries the
message's id, so that a message counts as handled only when everything it caused was committed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.read_pool import ReadPool
from domain.mail_feedback import CONSEQUENCES, Consequence, Verdict
from models.notification import DeliveryState
from models.queries import reminder_notices
from models.queries.deliveries import ACKNOWLEDGEMENT_LOST

# A receipt may be quicker than our own note of the provider's id, and after a lost acknowledgement there is none: our
# header finds the delivery all the same.
LOCK: Final = """
SELECT d.id FROM deliveries d
 WHERE d.channel = 'email' AND (d.id = :delivery_id OR d.provider_id = :provider_id)
 ORDER BY d.id = :delivery_id DESC LIMIT 1 FOR NO KEY UPDATE"""
_LOCK = text(LOCK)
_WRITE = text(
    """INSERT INTO delivery_events (id, delivery_id, kind, provider_id, code)
       SELECT :id, :delivery_id, :kind, :message_id, :code
        WHERE NOT EXISTS (SELECT FROM delivery_events e
                           WHERE e.delivery_id = :delivery_id AND e.provider_id = :message_id)
       RETURNING id"""
)
_CHANGE = text(
    f"""UPDATE deliveries d
          SET state = :state, claimed_until = NULL, provider_id = coalesce(d.provider_id, :provider_id),
              reason = CASE WHEN :state = 'delivered' AND d.reason = '{ACKNOWLEDGEMENT_LOST}' THEN d.reason
                            ELSE :reason END,
              at = CASE WHEN :state = 'delivered' AND d.state = 'sent' THEN d.at ELSE clock_timestamp() END
        WHERE d.id = :id AND d.state = ANY(CAST(:before AS text[]))
       RETURNING d.id"""  # noqa: S608 - our own words
)
# A complaint is the stronger word: it is never made a bounce again.
_SUPPRESS = text(
    """INSERT INTO mail_suppressions (address_hmac, reason) VALUES (:address_hmac, :reason)
       ON CONFLICT (address_hmac) DO UPDATE SET reason = EXCLUDED.reason, at = clock_timestamp()
             WHERE EXCLUDED.reason = 'complaint' AND mail_suppressions.reason <> 'complaint'"""
)
# Mail to people who may have no account is in no ledger of theirs: the row of what is offered says what became of it.
_TELL_OFFER = text(
    """WITH told AS (
           UPDATE invitations SET mail_problem = coalesce(CAST(:reason AS text), mail_problem)
            WHERE mail_key = :key RETURNING id),
       offered AS (
           UPDATE pet_transfers SET mail_problem = coalesce(CAST(:reason AS text), mail_problem)
            WHERE mail_key = :key RETURNING id),
       asked AS (
           UPDATE grants SET mail_problem = coalesce(CAST(:reason AS text), mail_problem),
                  version = version + CAST(CAST(:reason AS text) IS NOT NULL AS int)
            WHERE mail_key = :key RETURNING id)
       SELECT id FROM told UNION ALL SELECT id FROM offered UNION ALL SELECT id FROM asked"""
)
_SUPPRESSION = """
SELECT m.reason, m.at FROM users u JOIN mail_suppressions m ON m.address_hmac = u.email_bidx WHERE u.id = $1"""
_LIFT = text(
    """DELETE FROM mail_suppressions m USING users u
        WHERE u.id = :user_id AND m.address_hmac = u.email_bidx AND m.reason = 'bounce' RETURNING m.reason"""
)


class Known(StrEnum):
    """What a report was to us."""

    NEW = "new"
    REPEATED = "repeated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Report:
    """One verdict: `message_id` names the provider's message about it, `provider_id` the mail; `address_hmac` is the
    blind index of where it went."""

    verdict: Verdict
    message_id: str
    provider_id: str
    delivery_id: UUID | None
    address_hmac: bytes | None
    code: str


async def record(session: AsyncSession, report: Report) -> Known:
    """Write it down, with all that follows from it."""
    named = {"delivery_id": report.delivery_id, "provider_id": report.provider_id}
    delivery = (await session.execute(_LOCK, named)).one_or_none()
    what = CONSEQUENCES[report.verdict]
    if delivery is None:
        return await _record_of_offer(session, report, what)
    line = {"id": new_id(), "delivery_id": delivery.id, "kind": what.kind, "code": report.code}
    if (await session.execute(_WRITE, line | {"message_id": report.message_id})).first() is None:
        return Known.REPEATED
    if what.state is not None:
        await _change(session, delivery.id, what, report)
    await _suppress(session, report, what)
    return Known.NEW


async def _record_of_offer(session: AsyncSession, report: Report, what: Consequence) -> Known:
    """An invitation, the offer of a pet, or what a sitter is asked. Repeating it writes the same again."""
    told = {"key": report.delivery_id, "reason": what.reason}
    if report.delivery_id is None or (await session.execute(_TELL_OFFER, told)).first() is None:
        return Known.UNKNOWN
    await _suppress(session, report, what)
    return Known.NEW


async def _suppress(session: AsyncSession, report: Report, what: Consequence) -> None:
    if what.suppresses is not None and report.address_hmac is not None:
        await session.execute(_SUPPRESS, {"address_hmac": report.address_hmac, "reason": what.suppresses})


async def _change(session: AsyncSession, delivery_id: UUID, what: Consequence, report: Report) -> None:
    """Its state, where it has not gone further already. What the same mail said too (folded) failed with it, and
    whoever was not reached learns of it in the app."""
    values = {"id": delivery_id, "state": what.state, "reason": what.reason}
    one = {"before": list(what.before), "provider_id": report.provider_id}
    changed = (await session.execute(_CHANGE, values | one)).first()
    if changed is not None and what.state == DeliveryState.FAILED:
        await reminder_notices.tell_unreached(session, [delivery_id])
        await reminder_notices.fail_folded(session, delivery_id, what.reason)


async def suppression(reads: ReadPool, user_id: UUID) -> asyncpg.Record | None:
    """Why (`Suppression`) and since when this person's present address gets no bulk mail; None: it does."""
    return await reads.fetchrow(_SUPPRESSION, user_id)


async def lift(session: AsyncSession, user_id: UUID) -> bool:
    """The person's address takes mail again; answers whether it had bounced. A complaint stays."""
    return (await session.execute(_LIFT, {"user_id": user_id})).first() is not None
