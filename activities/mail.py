"""Sending one message that is about no occurrence. May run twice: the ledger lets one run ask the provider at a time,
always with the same key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import metrics
from activities.courier import Address, Courier, NoticeWords, notice_text
from activities.digest import DigestWording
from activities.wording import Links, e164
from core import unsubscribe
from core.crypto import FieldCipher
from core.db import SessionFactory
from core.errors import PetfolioError
from domain import notification, sms
from domain.billing.catalogue import limits_of
from domain.notification import Category, Channel, Forbidden, Standing
from domain.reminder_delivery import QUIET_HOURS
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable
from integrations.notify.render import render
from models.notification import Delivery, DeliveryState, MailTemplate
from models.queries import (
    deliveries,
    digests,
    mails,
    notices,
    notification_preferences,
    reminder_notices,
    sms_usage,
)
from models.queries.clock import database_now
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """A leased row that may be sent, and what is to be known about its person."""

    delivery: Delivery
    user: User
    standing: Standing
    asked: Asked


class HeldBack(PetfolioError):
    """The person's quiet hours last: it leaves at their end."""

    code = "quiet_hours"
    http_status = 409
    retryable = True


class BudgetSpent(ProviderRefused):
    """The text messages of the month's plan are used up."""

    code = "sms_budget"


class MailActivities:
    """`grace` is how long an erasure can be taken back."""

    def __init__(
        self, sessions: SessionFactory, cipher: FieldCipher, courier: Courier, *, links: Links, grace: timedelta
    ) -> None:
        self.sessions, self.cipher, self.courier, self.links = sessions, cipher, courier, links
        self.digest = DigestWording(cipher, links)
        self.pages: Mapping[str, Page] = {
            MailTemplate.VERIFY_EMAIL: VERIFICATION,
            MailTemplate.PASSWORD_RESET: RESET,
            MailTemplate.CONFIRM_EMAIL: CONFIRMATION,
            MailTemplate.ERASURE_REQUESTED: Page("/cancel-erasure", MailTokenKind.CANCEL_ERASURE, grace),
        }

    @activity.defn
    async def send_mail(self, request: SendMail) -> None:
        """Mint what its link needs, render, send, settle. What has become pointless is withdrawn.

        Raises `HeldBack` while it must not disturb, and `ProviderUnavailable`.
        """
        delivery_id = request.delivery_id
        prepared = await self._prepare(delivery_id)
        if prepared is None:
            return
        notice, address = prepared
        try:
            receipt = await self.courier.send_notice(notice, address, idempotency_key=delivery_id)
        except ProviderRefused as refused:
            async with self.sessions.begin() as session:
                await _settle(session, delivery_id, address.channel, DeliveryState.FAILED, reason=refused.problem_code)
                await reminder_notices.fail_folded(session, delivery_id, refused.problem_code)
        except ProviderUnavailable as away:
            metrics.put_off(address.channel)
            async with self.sessions.begin() as session:
                await deliveries.release(session, delivery_id, away.problem_code, ambiguous=away.ambiguous)
            raise
        else:
            async with self.sessions.begin() as session:
                sent = DeliveryState.SENT
                await _settle(session, delivery_id, address.channel, sent, provider_id=receipt.provider_id)

    async def _prepare(self, delivery_id: UUID) -> tuple[NoticeWords, Address] | None:
        """What to say and where, its token committed before it is sent; None when nothing is to be sent (any more)."""
        async with self.sessions.begin() as session:
            leased = await mails.lease(session, delivery_id)
            if leased is None:
                if await deliveries.is_settled(session, delivery_id):
                    return None
                raise deliveries.DeliveryBusy
            delivery, user = leased
            standing = await notification_preferences.standing(session, user.id)
            asked = Asked(await mails.open_erasure(session, user.id), await mails.open_email_change(session, delivery))
            unwanted = _unwanted(delivery, user, asked) or _refused(delivery, standing)
            if delivery.template in self.pages and await mails.is_superseded(session, delivery):
                unwanted = "superseded"
            if unwanted is not None or standing is None:
                await _settle(session, delivery_id, delivery.channel, DeliveryState.WITHDRAWN, reason=unwanted)
                if unwanted == Forbidden.SUPPRESSED:
                    await reminder_notices.fail_folded(session, delivery_id, unwanted)
                return None
            now = await database_now(session)
            free_at = _free_at(delivery, standing, now)
            if free_at <= now:
                return await self._made(session, Wanted(delivery, user, standing, asked))
            await deliveries.defer(session, delivery_id, free_at, QUIET_HOURS)
        raise HeldBack("quiet hours", retry_after=ceil((free_at - now).total_seconds()))

    async def _made(self, session: AsyncSession, wanted: Wanted) -> tuple[NoticeWords, Address] | None:
        """What to say and where; None, and the row settled, where that cannot be."""
        delivery = wanted.delivery
        try:
            params = await self._params(delivery)
            address = await self._address(wanted, params)
            notice = await self._words(session, wanted, params)
            if notice is not None and address.channel is Channel.SMS:
                await _charge(session, delivery, notice)
        except ProviderRefused as refused:
            reason = refused.problem_code
            await _settle(session, delivery.id, delivery.channel, DeliveryState.FAILED, reason=reason)
            return None
        if notice is None:
            await _settle(session, delivery.id, delivery.channel, DeliveryState.WITHDRAWN, reason="nothing_left")
            return None
        return notice, address

    async def _params(self, delivery: Delivery) -> Mapping[str, object]:
        """What the notice knows that no row does."""
        params = await self.cipher.open_optional(notices.PARAMS, delivery.id, delivery.params_ct)
        return json.loads(params) if params else {}

    async def _address(self, wanted: Wanted, params: Mapping[str, object]) -> Address:
        """Raises `PhoneUnusable`."""
        user, channel = wanted.user, Channel(wanted.delivery.channel)
        match channel:
            case Channel.SMS:
                to = e164(await self.cipher.open_optional("users.phone_ct", user.id, user.phone_ct) or "")
            case Channel.EMAIL:
                to = await self._mailbox(user, wanted.asked.email_change, params)
            case _:
                to = str(user.id)
        return Address(channel, to)

    async def _mailbox(self, user: User, change: EmailChange | None, params: Mapping[str, object]) -> str:
        """The person's own, the one to be confirmed, or the one that the notice names (`to`): a former one."""
        if change is not None:
            return await self.cipher.open("email_changes.address_ct", change.id, change.address_ct)
        return str(params.get("to") or await self.cipher.open("users.email_ct", user.id, user.email_ct))

    async def _words(self, session: AsyncSession, wanted: Wanted, params: Mapping[str, object]) -> NoticeWords | None:
        """Without an address; None: nothing is left to tell."""
        if wanted.delivery.step == digests.STEP:
            digest = await self.digest.message(session, wanted.delivery, wanted.standing)
            return NoticeWords(mail=digest, link=self.links.public_url) if digest else None
        delivery, user, category = wanted.delivery, wanted.user, Category(wanted.delivery.category)
        erasure, change = wanted.asked.erasure, wanted.asked.email_change
        values: dict[str, object] = {"public_url": self.links.public_url, **params}
        page = self.pages.get(delivery.template)
        if page is not None:
            bidx = change.address_bidx if change else None
            token = await mails.mint_token(
                session, user, page.kind, page.lifetime, asked_at=delivery.created_at, address_bidx=bidx
            )
            values["link"] = f"{self.links.public_url}{page.path}?token={token}"
        if erasure is not None:
            values["execute_at"] = erasure.execute_at.astimezone(ZoneInfo(user.timezone))
        stop = self.links.token(user.id, category, Channel.EMAIL, delivery.created_at)
        if stop is not None:
            values["unsubscribe_link"] = unsubscribe.page_link(self.links.public_url, stop)
        mail = render(delivery.template, user.locale, "", values)
        if stop is not None:
            mail = replace(mail, headers=unsubscribe.headers(self.links.public_url, stop))
        link = str(values.get("link", self.links.public_url))
        return NoticeWords(mail=mail, link=link, urgent=_is_critical(delivery))


