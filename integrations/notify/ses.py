"""E-mail through Amazon SES v2, always as raw MIME in a 7-bit encoding: one person per message.

SES knows no idempotency key. The key travels in `X-Petfolio-Delivery`, so that a message sent twice because its
acknowledgement was lost can at least be recognised.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from core.settings import Settings
from integrations.notify.mime import ascii_address, mime, sender_header
from integrations.notify.protocol import Message, ProviderRefused, ProviderUnavailable, Receipt

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

# Codes of SendEmail (SES API v2 reference, "Errors").
_REFUSED: Final = frozenset({"MessageRejected", "BadRequestException", "InvalidParameterValue"})
_THROTTLED: Final = {"TooManyRequestsException": 2, "ThrottlingException": 2, "LimitExceededException": 60}
"""Seconds to wait where SES names none: the rate is per second, the quota per day."""


class SesChannel:
    """Owns threads, because botocore blocks: as many as sends can be under way, so that none spends its lease on the
    ledger waiting for one. Retries are Temporal's, botocore's are off."""

    def __init__(self, client: "SESV2Client", sender: str, threads: int) -> None:
        self._client, self._sender = client, sender_header(sender)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ses")

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        to = ascii_address(message.to)
        raw = mime(Message(to, message.subject, message.text, message.html), self._sender, idempotency_key)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, to, raw)

    def close(self) -> None:
        """Let running calls end; takes at most their time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, to: str, raw: bytes) -> Receipt:
        try:
            answer = self._client.send_email(Content={"Raw": {"Data": raw}}, Destination={"ToAddresses": [to]})
        except ClientError as error:
            raise _refusal(error) from None
        except (HTTPClientError, ResponseParserError) as error:
            # The answer timed out, broke off or is none: the message may have been accepted.
            raise ProviderUnavailable(f"SES did not answer: {type(error).__name__}", ambiguous=True) from None
        except BotoCoreError as error:
            # No connection, no credentials: nothing was sent.
            raise ProviderUnavailable(f"SES cannot be asked: {type(error).__name__}") from None
        return Receipt(answer["MessageId"])


def open_ses(settings: Settings) -> SesChannel:
    """The adapter of the settings. Connects at the first send."""
    threads = settings.worker.max_concurrent_activities
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10, max_pool_connections=threads)
    client = boto3.client("sesv2", region_name=settings.aws_region, endpoint_url=settings.ses_endpoint, config=config)
    return SesChannel(client, settings.mail.sender, threads)


def _refusal(error: ClientError) -> ProviderRefused | ProviderUnavailable:
    """What an error of SES means for the message. The text of one never gets further: it may name the address."""
    details: dict[str, Any] = dict(error.response.get("Error", {}))
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    code, status = str(details.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
    if code in _THROTTLED or status == 429:
        asked = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
        wait = int(asked) if asked.isdigit() else _THROTTLED.get(code, 2)
        return ProviderUnavailable(f"SES: {code}", retry_after=wait)
    # An account in the sandbox, or a sender nobody has verified yet, is ours to put right: the message stays good.
    if code in _REFUSED and "not verified" not in str(details.get("Message", "")):
        return ProviderRefused(f"SES refused the message: {code}")
    return ProviderUnavailable(f"SES: {code}", ambiguous=status >= 500)
