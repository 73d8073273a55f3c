"""Bodies of `/users/notification-preferences`, `/users/quiet-hours` and `/users/notification-settings`."""

from datetime import datetime, time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainValidator, StrictBool, WithJsonSchema
from pydantic_core import PydanticCustomError

from domain.notification import MATRIX, Category, Channel, DigestFrequency

Weekday = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
_CELLS = sum(len(row) for row in MATRIX.values())
_CELL: dict[str, JsonValue] = {
    "category": "grooming",
    "channel": "push",
    "enabled": False,
    "default": True,
    "locked": False,
    "reason": MATRIX[Category.GROOMING][Channel.PUSH].reason,
}


def read_minute(value: object) -> time:
    """`HH:MM`. Raises a validation error of code `time_invalid`."""
    if isinstance(value, str) and len(value) == 5 and value.isascii():
        try:
            return time.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("time_invalid", "HH:MM, 00:00 to 23:59")


Minute = Annotated[
    time, PlainValidator(read_minute), WithJsonSchema({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"})
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CellOut(BaseModel):
    """One category on one channel. A `locked` one cannot be changed; `reason` says why the default is what it is."""

    category: Category
    channel: Channel
    enabled: bool
    default: bool
    locked: bool
    reason: str


class PreferencesOut(BaseModel):
    """The whole matrix. SMS also needs your consent (`/users/consents`), push a device."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cells": [_CELL], "version": 2}]})

    cells: list[CellOut]
    version: int


class CellIn(_In):
    """A cell to write. What `GET` shows beside it is accepted unchanged."""

    category: Category
    channel: Channel
    enabled: StrictBool

    default: Any = None
    locked: Any = None
    reason: Any = None


class PreferencesIn(_In):
    """The cells to write."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cells": [{"category": "grooming", "channel": "push", "enabled": False}]}]}
    )

    cells: Annotated[list[CellIn], Field(max_length=_CELLS)]
    version: Any = None


class WindowOut(BaseModel):
    """A daily window: start inclusive, end exclusive, over midnight when it ends before it starts."""

    start: str
    end: str


class QuietHoursOut(BaseModel):
    """When nothing is sent, on the clock of `timezone` (the profile's). It comes when the window ends."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"windows": [{"start": "22:00", "end": "07:00"}], "timezone": "Europe/Berlin", "version": 3}]
        }
    )

    windows: list[WindowOut]
    timezone: str
    version: int


class WindowIn(_In):
    """A daily window. It may overlap with others."""

    start: Minute
    end: Minute


class QuietWindowsIn(_In):
    """All windows; an empty list means none. `timezone` is the profile's and changed there."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"windows": [{"start": "22:00", "end": "07:00"}]}]})

    windows: Annotated[list[WindowIn], Field(max_length=10)]
    timezone: Any = None
    version: Any = None


class SettingsOut(BaseModel):
    """The digest (`digest_weekday` is for weekly ones) and whether doses, lost pets and security break through quiet
    hours. Wall times are on the clock of `timezone`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "digest_frequency": "weekly",
                    "digest_weekday": "MO",
                    "digest_at": "08:00",
                    "critical_bypass": True,
                    "next_digest_at": "2026-11-30T07:00:00Z",
                    "timezone": "Europe/Berlin",
                    "version": 2,
                }
            ]
        }
    )

    digest_frequency: DigestFrequency
    digest_weekday: Weekday
    digest_at: str
    critical_bypass: bool
    next_digest_at: datetime | None
    timezone: str
    version: int


class SettingsIn(_In):
    """Fields present are changed, absent ones keep their value."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"digest_frequency": "weekly", "digest_weekday": "MO", "digest_at": "08:00"}]}
    )

    digest_frequency: DigestFrequency | None = None
    digest_weekday: Weekday | None = None
    digest_at: Minute | None = None
    critical_bypass: StrictBool | None = None

    next_digest_at: Any = None
    timezone: Any = None
    version: Any = None
