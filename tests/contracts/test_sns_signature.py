"""What is taken for a message of our topic: signed as Amazon documents it, fresh, and nothing else."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Unavailable
from infra.local.sns_signing import Signer
from integrations.notify.feedback.sns import FeedbackRefused, Kind, SnsEndpoint, SnsMessage, string_to_sign

TOPIC = "arn:aws:sns:eu-central-1:123456789012:petfolio-ses-events"
HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
SIGNER = Signer(CERTIFICATE)


def now() -> datetime:
    """When a test runs: messages made at the start of a long run would be too old."""
    return datetime.now(UTC)


class Amazon:
    """What answers at every address, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, content=SIGNER.certificate)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return self.answer()


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


@pytest.fixture
async def endpoint(amazon: Amazon) -> AsyncIterator[SnsEndpoint]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(amazon)) as http:
        yield SnsEndpoint(TOPIC, http)


def posted(**changes: str) -> bytes:
    """A good message with some fields changed after it was signed."""
    return json.dumps(SIGNER.message(TOPIC, "Pawsome\nnews 🐈", Subject="Hello") | changes).encode()


async def why(endpoint: SnsEndpoint, body: bytes, at: datetime | None = None) -> str:
    with pytest.raises(FeedbackRefused) as refused:
        await endpoint.read(body, at or now())
    assert refused.value.detail == "this is not a message that is accepted here"
    return refused.value.why


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Hello"}], ids=["plain", "subject"])
async def test_a_signed_notification_is_read(endpoint: SnsEndpoint, version: Any, subject: dict[str, str]) -> None:
    message = SIGNER.message(TOPIC, "Pawsome\nnews 🐈", version=version, **subject)
    read = await endpoint.read(json.dumps(message).encode(), now())
    assert (read.kind, read.id, read.text) == (Kind.NOTIFICATION, message["MessageId"], "Pawsome\nnews 🐈")


def test_the_string_to_sign_is_the_documented_one() -> None:
    """The example of the developer guide, "Verifying the signature of an Amazon SNS message"."""
    example = {
        "Type": "Notification",
        "MessageId": "4d4dc071-ddbf-465d-bba8-08f81c89da64",
        "TopicArn": "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P",
        "Subject": "My subject",
        "Message": "Test message",
        "Timestamp": "2019-01-31T04:37:04.321Z",
        "SignatureVersion": "1",
        "Signature": "-",
        "SigningCertURL": "-",
    }
    assert string_to_sign(SnsMessage.model_validate(example)).decode().split("\n") == [
        "Message",
        "Test message",
        "MessageId",
        "4d4dc071-ddbf-465d-bba8-08f81c89da64",
        "Subject",
        "My subject",
        "Timestamp",
        "2019-01-31T04:37:04.321Z",
        "TopicArn",
        "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P",
        "Type",
        "Notification",
        "",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Message", "other news"),
        ("MessageId", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"),
        ("Subject", "Hallo"),
        pytest.param("Timestamp", now().isoformat(), id="Timestamp"),
        ("SignatureVersion", "1"),
        ("Signature", base64.b64encode(b"x" * 256).decode()),
        ("Signature", "not base64"),
        ("Signature", ""),
        ("Type", "UnsubscribeConfirmation"),
    ],
)
async def test_what_was_changed_after_it_was_signed_is_refused(endpoint: SnsEndpoint, field: str, value: str) -> None:
    assert await why(endpoint, posted(**{field: value})) == "signature"


async def test_a_field_that_swallowed_another_one_is_refused(endpoint: SnsEndpoint) -> None:
    """The same signed string, cut into fields elsewhere."""
    message = SIGNER.message(TOPIC, "news", Subject="Hello")
    moved = dict(message)
    moved["Message"] = f"news\nMessageId\n{message['MessageId']}\nSubject\nHello"
    moved["MessageId"] = "x"
    del moved["Subject"]
    assert await why(endpoint, json.dumps(moved).encode()) == "signature"
    assert await why(endpoint, json.dumps(message | {"MessageId": "a\nb"}).encode()) == "form"


