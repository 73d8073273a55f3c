"""The servers that the other tests stand on are real and do what the local stack promises."""

import asyncio
import json
from email.message import EmailMessage
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import asyncpg
import boto3
import pytest
import redis.asyncio
from botocore.config import Config
from botocore.exceptions import ClientError
from temporalio.client import Client

from infra.local.launchers import aws as aws_process
from temporal import search_attributes
from temporal.search_attribute_types import CLI_TYPES
from tests.services import AwsServer, PostgresServer, S3Server, TemporalServer, aws_server, open_servers


async def test_the_application_role_may_not_create_tables(postgres_server: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres_server.url(), ssl=False)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE mine (id int)")
    await connection.close()


async def test_a_copied_database_has_the_tables_and_settings_of_its_template(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database()
    owner = await asyncpg.connect(postgres_server.owner_url(template), ssl=False)
    await owner.execute("CREATE TABLE pets (name citext)")
    await owner.execute(f"ALTER DATABASE {template} SET statement_timeout = '1234ms'")
    await owner.close()

    copy = await asyncpg.connect(postgres_server.owner_url(postgres_server.create_database(template)), ssl=False)
    assert await copy.fetch("SELECT * FROM pets") == []
    assert await copy.fetchval("SHOW statement_timeout") == "1234ms"
    await copy.close()
    postgres_server.drop_database(template)


async def test_valkey_refuses_a_caller_without_the_password(redis_url: str) -> None:
    async with redis.asyncio.from_url(redis_url) as known:
        assert await known.ping()
    stranger = redis.asyncio.from_url("redis://" + redis_url.partition("@")[2])
    with pytest.raises(redis.AuthenticationError):
        await stranger.ping()
    await stranger.aclose()


async def test_temporal_serves_the_namespace(temporal_address: str) -> None:
    client = await Client.connect(temporal_address, namespace="petfolio")
    assert [found async for found in client.list_workflows("PfState = 'active'")] == []


async def test_s3_refuses_a_wrong_signature(s3: S3Server) -> None:
    def put(secret: str) -> None:
        client = boto3.client(
            "s3",
            endpoint_url=s3.endpoint,
            aws_access_key_id=s3.access_key_id,
            aws_secret_access_key=secret,
            region_name="us-east-1",
        )
        client.put_object(Bucket="petfolio-media", Key="cat", Body=b"meow")

    await asyncio.to_thread(put, s3.secret_access_key)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        await asyncio.to_thread(put, "wrong")


def send_once(aws: AwsServer, message: EmailMessage) -> str:
    client = boto3.client(
        "sesv2",
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    answer = client.send_email(
        FromEmailAddress="Petfolio <reminders@petfolio.test>",
        Destination={"ToAddresses": [str(message["To"])]},
        Content={"Raw": {"Data": bytes(message)}},
    )
    return str(answer["MessageId"])


def mail(to: str) -> EmailMessage:
    message = EmailMessage()
    message["To"], message["From"] = to, "reminders@petfolio.test"
    message["Subject"] = "Möhre ist fällig 🐾"
    message["List-Unsubscribe"] = "<https://petfolio.test/unsubscribe>"
    message.set_content("Grüße")
    message.add_alternative("<p>Grüße 🐾</p>", subtype="html")
    return message


def test_a_mail_is_in_the_inbox_exactly_as_sent_before_the_sender_is_answered(aws: AwsServer) -> None:
    message_id = send_once(aws, mail("Anna@Example.test"))
    [kept] = aws.messages("anna@example.test")
    assert kept["id"] == message_id
    assert (kept["subject"], kept["text"].strip(), kept["html"].strip()) == (
        "Möhre ist fällig 🐾",
        "Grüße",
        "<p>Grüße 🐾</p>",
    )
    assert kept["headers"]["List-Unsubscribe"] == "<https://petfolio.test/unsubscribe>"


def test_a_mail_whose_acknowledgement_is_lost_was_sent_all_the_same(aws: AwsServer) -> None:
    aws.fault(status=500, when="after", service="ses")
    with pytest.raises(ClientError):
        send_once(aws, mail("late@example.test"))
    aws.fault(status=429, when="before", service="ses")
    with pytest.raises(ClientError, match="TooManyRequests"):
        send_once(aws, mail("late@example.test"))
    assert len(aws.messages("late@example.test")) == 1


def test_a_mail_survives_the_sudden_end_of_the_process_that_took_it() -> None:
    with open_servers() as servers:
        site = servers.start(aws_process.SERVICE)
        server = aws_server(site)
        message_id = send_once(server, mail("kept@example.test"))
        servers.kill(aws_process.SERVICE)
        servers.start(aws_process.SERVICE)
        assert [kept["id"] for kept in server.messages("kept@example.test")] == [message_id]


def test_a_page_of_another_site_cannot_read_the_inbox_through_a_rebound_name(aws: AwsServer) -> None:
    request = Request(aws.inbox_url + "/api/messages", headers={"Host": "evil.example"})
    with pytest.raises(HTTPError, match="403"):
        urlopen(request)


def test_people_can_read_a_mail_and_let_it_bounce(aws: AwsServer) -> None:
    message_id = send_once(aws, mail("bouncer@example.test"))
    with urlopen(f"{aws.inbox_url}/?to=bouncer@example.test") as page:
        assert f'href="/messages/{message_id}"' in page.read().decode()
    with urlopen(f"{aws.inbox_url}/messages/{message_id}") as page:
        assert "&lt;p&gt;Grüße 🐾&lt;/p&gt;" in page.read().decode()
    with urlopen(Request(f"{aws.inbox_url}/api/messages/{message_id}/bounce", method="POST")) as answer:
        assert json.load(answer) == {"listeners": 0}  # no api runs here


def test_every_search_attribute_is_registered_under_its_type() -> None:
    assert {key.name: key.indexed_value_type.name.title() for key in search_attributes.ALL} == CLI_TYPES


async def test_a_killed_temporal_server_remembers_its_workflows(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path / "temporal")
    await server.start()
    client = await Client.connect(server.address, namespace="petfolio")
    await client.start_workflow("Sleeper", id="sleeper", task_queue="nobody")
    await server.kill()
    await server.start()
    assert (await client.get_workflow_handle("sleeper").describe()).workflow_type == "Sleeper"
    await server.stop()
