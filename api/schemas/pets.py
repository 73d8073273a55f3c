"""Requests and answers of pets: the base schema's fields, extended where it is too weak (product.md §3.3)."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.plain_date import PlainDate
from models.pet import PetStatus

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
PhotoUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]{4,2000}$", max_length=2010)]
"""Written, it is https; what is sent back as it was shown may be the address of a local store."""
READ_ONLY = (
    "id owner_id owners household_id weight microchips photo_media_id status read_only created_at updated_at version"
).split()


class WeightOut(BaseModel):
    """The latest weighing: grams for arithmetic, text and unit as entered."""

    grams: int
    entered_value: str
    entered_unit: Literal["g", "kg", "lb", "oz"]
    measured_at: datetime


class MicrochipOut(BaseModel):
    """A chip. `disputed`: another active pet carries the same number; an operator looks into it."""

    id: UUID
    code: str
    code_as_entered: str
    standard: Literal["iso", "non_iso"]
    prefix_kind: Literal["country", "shared", "maker", "test"] | None
    is_primary: bool
    disputed: bool
    implanted_on: date | None
    site: str | None


class PetOut(BaseModel):
    """A pet as its household sees it. `read_only`: it is beyond what the household's plan holds; it can be looked after
    and let go, and not be changed. `profile_photo_url` is that of the uploaded photo (`photo_media_id`), good for half
    an hour at least; without one it is the address that was entered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000001",
                    "owner_id": "019aaf3e-0000-7000-8000-000000000002",
                    "owners": ["019aaf3e-0000-7000-8000-000000000002"],
                    "household_id": "019aaf3e-0000-7000-8000-000000000003",
                    "name": "Milo",
                    "species": "cat",
                    "breed": "European Shorthair",
                    "is_mixed": False,
                    "sex": "female",
                    "neutered": True,
                    "date_of_birth": "2022-04-01",
                    "dob_precision": "day",
                    "home_tzid": None,
                    "weight_kg": 4.2,
                    "weight": {
                        "grams": 4200,
                        "entered_value": "4.2",
                        "entered_unit": "kg",
                        "measured_at": "2026-11-23T08:00:00Z",
                    },
                    "microchip_id": "276098102345678",
                    "microchips": [
                        {
                            "id": "019aaf3e-0000-7000-8000-000000000004",
                            "code": "276098102345678",
                            "code_as_entered": "276 0981 0234 5678",
                            "standard": "iso",
                            "prefix_kind": "country",
                            "is_primary": True,
                            "disputed": False,
                            "implanted_on": None,
                            "site": None,
                        }
                    ],
                    "photo_media_id": None,
                    "profile_photo_url": "https://pictures.example.com/milo.jpg",
                    "status": "active",
                    "read_only": False,
                    "created_at": "2026-11-23T08:00:00Z",
                    "updated_at": "2026-11-23T08:00:00Z",
                    "version": 1,
                }
            ]
        }
    )

    id: UUID
    owner_id: UUID
    owners: list[UUID]
    household_id: UUID
    name: str
    species: str | None
    breed: str | None
    is_mixed: bool | None
    sex: str | None
    neutered: bool | None
    date_of_birth: date | None
    dob_precision: str | None
    home_tzid: str | None
    weight_kg: float | None
    weight: WeightOut | None
    microchip_id: str | None
    microchips: list[MicrochipOut]
    photo_media_id: UUID | None
    profile_photo_url: str | None
    status: PetStatus
    read_only: bool
    created_at: datetime
    updated_at: datetime
    version: int


class PetPage(BaseModel):
    """One page."""

    items: list[PetOut]
    next_cursor: str | None


class _Fields(BaseModel):
    """What may be written. Read-only fields sent back unchanged are accepted, so that an answer can be edited."""

    model_config = ConfigDict(extra="forbid")

    species: Word | None = None
    breed: Name | None = None
    is_mixed: bool | None = None
    sex: Literal["female", "male", "unknown"] | None = None
    neutered: bool | None = None
    date_of_birth: PlainDate | None = None
    dob_precision: Literal["day", "month", "year"] | None = None
    home_tzid: Annotated[str, StringConstraints(max_length=64)] | None = None
    weight_kg: Decimal | None = Field(default=None, gt=0, le=20_000, max_digits=12)
    microchip_id: Annotated[str, StringConstraints(strip_whitespace=True, max_length=50)] | None = None
    profile_photo_url: PhotoUrl | None = None

    id: Any = None
    owner_id: Any = None
    owners: Any = None
    weight: Any = None
    microchips: Any = None
    photo_media_id: Any = None
    status: Any = None
    read_only: Any = None
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class PetIn(_Fields):
    """A new pet of a household that the caller owns, by default their personal one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Milo",
                    "species": "cat",
                    "breed": "European Shorthair",
                    "date_of_birth": "2022-04-01",
                    "weight_kg": 4.2,
                    "microchip_id": "276 0981 0234 5678",
                }
            ]
        },
    )

    name: Name
    household_id: UUID | None = None


class PetUpdate(_Fields):
    """Fields present are changed, absent ones keep their value; PUT and PATCH alike."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"weight_kg": 4.35}]})

    name: Name | None = None
    household_id: Any = None
