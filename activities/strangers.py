"""Mail to addresses that may have no account: the row of what is offered is its ledger, not `deliveries`."""

from uuid import UUID

from core.crypto import FieldCipher, SubjectErased
from domain.household import speakable
from integrations.notify.protocol import Channel, Message, ProviderRefused


class StrangerMail:
    """`public_url` is where its links lead."""

    def __init__(self, cipher: FieldCipher, email: Channel, public_url: str) -> None:
        self.cipher, self.email, self.public_url = cipher, email, public_url

    async def send(self, message: Message, key: UUID) -> str | None:
        """Hand it over; the same key is the same mail. Answers why it can never be sent, None when it was.

        Raises `ProviderUnavailable`: to be tried again.
        """
        try:
            await self.email.send(message, idempotency_key=key)
        except ProviderRefused as refused:
            return refused.problem_code
        return None

    async def name(self, column: str, row_id: UUID, sealed: str | None) -> str | None:
        """A name that somebody chose, where it may be said to strangers and its owner is not forgotten."""
        try:
            return speakable(await self.cipher.open_optional(column, row_id, sealed))
        except SubjectErased:
            return None