@pytest.mark.parametrize(
    "topic",
    [TOPIC + "x", TOPIC.replace("123456789012", "210987654321"), TOPIC.replace("eu-central-1", "us-east-1"), ""],
)
async def test_another_topic_is_refused_however_well_it_is_signed(
    endpoint: SnsEndpoint, amazon: Amazon, topic: str
) -> None:
    assert await why(endpoint, json.dumps(SIGNER.message(topic, "news")).encode()) == "topic"
    assert amazon.asked == []


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        "https://evil.example/SimpleNotificationService-0123456789abcdef.pem",
        CERTIFICATE.replace("amazonaws.com", "amazonaws.com.evil.example"),
        CERTIFICATE.replace("sns.", "my-bucket.s3.", 1),
        CERTIFICATE.replace("eu-central-1", "us-east-1"),
        CERTIFICATE.replace("https://", "https://evil.example@"),
        CERTIFICATE.replace("https://", "https://evil.example#"),
        CERTIFICATE.replace(".com/", ".com:8443/"),
        CERTIFICATE.replace("/Simple", "/../Simple"),
        CERTIFICATE.replace(".pem", ".txt"),
        CERTIFICATE + "?x=.pem",
        CERTIFICATE.replace("sns.eu", "snsxeu"),
        CERTIFICATE + "\n",
        "http://127.0.0.1:8002/certificate.pem",
        "",
    ],
)
async def test_a_certificate_from_anywhere_but_our_topic_s_region_is_never_asked_for(
    endpoint: SnsEndpoint, amazon: Amazon, url: str
) -> None:
    assert await why(endpoint, json.dumps(Signer(url).message(TOPIC, "news")).encode()) in ("certificate_url", "form")
    assert amazon.asked == []


async def test_only_the_address_in_the_settings_is_taken_in_the_local_stack(amazon: Amazon) -> None:
    local = "http://127.0.0.1:8002/certificate.pem"
    signer = Signer(local)
    amazon.answer = lambda: httpx.Response(200, content=signer.certificate)
    async with httpx.AsyncClient(transport=httpx.MockTransport(amazon)) as http:
        endpoint = SnsEndpoint(TOPIC, http, local_certificate=local)
        await endpoint.read(json.dumps(signer.message(TOPIC, "news")).encode(), now())
        assert await why(endpoint, posted()) == "certificate_url"
    assert amazon.asked == [local]