async def _settle(
    session: AsyncSession,
    delivery_id: UUID,
    channel: str,
    state: DeliveryState,
    *,
    provider_id: str | None = None,
    reason: str | None = None,
) -> None:
    """The row's last word, for the ledger and for the operators."""
    await deliveries.settle(session, delivery_id, state, provider_id=provider_id, reason=reason)
    metrics.settled(channel, state, reason)


def _refused(delivery: Delivery, standing: Standing | None) -> str | None:
    """What the person's own standing says about it now."""
    if standing is None:
        return "account_erased"
    return notification.forbidden(Category(delivery.category), Channel(delivery.channel), standing)


def _free_at(delivery: Delivery, standing: Standing, now: datetime) -> datetime:
    """When it may leave: a mail that cannot be switched off at once, anything else outside quiet hours."""
    category, channel = Category(delivery.category), Channel(delivery.channel)
    if not notification.may_be_stopped(category, channel):
        return now
    return notification.free_at(now, standing, critical=_is_critical(delivery))


def _is_critical(delivery: Delivery) -> bool:
    """Whether it breaks through quiet hours; a question has time."""
    return Category(delivery.category) in notification.CRITICAL and delivery.template != MailTemplate.STILL_LOST


async def _charge(session: AsyncSession, delivery: Delivery, notice: NoticeWords) -> None:
    """Take the segments from the month's budget, in the transaction of the first lease. Raises `BudgetSpent`."""
    if delivery.attempt > 1:
        return
    allowed = limits_of(await sms_usage.plan(session, delivery.user_id)).sms_per_month
    if not await sms_usage.take(session, delivery.user_id, sms.segments(notice_text(notice)), allowed):
        raise BudgetSpent("no text messages are left this month")


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
    if delivery.category == Category.LOST and delivery.params_ct is None:
        return "wiped"
    return None
