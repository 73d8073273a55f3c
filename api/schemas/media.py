"""Requests and answers of media: photos, documents and videos, and the uploads they come by."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from domain.media.limits import Purpose

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
State = Literal["pending", "scanning", "ready", "quarantined", "rejected"]
Stage = Literal["verifying", "scanning", "decoding", "rendering", "publishing"]
_ID = "019aaf3e-0000-7000-8000-0000000000c0"
_MEDIA = "019aaf3e-0000-7000-8000-0000000000c1"
_PET = "019aaf3e-0000-7000-8000-000000000001"
_HOME = "019aaf3e-0000-7000-8000-000000000003"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class UploadIn(BaseModel):
    """What you are about to send, and where it goes: to a pet (`profile_photo`, `document`), or to a record
    (`attachment`). `replaces` names the media of which it is a newer version; a new profile photo replaces the former
    one by itself. `sha256` is the hash of the whole file, in hex. `keep_captured_at`: the date on which it was taken is
    kept; everything else that the camera wrote goes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "filename": "Milo in the garden.jpg",
                    "content_type": "image/jpeg",
                    "size": 3481220,
                    "sha256": _HASH,
                    "purpose": "profile_photo",
                    "pet_id": _PET,
                }
            ]
        },
    )

    filename: Annotated[str, StringConstraints(max_length=2_000)]
    content_type: Annotated[str, StringConstraints(max_length=100)]
    size: int = Field(gt=0, le=10**12)
    sha256: Sha256
    purpose: Purpose
    pet_id: UUID | None = None
    record_id: UUID | None = None
    replaces: UUID | None = None
    keep_captured_at: bool = False

    @model_validator(mode="after")
    def has_one_place(self) -> "UploadIn":
        """An attachment names its record, all others their pet."""
        wanted, other = (
            (self.record_id, self.pet_id) if self.purpose == Purpose.ATTACHMENT else (self.pet_id, self.record_id)
        )
        if wanted is None or other is not None:
            raise PydanticCustomError("place", "An attachment names its record, everything else its pet.")
        return self


class FormOut(BaseModel):
    """A form to send as `multipart/form-data`: all `fields`, then the file as `file`. It is a password."""

    url: str
    fields: dict[str, str]


class ReasonOut(BaseModel):
    """Why a file was not taken. `text` is for people."""

    code: str
    text: str


class UploadOut(BaseModel):
    """The way of a file. With a `form`, send that; else send the parts: `part_count` of `part_size` bytes, the last one
    with the rest. Then complete it. `state` is that of the file: `media_id` can be looked at when it is `ready`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "media_id": _MEDIA,
                    "household_id": _HOME,
                    "status": "open",
                    "state": "pending",
                    "stage": None,
                    "percent": 0,
                    "reason": None,
                    "form": {"url": "https://s3.example/petfolio-quarantine", "fields": {"key": "uploads/…"}},
                    "part_size": None,
                    "part_count": None,
                    "expires_at": "2026-11-23T09:00:00Z",
                }
            ]
        }
    )

    id: UUID
    media_id: UUID
    household_id: UUID
    status: Literal["open", "completed", "aborted", "expired"]
    state: State
    stage: Stage | None
    percent: int
    reason: ReasonOut | None
    form: FormOut | None
    part_size: int | None
    part_count: int | None
    expires_at: datetime


class PartsIn(BaseModel):
    """Which parts you want to send next."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"numbers": [1, 2, 3, 4]}]})

    numbers: Annotated[list[Annotated[int, Field(ge=1, le=10_000)]], Field(min_length=1, max_length=50)]


class PartUrlOut(BaseModel):
    """PUT exactly `size` bytes of the file, from `(number - 1) * part_size` on, to `url`."""

    number: int
    size: int
    url: str


class PartUrlsOut(BaseModel):
    """Where parts go. The addresses are passwords, and good for an hour."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"number": 1, "size": 8388608, "url": "https://s3.example/…?partNumber=1"}]}]
        }
    )

    items: list[PartUrlOut]


class PartOut(BaseModel):
    """A part that has arrived."""

    number: int
    size: int


class PartsOut(BaseModel):
    """What has arrived, and which numbers are missing: after a crash send these."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"number": 1, "size": 8388608}], "missing": [2, 3]}]}
    )

    items: list[PartOut]
    missing: list[int]


class VariantOut(BaseModel):
    """A rendition, and where it is read until `urls_expire_at`."""

    name: str
    content_type: str
    size: int
    width: int | None
    height: int | None
    url: str


class MediaOut(BaseModel):
    """A photo, document or video in its place. `variants` are there when it is `ready`; `thumbhash` is a placeholder
    until they are loaded. `is_current`: it is the version that is shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _MEDIA,
                    "household_id": _HOME,
                    "pet_id": _PET,
                    "record_id": None,
                    "purpose": "profile_photo",
                    "name": "Milo in the garden.jpg",
                    "content_type": "image/jpeg",
                    "size": 3481220,
                    "state": "ready",
                    "stage": None,
                    "percent": 100,
                    "reason": None,
                    "is_current": True,
                    "width": 4032,
                    "height": 3024,
                    "pages": 1,
                    "animated": False,
                    "captured_at": None,
                    "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI",
                    "variants": [
                        {
                            "name": "480.webp",
                            "content_type": "image/webp",
                            "size": 24180,
                            "width": 480,
                            "height": 360,
                            "url": "https://cdn.example/media/480.webp?…",
                        }
                    ],
                    "created_at": "2026-11-23T08:00:00Z",
                    "updated_at": "2026-11-23T08:00:04Z",
                    "version": 2,
                }
            ]
        }
    )

    id: UUID
    household_id: UUID
    pet_id: UUID
    record_id: UUID | None
    purpose: Purpose
    name: str
    content_type: str
    size: int
    state: State
    stage: Stage | None
    percent: int
    reason: ReasonOut | None
    is_current: bool
    width: int | None
    height: int | None
    pages: int | None
    animated: bool
    captured_at: str | None
    thumbhash: str | None
    variants: list[VariantOut]
    created_at: datetime
    updated_at: datetime
    version: int


class MediaPage(BaseModel):
    """One page, newest first."""

    items: list[MediaOut]
    next_cursor: str | None


class StorageOut(BaseModel):
    """Bytes of a household: `reserved` by uploads under way; `limit` is its plan's."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"used": 481220331, "reserved": 3481220, "limit": 1000000000}]}
    )

    used: int
    reserved: int
    limit: int
