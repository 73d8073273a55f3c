"""Calendar providers: where each one is, and who we are to it. Part of `core.settings`.

Google or Microsoft without `client_id` is off. The addresses are the vendors' own unless they are set.
"""

from pydantic import BaseModel, Field, SecretStr

from core.sign_in_settings import Provider


class GoogleCalendarSettings(Provider, frozen=True):
    """Google Calendar v3 with OAuth 2.0 for web servers; an application of its own, or that of `google`."""

    client_secret: SecretStr | None = None
    authorize_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    revoke_url: str = "https://oauth2.googleapis.com/revoke"
    api_url: str = "https://www.googleapis.com"


class MicrosoftCalendarSettings(Provider, frozen=True):
    """Microsoft Graph v1.0, for accounts of people and of organisations."""

    client_secret: SecretStr | None = None
    authorize_url: str = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    token_url: str = "https://login.microsoftonline.com/common/oauth2/v2.0/token"  # noqa: S105 - an address
    api_url: str = "https://graph.microsoft.com"


class CalDavSettings(BaseModel, frozen=True):
    """`plain_http` and `private` let a server be on this machine: for the local stack and for tests."""

    plain_http: bool = False
    private: bool = False


class CalendarSettings(BaseModel, frozen=True):
    """`push_url`: where providers reach us from outside; default: `public_url` if it is HTTPS. `poll_seconds`: how
    often a calendar without push is looked at."""

    google: GoogleCalendarSettings = GoogleCalendarSettings()
    microsoft: MicrosoftCalendarSettings = MicrosoftCalendarSettings()
    caldav: CalDavSettings = CalDavSettings()
    push_url: str | None = None
    poll_seconds: int = Field(default=120, ge=5, le=900)
