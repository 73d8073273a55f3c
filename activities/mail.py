"""Sending one mail. May run twice: the delivery row's id is the provider's key, and a second token voids the first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from core.crypto import FieldCipher
from core.db import SessionFactory
from integrations.notify.protocol import Channel, Message, ProviderRefused
from integrations.notify.render import render
from models.notification import Delivery, DeliveryState, MailTemplate
from models.queries import mails
from models.session import MailTokenKind
from models.user import User, UserState
from temporal.contracts.mail import SendMail


@dataclass(frozen=True, slots=True)
class Link:
    """A page whose button uses the token: mail scanners follow links, so no link acts by itself."""

    page: str
    kind: MailTokenKind
    lifetime: timedelta


VERIFICATION: Final = Link("/verify-email", MailTokenKind.VERIFY, timedelta(hours=24))
OPEN: Final = frozenset({DeliveryState.PLANNED, DeliveryState.DEFERRED})


class MailActivities:
    """`public_url` is where links lead, never what a request said of itself."""

    def __init__(
        self, sessions: SessionFactory, cipher: FieldCipher, email: Channel, *, public_url: str, grace: timedelta
    ) -> None:
        self.sessions, self.cipher, self.email, self.public_url = sessions, cipher, email, public_url
        self.links: Mapping[str, Link] = {
            MailTemplate.VERIFY_EMAIL: VERIFICATION,
            MailTemplate.ERASURE_REQUESTED: Link("/cancel-erasure", MailTokenKind.CANCEL_ERASURE, grace),
        }

    @activity.defn
    async def send_mail(self, request: SendMail) -> None:
        """Mint what the mail's link needs, render, send, settle. A mail nobody may get any more is withdrawn."""
        message = await self._prepare(request.delivery_id)
        if message is None:
            return
        try:
            receipt = await self.email.send(message, idempotency_key=request.delivery_id)
        except ProviderRefused as refused:
            await self._settle(request.delivery_id, DeliveryState.FAILED, reason=refused.problem_code)
        else:
            await self._settle(request.delivery_id, DeliveryState.SENT, provider_id=receipt.provider_id)

    async def _prepare(self, delivery_id: UUID) -> Message | None:
        """The message, its token committed before it is sent; None when there is nothing to send."""
        async with self.sessions.begin() as session:
            found = await mails.lock(session, delivery_id)
            if found is None or found[0].state not in OPEN:
                return None
            delivery, user = found
            if user.state in (UserState.ERASING, UserState.ERASED):
                await mails.settle(session, delivery_id, DeliveryState.WITHDRAWN, reason="account_erased")
                return None
            delivery.attempt += 1
            return await self._words(session, delivery, user)

    async def _words(self, session: AsyncSession, delivery: Delivery, user: User) -> Message:
        values: dict[str, object] = {"public_url": self.public_url}
        link = self.links.get(delivery.template)
        if link is not None:
            token = await mails.mint_token(session, user, link.kind, link.lifetime)
            values["link"] = f"{self.public_url}{link.page}?token={token}"
        erasure = await mails.open_erasure(session, user.id)
        if erasure is not None:
            values["execute_at"] = erasure.execute_at.astimezone(ZoneInfo(user.timezone))
        address = await self.cipher.open("users.email_ct", user.id, user.email_ct)
        return render(delivery.template, user.locale, address, values)

    async def _settle(
        self, delivery_id: UUID, state: DeliveryState, *, provider_id: str | None = None, reason: str | None = None
    ) -> None:
        async with self.sessions.begin() as session:
            await mails.settle(session, delivery_id, state, provider_id=provider_id, reason=reason)
