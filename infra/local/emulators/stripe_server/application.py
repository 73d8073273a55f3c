"""The ASGI application: Stripe's API, the control plane, the pages, and what goes on without being asked."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from infra.local.emulators.stripe_server import resources
from infra.local.emulators.stripe_server.account import Accounts
from infra.local.emulators.stripe_server.api import Api
from infra.local.emulators.stripe_server.control import Control

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_TICK_SECONDS: Final = 0.1
_POST_SECONDS: Final = 10
_log: Final = logging.getLogger(__name__)


class StripeServer:
    """See the module. `transport` replaces the network that webhooks go out through, which otherwise reach this machine
    alone; `seed` is what the secrets of endpoints are made from.

    Clocks tick with every request of their account, and by themselves where the server runs the lifespan.
    """

    def __init__(
        self,
        origin: str = "http://stripe.test",
        transport: httpx.AsyncBaseTransport | None = None,
        seed: str = "",
    ) -> None:
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self.accounts = Accounts(origin, self._post, seed)
        routes = [
            Route("/v1/{path:path}", Api(self.accounts).answer, methods=["GET", "POST", "DELETE"]),
            *Control(self.accounts, resources.DEEDS.items()).routes(),
            *(route for page in resources.PAGES for route in page(self.accounts)),
        ]
        self._app = Starlette(routes=routes, lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._app(scope, receive, send)

    async def close(self) -> None:
        """Nothing is posted any more."""
        for account in self.accounts:
            account.close()
        if self._http:
            await self._http.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            await self.close()

    async def _tick(self) -> None:
        while True:
            for account in self.accounts:
                try:
                    account.tick()
                except Exception:
                    _log.exception("a timer of %s failed", account.key)  # the clocks of the others go on
            await asyncio.sleep(_TICK_SECONDS)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int | None:
        if self._transport is None and urlsplit(url).hostname not in _LOOPBACK:
            return None
        if self._http is None:
            self._http = httpx.AsyncClient(transport=self._transport, timeout=_POST_SECONDS, trust_env=False)
        try:
            return (await self._http.post(url, content=body, headers=headers)).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
