"""No address that a person gives us leads into our own network, however it is spelled, resolved or redirected."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integrations.outbound import AddressRefused, AddressUnreachable, AnswerTooLarge, Outbound, Resolve

PUBLIC = "93.184.216.34"


@dataclass
class Other:
    """A server of somebody else, on this machine; `answer` makes what it says to a request's first line."""

    port: int
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def other(answer: Callable[[str], bytes], context: ssl.SSLContext | None = None) -> AsyncIterator[Other]:
    asked = Other(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.requests.append(head)
        writer.write(answer(head.split("\r\n")[0]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    asked.port = server.sockets[0].getsockname()[1]
    async with server:
        yield asked


def ok(body: bytes = b"hello") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)


def moved(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def names(*answers: Sequence[str]) -> Resolve:
    """A resolver that answers these, one after the other, the last one for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@asynccontextmanager
async def caller(*answers: Sequence[str], private: bool = False, **options: object) -> AsyncIterator[Outbound]:
    outbound = Outbound(plain_http=True, private=private, resolve=names(*answers), **options)  # type: ignore[arg-type]
    try:
        yield outbound
    finally:
        await outbound.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "http://localhost./",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
    ],
)
async def test_no_spelling_of_our_own_machine_is_called(url: str) -> None:
    outbound = Outbound(plain_http=True)
    with pytest.raises(AddressRefused):
        await outbound.request("GET", url)
    with pytest.raises(AddressRefused):
        await outbound.check(url)
    await outbound.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "https://me:pw@example.com/",
        "https:///x",
        "https://exa mple.com",
        "x",
        "https://a:99999/",
        f"https://{'a' * 64}.example/",
        "https://a..b/",
        "https://example.com/a\x7fb",
        "https://[::1",
        f"https://example.com/{'a' * 70_000}",
    ],
)
async def test_what_is_no_https_address_is_refused(url: str) -> None:
    async with caller([PUBLIC]) as outbound:
        with pytest.raises(AddressRefused):
            await outbound.request("GET", url)


async def test_a_name_in_another_script_is_called_by_its_wire_form() -> None:
    async with other(lambda _: ok()) as server, caller(["127.0.0.1"], private=True) as outbound:
        reply = await outbound.request("GET", f"http://münchen.example:{server.port}/")
        assert (await outbound.check("https://[2606:4700::1111]/")).host == "2606:4700::1111"
    assert reply.url == f"http://xn--mnchen-3ya.example:{server.port}/"


async def test_plain_http_is_for_development() -> None:
    outbound = Outbound(resolve=names([PUBLIC]))
    with pytest.raises(AddressRefused):
        await outbound.check("http://example.com/")
    assert (await outbound.check("https://example.com/x?y")).path == "/x?y"
    await outbound.close()


async def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    async with caller([PUBLIC, "10.0.0.1"]) as outbound:
        with pytest.raises(AddressRefused):
            await outbound.request("GET", "http://calendar.example/")


async def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_says_a_moment_later() -> None:
    async with other(lambda _: ok()) as server, caller(["127.0.0.1"], ["127.0.0.9"], private=True) as outbound:
        reply = await outbound.request("GET", f"http://rebinding.example:{server.port}/feed?x=1")
    assert (reply.status, reply.body) == (200, b"hello")
    assert server.requests[0].startswith("GET /feed?x=1 HTTP/1.1")
    assert f"Host: rebinding.example:{server.port}" in server.requests[0].replace("host:", "Host:")


async def test_a_redirect_is_an_answer_unless_it_was_asked_for() -> None:
    async with other(lambda _: moved("/elsewhere")) as server, caller(["127.0.0.1"], private=True) as outbound:
        reply = await outbound.request("GET", f"http://calendar.example:{server.port}/")
    assert (reply.status, len(server.requests)) == (302, 1)


async def test_a_redirect_into_our_network_is_refused() -> None:
    async with other(lambda _: moved("http://169.254.169.254/")) as server:

        async def resolve(host: str, port: int) -> Sequence[str]:
            return ["169.254.169.254"] if host == "169.254.169.254" else [PUBLIC]

        class Lenient(Outbound):
            """Reaches the test's server under its public name, and nothing else."""

            async def _address_of(self, target):  # type: ignore[no-untyped-def]
                address = await super()._address_of(target)
                return "127.0.0.1" if address == PUBLIC else address

        outbound = Lenient(plain_http=True, resolve=resolve)
        with pytest.raises(AddressRefused):
            await outbound.request("GET", f"http://calendar.example:{server.port}/", redirects=3)
        await outbound.close()
    assert len(server.requests) == 1


async def test_credentials_stay_with_the_origin_they_were_meant_for() -> None:
    async with (
        other(lambda _: ok()) as second,
        other(lambda _: moved(f"http://other.example:{second.port}/")) as first,
        caller(["127.0.0.1"], private=True) as outbound,
    ):
        url, headers = f"http://calendar.example:{first.port}/", {"Authorization": "Basic x"}
        reply = await outbound.request("GET", url, headers=headers, redirects=3)
    assert reply.url == f"http://other.example:{second.port}/"
    assert "authorization" in first.requests[0].lower()
    assert "authorization" not in second.requests[0].lower()


async def test_a_circle_of_redirects_ends() -> None:
    async with other(lambda _: moved("/again")) as server, caller(["127.0.0.1"], private=True) as outbound:
        reply = await outbound.request("GET", f"http://calendar.example:{server.port}/", redirects=3)
    assert (reply.status, len(server.requests)) == (302, 4)


async def test_an_endless_answer_is_cut_off() -> None:
    async with (
        other(lambda _: ok(b"x" * 5_000)) as server,
        caller(["127.0.0.1"], private=True, max_bytes=1_000) as outbound,
    ):
        with pytest.raises(AnswerTooLarge):
            await outbound.request("GET", f"http://calendar.example:{server.port}/")


async def test_silence_is_unreachable_within_the_limit() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, caller(["127.0.0.1"], private=True, total_seconds=0.3) as outbound:
        with pytest.raises(AddressUnreachable):
            await outbound.request("GET", f"http://calendar.example:{port}/")


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path, "calendar.example")
    async with (
        other(lambda _: ok(), serving) as server,
        caller(["127.0.0.1"], private=True, verify=trusting) as outbound,
    ):
        assert (await outbound.request("GET", f"https://calendar.example:{server.port}/")).status == 200
        with pytest.raises(AddressUnreachable):
            await outbound.request("GET", f"https://other.example:{server.port}/")


async def test_another_name_at_the_same_address_shows_its_own_certificate(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path, "calendar.example")
    asked: list[bytes] = []

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keeps the connection, as servers do."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(patient, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    async with server, caller(["127.0.0.1"], private=True, verify=trusting) as outbound:
        assert (await outbound.request("GET", f"https://calendar.example:{port}/")).status == 200
        with pytest.raises(AddressUnreachable):
            await outbound.request("GET", f"https://other.example:{port}/", headers={"Authorization": "Basic x"})
    assert len(asked) == 1


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(for a server of this name, for a client that trusts it alone)."""
    key, subject = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "server.pem")
    return serving, ssl.create_default_context(cadata=pem.decode())


@asynccontextmanager
async def talkative(bodies: list[bytes]) -> AsyncIterator[Other]:
    """A server that keeps its connections; `requests` counts them."""
    asked = Other(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.requests.append("a connection")
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while bodies:
                await reader.readuntil(b"\r\n\r\n")
                body = bodies.pop(0)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    asked.port = server.sockets[0].getsockname()[1]
    async with server:
        yield asked


async def test_a_session_asks_for_the_address_once_and_keeps_its_connection() -> None:
    async with talkative([b"one", b"two"]) as server, caller(["127.0.0.1"], ["10.0.0.1"], private=True) as outbound:
        session = await outbound.session(f"http://calendar.test:{server.port}/")
        said = [(await session.request("GET", f"http://calendar.test:{server.port}/{n}")).body for n in range(2)]
        await session.close()
        assert (said, server.requests) == ([b"one", b"two"], ["a connection"])


async def test_a_session_of_a_private_address_is_not_opened() -> None:
    async with caller(["127.0.0.1"]) as outbound:
        with pytest.raises(AddressRefused):
            await outbound.session("http://calendar.test/")


@pytest.mark.parametrize(
    "elsewhere", ["http://other.test:{port}/", "http://calendar.test:1/", "https://calendar.test/"]
)
async def test_a_session_calls_its_own_origin_alone(elsewhere: str) -> None:
    async with talkative([b"one"]) as server, caller(["127.0.0.1"], private=True) as outbound:
        session = await outbound.session(f"http://calendar.test:{server.port}/")
        with pytest.raises(AddressRefused):
            await session.request("GET", elsewhere.format(port=server.port))
        await session.close()
        assert server.requests == []


async def test_a_session_takes_no_more_than_a_call_does() -> None:
    async with talkative([b"x" * 2_000]) as server, caller(["127.0.0.1"], private=True, max_bytes=1_000) as outbound:
        session = await outbound.session(f"http://calendar.test:{server.port}/")
        with pytest.raises(AnswerTooLarge):
            await session.request("GET", f"http://calendar.test:{server.port}/")
        await session.close()
