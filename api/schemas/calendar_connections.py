"""Bodies of `/integrations/calendar/connections`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from api.schemas.auth import Token
from api.schemas.oauth import NextPath

Provider = Literal["google", "microsoft", "caldav"]
_CONNECTION = "019aaf3e-0000-7000-8000-0000000000a0"
_HOUSEHOLD = "019aaf3e-0000-7000-8000-000000000003"
_PASSWORD = "abcd-efgh-ijkl-mnop"  # noqa: S105 - an example
_POLICY: dict[str, JsonValue] = {"delete_wins": False, "adopt": True, "reminders": True, "appointments": True}
_OUT: dict[str, JsonValue] = {
    "id": _CONNECTION,
    "provider": "google",
    "state": "active",
    "account": "ada@gmail.com",
    "household_id": _HOUSEHOLD,
    "policy": _POLICY,
    "health": "ok",
    "events": 12,
    "conflicts": 1,
    "quarantined": 1,
    "problems": [
        {
            "appointment_id": "019aaf3e-0000-7000-8000-000000000090",
            "reminder_id": None,
            "title": "Vet",
            "reason": "unsupported_recurrence",
        }
    ],
    "push": {"state": "active", "until": "2026-11-30T08:00:00Z"},
    "last_ok_at": "2026-11-23T16:00:00Z",
    "next_poll_at": "2026-11-23T16:15:00Z",
    "last_error": None,
    "workflow": "/api/v1/workflows/{id}",
    "created_at": "2026-11-20T17:12:09Z",
    "updated_at": "2026-11-23T16:00:00Z",
    "version": 3,
}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyIn(_In):
    """What is kept in step, and who is right. `delete_wins`: a deletion counts more than an edit on the other side.
    `adopt`: what you enter in the calendar becomes an appointment. `reminders`, `appointments`: what of yours is shown
    there. What is not named stays as it is; at first everything is shown and adopted, and edits count more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"adopt": False}]})

    delete_wins: bool | None = None
    adopt: bool | None = None
    reminders: bool | None = None
    appointments: bool | None = None


class ConnectionIn(_In):
    """An account to keep in step. Google and Microsoft are asked in a browser, which comes back to `next` in the app;
    a CalDAV server (iCloud, Fastmail, Nextcloud, …) takes `url`, `username` and a `password`, at best one made for
    this."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "provider": "caldav",
                    "url": "https://caldav.icloud.com/",
                    "username": "ada@icloud.com",
                    "password": _PASSWORD,
                },
                {"provider": "google", "next": "/settings"},
            ]
        }
    )

    provider: Provider
    next: NextPath = "/"
    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None
    username: Annotated[str, StringConstraints(min_length=1, max_length=320)] | None = None
    password: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = Field(default=None, repr=False)
    household_id: UUID | None = Field(
        default=None, description="Whose appointments you enter there become. Default: the first that you own."
    )
    policy: PolicyIn = PolicyIn()


class FinishIn(_In):
    """The code of the fragment that the browser came back with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "k3Jx…"}]})

    code: Token


class ReauthoriseIn(_In):
    """A new `password` for a CalDAV server; for the others where the browser comes back to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"next": "/settings"}, {"password": _PASSWORD}]})

    next: NextPath = "/"
    password: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = Field(default=None, repr=False)


class ConnectionUpdate(_In):
    """Another policy or household."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"policy": {"delete_wins": True}}]})

    household_id: UUID | None = None
    policy: PolicyIn = PolicyIn()


class ConsentOut(BaseModel):
    """What to open in a browser within `expires_in` seconds, once. It comes back with `#code=…` for
    `POST /integrations/calendar/finish`, or with `#error=…`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "authorize_url": "https://api.example.com/api/v1/integrations/calendar/start?ticket=k3Jx…",
                    "expires_in": 600,
                }
            ]
        }
    )

    authorize_url: str
    expires_in: int


class PolicyOut(BaseModel):
    """The policy in force."""

    delete_wins: bool
    adopt: bool
    reminders: bool
    appointments: bool


class PushOut(BaseModel):
    """Whether the calendar's provider tells us of changes; without that we look every few minutes."""

    state: Literal["none", "active", "expired"]
    until: datetime | None


class ProblemOut(BaseModel):
    """Something that the calendar does not take, and why, until either side changes it. `title` is null where you do
    not see it any more."""

    appointment_id: UUID | None
    reminder_id: UUID | None
    title: str | None
    reason: str | None


class ConnectionOut(BaseModel):
    """A connected account, and how its calendar stands. `connecting`: nobody has been there yet. `needs_reauth`: its
    credentials are refused; `POST …/reauthorise`. `health` `deletes_paused`: much is gone from the calendar at once;
    `POST …/confirm-deletions` if that is meant. `calendar_missing`: the calendar itself is gone;
    `POST …/recreate-calendar`. `events`: how many are in the calendar; `conflicts`: values that lost, to look at in
    `GET /integrations/calendar/conflicts`; `quarantined`: how many the calendar does not take, the first hundred of
    them in `problems`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OUT]})

    id: UUID
    provider: Provider
    state: Literal["connecting", "active", "needs_reauth", "paused"]
    account: str
    household_id: UUID
    policy: PolicyOut
    health: Literal["ok", "resyncing", "deletes_paused", "calendar_missing", "provider_down"]
    events: int
    conflicts: int
    quarantined: int
    problems: list[ProblemOut]
    push: PushOut
    last_ok_at: datetime | None
    next_poll_at: datetime | None
    last_error: str | None
    workflow: str
    created_at: datetime
    updated_at: datetime
    version: int


class ConnectionsOut(BaseModel):
    """All that you have connected: there are at most ten."""

    items: list[ConnectionOut]
    next_cursor: None = None
