"""Requests and answers of `/households`, `/invitations` and `/transfers`."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas.auth import Email, Timezone, Token
from domain.money import CURRENCIES

HouseholdName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="ISO 3166-1 alpha-2.")]
MemberRole = Literal["owner", "caretaker"]
READ_ONLY = ("id", "role", "created_at", "updated_at", "version")
_ID = "019aaf3e-0000-7000-8000-000000000003"
_PERSON = "019aaf3e-0000-7000-8000-000000000002"
_PET = "019aaf3e-0000-7000-8000-000000000001"
_AT = "2026-11-23T08:00:00Z"


def known_currency(code: str) -> str:
    """Raises a validation error of code `unknown_currency`."""
    if code not in CURRENCIES:
        raise PydanticCustomError("unknown_currency", "This is no currency of ISO 4217.")
    return code


Currency = Annotated[str, StringConstraints(max_length=3), AfterValidator(known_currency)]


class HouseholdOut(BaseModel):
    """A home. `role` is the caller's: by which they come to what is in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "name": "The Lovelaces",
                    "home_tzid": "Europe/London",
                    "country": "GB",
                    "currency": "GBP",
                    "role": "owner",
                    "created_at": _AT,
                    "updated_at": _AT,
                    "version": 1,
                }
            ]
        }
    )

    id: UUID
    name: str | None
    home_tzid: str
    country: str | None
    currency: str
    role: Literal["owner", "caretaker", "sitter", "admin"]
    created_at: datetime
    updated_at: datetime
    version: int


class HouseholdPage(BaseModel):
    """One page."""

    items: list[HouseholdOut]
    next_cursor: str | None


class HouseholdUpdate(BaseModel):
    """Fields present are changed, absent ones keep their value; PUT and PATCH alike. Another zone moves what follows
    the home. Read-only fields sent back unchanged are accepted."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "The Lovelaces", "home_tzid": "Europe/London"}]}
    )

    name: HouseholdName | None = None
    home_tzid: Timezone | None = None
    country: Country | None = None
    currency: Currency | None = None

    id: Any = None
    role: Any = None
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class HouseholdIn(BaseModel):
    """A new household of the caller's. The zone is theirs unless another is named."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Grandma's", "home_tzid": "Europe/London", "currency": "GBP"}]},
    )

    name: HouseholdName
    home_tzid: Timezone | None = None
    country: Country | None = None
    currency: Currency = "EUR"


class MemberOut(BaseModel):
    """Somebody who belongs to the household. Who was forgotten has no name any more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": _PERSON,
                    "first_name": "Ada",
                    "last_name": "Lovelace",
                    "role": "owner",
                    "joined_at": _AT,
                    "is_me": True,
                }
            ]
        }
    )

    user_id: UUID
    first_name: str | None
    last_name: str | None
    role: MemberRole
    joined_at: datetime
    is_me: bool


class MemberPage(BaseModel):
    """One page."""

    items: list[MemberOut]
    next_cursor: str | None


class MemberUpdate(BaseModel):
    """What a member is to the household from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "owner"}]})

    role: MemberRole


class HouseholdAuditOut(BaseModel):
    """Something that was done in the household. `actor` and `subject` are `user:{id}`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000030",
                    "at": _AT,
                    "action": "household.member_removed",
                    "outcome": "ok",
                    "actor": f"user:{_PERSON}",
                    "subject": "user:019aaf3e-0000-7000-8000-000000000009",
                    "object": f"household:{_ID}",
                }
            ]
        }
    )

    id: UUID
    at: datetime
    action: str
    outcome: str
    actor: str
    subject: str | None
    object: str | None


class HouseholdAuditPage(BaseModel):
    """One page, the newest first."""

    items: list[HouseholdAuditOut]
    next_cursor: str | None


class InvitationIn(BaseModel):
    """Whom to ask. `locale`: the language of the mail, by default the caller's."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"email": "ben@example.com", "role": "caretaker"}]}
    )

    email: Email
    role: MemberRole
    locale: Literal["en", "de"] | None = None


class InvitationOut(BaseModel):
    """An invitation as its household sees it. `mailed`: the latest mail was handed over; `mail_problem`: why not."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000040",
                    "household_id": _ID,
                    "email": "ben@example.com",
                    "role": "caretaker",
                    "state": "open",
                    "invited_by": _PERSON,
                    "mailed": True,
                    "mail_problem": None,
                    "expires_at": "2026-11-30T08:00:00Z",
                    "created_at": _AT,
                    "updated_at": _AT,
                    "version": 2,
                }
            ]
        }
    )

    id: UUID
    household_id: UUID
    email: str
    role: MemberRole
    state: Literal["open", "accepted", "declined", "revoked", "expired"]
    invited_by: UUID
    mailed: bool
    mail_problem: str | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int


class InvitationPage(BaseModel):
    """One page, the newest first."""

    items: list[InvitationOut]
    next_cursor: str | None


class InvitationAnswer(BaseModel):
    """The token of the mailed link."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": "5f0c…"}]})

    token: Token


class TransferIn(BaseModel):
    """Which pet, and to whom. `locale`: the language of the mail, by default the caller's."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"pet_id": _PET, "email": "ben@example.com"}]}
    )

    pet_id: UUID
    email: Email
    locale: Literal["en", "de"] | None = None


_TRANSFER: dict[str, Any] = {
    "id": "019aaf3e-0000-7000-8000-000000000050",
    "pet_id": _PET,
    "pet_name": "Milo",
    "species": "cat",
    "state": "offered",
    "expires_at": "2026-12-07T08:00:00Z",
    "decided_at": None,
    "moved_at": None,
    "created_at": _AT,
    "updated_at": _AT,
    "version": 1,
}


class _Transfer(BaseModel):
    id: UUID
    pet_id: UUID
    pet_name: str | None = Field(description="Null, as is the species, once the pet is not yours to read.")
    species: str | None
    state: Literal["offered", "accepted", "declined", "cancelled", "expired"]
    expires_at: datetime
    decided_at: datetime | None
    moved_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class TransferOut(_Transfer):
    """An offer as the household that makes it sees it. The pet has moved once `moved_at` is set."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _TRANSFER
                | {
                    "from_household_id": _ID,
                    "offered_by": _PERSON,
                    "email": "ben@example.com",
                    "mailed": True,
                    "mail_problem": None,
                }
            ]
        }
    )

    from_household_id: UUID
    offered_by: UUID
    email: str
    mailed: bool
    mail_problem: str | None


class TransferPage(BaseModel):
    """One page, the newest first."""

    items: list[TransferOut]
    next_cursor: str | None


class OfferOut(_Transfer):
    """An offer as its recipient sees it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_TRANSFER | {"offered_by_name": "Ada", "to_household_id": None}]}
    )

    offered_by_name: str | None
    to_household_id: UUID | None


class OfferPage(BaseModel):
    """One page, the newest first."""

    items: list[OfferOut]
    next_cursor: str | None


class OfferAcceptIn(BaseModel):
    """Where the pet will live: a household that the caller owns, by default their personal one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"household_id": _ID}]})

    household_id: UUID | None = None
