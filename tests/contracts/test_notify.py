"""What every channel promises, asked of the memory adapter and of SES on moto."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from core.settings import Settings
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Channel, Message, ProviderUnavailable
from integrations.notify.ses import SesChannel, open_ses
from tests.services import AwsServer

HTML = "<p>Grüße &amp; 🐈</p>"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")


@pytest.fixture
def ses(aws: AwsServer, settings: Settings, environment: None) -> Iterator[SesChannel]:
    channel = open_ses(settings.model_copy(update={"ses_endpoint": aws.endpoint, "aws_region": aws.region}))
    yield channel
    channel.close()
    aws.clear_faults()


@pytest.fixture(params=["memory", "ses"])
def channel(request: pytest.FixtureRequest) -> Channel:
    if request.param == "memory":
        return MemoryChannel()
    ses: SesChannel = request.getfixturevalue("ses")
    return ses


def message(to: str, subject: str = "Milo braucht 🐈 Futter") -> Message:
    return Message(to=to, subject=subject, text="Grüße & 🐈\n", html=HTML)


async def test_a_message_is_taken_over_with_a_receipt(channel: Channel) -> None:
    receipt = await channel.send(message(f"{uuid4().hex}@example.test"), idempotency_key=uuid4())
    assert receipt.provider_id


async def test_ses_delivers_text_html_and_the_delivery_header_exactly(ses: SesChannel, aws: AwsServer) -> None:
    to, key = f"{uuid4().hex}@example.test", uuid4()
    await ses.send(message(to), idempotency_key=key)
    (mail,) = aws.messages(to)
    assert (mail["subject"], mail["text"].strip()) == ("Milo braucht 🐈 Futter", "Grüße & 🐈")
    assert mail["html"].strip() == HTML
    assert mail["headers"]["X-Petfolio-Delivery"] == str(key)


async def test_a_provider_that_fails_is_unavailable_and_may_be_asked_again(ses: SesChannel, aws: AwsServer) -> None:
    to, key = f"{uuid4().hex}@example.test", uuid4()
    aws.fault(status=503, count=1)
    with pytest.raises(ProviderUnavailable):
        await ses.send(message(to), idempotency_key=key)
    await ses.send(message(to), idempotency_key=key)
    assert len(aws.messages(to)) == 1


async def test_a_line_break_in_a_subject_never_becomes_a_header(ses: SesChannel) -> None:
    with pytest.raises(ValueError, match="Header"):
        await ses.send(message("a@example.test", "x\r\nBcc: spy@example.test"), idempotency_key=uuid4())


async def test_memory_honours_the_key_after_a_lost_acknowledgement() -> None:
    channel, key = MemoryChannel(drop_next=1), uuid4()
    with pytest.raises(ProviderUnavailable):
        await channel.send(message("a@example.test"), idempotency_key=key)
    await channel.send(message("a@example.test"), idempotency_key=key)
    assert (len(channel.sent), len(channel.calls)) == (1, 2)
