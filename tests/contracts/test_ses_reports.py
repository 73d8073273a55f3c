"""What SES reports about a mail, and that the local stack reports in the same words with a signature that verifies."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import boto3
import httpx
import pytest

from core.settings import Settings
from domain.mail_feedback import Verdict
from infra.local.ses_events import event, topic_arn
from integrations.notify.feedback.ses import EventUnreadable, MailFeedback, read_event
from integrations.notify.feedback.sns import SnsEndpoint, SnsMessage
from integrations.notify.protocol import Message
from integrations.notify.ses import open_ses
from tests.services import AwsServer

TO = "reports@example.test"
# The examples of the developer guide, without what nobody reads.
BOUNCE = {
    "eventType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": "recipient@example.com",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }
        ],
        "timestamp": "2017-08-05T00:41:02.669Z",
        "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
        "reportingMTA": "dsn; mta.example.com",
    },
    "mail": {
        "timestamp": "2017-08-05T00:40:02.012Z",
        "source": "Sender Name <sender@example.com>",
        "sendingAccountId": "123456789012",
        "messageId": "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
        "destination": ["recipient@example.com"],
        "headersTruncated": False,
        "headers": [{"name": "From", "value": "Sender Name <sender@example.com>"}],
        "tags": {"ses:configuration-set": ["ConfigSet"]},
    },
}


def test_the_documented_bounce_is_read() -> None:
    assert read_event(json.dumps(BOUNCE)) == MailFeedback(
        Verdict.BOUNCED,
        "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
        None,
        "recipient@example.com",
        "Permanent/General",
    )


def test_notifications_of_an_identity_say_the_same_in_another_field() -> None:
    old = {name: value for name, value in BOUNCE.items() if name != "eventType"} | {"notificationType": "Bounce"}
    assert read_event(json.dumps(old)) == read_event(json.dumps(BOUNCE))


@pytest.mark.parametrize("name", ["Send", "Open", "Click", "Rendering Failure", "Subscription", "of tomorrow"])
def test_what_is_nothing_to_us_is_passed_over(name: str) -> None:
    assert read_event(json.dumps(BOUNCE | {"eventType": name})) is None


@pytest.mark.parametrize("to", [[], ["a@example.test", "b@example.test"], ["nobody"], ["@"]])
def test_an_address_that_is_not_clearly_one_is_none(to: list[str]) -> None:
    found = read_event(json.dumps(BOUNCE | {"mail": {"messageId": "x", "destination": to}}))
    assert found is not None
    assert found.address is None


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [("Anna@EXAMPLE.test", "anna@example.test"), ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example")],
)
def test_the_address_is_read_as_accounts_are_told_apart(sent: str, canonical: str) -> None:
    found = read_event(event("delivery", "x", sent))
    assert found is not None
    assert found.address == canonical


def test_our_header_names_the_delivery_and_a_wrong_one_nothing() -> None:
    key = uuid4()
    for value, expected in ((str(key), key), ("x", None)):
        found = read_event(event("delivery", "x", TO, headers=[{"name": "X-PETFOLIO-Delivery", "value": value}]))
        assert found is not None
        assert found.delivery_id == expected


@pytest.mark.parametrize("text", ["", "Successfully validated SNS topic.", "{}", "[]", '{"mail": {}}', "[" * 100_000])
def test_what_is_no_event_is_unreadable(text: str) -> None:
    with pytest.raises(EventUnreadable):
        read_event(text)


@pytest.fixture
def heard(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a subscriber of the topic got."""
    bodies: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sns: Any = boto3.client("sns", endpoint_url=aws.endpoint, region_name=aws.region)
        address = f"http://127.0.0.1:{server.server_port}/"
        arn = sns.subscribe(TopicArn=topic_arn(aws.region), Protocol="http", Endpoint=address)["SubscriptionArn"]
        yield bodies
        sns.unsubscribe(SubscriptionArn=arn)
        server.shutdown()


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("bounce", Verdict.BOUNCED), ("complaint", Verdict.COMPLAINED), ("delivery", Verdict.DELIVERED)],
)
async def test_a_report_of_the_local_stack_verifies_and_names_the_mail(
    aws: AwsServer, settings: Settings, heard: list[bytes], kind: str, verdict: Verdict
) -> None:
    ses = open_ses(settings.model_copy(update={"ses_endpoint": aws.endpoint, "aws_region": aws.region}))
    key = uuid4()
    receipt = await ses.send(Message(TO, "Brush", "Milo"), idempotency_key=key)
    ses.close()

    def report() -> object:
        with urlopen(Request(f"{aws.inbox_url}/api/messages/{receipt.provider_id}/{kind}", method="POST")) as answer:
            return json.load(answer)

    assert await asyncio.to_thread(report) == {"listeners": 1}  # the api, which it tells too, does not run here
    found = read_event((await read(aws, heard[0])).text)
    assert found is not None
    assert (found.verdict, found.provider_id, found.delivery_id, found.address) == (
        verdict,
        receipt.provider_id,
        key,
        TO,
    )


async def read(aws: AwsServer, body: bytes) -> SnsMessage:
    certificate = f"{aws.inbox_url}/certificate.pem"
    async with httpx.AsyncClient(trust_env=False) as http:
        endpoint = SnsEndpoint(topic_arn(aws.region), http, local_certificate=certificate)
        return await endpoint.read(body, datetime.now(UTC))
