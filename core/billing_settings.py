"""Stripe: whose account we sell with, and what its messages are signed with. Part of `core.settings`.

Without a key billing is off, and its webhook. What could charge people for nothing, or believe anybody, keeps the
process from starting (billing.md I10).
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

STRIPE_HOST = "api.stripe.com"


class StripeSettings(BaseSettings):
    """`stripe_api_base`: another server than Stripe's, for the local stack and the tests. `stripe_webhook_secrets`: the
    newest first, two while one replaces the other, with commas between them."""

    stripe_api_key: SecretStr | None = None
    stripe_api_base: str | None = None
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    stripe_livemode: bool = False

    @field_validator("stripe_api_key", "stripe_api_base", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def listed(cls, given: object) -> object:
        """A list in one word; blank is none."""
        if not isinstance(given, str):
            return given
        return tuple(secret.strip() for secret in given.split(",") if secret.strip())

    @field_validator("stripe_api_base")
    @classmethod
    def live_money_goes_to_stripe(cls, base: str | None, info: ValidationInfo) -> str | None:
        """A live key is shown to nobody but Stripe. Raises ValueError."""
        if _is_live(info) and base is not None and _place(base) != ("https", STRIPE_HOST):
            raise ValueError("a live key goes to Stripe alone")
        return base

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def messages_are_signed(cls, secrets: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        """Who sells can tell Stripe's messages from anybody's. Raises ValueError."""
        is_missing = not secrets or not all(secret.get_secret_value() for secret in secrets)
        if info.data.get("stripe_api_key") is not None and is_missing:
            raise ValueError("a key needs the secret of its webhook endpoint")
        return secrets

    @field_validator("stripe_livemode")
    @classmethod
    def mode_is_that_of_the_key(cls, livemode: bool, info: ValidationInfo) -> bool:
        """With the other one every event would be dropped. Raises ValueError."""
        if info.data.get("stripe_api_key") is not None and livemode != _is_live(info):
            raise ValueError("the key is of the other mode")
        return livemode


def _is_live(info: ValidationInfo) -> bool:
    key: SecretStr | None = info.data.get("stripe_api_key")
    return key is not None and key.get_secret_value().startswith(("sk_live_", "rk_live_"))


def _place(base: str) -> tuple[str, str | None]:
    url = urlsplit(base)
    return url.scheme, url.hostname
