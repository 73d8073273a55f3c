"""The sign-in providers that are on, as routes ask for them."""

from typing import Annotated

from fastapi import Depends, Path

from api.deps import ServicesDep
from core.errors import NotFound
from integrations.identity.factory import Providers
from integrations.identity.protocol import IdentityProvider


class ProviderOff(NotFound):
    """404: nobody signs in with this provider here."""

    code = "provider_off"


def provider_named(providers: Providers, name: str) -> IdentityProvider:
    """Raises `ProviderOff`."""
    found = next((provider for provider in providers.values() if provider.name == name), None)
    if found is None:
        raise ProviderOff("Nobody can sign in with this provider here.")
    return found


# Asynchronous although nothing is awaited: FastAPI runs plain functions in a thread, at 150 µs a call.
async def chosen_provider(
    provider: Annotated[str, Path(description="`google`, `apple` or `facebook`.")], services: ServicesDep
) -> IdentityProvider:
    """The provider in the path. Raises `ProviderOff`."""
    return provider_named(services.providers, provider)


ChosenProvider = Annotated[IdentityProvider, Depends(chosen_provider)]
