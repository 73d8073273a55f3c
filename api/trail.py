"""Audit entries of what people do through the api: who, from where, in which request."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Client, Identity
from models.queries import audit


async def note(
    session: AsyncSession,
    identity: Identity,
    client: Client,
    action: str,
    *,
    outcome: str = "ok",
    actor: UUID | None,
    subject: UUID | None,
    sid: UUID | None = None,
    object: str | None = None,
    household: UUID | None = None,
) -> None:
    """An entry in the transaction of what it records; arguments as `models.queries.audit.record`."""
    await audit.record(
        session,
        action=action,
        outcome=outcome,
        actor=actor,
        subject=subject,
        object=object,
        ip_hmac=identity.trace(client.address),
        request_id=client.request_id,
        sid=sid,
        household=household,
    )
