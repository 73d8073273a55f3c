"""The append-only audit log. An entry is written in the transaction of what it records."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models.audit import AuditEntry


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
) -> None:
    """Add an entry. `action` is `auth.login`, `outcome` a word like `ok` or `refused`; `actor` is the person who acted
    (None: nobody we know), `subject` whose account or data it was. Ids only: no address, no name, no secret."""
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
        )
    )


async def record_operator(
    session: AsyncSession, *, operator: str, action: str, object: str, request_id: str | None
) -> None:
    """Add an entry of what an operator did: `operator` says how they were known, e.g. `operator:token`."""
    session.add(AuditEntry(actor=operator, action=action, object=object, outcome="ok", request_id=request_id))