@pytest.mark.parametrize(
    ("age", "taken"),
    [
        (timedelta(minutes=59), True),
        (timedelta(minutes=61), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
        (timedelta(days=3650), False),
    ],
)
async def test_an_hour_is_as_long_as_a_message_lives(endpoint: SnsEndpoint, age: timedelta, taken: bool) -> None:
    body = json.dumps(SIGNER.message(TOPIC, "news", at=now() - age)).encode()
    if taken:
        await endpoint.read(body, now())
    else:
        assert await why(endpoint, body) == "timestamp"


@pytest.mark.parametrize(
    "timestamp", ["", "yesterday", "2026-11-24", "2026-11-24T02:00:00", "9999-12-31T23:59:59+00:01"]
)
async def test_what_is_no_moment_is_refused(endpoint: SnsEndpoint, timestamp: str) -> None:
    assert await why(endpoint, posted(Timestamp=timestamp)) == "timestamp"


class TestCertificates:
    async def test_one_is_fetched_once_a_day(self, endpoint: SnsEndpoint, amazon: Amazon) -> None:
        for _ in range(3):
            await endpoint.read(posted(), now())
        assert amazon.asked == [CERTIFICATE]
        fresh = now() + timedelta(hours=25)
        await endpoint.read(json.dumps(SIGNER.message(TOPIC, "news", at=fresh)).encode(), fresh)
        assert amazon.asked == [CERTIFICATE] * 2

    @pytest.mark.parametrize(
        "answer",
        [
            lambda: httpx.Response(404),
            lambda: httpx.Response(302, headers={"Location": "https://evil.example/x.pem"}),
            lambda: httpx.Response(200, content=b"no certificate"),
            lambda: httpx.Response(200, content=SIGNER.certificate + b"\n" * 20_000),
            lambda: httpx.Response(200, content=Signer(CERTIFICATE, key_size=1024).certificate),
            lambda: httpx.Response(200, content=Signer(CERTIFICATE, valid_for=-timedelta(days=1)).certificate),
        ],
        ids=["missing", "redirect", "rubbish", "large", "weak", "expired"],
    )
    async def test_what_is_none_proves_nothing(
        self, endpoint: SnsEndpoint, amazon: Amazon, answer: Callable[[], httpx.Response]
    ) -> None:
        amazon.answer = answer
        assert await why(endpoint, posted()) == "certificate"
        assert amazon.asked == [CERTIFICATE]

    async def test_another_one_proves_nothing_either(self, endpoint: SnsEndpoint, amazon: Amazon) -> None:
        other = Signer(CERTIFICATE)
        amazon.answer = lambda: httpx.Response(200, content=other.certificate)
        assert await why(endpoint, posted()) == "signature"

    @pytest.mark.parametrize("status", [500, 503])
    async def test_while_it_is_away_sns_is_asked_to_come_again(
        self, endpoint: SnsEndpoint, amazon: Amazon, status: int
    ) -> None:
        amazon.answer = lambda: httpx.Response(status)
        with pytest.raises(Unavailable):
            await endpoint.read(posted(), now())
        amazon.answer = lambda: httpx.Response(200, content=SIGNER.certificate)
        with pytest.raises(Unavailable):  # for a moment nobody is asked again
            await endpoint.read(posted(), now())
        assert len(amazon.asked) == 1
        await endpoint.read(posted(), now() + timedelta(seconds=6))

    async def test_made_up_addresses_do_not_make_us_ask_all_the_time(
        self, endpoint: SnsEndpoint, amazon: Amazon
    ) -> None:
        amazon.answer = lambda: httpx.Response(404)
        for number in range(50):
            url = f"{HOST}/SimpleNotificationService-{number:032x}.pem"
            with pytest.raises((FeedbackRefused, Unavailable)):
                await endpoint.read(posted(SigningCertURL=url), now())
        assert len(amazon.asked) == 1

    async def test_nor_do_they_keep_us_from_asking_again_for_a_known_one(
        self, endpoint: SnsEndpoint, amazon: Amazon
    ) -> None:
        await endpoint.read(posted(), now())
        fresh = now() + timedelta(hours=25)
        message = SIGNER.message(TOPIC, "news", at=fresh)
        amazon.answer = lambda: httpx.Response(404)
        made_up = message | {"SigningCertURL": f"{HOST}/SimpleNotificationService-{0:032x}.pem"}
        assert await why(endpoint, json.dumps(made_up).encode(), fresh) == "certificate"
        amazon.answer = lambda: httpx.Response(200, content=SIGNER.certificate)
        await endpoint.read(json.dumps(message).encode(), fresh)


class TestSubscribing:
    def confirmation(self, **changes: str) -> bytes:
        url = "https://evil.example/?Action=ConfirmSubscription"
        message = SIGNER.message(
            TOPIC, "You have chosen …", kind="SubscriptionConfirmation", Token="a&b=c", SubscribeURL=url
        )
        return json.dumps(message | changes).encode()

    async def test_it_is_confirmed_at_the_topic_s_own_host_whatever_the_message_says(
        self, endpoint: SnsEndpoint, amazon: Amazon
    ) -> None:
        message = await endpoint.read(self.confirmation(), now())
        assert message.kind is Kind.SUBSCRIPTION
        assert await endpoint.confirm(message)
        asked = httpx.URL(amazon.asked[-1])
        assert (asked.scheme, asked.host) == ("https", HOST.removeprefix("https://"))
        assert dict(asked.params) == {"Action": "ConfirmSubscription", "TopicArn": TOPIC, "Token": "a&b=c"}

    @pytest.mark.parametrize("field", ["Token", "SubscribeURL"])
    async def test_its_token_and_address_are_signed(self, endpoint: SnsEndpoint, field: str) -> None:
        assert await why(endpoint, self.confirmation(**{field: "x"})) == "signature"

    async def test_a_refusal_is_told(self, endpoint: SnsEndpoint, amazon: Amazon) -> None:
        message = await endpoint.read(self.confirmation(), now())
        amazon.answer = lambda: httpx.Response(403)
        assert not await endpoint.confirm(message)


_JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda of: st.lists(of, max_size=3))
_FIELDS = tuple(SIGNER.message(TOPIC, "news", Subject="Hello"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, min_size=1))
async def test_no_other_document_is_ever_taken(endpoint: SnsEndpoint, changes: dict[str, Any]) -> None:
    message: dict[str, Any] = SIGNER.message(TOPIC, "news", Subject="Hello")
    changed = {name: value for name, value in changes.items() if value != message[name]}
    if changed:
        await why(endpoint, json.dumps(message | changed).encode())


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"Message": "\\ud800"}', b'{"Type": 1e400}']
)
async def test_what_is_no_document_is_refused(endpoint: SnsEndpoint, body: bytes) -> None:
    assert await why(endpoint, body) == "form"
