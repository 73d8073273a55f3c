"""Bodies of `/users`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from api.schemas.auth import Email, Name, Password, Phone, Timezone, Token

READ_ONLY = ("id", "email", "subscription_tier", "has_password", "created_at", "updated_at", "version")
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]


class ProfileOut(BaseModel):
    """The caller's account. `timezone` is an IANA name, `locale` a BCP 47 tag."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000002",
                    "email": "ada@example.com",
                    "first_name": "Ada",
                    "last_name": "Lovelace",
                    "phone": "+44 20 7946 0000",
                    "timezone": "Europe/London",
                    "locale": "en",
                    "subscription_tier": "free",
                    "has_password": True,
                    "created_at": "2026-11-23T08:00:00Z",
                    "updated_at": "2026-11-23T08:00:00Z",
                    "version": 1,
                }
            ]
        }
    )

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    phone: str | None
    timezone: str
    locale: str
    subscription_tier: str
    has_password: bool
    created_at: datetime
    updated_at: datetime
    version: int


class ProfileUpdate(BaseModel):
    """Fields present are changed, absent ones keep their value; null clears a name or the phone. Read-only fields sent
    back unchanged are accepted."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"first_name": "Ada", "timezone": "Europe/London"}]}
    )

    first_name: Name | None = None
    last_name: Name | None = None
    phone: Phone | None = None
    timezone: Timezone | None = None
    locale: Locale | None = None

    id: Any = None
    email: Any = None
    subscription_tier: Any = None
    has_password: Any = None
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class ErasureIn(BaseModel):
    """The password proves that it is the owner; without it the login must be at most five minutes old."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"password": "correct horse battery"}]})

    password: Password | None = None


class ErasureOut(BaseModel):
    """A wish to be forgotten: carried out at `execute_at`, taken back with the mailed link before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000009",
                    "state": "requested",
                    "execute_at": "2026-12-07T08:00:00Z",
                    "cancelled_at": None,
                }
            ]
        }
    )

    id: UUID
    state: str
    execute_at: datetime
    cancelled_at: datetime | None


class CancelIn(BaseModel):
    """The token of the mailed link."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": "k3Jx…"}]})

    token: Token


class PasswordIn(BaseModel):
    """The new password, and the present one unless the login is of the last five minutes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"password": "seven herons in the harbour", "current_password": "correct horse battery"}]
        },
    )

    password: Password
    current_password: Password | None = None


class EmailIn(BaseModel):
    """Where the account is to move."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"email": "ada@example.org"}]}
    )

    email: Email
