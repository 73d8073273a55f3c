"""Uploaded contents, where they are used, and how their bytes came.

An asset is one content of a household; a link is its place (a pet's photo, a paper, an attachment) and what the api
calls a media; links of one `thread_id` are versions of the same thing. Objects lie below `stored_under`, which stays
as it is when the pet moves to another household.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, false, func, text
from sqlmodel import Field, SQLModel

from domain.media.limits import Purpose
from domain.media.state import AssetState as AssetState
from models.base import Identified, Versioned, timestamptz, words


def byte_count(**options: object) -> int:
    """A column of sizes."""
    return Field(sa_type=BigInteger, **options)  # type: ignore[call-overload, no-any-return, unused-ignore]


class Held(StrEnum):
    """How the bytes of an asset count in `storage_usage`."""

    RESERVED = "reserved"
    USED = "used"
    NOTHING = "nothing"


class MediaAsset(Versioned, table=True):
    """One content. `sha256` is what its person declared until `content_type` says that it was verified.

    `plan_version`: the renditions it has (`domain/media/variants.py`); `signatures`: what it was scanned with;
    `threat`: what the scanner calls that which it found; `captured_at_ct`: where somebody wants to know it;
    `withdrawn_at`: it was published before it was refused, so its upload is kept for another look; `doomed_at`:
    nobody uses it any more, its objects go. One that is ready has a `reason` where it could not be rendered anew.
    """

    __tablename__ = "media_assets"

    household_id: UUID = Field(foreign_key="households.id")
    stored_under: UUID
    state: AssetState = words(default=AssetState.PENDING)
    stage: str | None = words(default=None)
    percent: int = Field(default=0)
    reason: str | None = words(default=None)
    declared_type: str = words()
    declared_bytes: int = byte_count()
    sha256: bytes = Field(sa_type=LargeBinary)
    content_type: str | None = words(default=None)
    object_version: str | None = words(default=None)
    width: int | None = Field(default=None)
    height: int | None = Field(default=None)
    pages: int | None = Field(default=None)
    animated: bool = Field(default=False)
    captured_at_ct: str | None = words(default=None)
    thumbhash: str | None = words(default=None)
    plan_version: int = Field(default=0)
    scan_engine: str | None = words(default=None)
    signatures: str | None = words(default=None)
    threat: str | None = words(default=None)
    held: Held = words(default=Held.RESERVED)
    withdrawn_at: datetime | None = timestamptz(default=None)
    doomed_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_media_assets_content",
            "household_id",
            "sha256",
            unique=True,
            postgresql_where=text("state = 'ready' AND doomed_at IS NULL"),
        ),
        Index("ix_media_assets_doomed", "doomed_at", postgresql_where=text("doomed_at IS NOT NULL")),
        Index(
            "ix_media_assets_refused",
            "updated_at",
            postgresql_where=text("state IN ('rejected', 'quarantined') AND doomed_at IS NULL"),
        ),
        Index("ix_media_assets_open", "id", postgresql_where=text("state IN ('pending', 'scanning')")),
    )


class MediaLink(Versioned, table=True):
    """Where an asset is used. `is_current`: the version that is shown, once its asset is ready; `by_user_id` uploaded
    it, and wants to know when it was taken if `keeps_captured_at`: the same content in another place does not tell. A
    replacement is not current before it is ready. `shown_at`: when it had its turn to be; that comes once, so whatever
    is done to its asset later, the version stays that people chose."""

    __tablename__ = "media_links"

    asset_id: UUID = Field(foreign_key="media_assets.id", index=True)
    household_id: UUID = Field(foreign_key="households.id")
    pet_id: UUID = Field(foreign_key="pets.id", ondelete="CASCADE")
    record_id: UUID | None = Field(default=None)
    purpose: Purpose = words()
    thread_id: UUID
    is_current: bool = Field(default=False)
    name_ct: str = words()
    by_user_id: UUID = Field(foreign_key="users.id")
    keeps_captured_at: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    shown_at: datetime | None = timestamptz(default=None)
    deleted_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        ForeignKeyConstraint(["record_id"], ["health_record_ids.id"], ondelete="CASCADE"),
        CheckConstraint("(record_id IS NOT NULL) = (purpose = 'attachment')", name="place"),
        Index("ix_media_links_of_pet", "pet_id", text("id DESC"), postgresql_where=text("deleted_at IS NULL")),
        Index("ix_media_links_of_record", "record_id", "id", postgresql_where=text("record_id IS NOT NULL")),
        Index("ix_media_links_thread", "thread_id", "id"),
        Index(
            "uq_media_links_current",
            "thread_id",
            unique=True,
            postgresql_where=text("is_current AND deleted_at IS NULL"),
        ),
        Index(
            "uq_media_links_photo",
            "pet_id",
            unique=True,
            postgresql_where=text("purpose = 'profile_photo' AND is_current AND deleted_at IS NULL"),
        ),
    )


class MediaVariant(Identified, table=True):
    """A published rendition: `name` as in its key, e.g. `480.webp`; `original.pdf` is one too."""

    __tablename__ = "media_variants"

    asset_id: UUID = Field(foreign_key="media_assets.id", ondelete="CASCADE")
    name: str = words()
    content_type: str = words()
    size: int = byte_count()
    width: int | None = Field(default=None)
    height: int | None = Field(default=None)

    __table_args__ = (Index("uq_media_variants_name", "asset_id", "name", unique=True),)


class UploadState(StrEnum):
    """Of the way of the bytes. `expired`: nobody completed it in time."""

    OPEN = "open"
    COMPLETED = "completed"
    ABORTED = "aborted"
    EXPIRED = "expired"


class MediaUpload(Identified, table=True):
    """One person's upload of one asset. `multipart_id` is storage's, where it comes in parts."""

    __tablename__ = "media_uploads"

    household_id: UUID = Field(foreign_key="households.id")
    asset_id: UUID = Field(foreign_key="media_assets.id", ondelete="CASCADE", index=True)
    link_id: UUID = Field(foreign_key="media_links.id", ondelete="CASCADE", index=True)
    user_id: UUID = Field(foreign_key="users.id")
    state: UploadState = words(default=UploadState.OPEN)
    multipart_id: str | None = words(default=None)
    expires_at: datetime = timestamptz()

    __table_args__ = (Index("ix_media_uploads_open", "expires_at", postgresql_where=text("state = 'open'")),)


class StorageUsage(SQLModel, table=True):
    """Bytes of a household: `used` by what is ready, `reserved` by what is under way."""

    __tablename__ = "storage_usage"

    household_id: UUID = Field(primary_key=True, foreign_key="households.id", ondelete="CASCADE")
    used: int = byte_count(default=0, sa_column_kwargs={"server_default": text("0")})
    reserved: int = byte_count(default=0, sa_column_kwargs={"server_default": text("0")})
    updated_at: datetime = timestamptz(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)

    __table_args__ = (CheckConstraint("used >= 0 AND reserved >= 0", name="counts"),)
