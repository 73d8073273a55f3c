"""The providers of the settings, for both composition roots."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from core.settings import Settings
from core.sign_in_settings import AppleSettings
from domain.oauth import Provider
from integrations.identity.apple import AppleProvider
from integrations.identity.facebook import FacebookProvider
from integrations.identity.google import GoogleProvider
from integrations.identity.protocol import IdentityProvider

Providers = Mapping[Provider, IdentityProvider]
"""Those that are on."""


@asynccontextmanager
async def open_providers(settings: Settings) -> AsyncIterator[Providers]:
    """Connects when somebody signs in. Raises `SystemExit` for a key of Apple's that is none."""
    found: list[IdentityProvider] = []
    google, facebook, apple = settings.google, settings.facebook, settings.apple
    if google.client_id and google.client_secret:
        found.append(GoogleProvider(google, google.client_id, google.client_secret.get_secret_value()))
    if apple.client_id and apple.team_id:
        found.append(AppleProvider(apple, apple.client_id, apple.team_id, _apple_key(apple)))
    if facebook.client_id and facebook.client_secret:
        found.append(FacebookProvider(facebook, facebook.client_id, facebook.client_secret.get_secret_value()))
    async with AsyncExitStack() as stack:
        for provider in found:
            stack.push_async_callback(provider.close)
        yield {provider.name: provider for provider in found}


def _apple_key(settings: AppleSettings) -> ECKey:
    text = settings.private_key.get_secret_value() if settings.private_key else ""
    try:
        key = ECKey.import_key(text.replace("\\n", "\n"))
    except (JoseError, ValueError):
        raise SystemExit("Petfolio cannot start. PETFOLIO_APPLE__PRIVATE_KEY is no private key of Apple's.") from None
    if not key.is_private or key.curve_name != "P-256":
        raise SystemExit("Petfolio cannot start. PETFOLIO_APPLE__PRIVATE_KEY is no private key of Apple's.")
    return key
