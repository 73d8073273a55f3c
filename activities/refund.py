"""Steps of a payment on its way back. Its row was reserved before (`models.queries.refunds.reserve`); whatever happens
here, Stripe is asked for it once."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from temporalio import activity

from activities import billing_metrics
from activities.billing_entries import record_refund
from activities.billing_notices import tell
from activities.billing_operations import Operator
from core.crypto import FieldCipher
from core.db import SessionFactory
from domain.billing.refund import DISPUTES_SURVIVED, Charge, RefundRefused, owed
from domain.money import Money, total
from integrations.payments import records, requests
from integrations.payments.errors import Declined, KeyReused, NotThere, Refused
from models.billing import Refund, RefundOrigin, RefundState
from models.notification import MailTemplate
from models.queries import billing_operations as operations
from models.queries import refunds
from models.queries.billing_operations import Intended, Operation
from temporal import outbox
from temporal.contracts.refund import LookAtRefund, RefundStanding

if TYPE_CHECKING:
    from integrations.payments.client import Payments

_LOST: Final = frozenset({RefundState.FAILED, RefundState.CANCELED})


@dataclass(frozen=True, slots=True)
class RefundActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"
    cipher: FieldCipher
    environment: str

    @activity.defn
    async def cancel_before_refund(self, request: LookAtRefund) -> None:
        """End the subscription first, so that no renewal slips in between; but not for a refund that will be refused:
        what came of the payment is read once more before. Raises `PaymentsError`."""
        refund = await self._load(request)
        if refund is None or refund.state != RefundState.RESERVED or refund.cancel_subscription_id is None:
            return
        try:
            owed(await self._charge(refund), Money(refund.amount_minor, refund.currency))
        except RefundRefused as refused:
            return await self._end(refund, RefundState.FAILED, refused.problem_code)
        try:
            await self.payments.cancel_now(refund.cancel_subscription_id)
        except NotThere:
            return
        async with self.sessions.begin() as session:
            await outbox.ring_billing(session, refund.account_id)

    @activity.defn
    async def send_refund(self, request: LookAtRefund) -> RefundStanding:
        """Ask Stripe for it. A refusal releases the reservation; a key that was used for something else does not.
        Raises `PaymentsUnavailable`."""
        refund = await self._load(request)
        if refund is None or refund.state != RefundState.RESERVED:
            return await self._standing(request)
        intended = Intended(
            account_id=refund.account_id,
            kind="refund",
            key=f"refund:{refund.id}",
            params=requests.refund(refund.payment_intent_id, refund.amount_minor, refund.op_id),
            op_id=refund.op_id,
        )

        async def made(_: Operation) -> records.Refund | None:
            return await self._look_up(refund)

        sent = None
        with suppress(Declined, Refused, KeyReused):  # its operation has the code
            sent = await Operator(self.sessions, self.environment).run(
                intended, self.payments.create_refund, now=request.now, find=made
            )
        if not await self._record(refund, sent or await self._look_up(refund)):
            await self._end_refused(refund)
        return await self._standing(request)

    @activity.defn
    async def check_refund(self, request: LookAtRefund) -> RefundStanding:
        """Read what became of it at Stripe. Raises `PaymentsError`."""
        refund = await self._load(request)
        if refund is not None and refund.state in refunds.OPEN:
            await self._record(refund, await self._look_up(refund))
        return await self._standing(request)

    @activity.defn
    async def conclude_refund(self, request: LookAtRefund) -> RefundStanding:
        """Tell its person how it ended, once more where that changes later; an operator, where it did not end well."""
        refund = await self._load(request)
        if refund is None:
            return RefundStanding(None, is_over=True)
        if refund.state != RefundState.SUCCEEDED:
            billing_metrics.REFUNDS_STUCK.labels(refund.state).inc()
        template = _template(refund)
        async with self.sessions.begin() as session:
            if template is not None:
                amount = Money(refund.amount_minor, refund.currency).text
                about, step = f"refund/{refund.id}", str(refund.state)
                await tell(session, self.cipher, refund.account_id, template, about, step=step, amount=amount)
            await outbox.ring_billing(session, refund.account_id)
        return _of(refund)

    async def _charge(self, refund: Refund) -> Charge:
        """Its payment as Stripe has it now, without this refund."""
        charge = await self.payments.charge(refund.charge_id)
        made = await self.payments.refunds_of(refund.payment_intent_id)
        others = (each.amount for each in made if each.status not in _LOST and not _is_ours(each, refund))
        disputes = await self.payments.disputes_of(refund.payment_intent_id)
        return Charge(
            charge.captured,
            total(others, charge.captured.currency),
            charge.created,
            is_disputed=any(each.status not in DISPUTES_SURVIVED for each in disputes),
        )

    async def _load(self, request: LookAtRefund) -> Refund | None:
        async with self.sessions() as session:
            return await refunds.find(session, request.refund_id)

    async def _standing(self, request: LookAtRefund) -> RefundStanding:
        refund = await self._load(request)
        return RefundStanding(None, is_over=True) if refund is None else _of(refund)

    async def _look_up(self, refund: Refund) -> records.Refund | None:
        """Ours among those of its payment: by its id, or by the operation that it names."""
        found = await self.payments.refunds_of(refund.payment_intent_id)
        return next((each for each in found if _is_ours(each, refund)), None)

    async def _record(self, refund: Refund, found: records.Refund | None) -> bool:
        """Whether there was anything."""
        if found is None:
            return False
        async with self.sessions.begin() as session:
            await record_refund(session, refund.account_id, found)
        return True

    async def _end_refused(self, refund: Refund) -> None:
        """Stripe will not, now or when somebody asked who died then: the money may be asked for anew. Behind a key that
        was used for something else nobody knows what was done, so it may not."""
        async with self.sessions() as session:
            code = await operations.refusal(session, refund.op_id)
        if code is not None:
            state = RefundState.AMBIGUOUS if code == KeyReused.code else RefundState.FAILED
            await self._end(refund, state, code)

    async def _end(self, refund: Refund, state: RefundState, failure: str) -> None:
        async with self.sessions.begin() as session:
            await refunds.settle(session, refund.id, state, failure=failure)


def _is_ours(found: records.Refund, refund: Refund) -> bool:
    return found.id == refund.stripe_refund_id or found.op_id == str(refund.op_id)


def _of(refund: Refund) -> RefundStanding:
    return RefundStanding(
        RefundState(refund.state),
        is_over=refund.state not in refunds.OPEN,
        cancels=refund.cancel_subscription_id is not None and refund.state == RefundState.RESERVED,
    )


def _template(refund: Refund) -> MailTemplate | None:
    """None: nothing has ended, or its person did not ask for it and it did not work."""
    if refund.state == RefundState.SUCCEEDED:
        return MailTemplate.REFUND_PAID
    return MailTemplate.REFUND_FAILED if refund.state in _LOST and refund.origin == RefundOrigin.APP else None
