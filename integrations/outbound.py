"""The one way to call an address that a person gave us (identity-and-security.md §4.9).

The name is resolved once, every address it has must be public, and the connection goes to one of exactly these, under
the name's certificate: a name that resolves to something else a moment later changes nothing. Redirects are followed
only where the caller says so, each through all of this again, without credentials once the origin changes.

Whoever has much to say to one origin opens a `session` of it: the check is made once, and the connections, which are
then to one name at one address under one certificate, stay open.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from core.errors import Invalid, PetfolioError, Unavailable
from domain.address import is_public

CONNECT_SECONDS: Final = 2.0
TOTAL_SECONDS: Final = 10.0
MAX_BYTES: Final = 5 * 2**20
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_KEPT: Final = 4
_KEPT_SECONDS: Final = 20.0
"""How many connections of a session wait for the next call, and how long."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name, as text. Raises OSError."""


class AddressRefused(Invalid):
    """422: not an address that we call."""

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes, taken from its URL once: whoever connects uses these and never parses again."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials belong to."""
        return self.scheme, self.host, self.port


def read_target(url: str, *, plain_http: bool = False) -> Target:
    """The target of a URL that somebody gave us. `plain_http` is for development. Raises `AddressRefused`."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        if ":" not in host:  # an IPv6 address is no name
            host = host.encode("idna").decode()
    except ValueError:
        raise AddressRefused("this is no URL") from None
    allowed = {"https": 443} | ({"http": 80} if plain_http else {})
    if parts.scheme not in allowed:
        raise AddressRefused("an address begins with https://")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("an address holds no user name and no password")
    if not host or any(character.isspace() or ord(character) < 33 or ord(character) == 127 for character in url):
        raise AddressRefused("this is no URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or allowed[parts.scheme], path)


class AddressUnreachable(Unavailable):
    """The address did not answer in time, or not in HTTP; trying again may help."""

    code = "address_unreachable"


class AnswerTooLarge(PetfolioError):
    """The answer is larger than we take from a stranger."""

    code = "answer_too_large"
    http_status = 502


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side answered; `url` is where, after redirects."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Outbound:
    """Calls addresses of strangers. `plain_http` and `private` are for the local stack and for tests, where the other
    side is on this machine."""

    def __init__(
        self,
        *,
        plain_http: bool = False,
        private: bool = False,
        resolve: Resolve = resolve,
        verify: ssl.SSLContext | bool = True,
        total_seconds: float = TOTAL_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._plain_http, self._private, self._resolve = plain_http, private, resolve
        self._total_seconds, self._max_bytes = total_seconds, max_bytes
        # Read once for all clients: the certificates of the authorities take longer than most calls.
        self._tls = verify if isinstance(verify, ssl.SSLContext) else httpx.create_ssl_context(verify, trust_env=False)
        # No connection is used twice: httpx keeps them by address, so another name there would ride on it without a
        # look at its certificate.
        self._http = self._client(kept=0)

    async def close(self) -> None:
        """Close what is open, but for sessions."""
        await self._http.aclose()

    async def session(self, url: str) -> "OutboundSession":
        """Checked once, for calls to the origin of this URL alone. Raises `AddressRefused`."""
        target = read_target(url, plain_http=self._plain_http)
        return OutboundSession(self, target, await self._address_of(target), self._client(kept=_KEPT))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        redirects: int = 0,
    ) -> Reply:
        """One call, with all its redirects, within `total_seconds`.

        Raises `AddressRefused`, `AddressUnreachable`, `AnswerTooLarge`.
        """
        sent = dict(headers or {})
        async with self._bounded():
            target = read_target(url, plain_http=self._plain_http)
            for left in range(redirects, -1, -1):
                reply = await self._send(self._http, target, await self._address_of(target), method, sent, content)
                location = reply.headers.get("location")
                if reply.status not in REDIRECTS or location is None or left == 0:
                    return reply
                following = read_target(str(httpx.URL(reply.url).join(location)), plain_http=self._plain_http)
                if following.origin != target.origin:
                    sent = {name: value for name, value in sent.items() if name.lower() not in _CREDENTIALS}
                target = following
        raise AssertionError("the last round returns")

    async def check(self, url: str) -> Target:
        """The target of an address, now, without calling it: for the moment it is entered. Raises `AddressRefused`."""
        target = read_target(url, plain_http=self._plain_http)
        await self._address_of(target)
        return target

    def _client(self, *, kept: int) -> httpx.AsyncClient:
        """Without the environment's proxies: they would resolve the name themselves."""
        return httpx.AsyncClient(
            timeout=httpx.Timeout(self._total_seconds, connect=CONNECT_SECONDS),
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=kept, keepalive_expiry=_KEPT_SECONDS),
        )

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """A call in its time, and its failures as our errors."""
        try:
            async with asyncio.timeout(self._total_seconds):
                yield
        except httpx.InvalidURL:
            raise AddressRefused("this is no URL") from None
        except (TimeoutError, OSError, httpx.HTTPError) as error:
            raise AddressUnreachable("the address does not answer") from error

    async def _send(
        self,
        http: httpx.AsyncClient,
        target: Target,
        address: str,
        method: str,
        headers: Mapping[str, str],
        content: bytes,
    ) -> Reply:
        host = f"[{address}]" if ":" in address else address
        usual = {"https": 443, "http": 80}[target.scheme]
        name = target.host if target.port == usual else f"{target.host}:{target.port}"
        request = http.build_request(
            method,
            f"{target.scheme}://{host}:{target.port}{target.path}",
            headers={"Accept-Encoding": "identity", **headers, "Host": name},
            content=content,
            extensions={"sni_hostname": target.host},
        )
        answer = await http.send(request, stream=True)
        try:
            body = await self._body(answer)
        finally:
            await answer.aclose()
        return Reply(f"{target.scheme}://{name}{target.path}", answer.status_code, answer.headers, body)

    async def _address_of(self, target: Target) -> str:
        try:
            found = await self._resolve(target.host, target.port)
        except OSError as error:
            raise AddressRefused("this name has no address") from error
        if not found or not (self._private or all(map(is_public, found))):
            raise AddressRefused("this address is not on the public internet")
        return found[0]

    async def _body(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in answer.aiter_raw():  # never unpacked: a small bomb would be a large answer
            body += piece
            if len(body) > self._max_bytes:
                raise AnswerTooLarge("the answer is too large")
        return bytes(body)


class OutboundSession:
    """Calls to one origin at the address that was checked, over connections that stay open. For minutes, not for days:
    the name is not resolved again. Made by `Outbound.session`."""

    def __init__(self, outbound: Outbound, target: Target, address: str, http: httpx.AsyncClient) -> None:
        self.origin = target.origin
        self._outbound, self._address, self._http = outbound, address, http

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Reply:
        """One call; a redirect is an answer like others. Raises as `Outbound.request`, and `AddressRefused` for another
        origin."""
        outbound = self._outbound
        async with outbound._bounded():
            target = read_target(url, plain_http=outbound._plain_http)
            if target.origin != self.origin:
                raise AddressRefused("this is the address of somebody else")
            return await outbound._send(self._http, target, self._address, method, headers or {}, content)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()
