"""The append-only audit log. An entry is written in the transaction of what it records."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from models.audit import AuditEntry

_OF_HOUSEHOLD = """
SELECT id, ts, actor, subject, action, object, outcome FROM audit_log
 WHERE household = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""


async def record(
    session: AsyncSession,
    *,
    action: str,
    outcome: str,
    actor: UUID | None,
    subject: UUID | None = None,
    object: str | None = None,
    ip_hmac: bytes | None = None,
    request_id: str | None = None,
    sid: UUID | None = None,
    household: UUID | None = None,
) -> None:
    """Add an entry. `action` is `auth.login`, `outcome` a word like `ok` or `refused`; `actor` is the person who acted
    (None: nobody we know), `subject` whose account or data it was, `household` the one it was about.
    Ids only: no address, no name, no secret."""
    session.add(
        AuditEntry(
            actor=f"user:{actor}" if actor else "anonymous",
            subject=f"user:{subject}" if subject else None,
            action=action,
            object=object,
            outcome=outcome,
            ip_hmac=ip_hmac,
            request_id=request_id,
            sid=sid,
            household=f"household:{household}" if household else None,
        )
    )


async def of_household(db: Database, household_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """What was done in a household, the newest first, before an id: who, on whom, what. Not from where."""
    return await db.reads.fetch(_OF_HOUSEHOLD, f"household:{household_id}", before, limit)


async def record_operator(
    session: AsyncSession, *, operator: str, action: str, object: str, request_id: str | None
) -> None:
    """Add an entry of what an operator did: `operator` says how they were known, e.g. `operator:token`."""
    session.add(AuditEntry(actor=operator, action=action, object=object, outcome="ok", request_id=request_id))
