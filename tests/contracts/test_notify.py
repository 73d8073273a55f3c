"""What every channel promises, asked of the memory adapter and of SES on moto; what SES answers, and what it means."""

from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from core.settings import Settings
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import Channel, Message, ProviderRefused, ProviderUnavailable
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


class Provider:
    """Either adapter, and how its vendor is made to fail."""

    def __init__(self, channel: Channel, aws: AwsServer | None) -> None:
        self.channel, self.aws = channel, aws

    def fails_before_acting(self) -> None:
        if isinstance(self.channel, MemoryChannel):
            self.channel.fail_next = 1
        elif self.aws is not None:
            self.aws.fault(status=429, count=1)

    def acts_and_says_nothing(self) -> None:
        if isinstance(self.channel, MemoryChannel):
            self.channel.drop_next = 1
        elif self.aws is not None:
            self.aws.fault(status=503, count=1, when="after")


@pytest.fixture(params=["memory", "ses"])
def provider(request: pytest.FixtureRequest) -> Provider:
    if request.param == "memory":
        return Provider(MemoryChannel(), None)
    return Provider(request.getfixturevalue("ses"), request.getfixturevalue("aws"))


def message(to: str | None = None, subject: str = "Milo braucht 🐈 Futter") -> Message:
    return Message(to=to or f"{uuid4().hex}@example.test", subject=subject, text="Grüße & 🐈\n", html=HTML)


async def test_a_message_is_taken_over_with_a_receipt(provider: Provider) -> None:
    receipt = await provider.channel.send(message(), idempotency_key=uuid4())
    assert receipt.provider_id


async def test_a_provider_that_fails_is_asked_again_with_the_same_key(provider: Provider) -> None:
    mail, key = message(), uuid4()
    provider.fails_before_acting()
    with pytest.raises(ProviderUnavailable) as raised:
        await provider.channel.send(mail, idempotency_key=key)
    assert raised.value.retry_after
    assert not raised.value.ambiguous
    assert (await provider.channel.send(mail, idempotency_key=key)).provider_id


async def test_a_lost_acknowledgement_says_that_the_message_may_have_been_taken(provider: Provider) -> None:
    mail, key = message(), uuid4()
    provider.acts_and_says_nothing()
    with pytest.raises(ProviderUnavailable) as raised:
        await provider.channel.send(mail, idempotency_key=key)
    assert raised.value.ambiguous
    assert (await provider.channel.send(mail, idempotency_key=key)).provider_id


async def test_memory_honours_the_key_after_a_lost_acknowledgement() -> None:
    channel, key = MemoryChannel(drop_next=1), uuid4()
    with pytest.raises(ProviderUnavailable):
        await channel.send(message(), idempotency_key=key)
    await channel.send(message(), idempotency_key=key)
    assert (len(channel.sent), channel.keys) == (1, [key, key])


async def test_ses_delivers_text_html_and_the_delivery_header_exactly(ses: SesChannel, aws: AwsServer) -> None:
    mail, key = message(), uuid4()
    await ses.send(mail, idempotency_key=key)
    (found,) = aws.messages(mail.to)
    assert (found["subject"], found["text"].strip()) == ("Milo braucht 🐈 Futter", "Grüße & 🐈")
    assert found["html"].strip() == HTML
    assert found["headers"]["X-Petfolio-Delivery"] == str(key)


async def test_ses_carries_the_headers_that_make_unsubscribing_one_click(ses: SesChannel, aws: AwsServer) -> None:
    mail = replace(message(), headers={"List-Unsubscribe": "<https://petfolio.test/u>", "X-More": "1"})
    await ses.send(mail, idempotency_key=uuid4())
    (found,) = aws.messages(mail.to)
    assert found["headers"]["List-Unsubscribe"] == "<https://petfolio.test/u>"


async def test_two_mails_of_ses_after_a_lost_acknowledgement_are_recognisable_as_one(
    ses: SesChannel, aws: AwsServer
) -> None:
    mail, key = message(), uuid4()
    aws.fault(status=503, count=1, when="after")
    with pytest.raises(ProviderUnavailable):
        await ses.send(mail, idempotency_key=key)
    await ses.send(mail, idempotency_key=key)
    assert [found["headers"]["X-Petfolio-Delivery"] for found in aws.messages(mail.to)] == [str(key)] * 2


@pytest.mark.parametrize("subject", ["x\r\nBcc: spy@example.test", "x\nBcc: spy@example.test", "x\0"])
async def test_a_line_break_in_a_subject_never_becomes_a_header(ses: SesChannel, aws: AwsServer, subject: str) -> None:
    mail = message(subject=subject)
    with pytest.raises(ProviderRefused):
        await ses.send(mail, idempotency_key=uuid4())
    assert aws.messages(mail.to) == []


@pytest.mark.parametrize(
    "to",
    ["a@example.test, spy@example.test", "a@example.test\r\nBcc: spy@example.test", "ä@example.test", "nobody", ""],
)
async def test_an_address_that_is_not_one_mailbox_is_refused(ses: SesChannel, to: str) -> None:
    with pytest.raises(ProviderRefused):
        await ses.send(Message(to=to, subject="x", text="x"), idempotency_key=uuid4())


async def test_a_domain_beyond_ascii_is_mailed_to_by_its_a_label(ses: SesChannel, aws: AwsServer) -> None:
    name = uuid4().hex
    await ses.send(message(f"{name}@bücher.test"), idempotency_key=uuid4())
    assert len(aws.messages(f"{name}@xn--bcher-kva.test")) == 1


class Vendor:
    """A client of SES that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def send_email(self, **_: object) -> EmailMessage:
        raise self.error


def answers(code: str, status: int, text: str = "", headers: dict[str, str] | None = None) -> ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return ClientError({"Error": {"Code": code, "Message": text}, "ResponseMetadata": metadata}, "SendEmail")  # type: ignore[typeddict-item]


async def outcome(error: Exception) -> ProviderRefused | ProviderUnavailable:
    channel = SesChannel(Vendor(error), "Petfolio <a@petfolio.test>", 1)  # type: ignore[arg-type]
    try:
        with pytest.raises((ProviderRefused, ProviderUnavailable)) as raised:
            await channel.send(message(), idempotency_key=UUID(int=1))
    finally:
        channel.close()
    return raised.value


@pytest.mark.parametrize(
    ("error", "wait", "ambiguous"),
    [
        (answers("TooManyRequestsException", 429), 2, False),
        (answers("TooManyRequestsException", 429, headers={"retry-after": "17"}), 17, False),
        (answers("LimitExceededException", 400), 60, False),
        (answers("AccountSuspendedException", 400), None, False),
        (answers("InternalServiceErrorException", 500), None, True),
        (ReadTimeoutError(endpoint_url="https://ses"), None, True),
        (NoCredentialsError(), None, False),
    ],
)
async def test_what_ses_may_take_later_is_unavailable(error: Exception, wait: int | None, ambiguous: bool) -> None:
    found = await outcome(error)
    assert isinstance(found, ProviderUnavailable)
    assert (found.retry_after, found.ambiguous) == (wait, ambiguous)


async def test_a_message_that_ses_rejects_is_refused_without_repeating_its_words() -> None:
    found = await outcome(answers("MessageRejected", 400, "ada@example.test is on the suppression list"))
    assert isinstance(found, ProviderRefused)
    assert "ada@" not in str(found)


async def test_a_sender_nobody_has_verified_yet_costs_no_message() -> None:
    """Reminders would be lost for a mistake in our own account."""
    found = await outcome(answers("MessageRejected", 400, "Email address is not verified."))
    assert isinstance(found, ProviderUnavailable)
