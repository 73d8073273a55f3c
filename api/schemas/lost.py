"""Bodies of tags, of the public pages behind them, and of the search for a lost pet."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from domain.lost import Ending, Shown

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Fields = Annotated[list[Shown], Field(max_length=len(Shown), description="What a stranger may read, one by one.")]

_PAGE: dict[str, JsonValue] = {"lost": True, "species": "cat", "name": "Milo", "appeal": "Last seen at the lake."}
_SEARCH: dict[str, JsonValue] = {
    "id": "019aaf3e-0000-7000-8000-000000000060",
    "state": "open",
    "shown": ["species", "name"],
    "note": "Last seen at the lake. Very shy.",
    "opened_by": "019aaf3e-0000-7000-8000-000000000002",
    "opened_at": "2026-11-23T16:00:00Z",
    "answered_at": "2026-11-24T08:10:00Z",
    "asked_at": "2026-11-24T08:00:00Z",
    "closed_at": None,
    "closed_reason": None,
}


def _examples(*examples: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class TagIn(BaseModel):
    """What the tag's page shows. `first_name` and `phone` are those of whoever saves this: nobody can show somebody
    else's. `note` describes the animal, `care_note` says what it needs; each is shown only where it is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True) | _examples(
        {"shown": ["species", "name", "note"], "note": "Black, white paws. Comes when you rattle food."}
    )

    shown: Fields = Field(default=[Shown.SPECIES])
    note: Text | None = None
    care_note: Text | None = None


class PublicPageOut(BaseModel):
    """What a stranger reads: what was chosen, and nothing else; a field that was not is not there. `lost`: somebody is
    looking for the animal, and `appeal` is what they say."""

    model_config = _examples(_PAGE)

    lost: bool
    species: str | None = None
    name: str | None = None
    breed: str | None = None
    sex: str | None = None
    microchipped: bool | None = None
    note: str | None = None
    care_note: str | None = None
    first_name: str | None = None
    phone: str | None = None
    appeal: str | None = None


class TagOut(BaseModel):
    """A tag. `url` is what its QR code says, `page` what a stranger reads there now; null: there is no page, since the
    animal died or was archived."""

    model_config = _examples(
        {
            "code": "MZXW6YTBOI2GK3TF",
            "url": "https://petfolio.example/p/MZXW6YTBOI2GK3TF",
            "shown": ["species", "name"],
            "note": None,
            "care_note": None,
            "page": _PAGE,
            "created_at": "2026-11-23T16:00:00Z",
        }
    )

    code: str
    url: str
    shown: list[Shown]
    note: str | None
    care_note: str | None
    page: PublicPageOut | None
    created_at: datetime


class SearchIn(BaseModel):
    """`shown`: what the tag's page shows while the pet is missing; without it, what it showed before, with a contact
    only where that is whoever opens the search. `note` is for the finder and stands on the page."""

    model_config = ConfigDict(extra="forbid", frozen=True) | _examples(
        {"shown": ["species", "name", "phone"], "note": "Last seen at the lake. Very shy."}
    )

    shown: Fields | None = None
    note: Text | None = None


class EndIn(BaseModel):
    """Why the search ends."""

    model_config = ConfigDict(extra="forbid", frozen=True) | _examples({"reason": "found"})

    reason: Literal[Ending.FOUND, Ending.FALSE_ALARM, Ending.GIVEN_UP]


class SearchOut(BaseModel):
    """A search, open or over. `note` is null once it was wiped, 30 days after the end."""

    model_config = _examples(_SEARCH)

    id: UUID
    state: Literal["open", "closed"]
    shown: list[Shown]
    note: str | None
    opened_by: UUID
    opened_at: datetime
    answered_at: datetime
    asked_at: datetime | None
    closed_at: datetime | None
    closed_reason: Ending | None


class SightingIn(BaseModel):
    """What a finder wants to say. Only what is written here reaches the owners."""

    model_config = ConfigDict(extra="forbid", frozen=True) | _examples(
        {"message": "She sits below our car.", "place": "Lakeside 4", "contact": "+49 30 1234567"}
    )

    message: Text
    place: Line | None = None
    contact: Line | None = None


class SightingOut(BaseModel):
    """What a finder wrote; nulls once it was wiped. `search_id`: the search it came in, null outside of one."""

    model_config = _examples(
        {
            "id": "019aaf3e-0000-7000-8000-000000000061",
            "search_id": "019aaf3e-0000-7000-8000-000000000060",
            "message": "She sits below our car.",
            "place": "Lakeside 4",
            "contact": "+49 30 1234567",
            "created_at": "2026-11-23T17:00:00Z",
        }
    )

    id: UUID
    search_id: UUID | None
    message: str | None
    place: str | None
    contact: str | None
    created_at: datetime


class SightingPage(BaseModel):
    """One page, the newest first."""

    model_config = _examples({"items": [], "next_cursor": None})

    items: list[SightingOut]
    next_cursor: str | None
