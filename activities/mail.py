"""Sending one mail. May run twice: the ledger lets one run ask the provider at a time, always with the same key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.digest import DigestWording
from activities.wording import Links
from core import unsubscribe
from core.crypto import FieldCipher
from core.db import SessionFactory
from domain.notification import Category, Channel, Forbidden, forbidden
from integrations.notify.protocol import Channel as EmailChannel
from integrations.notify.protocol import Message, ProviderRefused, ProviderUnavailable
from integrations.notify.render import render
from models.notification import Delivery, DeliveryState, MailTemplate
from models.queries import deliveries, digests, mails, notices, notification_preferences, reminder_notices
from models.session import MailTokenKind
from models.user import EmailChange, ErasureRequest, User, UserState
from temporal.contracts.mail import SendMail


@dataclass(frozen=True, slots=True)
class Page:
    """A page whose button uses the token: mail scanners follow links, so no link acts by itself."""

    path: str
    kind: MailTokenKind
    lifetime: timedelta


VERIFICATION: Final = Page("/verify-email", MailTokenKind.VERIFY, timedelta(hours=24))
RESET: Final = Page("/reset-password", MailTokenKind.RESET, timedelta(minutes=30))
CONFIRMATION: Final = Page("/confirm-email", MailTokenKind.CHANGE, timedelta(hours=24))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person wants that a mail may be about, as it stands now."""

    erasure: ErasureRequest | None
    email_change: EmailChange | None
    """The very one that the mail asks to confirm."""


class MailActivities:
    """`grace` is how long an erasure can be taken back."""

    def __init__(
        self, sessions: SessionFactory, cipher: FieldCipher, email: EmailChannel, *, links: Links, grace: timedelta
    ) -> None:
        self.sessions, self.cipher, self.email, self.links = sessions, cipher, email, links
        self.digest = DigestWording(cipher, links)
        self.pages: Mapping[str, Page] = {
            MailTemplate.VERIFY_EMAIL: VERIFICATION,
            MailTemplate.PASSWORD_RESET: RESET,
            MailTemplate.CONFIRM_EMAIL: CONFIRMATION,
            MailTemplate.ERASURE_REQUESTED: Page("/cancel-erasure", MailTokenKind.CANCEL_ERASURE, grace),
        }

    @activity.defn
    async def send_mail(self, request: SendMail) -> None:
        """Mint what the mail's link needs, render, send, settle. A mail that has become pointless is withdrawn."""
        delivery_id = request.delivery_id
        message = await self._prepare(delivery_id)
        if message is None:
            return
        try:
            receipt = await self.email.send(message, idempotency_key=delivery_id)
        except ProviderRefused as refused:
            async with self.sessions.begin() as session:
                await deliveries.settle(session, delivery_id, DeliveryState.FAILED, reason=refused.problem_code)
                await reminder_notices.fail_folded(session, delivery_id, refused.problem_code)
        except ProviderUnavailable as away:
            async with self.sessions.begin() as session:
                await deliveries.release(session, delivery_id, away.problem_code, ambiguous=away.ambiguous)
            raise
        else:
            async with self.sessions.begin() as session:
                await deliveries.settle(session, delivery_id, DeliveryState.SENT, provider_id=receipt.provider_id)

    async def _prepare(self, delivery_id: UUID) -> Message | None:
        """The message, its token committed before it is sent; None when there is nothing to send (any more)."""
        async with self.sessions.begin() as session:
            leased = await mails.lease(session, delivery_id)
            if leased is None:
                if await deliveries.is_settled(session, delivery_id):
                    return None
                raise deliveries.DeliveryBusy
            delivery, user = leased
            asked = Asked(await mails.open_erasure(session, user.id), await mails.open_email_change(session, delivery))
            unwanted = _unwanted(delivery, user, asked)
            unwanted = unwanted or await self._refused(session, delivery)
            if delivery.template in self.pages and await mails.is_superseded(session, delivery):
                unwanted = "superseded"
            if unwanted is not None:
                await deliveries.settle(session, delivery_id, DeliveryState.WITHDRAWN, reason=unwanted)
                if unwanted == Forbidden.SUPPRESSED:
                    await reminder_notices.fail_folded(session, delivery_id, unwanted)
                return None
            if delivery.channel != Channel.EMAIL:
                await deliveries.settle(session, delivery_id, DeliveryState.FAILED, reason="pending_channel")
                return None
            message = await self._words(session, delivery, user, asked)
            if message is None:
                await deliveries.settle(session, delivery_id, DeliveryState.WITHDRAWN, reason="nothing_left")
            return message

    async def _refused(self, session: AsyncSession, delivery: Delivery) -> str | None:
        """What the person's own standing says about it now."""
        standing = await notification_preferences.standing(session, delivery.user_id)
        if standing is None:
            return "account_erased"
        return forbidden(Category(delivery.category), Channel(delivery.channel), standing)

    async def _words(self, session: AsyncSession, delivery: Delivery, user: User, asked: Asked) -> Message | None:
        if delivery.step == digests.STEP:
            return await self.digest.message(session, delivery, user)
        values: dict[str, object] = {"public_url": self.links.public_url}
        params = await self.cipher.open_optional(notices.PARAMS, delivery.id, delivery.params_ct)
        values |= json.loads(params) if params else {}
        page = self.pages.get(delivery.template)
        if page is not None:
            bidx = asked.email_change.address_bidx if asked.email_change else None
            token = await mails.mint_token(
                session, user, page.kind, page.lifetime, asked_at=delivery.created_at, address_bidx=bidx
            )
            values["link"] = f"{self.links.public_url}{page.path}?token={token}"
        if asked.erasure is not None:
            values["execute_at"] = asked.erasure.execute_at.astimezone(ZoneInfo(user.timezone))
        address = await self._address(user, asked, values)
        stop = self.links.token(user.id, Category(delivery.category), Channel.EMAIL, delivery.created_at)
        if stop is None:
            return render(delivery.template, user.locale, address, values)
        values["unsubscribe_link"] = unsubscribe.page_link(self.links.public_url, stop)
        message = render(delivery.template, user.locale, address, values)
        return replace(message, headers=unsubscribe.headers(self.links.public_url, stop))

    async def _address(self, user: User, asked: Asked, params: Mapping[str, object]) -> str:
        """The person's own, the one to be confirmed, or the one that the notice names (`to`): a former one."""
        if asked.email_change is not None:
            change = asked.email_change
            return await self.cipher.open("email_changes.address_ct", change.id, change.address_ct)
        return str(params.get("to") or await self.cipher.open("users.email_ct", user.id, user.email_ct))


def _unwanted(delivery: Delivery, user: User, asked: Asked) -> str | None:
    """Why this mail must not leave any more; None: it may. A provider may have been away for days."""
    if user.state in (UserState.ERASING, UserState.ERASED):
        return "account_erased"
    if delivery.template == MailTemplate.VERIFY_EMAIL and user.email_verified_at is not None:
        return "already_verified"
    if delivery.template == MailTemplate.ERASURE_REQUESTED and asked.erasure is None:
        return "erasure_cancelled"
    if delivery.template == MailTemplate.PASSWORD_RESET and user.state != UserState.ACTIVE:
        return "account_blocked"
    if delivery.template == MailTemplate.CONFIRM_EMAIL and asked.email_change is None:
        return "email_change_dropped"
    return None
