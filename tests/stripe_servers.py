"""The local Stripe server for tests: in this process, with the official client and an account of the test's own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.application import StripeServer
from infra.local.emulators.stripe_server.sdk import API_VERSION

ADDRESS = "http://stripe.test"
BASES = dict.fromkeys(("api", "files", "connect", "meter_events"), ADDRESS)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One account: `client` is the official one, `http` reaches what that does not (`/_control/`, pages)."""

    server: StripeServer
    key: str
    client: stripe.StripeClient
    http: httpx.AsyncClient

    @property
    def v1(self) -> Any:
        """The resources; untyped, because tests also send what the SDK's types forbid."""
        return self.client.v1

    @property
    def account(self) -> Account:
        """What the server keeps; a new one after a reset."""
        return self.server.accounts.of(self.key)

    async def control(self, path: str, method: str = "POST", /, **body: Any) -> Any:
        """`/_control/…`. Raises `httpx.HTTPStatusError` when it is refused."""
        answer = await self.http.request(method, f"/_control/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def passes(self, seconds: int) -> None:
        """It is that much later; what is due has happened and was delivered."""
        await self.control("clock", advance=seconds)


def client_of(http: httpx.AsyncClient, key: str, **options: Any) -> stripe.StripeClient:
    """The official client over a connection that leads to the server."""
    transport = stripe.HTTPXClient(timeout=5)
    transport._client_async = http
    return stripe.StripeClient(
        key, http_client=transport, stripe_version=API_VERSION, base_addresses=BASES, max_network_retries=0, **options
    )


@dataclass(slots=True)
class Receiver:
    """An endpoint of ours: keeps what it was sent, and answers what it is told to."""

    received: list[httpx.Request] = field(default_factory=list)
    status: int = 200

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One message."""
        self.received.append(request)
        return httpx.Response(self.status)

    @property
    def types(self) -> list[str]:
        """Of what, in the order in which it came."""
        return [json.loads(request.content)["type"] for request in self.received]


@asynccontextmanager
async def opened(server: StripeServer, key: str | None = None) -> AsyncIterator[Sandbox]:
    """An account of a server; a new one without a key."""
    key = key or f"sk_test_{uuid4().hex}"
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app=server)) as api,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=server), base_url=ADDRESS, headers=headers) as http,
    ):
        yield Sandbox(server, key, client_of(api, key), http)
    await server.close()


@pytest.fixture
def stripe_receiver() -> Receiver:
    """Where the webhooks of `stripe_sandbox` go, whatever their address."""
    return Receiver()


@pytest.fixture
async def stripe_sandbox(stripe_receiver: Receiver) -> AsyncIterator[Sandbox]:
    """A new account on a server of the test's own; its clock stands still."""
    async with opened(StripeServer(ADDRESS, httpx.MockTransport(stripe_receiver.answer))) as sandbox:
        sandbox.account.clock.freeze()
        yield sandbox
