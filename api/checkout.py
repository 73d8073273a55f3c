"""Subscribing: one Checkout page per account, however often somebody clicks, and the way back from it.

The wish is a row that is committed before Stripe is asked. Whoever made it makes the calls, under keys that follow from
it; the others wait for the page it gets. Nothing here grants anything: that follows from a read of Stripe alone.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import billing, operations
from api.auth import Caller, lock_account
from api.billing_services import Billing
from api.identity import Client
from api.oauth import check_next
from api.schemas.billing import CheckoutIn
from api.services import Services
from core.crypto import Subject
from core.errors import Conflict, FieldProblem, Invalid, NotFound, Unavailable
from core.ids import new_id
from core.logging import logger
from domain.billing.standing import GOOD, LIVE
from integrations.payments import requests
from integrations.payments.errors import NotThere, Refused
from integrations.payments.records import CheckoutSession
from integrations.payments.requests import Visit
from models.billing import CheckoutIntent, IntentState
from models.queries import billing as accounts
from models.queries import billing_operations, billing_views, checkouts
from models.queries.billing_operations import Intended
from models.queries.clock import database_now
from temporal import outbox

log = logger(__name__)

URL: Final = "checkout_intents.url_ct"
RETURN_PAGE: Final = "/billing/return"
"""Where the Checkout page leads to when the app has no place of its own for that."""
ABANDONED: Final = timedelta(seconds=30)
"""Longer than a creator takes, its calls and their one retry: after that another page is made."""
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Opened:
    """A page on which somebody can pay."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a look at the account's wish leaves to do: nothing (`opened`), wait (neither), or make the page of `mine`,
    after `replaced` has been closed at Stripe."""

    price: asyncpg.Record
    opened: Opened | None = None
    mine: UUID | None = None
    replaced: tuple[UUID, str] | None = None


async def start(
    services: Services, payments: Billing, client: Client, caller: Caller, body: CheckoutIn
) -> dict[str, Any]:
    """The account's one open page for this plan. Raises `Invalid` for what is not sold, `Conflict` for who has a
    subscription or pays in another currency, `Unavailable`, `PaymentsError`."""
    returns_to = _return_url(services, body.next)
    deadline = asyncio.get_running_loop().time() + billing.WAIT_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        claim = await _claim(services, client, caller, body)
        if claim.opened is not None:
            return {"url": claim.opened.url, "expires_at": claim.opened.expires_at}
        if claim.mine is not None:
            opened = await _open(services, payments, caller.user_id, claim.mine, claim.price, returns_to)
            return {"url": opened.url, "expires_at": opened.expires_at}
        if claim.replaced is not None:
            await _close_replaced(services, payments, caller.user_id, *claim.replaced)
        else:
            await asyncio.sleep(_POLL_SECONDS)
    raise Unavailable("The page is being made: ask for it again.", code="checkout_in_progress", retry_after=2)


async def come_back(services: Services, caller: Caller, session_id: str) -> dict[str, Any]:
    """Whoever comes back from a page of theirs: the account is read, and shown as soon as that has made a difference.
    Raises `NotFound` for a page that is none of theirs; Stripe is not asked then."""
    visit = await billing_views.visit(services.db.reads, session_id)
    if visit is None or visit["account_id"] != caller.user_id:
        raise NotFound("no such Checkout page")
    await _ring(services, caller.user_id)
    return await billing.shown(services, caller.user_id, lambda row: row["status"] in GOOD)


async def open_portal(services: Services, payments: Billing, client: Client, caller: Caller, path: str | None) -> str:
    """The address of the account's Portal page. Raises `NotSubscribed` before the first Checkout and for a customer who
    was deleted at Stripe, `PaymentsError`."""
    returns_to = _return_url(services, path)
    row = await billing.standing(services.db, caller.user_id)
    if row["stripe_customer_id"] is None:
        raise _nobody()
    op_id = new_id()
    intended = Intended(
        account_id=caller.user_id,
        kind="portal",
        key=f"portal:{op_id}",
        params=requests.portal(row["stripe_customer_id"], returns_to, row["locale"]),
        op_id=op_id,
    )
    try:
        url = await operations.perform_without_object(services.db, payments, intended, payments.client.open_portal)
    except NotThere:
        raise _nobody() from None
    async with services.db.sessions.begin() as session:
        await billing.record(session, services, client, caller, "billing.portal")
    return url


def _nobody() -> billing.NotSubscribed:
    return billing.NotSubscribed("There is nothing to manage yet.", extra={"checkout": "/api/v1/billing/checkout"})


async def noticed(services: Services, session_id: str) -> None:
    """Somebody came back from this page, whoever they are: its account is read. Tells nothing."""
    visit = await billing_views.visit(services.db.reads, session_id)
    if visit is not None:
        await _ring(services, visit["account_id"])


async def _ring(services: Services, account_id: UUID) -> None:
    async with services.db.sessions.begin() as session:
        await outbox.ring_billing(session, account_id)


async def _claim(services: Services, client: Client, caller: Caller, body: CheckoutIn) -> _Claim:
    """Look at the account's wish, under the account's lock; make one where there is none."""
    price = await billing_views.price(services.db.reads, body.plan, body.currency)
    if price is None:
        raise _invalid("plan", "not_sold", "no plan that is sold in this currency: see `GET /billing/plans`")
    async with services.db.sessions.begin() as session:
        await lock_account(session, caller)
        await _check_may_subscribe(session, caller.user_id, body.currency)
        intent, now = await checkouts.standing(session, caller.user_id), await database_now(session)
        is_same = intent is not None and (intent.lookup_key, intent.currency) == (body.plan, body.currency)
        if intent is not None and intent.state == IntentState.OPEN:
            return await _of_open(services, intent, price, is_good=is_same and _lasts(intent, now))
        if intent is not None and now - intent.updated_at < ABANDONED:
            return _Claim(price)
        if intent is not None:  # under its key Stripe may answer the failure of before, for a day
            await checkouts.end(session, intent.id, IntentState.EXPIRED)
        made = await checkouts.add(session, caller.user_id, body.plan, body.currency)
        await billing.record(session, services, client, caller, "billing.checkout", f"plan:{body.plan}")
        return _Claim(price, mine=made.id)


async def _of_open(services: Services, intent: CheckoutIntent, price: asyncpg.Record, *, is_good: bool) -> _Claim:
    if not is_good:
        return _Claim(price, replaced=(intent.id, intent.checkout_session_id or ""))
    url = await services.cipher.open(URL, intent.id, intent.url_ct or "")
    return _Claim(price, opened=Opened(url, intent.expires_at or intent.updated_at))


def _lasts(intent: CheckoutIntent, now: datetime) -> bool:
    return intent.expires_at is not None and intent.expires_at > now


async def _check_may_subscribe(session: AsyncSession, account_id: UUID, currency: str) -> None:
    """Raises `Conflict`, with what to do instead."""
    snapshot, customer = await accounts.snapshot(session, account_id), await accounts.customer(session, account_id)
    status = snapshot.status if snapshot else None
    if status in GOOD:
        raise Conflict(
            "There is a subscription: change its plan.",
            code="already_subscribed",
            extra={"plan_change": "/api/v1/billing/plan-change"},
        )
    if status in LIVE:
        raise Conflict(
            "A payment is owed: pay it, or cancel, before you subscribe anew.",
            code="payment_due",
            extra={"portal": "/api/v1/billing/portal"},
        )
    if snapshot is not None and status == "incomplete" and snapshot.payment == "processing":
        raise Conflict("Your bank is still at it: the plan begins when it is done.", code="payment_processing")
    if customer is not None and customer.currency not in (None, currency):
        raise Conflict(
            f"You pay in {customer.currency}: a customer's currency does not change.",
            code="other_currency",
            extra={"currency": customer.currency},
        )


async def _close_replaced(
    services: Services, payments: Billing, account_id: UUID, intent_id: UUID, session_id: str
) -> None:
    """Nobody can pay there any more. Raises `Conflict` where somebody just has, and `PaymentsError`."""
    state = IntentState.SUPERSEDED
    expire = Intended(account_id=account_id, kind="expire", key=f"expire:{session_id}")
    try:
        await operations.perform(
            services.db, payments, expire, lambda _, key: payments.client.expire_checkout(session_id, key)
        )
    except Refused:
        if (await payments.client.checkout_session(session_id)).status == "complete":
            await _ring(services, account_id)
            raise Conflict("You have subscribed a moment ago.", code="already_subscribed") from None
        state = IntentState.EXPIRED
    async with services.db.sessions.begin() as session:
        await checkouts.end(session, intent_id, state)


async def _open(
    services: Services, payments: Billing, account_id: UUID, intent_id: UUID, price: asyncpg.Record, returns_to: str
) -> Opened:
    """Make the page of this wish. What Stripe will not have ends the wish: raises `Conflict`, for it was sold last
    night. What it did not answer is made again under the same keys: raises `PaymentsError`."""
    try:
        page = await _page(services, payments, account_id, intent_id, price, returns_to)
    except Refused as refused:
        log.warning("billing_checkout_refused", account_id=str(account_id), code=refused.stripe_code)
        async with services.db.sessions.begin() as session:
            await checkouts.end(session, intent_id, IntentState.EXPIRED)
        raise Conflict("This plan is not sold just now: look at the plans again.", code="not_sold_now") from refused
    url_ct = await services.cipher.seal(Subject.user(account_id), URL, intent_id, page.url or "")
    async with services.db.sessions.begin() as session:
        await checkouts.opened(session, intent_id, page.id, url_ct, page.expires_at)
    return Opened(page.url or "", page.expires_at)


async def _page(
    services: Services, payments: Billing, account_id: UUID, intent_id: UUID, price: asyncpg.Record, returns_to: str
) -> CheckoutSession:
    row = await billing.standing(services.db, account_id)
    visit = Visit(
        intent_id=intent_id,
        account_id=account_id,
        customer_id=await customer_of(services, payments, row),
        price_id=price["price_id"],
        currency=price["currency"],
        locale=row["locale"],
        success_url=f"{returns_to}?session_id={{CHECKOUT_SESSION_ID}}",
        cancel_url=returns_to,
    )
    intended = Intended(
        account_id=account_id,
        kind="checkout",
        key=f"checkout:{intent_id}",
        params=requests.checkout(visit),
        op_id=intent_id,
    )
    return await operations.perform(services.db, payments, intended, payments.client.create_checkout)


async def customer_of(services: Services, payments: Billing, row: asyncpg.Record) -> str:
    """The account's customer at Stripe, made before its first Checkout; one who was deleted there gets a successor."""
    known, generation = row["stripe_customer_id"], row["generation"] or 1
    if known is not None:
        if not await _is_gone(payments, known):
            return str(known)
        generation += 1
    account_id = row["account_id"]
    generation = await _answering(services, payments, account_id, generation)
    intended = Intended(
        account_id=account_id,
        kind="customer",
        key=f"customer:{account_id}:{generation}",
        params=requests.customer(account_id, row["locale"]),
    )
    made = await operations.perform(services.db, payments, intended, payments.client.create_customer)
    async with services.db.sessions.begin() as session:
        await accounts.add_customer(session, account_id, made.id, generation=generation, livemode=payments.livemode)
    return made.id


async def _answering(services: Services, payments: Billing, account_id: UUID, generation: int) -> int:
    """The first generation from this one on whose key was not left without an answer. A customer who was made and never
    heard of has nothing, and costs nothing."""
    async with services.db.sessions() as session:
        while await billing_operations.is_unanswered(
            session, payments.environment, f"customer:{account_id}:{generation}", ABANDONED
        ):
            generation += 1
    return generation


async def _is_gone(payments: Billing, customer_id: str) -> bool:
    try:
        return (await payments.client.customer(customer_id)).is_deleted
    except NotThere:
        return True


def _return_url(services: Services, path: str | None) -> str:
    """Where the Checkout page leads. Raises `Invalid`."""
    settings = services.settings
    if path is None:
        return f"{settings.public_url}{RETURN_PAGE}"
    return f"{settings.oauth.app_url or settings.public_url}{check_next(services.identity, path)}"


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
