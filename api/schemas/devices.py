"""Bodies of `/devices`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Base64Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+=*$", min_length=16, max_length=200)]
_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
_DEVICE: JsonDict = {
    "id": "019aaf3e-0000-7000-8000-000000000050",
    "kind": "webpush",
    "label": "Kitchen tablet",
    "current": True,
    "last_used_at": "2026-11-23T08:00:00Z",
    "created_at": "2026-11-20T17:12:09Z",
}
_PHONE: JsonDict = {"kind": "fcm", "token": "fGx3Q0h:APA91bHun4MxP5egoKMwt2KZFBaFUH", "label": "Anna's phone"}
_BROWSER: JsonDict = {
    "kind": "webpush",
    "subscription": {
        "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
        "keys": {
            "p256dh": _KEY,
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    },
}


class SubscriptionKeys(BaseModel):
    """The browser's public key and secret (RFC 8291 §2)."""

    model_config = ConfigDict(extra="forbid")

    p256dh: Base64Url
    auth: Base64Url


class Subscription(BaseModel):
    """What `PushManager.subscribe()` answers, as JSON."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    keys: SubscriptionKeys
    expiration_time: float | None = Field(default=None, alias="expirationTime")


class DeviceIn(BaseModel):
    """An app (`fcm`) by its registration token of Firebase Cloud Messaging, or a browser (`webpush`) by its push
    subscription."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_BROWSER, _PHONE]})

    kind: Literal["fcm", "webpush"]
    token: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", min_length=8, max_length=4096)] | None = None
    subscription: Subscription | None = None
    label: Label | None = None


class DeviceOut(BaseModel):
    """A device that is told. `current`: registered by the session you ask with. Its token is never shown again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DEVICE]})

    id: UUID
    kind: Literal["fcm", "webpush"]
    label: str | None
    current: bool
    last_used_at: datetime | None
    created_at: datetime


class DevicesOut(BaseModel):
    """All devices that can be reached: there are at most twenty."""

    items: list[DeviceOut]
    next_cursor: None = None


class VapidKeyOut(BaseModel):
    """What `PushManager.subscribe({applicationServerKey})` takes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"public_key": _KEY}]})

    public_key: str
