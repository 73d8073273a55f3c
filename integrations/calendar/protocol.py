"""What the calendar sync asks of a provider, and in which words it fails (calendar-sync.md §4.8).

An adapter speaks for one account. It never retries and never sleeps: its errors say what happened, Temporal decides
what follows. Every write is conditional. Events go in and come out as `domain.calendar.Event`, projected onto the
adapter's `capabilities`; a series is read and written with its exceptions, under one remote id and one etag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.errors import PetfolioError
from domain.calendar import Capabilities, Event
from domain.calendar import ProviderName as ProviderName


class CalendarError(PetfolioError):
    """A provider did not do what was asked. Texts name no address, no token and nothing that somebody wrote.

    ├── RateLimited         later: `retry_after` seconds if it said so
    ├── NeedsReauth         the credentials are refused; asking again is useless until the person acts
    ├── CursorExpired       a full list must follow
    ├── CalendarMissing     the calendar itself is gone
    ├── EventRejected       this one event is refused, others are not
    ├── EtagMismatch        somebody changed it in between (412)
    ├── EventGone           it is not there (404, 410)
    ├── AlreadyExists       the id of a create is taken
    ├── Misunderstood       an answer of no known shape: a full list must follow, nothing may be concluded from it
    └── UnknownOutcome      no answer, or a 5xx: a write may or may not have happened
    """

    code = "calendar_error"
    http_status = 502


class RateLimited(CalendarError):
    """429, or 403/503 with that reason. Nothing happened."""

    code = "calendar_rate_limited"
    retryable = True


class NeedsReauth(CalendarError):
    """401, `invalid_grant`, a withdrawn consent, a revoked app password."""

    code = "calendar_needs_reauth"


class CursorExpired(CalendarError):
    """The cursor is not known any more, or of another shape."""

    code = "calendar_cursor_expired"


class CalendarMissing(CalendarError):
    """404 on the calendar."""

    code = "calendar_missing"


class EventRejected(CalendarError):
    """400 or 422 for this event; also a recurrence that the provider cannot hold (`unsupported_recurrence`)."""

    code = "calendar_event_rejected"


class EtagMismatch(CalendarError):
    """The precondition of a write did not hold."""

    code = "calendar_etag_mismatch"


class EventGone(CalendarError):
    """An update found nothing to change."""

    code = "calendar_event_gone"


class AlreadyExists(CalendarError):
    """A create under an id that is taken, alive or as a tombstone. `remote_id`: under which the provider has it, where
    that is not the id asked for."""

    code = "calendar_already_exists"

    def __init__(self, detail: str, remote_id: str | None = None) -> None:
        super().__init__(detail)
        self.remote_id = remote_id


class Misunderstood(CalendarError):
    """What came is of no shape that we know."""

    code = "calendar_misunderstood"


class UnknownOutcome(CalendarError):
    """Timeout, reset, 5xx. For a read: it failed. For a write: ask what became of it before anything else."""

    code = "calendar_unknown_outcome"
    retryable = True


@dataclass(frozen=True, slots=True)
class Marker:
    """What we leave on an event of ours: which local row, which part of it, which generation. Not an identity: people
    copy events together with it."""

    local_id: UUID
    part: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """An event as the provider has it. `etag` covers the series and its exceptions; None where the server gives none.
    `updated_at` is None where the provider does not say.

    `ident` is what a create by us would have left besides the marker (Google: the event's id, Graph: the transaction
    id, CalDAV: the UID, without our prefix), as a UUID; None for what is none. Only an event whose ident is the name of
    its marker is ours: people copy events with the marker. `raw` is the provider's own document, from which
    `CalendarProvider.read` makes this value again.
    """

    remote_id: str
    etag: str | None
    event: Event
    updated_at: datetime | None = None
    marker: Marker | None = None
    ident: UUID | None = None
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a list: the event where the list held all of it (`found`), else something to be fetched by its id
    (a series whose exceptions the list does not hold; an occurrence is listed under the id of its series). `removed`:
    the provider says it is gone, which is a hint that a GET must confirm."""

    remote_id: str
    found: RemoteEvent | None = None
    etag: str | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a round. `next_page` while more follows, `cursor` on the last one; never both. `named` are the ids that
    the provider listed, where `changes` do not tell pages apart: occurrences come under the id of their series."""

    changes: Sequence[Change]
    next_page: str | None = None
    cursor: str | None = None
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """A calendar of the account."""

    calendar_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A push channel as granted. `resource_id` is Google's; `secret` is what messages are known by."""

    channel_id: str
    resource_id: str | None
    expires_at: datetime
    secret: str = field(repr=False)


class CalendarProvider(Protocol):
    """One account at a provider. Methods raise the errors above and nothing else."""

    capabilities: Capabilities

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """The calendars of the account that events can be written to."""

    async def create_calendar(self, title: str) -> RemoteCalendar:
        """A calendar of our own."""

    async def delete_calendar(self, calendar_id: str) -> None:
        """Remove a calendar of our own with everything in it; one that is gone already is a success."""

    async def list_changes(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        """A page of everything (`cursor` None) or of what changed since; `page` is the `next_page` of the one before.
        Raises `CursorExpired`, `CalendarMissing`, `Misunderstood`."""

    async def get(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        """The event with its exceptions; None when it is gone (404, 410, cancelled). Raises `CalendarMissing` where
        the calendar is gone and that can be told apart, and what `read` raises."""

    async def get_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """Those of them that are there, in as few calls as the provider allows. One that is missing here is not proven
        gone, it may be one that cannot be read: `get` says which."""

    def read(self, raw: str) -> RemoteEvent:
        """What `RemoteEvent.raw` says. Raises `Misunderstood`, and `EventRejected` for what cannot be an event of
        ours (a recurrence that nobody can hold, a date without a year)."""

    def remote_id_of(self, calendar_id: str, name: UUID) -> str | None:
        """The id that a create under this name will have; None where the provider chooses it."""

    async def find(self, calendar_id: str, name: UUID) -> RemoteEvent | None:
        """What a create under this name has made, alive; None when there is nothing (any more)."""

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        """Once per `name`, however often it is tried. Raises `AlreadyExists`, `EventRejected`."""

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        """Make of `known`, as it was read, this event; what the adapter does not own is kept. `marker=False` takes our
        marker off, which somebody copied. Raises `EtagMismatch`, `EventGone`, `EventRejected`."""

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        """Delete it as it was read; what is gone already is a success. Raises `EtagMismatch`."""

    async def watch(self, calendar_id: str, address: str, channel_id: str, secret: str) -> Channel:
        """Have changes of this calendar told to `address`. Only where `capabilities.push`."""

    async def renew(self, calendar_id: str, channel: Channel, address: str, channel_id: str, secret: str) -> Channel:
        """A channel that lasts longer: the same one extended, or a new one beside it."""

    async def unwatch(self, channel: Channel) -> None:
        """End a channel; one that is unknown already is a success."""

    async def close(self) -> None:
        """Close what is open."""
