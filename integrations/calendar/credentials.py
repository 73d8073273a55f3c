"""What we get into an account with, as the JSON that is sealed into `calendar_connections.credential_ct`.

Pure: api and workers write and read it through here alone.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

COLUMN: Final = "calendar_connections.credential_ct"
ACCOUNT: Final = "calendar_connections.account_ct"
"""The account's name for people: an address, or user@host."""


@dataclass(frozen=True, slots=True)
class OAuthCredential:
    """A consent at Google or Microsoft. The access token lasts until `expires_at`; the refresh token gives others."""

    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CalDavCredential:
    """A CalDAV server, and an account there. `url` is what the person entered; the calendars are found from it."""

    url: str
    username: str = field(repr=False)
    password: str = field(repr=False)


Credential = OAuthCredential | CalDavCredential


def to_json(credential: Credential) -> str:
    """The document to seal; `from_json` is its inverse."""
    return json.dumps(asdict(credential), default=datetime.isoformat)


def from_json(text: str) -> Credential:
    """The credential of a document that `to_json` made."""
    written = json.loads(text)
    if "refresh_token" in written:
        return OAuthCredential(
            written["refresh_token"], written["access_token"], datetime.fromisoformat(written["expires_at"])
        )
    return CalDavCredential(written["url"], written["username"], written["password"])
