"""Messages of Amazon SNS to an HTTPS endpoint: nobody but our own topic is listened to.

Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages", "HTTP/HTTPS notification JSON format".
Where the certificate lies and where a subscription is confirmed follows from our settings, never from the message.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from core.errors import PetfolioError
from core.settings import FeedbackSettings
from integrations.notify.feedback.certificates import Certificates, CertificateUnusable

OLDEST: Final = timedelta(hours=1)
"""A message that was replayed later than this is refused; SNS advises it."""
FUTURE: Final = timedelta(minutes=5)
"""How far two clocks may disagree."""
_HASHES: Final = {"1": SHA1, "2": SHA256}
_CERTIFICATE_PATH: Final = r"/SimpleNotificationService-[0-9a-f]{8,64}\.pem"
# Everything but the text is one line: then the string that is signed can be read in one way only.
_Line = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[^\r\n]*$")]


class FeedbackRefused(PetfolioError):
    """400: not a message of our topic. The same words for every reason; `why` is for the log."""

    code = "webhook_refused"
    http_status = 400

    def __init__(self, why: str) -> None:
        super().__init__("this is not a message that is accepted here")
        self.why = why


class Kind(StrEnum):
    """What SNS wants."""

    NOTIFICATION = "Notification"
    SUBSCRIPTION = "SubscriptionConfirmation"
    UNSUBSCRIPTION = "UnsubscribeConfirmation"


class SnsMessage(BaseModel, frozen=True):
    """The document as SNS posts it. Unknown fields are none of our business."""

    kind: Kind = Field(alias="Type")
    id: _Line = Field(alias="MessageId")
    topic_arn: _Line = Field(alias="TopicArn")
    subject: _Line | None = Field(alias="Subject", default=None, repr=False)
    text: str = Field(alias="Message", repr=False)
    timestamp: _Line = Field(alias="Timestamp")
    token: _Line | None = Field(alias="Token", default=None, repr=False)
    subscribe_url: _Line | None = Field(alias="SubscribeURL", default=None, repr=False)
    signature_version: Literal["1", "2"] = Field(alias="SignatureVersion")
    signature: _Line = Field(alias="Signature")
    certificate_url: _Line = Field(alias="SigningCertURL")


def string_to_sign(message: SnsMessage) -> bytes:
    """What the signature is made over: name and value of the fields in the alphabet's order, a line each."""
    fields = {
        "Message": message.text,
        "MessageId": message.id,
        "Subject": message.subject if message.kind is Kind.NOTIFICATION else None,
        "SubscribeURL": None if message.kind is Kind.NOTIFICATION else message.subscribe_url,
        "Timestamp": message.timestamp,
        "Token": None if message.kind is Kind.NOTIFICATION else message.token,
        "TopicArn": message.topic_arn,
        "Type": message.kind.value,
    }
    return "".join(f"{name}\n{value}\n" for name, value in fields.items() if value is not None).encode()


class SnsEndpoint:
    """Reads what is posted for one topic. `http` follows no redirect."""

    def __init__(self, topic_arn: str, http: httpx.AsyncClient, *, local_certificate: str | None = None) -> None:
        """`local_certificate`: the address of the one certificate that the local stack signs with, instead of SNS'."""
        self._topic_arn, self._http = topic_arn, http
        self._origin = f"https://sns.{topic_arn.split(':')[3]}.amazonaws.com"
        self._certificate_url = re.compile(re.escape(self._origin) + _CERTIFICATE_PATH)
        if local_certificate is not None:
            self._origin = local_certificate.rpartition("/")[0]
            self._certificate_url = re.compile(re.escape(local_certificate))
        self._certificates = Certificates(http)

    async def read(self, body: bytes, now: datetime) -> SnsMessage:
        """The message, if SNS sent it for our topic within the last hour. Raises `FeedbackRefused`, and `Unavailable`
        while the certificate cannot be had: then SNS tries again. What costs nothing is checked first."""
        try:
            message = SnsMessage.model_validate_json(body)
        except ValidationError:
            raise FeedbackRefused("form") from None
        if message.topic_arn != self._topic_arn:
            raise FeedbackRefused("topic")
        if not _is_recent(message.timestamp, now):
            raise FeedbackRefused("timestamp")
        if not self._certificate_url.fullmatch(message.certificate_url):
            raise FeedbackRefused("certificate_url")
        await self._verify(message, now)
        return message

    async def confirm(self, message: SnsMessage) -> bool:
        """Take up the subscription; answers whether SNS agreed. The address in the message is not followed."""
        query = {"Action": "ConfirmSubscription", "TopicArn": self._topic_arn, "Token": message.token or ""}
        try:
            answer = await self._http.get(f"{self._origin}/?{urlencode(query)}")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    async def _verify(self, message: SnsMessage, now: datetime) -> None:
        try:
            key = await self._certificates.key(message.certificate_url, now)
            signature = base64.b64decode(message.signature, validate=True)
            key.verify(signature, string_to_sign(message), PKCS1v15(), _HASHES[message.signature_version]())
        except CertificateUnusable:
            raise FeedbackRefused("certificate") from None
        except (InvalidSignature, binascii.Error, ValueError):
            raise FeedbackRefused("signature") from None


def _is_recent(timestamp: str, now: datetime) -> bool:
    try:
        age = now - datetime.fromisoformat(timestamp)
    except (ValueError, TypeError, OverflowError):  # no time, or one without a zone
        return False
    return -FUTURE <= age <= OLDEST


@asynccontextmanager
async def open_endpoint(settings: FeedbackSettings) -> AsyncIterator[SnsEndpoint | None]:
    """The endpoint of the settings; None while no topic is configured. Connects when the first certificate is needed:
    bounded in time, without redirects, through a proxy only towards the world."""
    if settings.topic_arn is None:
        yield None
        return
    local = settings.local_certificate
    async with httpx.AsyncClient(timeout=3.0, follow_redirects=False, trust_env=local is None) as http:
        yield SnsEndpoint(settings.topic_arn, http, local_certificate=local)
