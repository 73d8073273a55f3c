"""E-mail through Amazon SES v2, always as raw MIME in a 7-bit encoding: one person per message.

SES knows no idempotency key. The key travels in `X-Petfolio-Delivery`, so that a message sent twice because its
acknowledgement was lost can at least be recognised.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Final
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from core.settings import Settings
from integrations.notify.protocol import Message, ProviderRefused, ProviderUnavailable, Receipt

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

DELIVERY_HEADER: Final = "X-Petfolio-Delivery"
THREADS: Final = 8
# What SES answers when this very message will never be accepted (API reference, SendEmail).
_FINAL: Final = frozenset({"MessageRejected", "BadRequestException", "InvalidParameterValue"})


class SesChannel:
    """Use as a context: it owns threads, because botocore blocks. Retries are Temporal's, botocore's are off."""

    def __init__(self, client: "SESV2Client", sender: str) -> None:
        self._client, self._sender = client, sender
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ses")

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        raw = mime(message, self._sender, idempotency_key)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, message.to, raw)

    def close(self) -> None:
        """Let running calls end; takes at most their time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, to: str, raw: bytes) -> Receipt:
        try:
            answer = self._client.send_email(Content={"Raw": {"Data": raw}}, Destination={"ToAddresses": [to]})
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _FINAL:
                raise ProviderRefused(f"SES refused the message: {code}") from None
            raise ProviderUnavailable(f"SES: {code}") from None
        except (ConnectTimeoutError, EndpointConnectionError):
            raise ProviderUnavailable("SES cannot be reached") from None
        except BotoCoreError as error:
            # A read that timed out or broke off: the message may have been accepted.
            raise ProviderUnavailable(f"SES did not answer: {type(error).__name__}") from None
        return Receipt(answer["MessageId"])


def open_ses(settings: Settings) -> SesChannel:
    """The adapter of the settings. Connects at the first send."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10, max_pool_connections=THREADS)
    client = boto3.client("sesv2", region_name=settings.aws_region, endpoint_url=settings.ses_endpoint, config=config)
    return SesChannel(client, settings.mail.sender)


def mime(message: Message, sender: str, idempotency_key: UUID) -> bytes:
    """The message as 7-bit MIME. Headers are encoded words; a line break in one is a ValueError of `email`."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, message.to, message.subject
    mail[DELIVERY_HEADER] = str(idempotency_key)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: holiday responders stay silent
    mail.set_content(message.text, cte="quoted-printable")
    if message.html is not None:
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
    return mail.as_bytes()
