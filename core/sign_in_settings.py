"""Sign-in providers: where each one is, and who we are to it. Part of `core.settings`.

A provider without `client_id` is off. The addresses are the vendor's own unless they are set.
"""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator


class Provider(BaseModel, frozen=True):
    """Off without `client_id`; whoever is on has everything."""

    client_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def blank_is_unset(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def is_whole(self) -> Self:
        """A provider that is on has everything. Raises ValueError, whose text names no value."""
        missing = [name for name, value in self if value is None]
        if self.client_id is not None and missing:
            raise ValueError(f"needs {', '.join(missing)}")
        return self


class GoogleSettings(Provider, frozen=True):
    """OpenID Connect (https://accounts.google.com/.well-known/openid-configuration)."""

    client_secret: SecretStr | None = None
    issuer: str = "https://accounts.google.com"
    authorize_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    jwks_url: str = "https://www.googleapis.com/oauth2/v3/certs"


class AppleSettings(Provider, frozen=True):
    """Sign in with Apple. `client_id` is the Services ID; `private_key` the PKCS #8 text of the downloaded `.p8` file,
    its line ends as they are or written `\\n`."""

    team_id: str | None = None
    key_id: str | None = None
    private_key: SecretStr | None = None
    issuer: str = "https://appleid.apple.com"
    authorize_url: str = "https://appleid.apple.com/auth/authorize"
    token_url: str = "https://appleid.apple.com/auth/token"  # noqa: S105 - an address
    revoke_url: str = "https://appleid.apple.com/auth/revoke"
    jwks_url: str = "https://appleid.apple.com/auth/keys"


class FacebookSettings(Provider, frozen=True):
    """Facebook Login, which is no OpenID Connect: `issuer` is only our name for whom a subject belongs to."""

    client_secret: SecretStr | None = None
    issuer: str = "https://www.facebook.com"
    authorize_url: str = "https://www.facebook.com/v24.0/dialog/oauth"
    graph_url: str = "https://graph.facebook.com/v24.0"


class OAuthSettings(BaseModel, frozen=True):
    """What all providers have in common.

    `app_url` is where the app lives (default: `public_url`); `next_paths` are the places in it that a browser may be
    sent back to. Seconds: until a browser must be back, until the app must have fetched its tokens, and how long a
    provider may take in all.
    """

    app_url: str | None = None
    next_paths: tuple[str, ...] = ("/", "/sign-in", "/settings")
    state_seconds: int = Field(default=600, le=600)
    code_seconds: int = Field(default=120, le=600)
    provider_seconds: float = Field(default=9.0, gt=0, lt=10)

    @field_validator("next_paths")
    @classmethod
    def are_relative(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Raises ValueError for what a browser could read as another site."""
        if any(not path.startswith("/") or path.startswith("//") or {*path} & {*"\\#?\t\r\n"} for path in paths):
            raise ValueError("paths begin with one slash and have neither query nor fragment")
        return paths
