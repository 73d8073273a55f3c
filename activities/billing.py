"""Effects of an account's subscription. Each may run twice: reads are fenced, writes have their operation's key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from temporalio import activity

from activities import billing_duplicates
from activities.billing_apply import Applier, pay_key, void_key
from activities.billing_movements import Account, MovementReader
from activities.billing_operations import Operator
from activities.billing_read import Reader
from core.crypto import FieldCipher
from core.db import SessionFactory
from core.logging import logger
from domain.billing.dunning import Debt
from domain.billing.standing import LIVE
from integrations.payments.errors import Declined, NotThere, Refused
from models.billing import BillingSnapshot, IntentState
from models.queries import billing, billing_events, billing_money, checkouts
from models.queries.billing_operations import Intended
from temporal import outbox
from temporal.contracts.billing import (
    ATTEMPTS,
    AccountPlan,
    CancelSurplus,
    CloseCheckouts,
    Fence,
    LoadFence,
    NewCard,
    PayInvoice,
    PullAccount,
    Standing,
    VoidInvoice,
)

if TYPE_CHECKING:
    from integrations.payments.client import Payments

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class BillingActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"
    cipher: FieldCipher
    environment: str

    @activity.defn
    async def load_fence(self, request: LoadFence) -> Fence:
        """How far the reads of this account have been counted."""
        async with self.sessions() as session:
            snapshot = await billing.snapshot(session, request.account_id)
        return Fence(snapshot.fence if snapshot else 0)

    @activity.defn
    async def pull_and_apply(self, request: PullAccount) -> AccountPlan:
        """Read the account and store it. An attempt that was given up and goes on all the same stores nothing over what
        its successor has. Raises `PaymentsError`."""
        fence = request.seq * ATTEMPTS + activity.info().attempt
        account = await self._note(request.account_id)
        if account is None:
            return AccountPlan(Standing.FREE)
        reader = Reader(self.payments, MovementReader(self.payments, self.sessions))
        reading = await reader.read(account, request.as_of)
        async with self.sessions.begin() as session:
            return await Applier(self.cipher, self.environment).apply(session, account, reading, fence)

    async def _note(self, account_id: UUID) -> Account | None:
        """What is to be handled, before Stripe is asked; None: the account has never been there."""
        async with self.sessions.begin() as session:
            customer = await billing.customer(session, account_id)
            if customer is None:
                return None
            snapshot = await billing.snapshot(session, account_id)
            return Account(
                id=account_id,
                customer_id=customer.stripe_customer_id,
                recount=customer.recount,
                debt=_debt(snapshot),
                noted=await billing_events.note(session, account_id),
                default_then=snapshot.default_pm_id if snapshot else None,
            )

    @activity.defn
    async def pay_invoice(self, request: PayInvoice) -> None:
        """Charge another card than the refused one, once, and let it be the one that is charged from now on. A refusal
        is stored and ends it: the next try needs another card."""
        card = request.card
        intended = Intended(
            account_id=request.account_id,
            kind="pay",
            key=pay_key(card.invoice_id, card.payment_method_id),
            params={"payment_method": card.payment_method_id},
        )
        try:
            await self._charge_from_now_on(request)
            await self._operator.run(
                intended,
                lambda params, key: self.payments.pay_invoice(card.invoice_id, params, key),
                now=request.now,
            )
        except (Declined, Refused) as refused:
            log.info("billing_card_refused", account_id=str(request.account_id), code=refused.stripe_code)

    async def _charge_from_now_on(self, request: PayInvoice) -> None:
        """Set the field that failed: the subscription's own method where it has one, else the customer's."""
        card, account_id = request.card, request.account_id
        async with self.sessions() as session:
            snapshot = await billing.snapshot(session, account_id)
            customer = await billing.customer(session, account_id)
        if snapshot is None or snapshot.subscription_id is None or customer is None:
            return
        subscription = await self.payments.subscription(snapshot.subscription_id)
        if subscription.default_payment_method_id == card.payment_method_id:
            return
        if subscription.default_payment_method_id is not None:
            await self._operator.run(
                _method(account_id, subscription.id, card, {"default_payment_method": card.payment_method_id}),
                lambda params, key: self.payments.update_subscription(subscription.id, params, key),
                now=request.now,
            )
            return
        settings = {"invoice_settings": {"default_payment_method": card.payment_method_id}}
        await self._operator.run(
            _method(account_id, customer.stripe_customer_id, card, settings),
            lambda params, key: self.payments.update_customer(customer.stripe_customer_id, params, key),
            now=request.now,
        )

    @activity.defn
    async def cancel_surplus(self, request: CancelSurplus) -> None:
        """End a subscription that the account has beside the one that counts, without a credit; once it has ended, pay
        back what was taken for its last invoice, or will be. Raises `PaymentsError`: then it may go on, and keeps its
        money."""
        account_id, subscription_id = request.account_id, request.subscription_id
        ended = await self._operator.repeat(
            billing_duplicates.surplus(account_id, subscription_id), lambda: self.payments.cancel_now(subscription_id)
        )
        invoice_id = ended.latest_invoice_id
        if invoice_id is not None:
            await self._void(VoidInvoice(account_id, invoice_id, request.now))
        async with self.sessions.begin() as session:
            charge_id = await billing_money.charge_for(session, account_id, invoice_id) if invoice_id else None
            if charge_id is not None:
                await billing_duplicates.pay_back(session, account_id, charge_id, request.now)
            await outbox.ring_billing(session, account_id)

    @activity.defn
    async def void_invoice(self, request: VoidInvoice) -> None:
        """Let nobody pay for what has ended: the link in an old mail does not ask whether it has. A refusal is stored
        and ends it. Raises `PaymentsError`."""
        await self._void(request)

    async def _void(self, request: VoidInvoice) -> None:
        """Nobody owes what was not paid of it. A debit that is on its way cannot be held up: it is paid back when it
        has come."""
        invoice_id, account_id = request.invoice_id, request.account_id
        if (await self.payments.invoice(invoice_id)).status != "open":
            return
        try:
            await self._operator.run(
                Intended(account_id=account_id, kind="void", key=void_key(invoice_id)),
                lambda _, key: self.payments.void_invoice(invoice_id, key),
                now=request.now,
            )
        except Refused as refused:
            log.info("billing_invoice_not_voided", account_id=str(account_id), code=refused.stripe_code)

    @activity.defn
    async def close_checkouts(self, request: CloseCheckouts) -> None:
        """Note what came of the account's Checkout pages; while it has a subscription, close those that are open: two
        pages would be paid twice. Raises `PaymentsError`."""
        async with self.sessions() as session:
            pages = await checkouts.open_pages(session, request.account_id)
            snapshot = await billing.snapshot(session, request.account_id)
        is_live = snapshot is not None and snapshot.status in LIVE
        for intent_id, session_id in pages:
            state = await self._close(request, session_id, is_live=is_live)
            if state is not None:
                async with self.sessions.begin() as session:
                    await checkouts.end(session, intent_id, state)

    async def _close(self, request: CloseCheckouts, session_id: str, *, is_live: bool) -> IntentState | None:
        """What came of a page; None: it stays open."""
        try:
            page = await self.payments.checkout_session(session_id)
        except NotThere:
            return IntentState.EXPIRED
        if page.status != "open":
            return IntentState.COMPLETED if page.status == "complete" else IntentState.EXPIRED
        if not is_live:
            return None
        await self._operator.run(
            Intended(account_id=request.account_id, kind="expire", key=f"expire:{session_id}"),
            lambda _, key: self.payments.expire_checkout(session_id, key),
            now=request.now,
        )
        return IntentState.SUPERSEDED

    @property
    def _operator(self) -> Operator:
        return Operator(self.sessions, self.environment)


def _method(account_id: UUID, object_id: str, card: NewCard, params: Mapping[str, object]) -> Intended:
    """What an invoice is charged to from now on."""
    key = f"method:{object_id}:{card.invoice_id}:{card.payment_method_id}"
    return Intended(account_id=account_id, kind="method", key=key, params=params)


def _debt(snapshot: BillingSnapshot | None) -> Debt:
    if snapshot is None:
        return Debt()
    return Debt(snapshot.open_invoice_id, snapshot.first_failed_at, snapshot.past_due_since)
