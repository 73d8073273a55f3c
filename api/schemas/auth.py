"""Bodies of `/auth`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from api.accounts import Registration
from domain.auth import canonical_address
from domain.recurrence import ZONES
from models.session import Session


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address as it is mailed to, and the form that tells accounts apart."""

    address: str
    canonical: str


def read_mailbox(text: object) -> Mailbox:
    """Raises a validation error of code `invalid_email`; nothing of the input is in it."""
    try:
        if not isinstance(text, str):
            raise EmailNotValidError
        # test_environment admits the reserved domain .test, which delivers nowhere.
        found = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise PydanticCustomError("invalid_email", "This is not an e-mail address.") from error
    return Mailbox(found.normalized, canonical_address(found.local_part, found.ascii_domain or found.domain))


def known_zone(name: str) -> str:
    """Raises a validation error of code `unknown_timezone`."""
    if name not in ZONES:
        raise PydanticCustomError("unknown_timezone", "This is no time zone of the IANA database.")
    return name


Email = Annotated[
    Mailbox, PlainValidator(read_mailbox), WithJsonSchema({"type": "string", "format": "email", "maxLength": 254})
]
Password = Annotated[str, StringConstraints(max_length=4096)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9+()./ x-]{3,40}$")]
Timezone = Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterIn(_In):
    """The password: 15 to 128 characters, any characters, and none that others would guess."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "ada@example.com", "password": "correct horse battery", "timezone": "Europe/Berlin"}]
        }
    )

    email: Email
    password: Password
    first_name: Name | None = None
    last_name: Name | None = None
    phone: Phone | None = None
    timezone: Timezone = "UTC"

    def registration(self) -> Registration:
        """What `accounts.register` takes."""
        return Registration(
            address=self.email.address,
            canonical=self.email.canonical,
            password=self.password,
            first_name=self.first_name,
            last_name=self.last_name,
            phone=self.phone,
            timezone=self.timezone,
        )


class MailedOut(BaseModel):
    """The same whether or not there is an account with the address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "accepted", "detail": "If the address is yours, a mail is on its way."}]
        }
    )

    status: str = "accepted"
    detail: str = "If the address is yours, a mail is on its way."


class TokenIn(_In):
    """The token of a mailed link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "k3Jx…"}]})

    token: Token


class ForgotIn(_In):
    """The address whose owner forgot their password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com"}]})

    email: Email


class ResetIn(_In):
    """The token of the mailed link, and the new password: as for `register`, 8 characters with a second factor."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "k3Jx…", "password": "seven herons in the harbour"}]}
    )

    token: Token
    password: Password


class LoginIn(_In):
    """Address and password."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.com", "password": "correct horse battery"}]}
    )

    email: Email
    password: Password


class RefreshIn(_In):
    """The refresh token of the last answer; without one, that of the browser's cookie."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "pD8v…"}]})

    refresh_token: Token | None = None


class AccessOut(BaseModel):
    """An access token of the same session. `expires_in` is in seconds."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"access_token": "eyJ…", "token_type": "Bearer", "expires_in": 600}]}
    )

    access_token: str
    token_type: str
    expires_in: int


class TokensOut(AccessOut):
    """`expires_in` is in seconds. Each refresh token is good for one refresh; a browser that asked for it gets it in
    the cookie `__Host-rt` instead."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"access_token": "eyJ…", "token_type": "Bearer", "expires_in": 600, "refresh_token": "pD8v…"}]
        }
    )

    refresh_token: str | None = None


class SessionOut(BaseModel):
    """A signed-in device. `ip` is the /24 or /48 it was opened from, `current` the one that asks."""

    id: UUID
    created_at: datetime
    last_seen: datetime
    ip: str | None
    user_agent: str | None
    current: bool

    @classmethod
    def of(cls, session: Session, current: UUID) -> "SessionOut":
        """For the list of one person's sessions."""
        return cls(
            id=session.id,
            created_at=session.created_at,
            last_seen=session.last_seen,
            ip=session.ip_trunc,
            user_agent=session.user_agent,
            current=session.id == current,
        )


class SessionsOut(BaseModel):
    """The device seen last first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": "019aaf3e-0000-7000-8000-000000000005",
                            "created_at": "2026-11-23T08:00:00Z",
                            "last_seen": "2026-11-23T09:00:00Z",
                            "ip": "192.0.2.0/24",
                            "user_agent": "Petfolio/3.1 (iPhone)",
                            "current": True,
                        }
                    ]
                }
            ]
        }
    )

    items: Annotated[list[SessionOut], Field(description="Every live session of the caller.")]
