"""Requests and answers about access that ends by itself: sitters, and links for vets."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas.auth import Email
from api.schemas.instant import Instant
from api.schemas.pets import MicrochipOut

Action = Literal["act", "add_record"]
State = Literal["offered", "coming", "active", "over", "revoked", "declined"]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_ID = "019aaf3e-0000-7000-8000-000000000060"
_HOME = "019aaf3e-0000-7000-8000-000000000003"
_PET = "019aaf3e-0000-7000-8000-000000000001"
_FROM, _UNTIL = "2026-08-01T07:00:00Z", "2026-08-08T22:00:00Z"


def each_once(values: list[Any]) -> list[Any]:
    """Raises a validation error of code `named_twice`."""
    if len(set(values)) != len(values):
        raise PydanticCustomError("named_twice", "Name each once.")
    return values


Pets = Annotated[list[UUID], Field(min_length=1, max_length=50), AfterValidator(each_once)]
Actions = Annotated[list[Action], Field(max_length=2), AfterValidator(each_once)]


class GrantIn(BaseModel):
    """A sitter is named by `email`, whether or not there is an account with it, or by the `user_id` of somebody your
    household has met. They see the pets; `actions` say what more: `act` on what is due, which also sends them its
    reminders, and `add_record`. A vet gets a link (`label` says for whom), which only shows. A sitter's grant lasts 180
    days at most; a vet's 90, and a week unless you say otherwise."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "sitter",
                    "email": "sam@example.com",
                    "pet_ids": [_PET],
                    "actions": ["act", "add_record"],
                    "valid_from": _FROM,
                    "valid_until": _UNTIL,
                },
                {"kind": "vet", "label": "Dr Herriot", "pet_ids": [_PET]},
            ]
        },
    )

    kind: Literal["sitter", "vet"]
    pet_ids: Pets
    email: Email | None = None
    user_id: UUID | None = None
    actions: Actions | None = None
    label: Label | None = None
    valid_from: Instant | None = Field(default=None, description="Now, unless it is later.")
    valid_until: Instant | None = None
    locale: Literal["en", "de"] | None = Field(default=None, description="Of the mail; yours by default.")


class GrantUpdate(BaseModel):
    """Fields present are changed, absent ones keep their value."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"valid_until": _UNTIL, "actions": ["act"]}]}
    )

    valid_until: Instant | None = None
    actions: Actions | None = None


class GrantOut(BaseModel):
    """A grant as the household's owners see it. Whose account a sitter's address belongs to, and whether it is one's at
    all, is told by the sitter alone: `user_id` is null until they accept. `mail_problem`: why the mail that asks them
    did not arrive."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "household_id": _HOME,
                    "kind": "sitter",
                    "state": "offered",
                    "email": "sam@example.com",
                    "user_id": None,
                    "label": None,
                    "url": None,
                    "pet_ids": [_PET],
                    "actions": ["act", "add_record"],
                    "valid_from": _FROM,
                    "valid_until": _UNTIL,
                    "revoked_at": None,
                    "mailed": True,
                    "mail_problem": None,
                    "created_at": "2026-07-20T08:00:00Z",
                    "updated_at": "2026-07-20T08:00:00Z",
                    "version": 2,
                }
            ]
        }
    )

    id: UUID
    household_id: UUID
    kind: Literal["sitter", "vet"]
    state: State
    email: str | None
    user_id: UUID | None
    label: str | None
    url: str | None = Field(description="A vet's link, as long as it opens anything.")
    pet_ids: list[UUID]
    actions: list[Action]
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None
    mailed: bool
    mail_problem: str | None
    created_at: datetime
    updated_at: datetime
    version: int


class GrantPage(BaseModel):
    """One page, the newest first."""

    items: list[GrantOut]
    next_cursor: str | None


class GrantedPet(BaseModel):
    """A pet that is in somebody's care."""

    id: UUID
    name: str


class MyGrantOut(BaseModel):
    """What somebody was given, or is asked to take on. `offered`: accept it to see more than this."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "household_id": _HOME,
                    "household_name": "The Lovelaces",
                    "given_by": "Ada",
                    "state": "offered",
                    "pets": [{"id": _PET, "name": "Milo"}],
                    "actions": ["act"],
                    "valid_from": _FROM,
                    "valid_until": _UNTIL,
                }
            ]
        }
    )

    id: UUID
    household_id: UUID
    household_name: str | None
    given_by: str | None
    state: Literal["offered", "coming", "active"]
    pets: list[GrantedPet]
    actions: list[Action]
    valid_from: datetime
    valid_until: datetime


class MyGrantsOut(BaseModel):
    """What is not over, in the order in which it begins."""

    items: list[MyGrantOut]
    next_cursor: None = None


class GrantAccessOut(BaseModel):
    """One use of a vet's link."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000061",
                    "at": "2026-08-02T09:15:00Z",
                    "action": "read",
                    "ip": "203.0.113.0/24",
                    "user_agent": "Mozilla/5.0",
                }
            ]
        }
    )

    id: UUID
    at: datetime
    action: str
    ip: str | None = Field(description="The network, not the address.")
    user_agent: str | None


class GrantAccessPage(BaseModel):
    """One page, the newest first."""

    items: list[GrantAccessOut]
    next_cursor: str | None


class VetRecord(BaseModel):
    """An entry of the diary."""

    id: UUID
    record_type: str
    title: str
    description: str | None
    date_administered: date | None
    veterinarian: str | None
    state: str
    created_at: datetime


class VetMedication(BaseModel):
    """What is being given, and when next."""

    id: UUID
    title: str
    description: str | None
    schedule: dict[str, Any]
    next_at: datetime | None


class VetWeight(BaseModel):
    """The latest."""

    grams: int
    measured_at: datetime


class VetPet(BaseModel):
    """One animal: who it is, what was done, and what it is being given."""

    id: UUID
    name: str
    species: str | None
    breed: str | None
    is_mixed: bool | None
    sex: str | None
    neutered: bool | None
    date_of_birth: date | None
    dob_precision: str | None
    weight: VetWeight | None
    microchips: list[MicrochipOut]
    vaccinations: list[VetRecord]
    records: list[VetRecord] = Field(description="All but vaccinations.")
    medication: list[VetMedication]


class VetLinkOut(BaseModel):
    """What a vet's link shows until `valid_until`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"valid_until": _UNTIL, "pets": []}]})

    valid_until: datetime
    pets: list[VetPet]
