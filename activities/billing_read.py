"""One whole read of an account at Stripe. It changes nothing, neither there nor here, and believes no message.

An ordinary read is one call: the subscriptions with their latest invoices. What has been paid, is owed, or went back
costs one more each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from activities.billing_movements import Account, MovementReader, Movements
from domain.billing import dunning
from domain.billing.catalogue import Tier, tier_of
from domain.billing.choice import Candidate, Wallet, another_card, choose, surplus
from domain.billing.dunning import Debt, OpenInvoice, PaymentState
from domain.billing.standing import ENDED
from integrations.payments import records
from integrations.payments.errors import NotThere

if TYPE_CHECKING:
    from integrations.payments.client import Payments

_PAYMENT_STATES: Final = {
    "processing": PaymentState.PROCESSING,
    "requires_action": PaymentState.REQUIRES_ACTION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What Stripe says, as of one moment: `as_of` is the time there, `ahead` how far that is from ours: only a test
    clock differs. `subscription` is the one that counts; `invoice` what it owes, `card` another payment method
    than the one that was refused. `left_open`: invoices of subscriptions that have ended."""

    as_of: datetime
    money: Movements
    debt: Debt
    ahead: timedelta = timedelta()
    subscription: records.Subscription | None = None
    tier: Tier | None = None
    invoice: records.Invoice | None = None
    owed: OpenInvoice | None = None
    card: str | None = None
    default_then: str | None = None
    next_price_id: str | None = None
    surplus: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads accounts. Raises `PaymentsError`."""

    payments: "Payments"
    movements: MovementReader

    async def read(self, account: Account, as_of: datetime) -> Reading:
        """Everything, as of now; of a customer who is on a test clock, as of what that shows."""
        subscriptions = await self._subscriptions(account.customer_id)
        tiers = {each.id: await self._tier(each.price) for each in subscriptions}
        candidates = [Candidate(each.id, each.status, tiers[each.id], each.created) for each in subscriptions]
        chosen = choose(candidates)
        found = next((each for each in subscriptions if chosen and each.id == chosen.id), None)
        money = await self.movements.read(account, subscriptions)
        if found is None:
            return Reading(as_of=as_of, money=money, debt=Debt())
        invoice, owed, refused = await self._owed(found)
        now = found.now or as_of
        debt = dunning.owe(account.debt, found.status, invoice.id if invoice else None, owed, now)
        wallet = await self._wallet(account, found, refused) if debt.first_failed_at is not None else None
        return Reading(
            as_of=now,
            ahead=now - as_of,
            money=money,
            debt=debt,
            subscription=found,
            tier=tiers[found.id],
            invoice=invoice,
            owed=owed,
            card=another_card(wallet, debt.first_failed_at) if wallet and debt.first_failed_at else None,
            default_then=wallet.default_then if wallet else None,
            next_price_id=await self._next_price(found),
            surplus=surplus(candidates),
            left_open=await self._left_open(account.customer_id, subscriptions),
        )

    async def _subscriptions(self, customer_id: str) -> tuple[records.Subscription, ...]:
        """None of a customer who was deleted."""
        try:
            return await self.payments.subscriptions_of(customer_id)
        except NotThere:
            return ()

    async def _left_open(self, customer_id: str, subscriptions: Sequence[records.Subscription]) -> tuple[str, ...]:
        """Invoices that somebody may still pay for what has ended. Those of months that Stripe had given up on are
        drafts, and the one that is open is older: where the latest is settled nothing is."""
        ended = {each.id for each in subscriptions if each.status in ENDED and not _is_settled(each.latest_invoice)}
        invoices = await self.payments.invoices_of(customer_id) if ended else ()
        return tuple(each.id for each in invoices if each.status == "open" and each.subscription_id in ended)

    async def _tier(self, price: records.Price | None) -> Tier | None:
        """The product is asked only where the price says nothing."""
        if price is None:
            return None
        known = tier_of(price.lookup_key, price.metadata, price.product_metadata)
        if known is not None:
            return known
        whole = await self.payments.price(price.id)
        return tier_of(whole.lookup_key, whole.metadata, whole.product_metadata)

    async def _owed(
        self, subscription: records.Subscription
    ) -> tuple[records.Invoice | None, OpenInvoice | None, str | None]:
        """The latest invoice while it is open, how its payment stands, and the payment method that was refused."""
        invoice = subscription.latest_invoice
        if invoice is None or invoice.status != "open":
            return None, None, None
        trying = next((each for each in invoice.payments or () if each.status == "open"), None)
        if trying is None or trying.payment_intent_id is None:
            state = PaymentState.FAILED if invoice.attempt_count else PaymentState.WAITING
            return invoice, OpenInvoice(payment=state, is_retried=invoice.is_retried), None
        payment = await self.payments.payment(trying.payment_intent_id)
        owed = OpenInvoice(
            payment=_state(payment.status, invoice.attempt_count),
            is_retried=invoice.is_retried,
            decline_code=payment.decline_code,
        )
        return invoice, owed, payment.failed_method_id

    async def _wallet(self, account: Account, subscription: records.Subscription, refused: str | None) -> Wallet:
        customer = await self.payments.customer(subscription.customer_id)
        methods = await self.payments.payment_methods_of(subscription.customer_id)
        is_known = (
            account.debt.invoice_id == subscription.latest_invoice_id and account.debt.first_failed_at is not None
        )
        return Wallet(
            refused=refused,
            of_subscription=subscription.default_payment_method_id,
            of_customer=customer.default_payment_method_id,
            default_then=account.default_then if is_known else customer.default_payment_method_id,
            added=[(method.id, method.created) for method in methods],
        )

    async def _next_price(self, subscription: records.Subscription) -> str | None:
        """What a schedule makes of it at the end of the period. One whose change was made goes on to the end of it."""
        price, ends = subscription.price, subscription.period_end
        if subscription.schedule_id is None or price is None or ends is None:
            return None
        schedule = await self.payments.schedule(subscription.schedule_id)
        if schedule.status not in ("active", "not_started"):
            return None
        following = (phase.price_id for phase in schedule.phases if phase.start >= ends.timestamp())
        return next((price_id for price_id in following if price_id != price.id), None)


def _is_settled(invoice: records.Invoice | None) -> bool:
    return invoice is None or invoice.status in ("paid", "void")


def _state(status: str, attempts: int) -> PaymentState:
    known = _PAYMENT_STATES.get(status)
    return known or (PaymentState.FAILED if attempts else PaymentState.WAITING)
