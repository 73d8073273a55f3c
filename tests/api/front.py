"""An api process behind the address that the sign-in providers know, for tests over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from core.settings import Settings
from tests.api.signing_in import OPEN
from tests.api.test_process import api_server
from tests.sign_in_providers import Providers, Visitor

PROVIDER_SECONDS = 2.0
"""How long a provider may take in these tests: well below the deadline of a request, which is another code."""


@dataclass(frozen=True, slots=True)
class Front:
    """The process; `client` follows no redirect."""

    client: httpx.AsyncClient
    url: str

    def visitor(self) -> Visitor:
        """Somebody new, with a browser and an app of their own."""
        return Visitor.of(self.client, self.url)

    async def get(self, path: str, token: str) -> httpx.Response:
        return await self.client.get(f"{self.url}/api/v1{path}", headers={"Authorization": f"Bearer {token}"})

    async def send(self, method: str, path: str, token: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.client.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers)


def with_providers(settings: Settings, providers: Providers) -> Settings:
    """All three on, and no limit in the way."""
    on = providers.settings(settings)
    oauth = on.oauth.model_copy(update={"provider_seconds": PROVIDER_SECONDS})
    return on.model_copy(update={"rate_limits": OPEN, "oauth": oauth})


@asynccontextmanager
async def open_front(settings: Settings, providers: Providers) -> AsyncIterator[Front]:
    """For the settings of `with_providers`."""
    limits = {
        f"PETFOLIO_RATE_LIMITS__{name.upper()}": getattr(settings.rate_limits, name).model_dump_json()
        for name in type(settings.rate_limits).model_fields
    }
    environment = {
        **providers.environment,
        **limits,
        "PETFOLIO_PUBLIC_URL": providers.public_url,
        "PETFOLIO_OAUTH__PROVIDER_SECONDS": str(PROVIDER_SECONDS),
    }
    async with (
        api_server(settings, providers.site.ports["api"], **environment),
        httpx.AsyncClient(timeout=40) as client,
    ):
        yield Front(client, providers.public_url)
