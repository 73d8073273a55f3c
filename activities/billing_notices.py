"""What billing tells a person: in the app and by mail, once, in the transaction that makes it true."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from activities import billing_metrics
from activities.billing_read import Reading
from core.crypto import FieldCipher
from domain.billing.catalogue import GRACE, TRIAL_NOTICE
from domain.billing.dunning import PaymentState, due
from domain.billing.standing import Status
from domain.notification import Category, Channel
from models.billing import BillingSnapshot
from models.notification import MailTemplate
from models.queries import notices
from models.queries.notices import STEP, Notice
from temporal import outbox

CHANNELS: Final = (Channel.IN_APP, Channel.EMAIL)
_UNPAID: Final = frozenset({Status.INCOMPLETE, Status.INCOMPLETE_EXPIRED, Status.CANCELED})


async def tell(
    session: AsyncSession,
    cipher: FieldCipher,
    account_id: UUID,
    template: MailTemplate,
    about: str,
    *,
    step: str = STEP,
    **words: object,
) -> bool:
    """Tell it once; whether it had not been told. `about` names what happened: ids only. Raises `SubjectErased`."""
    notice = Notice(
        user_id=account_id,
        category=Category.BILLING,
        template=template,
        event_key=f"billing/{about}",
        channels=CHANNELS,
        step=step,
        params=words,
    )
    claimed = await notices.claim(session, cipher, notice)
    await outbox.send(session, account_id, claimed)
    return bool(claimed)


async def tell_what_is_due(
    session: AsyncSession, cipher: FieldCipher, account_id: UUID, before: BillingSnapshot | None, reading: Reading
) -> None:
    """Whatever the read says that its person has to know now."""
    await _dun(session, cipher, account_id, reading)
    await _first_payment_failed(session, cipher, account_id, before, reading)
    await _trial_ends(session, cipher, account_id, reading)


async def _dun(session: AsyncSession, cipher: FieldCipher, account_id: UUID, reading: Reading) -> None:
    word, invoice, found = due(reading.owed, reading.debt, reading.as_of), reading.invoice, reading.subscription
    if word is None or invoice is None or reading.debt.past_due_since is None:
        return
    if found is None or found.status != Status.PAST_DUE:  # nothing ends any more: Stripe has ended it sooner
        return
    days_left = (reading.debt.past_due_since + GRACE - reading.as_of).days
    is_new = await tell(
        session,
        cipher,
        account_id,
        MailTemplate.PAYMENT_FAILED,
        f"dunning/{invoice.id}",
        step=word.step,
        said=word.said,
        amount=invoice.amount_due.text,
        days_left=max(days_left, 0),
        pay_link=invoice.hosted_url,
    )
    if is_new:
        billing_metrics.DUNNING.labels(word.step, word.said).inc()


async def _first_payment_failed(
    session: AsyncSession, cipher: FieldCipher, account_id: UUID, before: BillingSnapshot | None, reading: Reading
) -> None:
    """A bank debit was on its way for days, and did not come through: nobody is at the Checkout page any more."""
    found = reading.subscription
    was_processing = before is not None and before.payment == PaymentState.PROCESSING and before.status in _UNPAID
    is_failed = found is not None and found.status in _UNPAID and not _is_processing(reading)
    if was_processing and before is not None and found is not None and is_failed:
        about = f"first_payment/{before.subscription_id}"
        await tell(session, cipher, account_id, MailTemplate.FIRST_PAYMENT_FAILED, about)


async def _trial_ends(session: AsyncSession, cipher: FieldCipher, account_id: UUID, reading: Reading) -> None:
    found = reading.subscription
    if found is None or found.status != Status.TRIALING or found.trial_end is None or found.cancel_at is not None:
        return
    left = found.trial_end - reading.as_of
    if left <= TRIAL_NOTICE:
        about = f"trial/{found.id}/{int(found.trial_end.timestamp())}"
        amount = found.price.amount.text if found.price and found.price.amount else ""
        await tell(
            session,
            cipher,
            account_id,
            MailTemplate.TRIAL_ENDING,
            about,
            amount=amount,
            days_left=max(left.days, 0),
        )


def _is_processing(reading: Reading) -> bool:
    return reading.owed is not None and reading.owed.payment is PaymentState.PROCESSING
