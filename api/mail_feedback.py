"""Bounces, complaints and receipts: from SNS' envelope to the delivery they are about.

A repeated message changes nothing, and one about a mail that we do not know is welcome: other installations may send
through the same account.
"""

from datetime import UTC, datetime
from typing import Final

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from api.services import Services
from core.errors import NotFound
from core.logging import logger
from integrations.notify.feedback.ses import EventUnreadable, read_event
from integrations.notify.feedback.sns import FeedbackRefused, Kind, SnsEndpoint, SnsMessage
from models.queries import feedback
from models.queries.feedback import Report

log = logger(__name__)

REPORTS: Final = Counter(
    "petfolio_mail_feedback",
    "Reports of the mail provider by verdict; `known`: new, repeated, or unknown (a mail that is not ours).",
    ["verdict", "known"],
)
REFUSED: Final = Counter(
    "petfolio_webhook_refused", "Posts to a webhook that were refused, by webhook and reason.", ["webhook", "reason"]
)


async def receive(session: AsyncSession, services: Services, body: bytes) -> None:
    """Act on what SNS posted. Raises `NotFound` while no topic is configured, `FeedbackRefused`, `Unavailable`."""
    endpoint = services.mail_feedback
    if endpoint is None:
        raise NotFound("there is nothing here")
    try:
        message = await endpoint.read(body, datetime.now(UTC))
    except FeedbackRefused as refused:
        REFUSED.labels("ses", refused.why).inc()
        log.warning("ses_feedback_refused", reason=refused.why)
        raise
    match message.kind:
        case Kind.NOTIFICATION:
            await _record(session, services, message)
        case Kind.SUBSCRIPTION:
            await _confirm(endpoint, message)
        case Kind.UNSUBSCRIPTION:
            log.error("ses_feedback_unsubscribed", topic=message.topic_arn)


async def _record(session: AsyncSession, services: Services, message: SnsMessage) -> None:
    try:
        event = read_event(message.text)
    except EventUnreadable:  # SES greets a new topic in plain words
        REPORTS.labels("unreadable", "").inc()
        log.warning("ses_feedback_unreadable", message_id=message.id)
        return
    if event is None:
        return
    index = services.identity.blind_index
    report = Report(
        verdict=event.verdict,
        message_id=message.id,
        provider_id=event.provider_id,
        delivery_id=event.delivery_id,
        address_hmac=index(event.address) if event.address is not None else None,
        code=event.code,
    )
    known = await feedback.record(session, report)
    REPORTS.labels(event.verdict, known).inc()


async def _confirm(endpoint: SnsEndpoint, message: SnsMessage) -> None:
    if await endpoint.confirm(message):
        log.info("ses_feedback_subscribed", topic=message.topic_arn)
    else:
        log.error("ses_feedback_not_confirmed", topic=message.topic_arn)
