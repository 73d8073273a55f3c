"""Text messages through Amazon SNS, straight to a phone number.

SNS knows no idempotency key for these. The key travels as a message attribute, which shows in the delivery log; a text
sent twice because its acknowledgement was lost is counted in the ledger.
"""

from typing import TYPE_CHECKING, Final
from uuid import UUID

import boto3

from core.settings import Settings
from integrations.notify.aws import Caller, Vocabulary, client_config
from integrations.notify.protocol import Message, ProviderRefused, Receipt

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

# Codes of Publish (SNS API reference, "Errors"). A number whose owner answered STOP is opted out at the carrier's.
_WORDS: Final = Vocabulary(
    "SNS",
    refused=frozenset({"InvalidParameter", "ParameterValueInvalid", "ValidationError", "OptedOut", "EndpointDisabled"}),
    throttled={"Throttled": 2, "ThrottledException": 2, "Throttling": 2, "LimitExceeded": 60},
    ours=("sandbox", "spend"),
)
LONGEST: Final = 1_600
"""Characters SNS takes at most, over all segments."""
DELIVERY_ATTRIBUTE: Final = "petfolio.delivery"


class SnsChannel:
    """See the module. `to` is a number in E.164; only the text is sent."""

    def __init__(self, client: "SNSClient", threads: int) -> None:
        self._client = client
        self._caller = Caller(_WORDS, threads)

    async def send(self, message: Message, *, idempotency_key: UUID) -> Receipt:
        """As the protocol says."""
        if not (message.to.startswith("+") and message.to[1:].isascii() and message.to[1:].isdigit()):
            raise ProviderRefused("not a phone number in E.164")
        if not 0 < len(message.text) <= LONGEST:
            raise ProviderRefused("an empty text, or one longer than a text message can be")
        return await self._caller.call(lambda: self._send(message, idempotency_key))

    def close(self) -> None:
        """Let running calls end."""
        self._caller.close()

    def _send(self, message: Message, key: UUID) -> str:
        answer = self._client.publish(
            PhoneNumber=message.to,
            Message=message.text,
            MessageAttributes={
                # Doses are worth the dearer route (SNS developer guide, "SMS type").
                "AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"},
                DELIVERY_ATTRIBUTE: {"DataType": "String", "StringValue": str(key)},
            },
        )
        return answer["MessageId"]


def open_sns(settings: Settings) -> SnsChannel:
    """The adapter of the settings. Connects at the first send."""
    threads = settings.worker.max_concurrent_activities
    client = boto3.client(
        "sns", region_name=settings.aws_region, endpoint_url=settings.sns_endpoint, config=client_config(threads)
    )
    return SnsChannel(client, threads)
