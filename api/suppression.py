"""The address that gets no bulk mail: seen by its owner, who may say that it works again."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.identity import Client, Identity
from api.trail import note
from core.errors import Conflict
from core.read_pool import ReadPool
from domain.mail_feedback import Suppression
from models.queries import feedback


class ComplaintStands(Conflict):
    """409: mail to this address was reported as spam. Writing to it all the same costs everybody's mails their way."""

    code = "complaint_stands"

    def __init__(self) -> None:
        super().__init__("mail to this address was reported as spam; ask the operator, or use another address")


async def show(reads: ReadPool, caller: Caller) -> dict[str, Any]:
    """The document of `SuppressionOut`."""
    row = await feedback.suppression(reads, caller.user_id)
    reason = Suppression(row["reason"]) if row else None
    return {"reason": reason, "since": row and row["at"], "may_be_lifted": reason is Suppression.BOUNCE}


async def lift(session: AsyncSession, reads: ReadPool, identity: Identity, client: Client, caller: Caller) -> None:
    """Write to the address again, until it bounces again. Repeating it changes nothing. Raises `ComplaintStands`."""
    if await feedback.lift(session, caller.user_id):
        await note(session, identity, client, "mail.unsuppress", actor=caller.user_id, subject=caller.user_id)
    elif await feedback.suppression(reads, caller.user_id) is not None:
        raise ComplaintStands
