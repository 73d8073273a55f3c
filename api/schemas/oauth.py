"""Bodies of signing in with a provider, and of the identities that open an account."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.auth import Token
from domain.oauth import Provider

_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
Challenge = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$"),
    Field(description="S256 of a verifier that the app keeps to itself (RFC 7636)."),
]
Verifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{43,128}$")]
NextPath = Annotated[str, StringConstraints(max_length=200), Field(description="Where in the app to come back to.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProvidersOut(BaseModel):
    """Whom people can sign in with here."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"providers": ["google", "apple"]}]})

    providers: list[Provider]


class CodeIn(_In):
    """The code of the fragment that the browser came back with, and the verifier of the challenge sent before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "k3Jx…", "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}]
        }
    )

    code: Token
    code_verifier: Verifier


class LinkIn(_In):
    """How the browser comes back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code_challenge": _CHALLENGE, "next": "/settings"}]})

    code_challenge: Challenge
    next: NextPath = "/"


class LinkOut(BaseModel):
    """What to open in a browser within `expires_in` seconds, once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"url": "https://api.example.com/api/v1/auth/oauth/google/start?ticket=k3Jx…", "expires_in": 600}
            ]
        }
    )

    url: str
    expires_in: int


class IdentityOut(BaseModel):
    """An account elsewhere that opens this one. `email` is the address it has there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000009",
                    "provider": "google",
                    "email": "ada@gmail.com",
                    "created_at": "2026-11-23T08:00:00Z",
                    "last_used_at": "2026-11-24T09:00:00Z",
                }
            ]
        }
    )

    id: UUID
    provider: Provider
    email: str | None
    created_at: datetime
    last_used_at: datetime | None


class IdentitiesOut(BaseModel):
    """In the order in which they were linked."""

    items: Annotated[list[IdentityOut], Field(description="Every identity that opens the caller's account.")]
