"""E-mail through Amazon SES v2, always as raw MIME in a 7-bit encoding: one person per message.

SES knows no idempotency key. The key travels in `X-Petfolio-Delivery`, so that a message sent twice because its
acknowledgement was lost can at least be recognised.
"""

from typing import TYPE_CHECKING, Final
from uuid import UUID

import boto3

from core.settings import Settings
from integrations.notify.aws import Caller, Vocabulary, client_config
from integrations.notify.mime import ascii_address, mime, sender_header
from integrations.notify.protocol import Message, Receipt

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

# Codes of SendEmail (SES API v2 reference, "Errors"). The rate is per second, the quota per day. An account in the
# sandbox, or a sender nobody has verified yet, is ours to put right.
_WORDS: Final = Vocabulary(
    "SES",
    refused=frozenset({"MessageRejected", "BadRequestException", "InvalidParameterValue"}),
    throttled={"TooManyRequestsException": 2, "ThrottlingException": 2, "LimitExceededException": 60},
    ours=("not verified",),
)


class SesChannel:
    """See the module."""

    def __init__(self, client: "SESV2Client", sender: str, threads: int) -> None:
        self._client, self._sender = client, sender_header(sender)
        self._caller = Caller(_WORDS, threads)

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        to = ascii_address(message.to)
        named = Message(to, message.subject, message.text, message.html, message.headers)
        raw = mime(named, self._sender, idempotency_key)
        return await self._caller.call(lambda: self._send(to, raw))

    def close(self) -> None:
        """Let running calls end."""
        self._caller.close()

    def _send(self, to: str, raw: bytes) -> str:
        answer = self._client.send_email(Content={"Raw": {"Data": raw}}, Destination={"ToAddresses": [to]})
        return answer["MessageId"]


def open_ses(settings: Settings) -> SesChannel:
    """The adapter of the settings. Connects at the first send."""
    threads = settings.worker.max_concurrent_activities
    client = boto3.client(
        "sesv2", region_name=settings.aws_region, endpoint_url=settings.ses_endpoint, config=client_config(threads)
    )
    return SesChannel(client, settings.mail.sender, threads)
