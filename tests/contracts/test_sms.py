"""What a channel of text messages promises, asked of the memory adapter and of SNS on moto."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from core.settings import Settings
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Message, ProviderRefused, ProviderUnavailable
from integrations.notify.sns import SnsChannel, open_sns
from tests.contracts.test_notify import Provider, environment
from tests.services import AwsServer

__all__ = ["environment"]


@pytest.fixture
def sns(aws: AwsServer, settings: Settings, environment: None) -> Iterator[SnsChannel]:
    channel = open_sns(settings.model_copy(update={"sns_endpoint": aws.endpoint, "aws_region": aws.region}))
    yield channel
    channel.close()
    aws.clear_faults()


@pytest.fixture(params=["memory", "sns"])
def provider(request: pytest.FixtureRequest) -> Provider:
    if request.param == "memory":
        return Provider(MemoryChannel(), None)
    return Provider(request.getfixturevalue("sns"), request.getfixturevalue("aws"))


def message(text: str = "Petfolio: Tablet - Milo. Due today at 08:00.") -> Message:
    return Message(to=f"+49151{uuid4().int % 10**8:08}", subject="", text=text)


async def test_a_text_is_taken_over_with_a_receipt(provider: Provider) -> None:
    assert (await provider.channel.send(message(), idempotency_key=uuid4())).provider_id


async def test_a_provider_that_fails_is_asked_again_with_the_same_key(provider: Provider) -> None:
    text, key = message(), uuid4()
    provider.fails_before_acting()
    with pytest.raises(ProviderUnavailable) as raised:
        await provider.channel.send(text, idempotency_key=key)
    assert not raised.value.ambiguous
    assert (await provider.channel.send(text, idempotency_key=key)).provider_id


async def test_a_lost_acknowledgement_says_that_it_may_have_arrived(provider: Provider) -> None:
    provider.acts_and_says_nothing()
    with pytest.raises(ProviderUnavailable) as raised:
        await provider.channel.send(message(), idempotency_key=uuid4())
    assert raised.value.ambiguous


async def test_sns_delivers_umlauts_and_a_cat_exactly(sns: SnsChannel, aws: AwsServer) -> None:
    text = message("Petfolio: Grüße 🐈")
    await sns.send(text, idempotency_key=uuid4())
    (found,) = aws.messages(text.to, channel="sms")
    assert found["text"] == "Petfolio: Grüße 🐈"


@pytest.mark.parametrize("to", ["0151 234", "+49 151 234", "+49151x", "", "+٤٩"])
async def test_what_is_no_number_is_refused_before_anybody_is_asked(sns: SnsChannel, to: str) -> None:
    with pytest.raises(ProviderRefused):
        await sns.send(Message(to=to, subject="", text="x"), idempotency_key=uuid4())


@pytest.mark.parametrize("text", ["", "x" * 1_601])
async def test_an_empty_or_endless_text_is_refused(sns: SnsChannel, text: str) -> None:
    with pytest.raises(ProviderRefused):
        await sns.send(message(text), idempotency_key=uuid4())


class Vendor:
    """A client of SNS that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def publish(self, **_: object) -> dict[str, str]:
        raise self.error


async def outcome(error: Exception) -> ProviderRefused | ProviderUnavailable:
    channel = SnsChannel(Vendor(error), 1)  # type: ignore[arg-type]
    try:
        with pytest.raises((ProviderRefused, ProviderUnavailable)) as raised:
            await channel.send(message(), idempotency_key=UUID(int=1))
    finally:
        channel.close()
    return raised.value


def answers(code: str, status: int, text: str = "") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Publish",
    )


async def test_a_number_that_opted_out_is_never_asked_again() -> None:
    assert isinstance(await outcome(answers("OptedOut", 400)), ProviderRefused)


@pytest.mark.parametrize(
    ("error", "wait", "ambiguous"),
    [
        (answers("Throttled", 429), 2, False),
        (answers("InvalidParameter", 400, "the account is in the SMS sandbox"), None, False),
        (answers("InternalError", 500), None, True),
        (ReadTimeoutError(endpoint_url="https://sns"), None, True),
    ],
)
async def test_what_sns_may_take_later_is_unavailable(error: Exception, wait: int | None, ambiguous: bool) -> None:
    found = await outcome(error)
    assert isinstance(found, ProviderUnavailable)
    assert (found.retry_after, found.ambiguous) == (wait, ambiguous)
