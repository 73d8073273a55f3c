"""Requests and answers of health records (product.md §3.3)."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.plain_date import PlainDate

Text200 = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Free = Annotated[str, StringConstraints(max_length=10_000)]
RecordType = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50),
    Field(
        description="vaccination, medication, visit, lab, surgery, dental, parasite, condition or other; "
        "any other word is kept as given."
    ),
]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
READ_ONLY = ("id", "pet_id", "household_id", "created_at", "updated_at", "version")


class MoneyModel(BaseModel):
    """Minor units of an ISO 4217 currency."""

    model_config = ConfigDict(extra="forbid")

    amount: int = Field(ge=0, le=10**15)
    currency: Currency


class Attachment(BaseModel):
    """A named https link. Uploaded files are listed below the record, at `/media`."""

    model_config = ConfigDict(extra="forbid")

    name: Text200
    url: Annotated[str, StringConstraints(pattern=r"^https://[^\s<>\"]{4,2000}$", max_length=2010)]


class RecordOut(BaseModel):
    """An entry of the health diary."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000005",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "household_id": "019aaf3e-0000-7000-8000-000000000003",
                    "record_type": "vaccination",
                    "title": "Rabies",
                    "description": None,
                    "date_administered": "2026-11-02",
                    "veterinarian": "Dr. Vet",
                    "state": "done",
                    "cost": 54.9,
                    "currency": "EUR",
                    "cost_money": {"amount": 5490, "currency": "EUR"},
                    "attachments": [{"name": "invoice", "url": "https://files.example.com/1.pdf"}],
                    "created_at": "2026-11-23T08:00:00Z",
                    "updated_at": "2026-11-23T08:00:00Z",
                    "version": 1,
                }
            ]
        }
    )

    id: UUID
    pet_id: UUID
    household_id: UUID
    record_type: str
    title: str
    description: str | None
    date_administered: date | None
    veterinarian: str | None
    state: Literal["done", "planned"]
    cost: float | None
    currency: str | None
    cost_money: MoneyModel | None
    attachments: list[Attachment]
    created_at: datetime
    updated_at: datetime
    version: int


class RecordPage(BaseModel):
    """One page, newest first."""

    items: list[RecordOut]
    next_cursor: str | None


class _Fields(BaseModel):
    """What may be written; see `api/schemas/pets.py` about read-only fields."""

    model_config = ConfigDict(extra="forbid")

    description: Free | None = None
    date_administered: PlainDate | None = None
    veterinarian: Text200 | None = None
    state: Literal["done", "planned"] | None = None
    cost: Decimal | None = Field(default=None, ge=0, max_digits=15)
    currency: Currency | None = None
    cost_money: MoneyModel | None = None
    attachments: Annotated[list[Attachment], Field(max_length=50)] | None = None

    id: Any = None
    pet_id: Any = None
    household_id: Any = None
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class RecordIn(_Fields):
    """A new record."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "record_type": "vaccination",
                    "title": "Rabies",
                    "date_administered": "2026-11-02",
                    "veterinarian": "Dr. Vet",
                    "cost": 54.9,
                }
            ]
        },
    )

    record_type: RecordType
    title: Text200


class RecordUpdate(_Fields):
    """Fields present are changed, absent ones keep their value; PUT and PATCH alike."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"cost": 49.5}]})

    record_type: RecordType | None = None
    title: Text200 | None = None
