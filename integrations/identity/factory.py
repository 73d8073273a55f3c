"""The providers of the settings, for both composition roots."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from core.settings import Settings
from core.sign_in_settings import AppleSettings
from domain.oauth import Provider
from integrations.identity.apple import AppleProvider
from integrations.identity.facebook import FacebookProvider
from integrations.identity.google import GoogleProvider
from integrations.identity.http import client
from integrations.identity.protocol import IdentityProvider

Providers = Mapping[Provider, IdentityProvider]
"""Those that are on."""


@asynccontextmanager
async def open_providers(settings: Settings) -> AsyncIterator[Providers]:
    """Connects when somebody signs in. Raises `SystemExit` for a key of Apple's that is none."""
    if not (settings.google.client_id or settings.apple.client_id or settings.facebook.client_id):
        yield {}  # a client costs a tenth of a second: it reads the certificates of the world
        return
    async with client() as http:
        yield {provider.name: provider for provider in _found(http, settings)}


def _found(http: httpx.AsyncClient, settings: Settings) -> Iterator[IdentityProvider]:
    google, apple, facebook = settings.google, settings.apple, settings.facebook
    if google.client_id and google.client_secret:
        yield GoogleProvider(http, google, google.client_id, google.client_secret.get_secret_value())
    if apple.client_id and apple.team_id:
        yield AppleProvider(http, apple, apple.client_id, apple.team_id, _apple_key(apple))
    if facebook.client_id and facebook.client_secret:
        yield FacebookProvider(http, facebook, facebook.client_id, facebook.client_secret.get_secret_value())


def _apple_key(settings: AppleSettings) -> ECKey:
    text = settings.private_key.get_secret_value() if settings.private_key else ""
    try:
        key = ECKey.import_key(text.replace("\\n", "\n"))
    except (JoseError, ValueError):
        raise SystemExit("Petfolio cannot start. PETFOLIO_APPLE__PRIVATE_KEY is no private key of Apple's.") from None
    if not key.is_private or key.curve_name != "P-256":
        raise SystemExit("Petfolio cannot start. PETFOLIO_APPLE__PRIVATE_KEY is no private key of Apple's.")
    return key
