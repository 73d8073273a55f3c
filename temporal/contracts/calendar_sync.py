"""One connected calendar. Id `user/{user_id}/calendar/{calendar_link_id}`; started, and rung whenever something may
have changed on either side, by outbox rows of kind `calendar_sync`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.calendar import ProviderName

WORKFLOW: Final = "CalendarSyncWorkflow"
KIND: Final = "calendar_sync"
"""Outbox kind and aggregate prefix of the bell."""
DIRTY: Final = "dirty"
"""The signal: a bell, nothing else."""
SYNC_NOW: Final = "sync_now"
"""The update: sync, and answer when that is done."""
STATUS: Final = "status"
"""The query, for debugging: what it is doing."""

LOOKS_PER_RUN: Final = 1
"""A run that has looked hands over, and the next one sleeps. What a run has done stays in its worker's memory until it
ends: 15 kB of the first look and 5 kB of each further one (measured)."""


class Standing(StrEnum):
    """How a calendar stands after a look; also the search attribute `PfState`."""

    OK = "ok"
    WAITING = "waiting"
    """For its person: a new credential, an answer, the end of a pause. No call is made until somebody rings."""
    FAILING = "failing"
    OVER = "over"
    """Disconnected; nothing is left to do."""


@dataclass(frozen=True, slots=True)
class CalendarState:
    """Everything a run hands to the next. `heard` is the last bell, `obeyed` the last one that a sync began after;
    `failures` in a row; `push_after`: a channel that was refused is not asked for before; `looks_per_run`: after how
    many this run hands over, 500 in those that were started before they were told."""

    calendar_link_id: UUID
    provider: ProviderName
    heard: int = 0
    obeyed: int = -1
    failures: int = 0
    standing: Standing = Standing.OK
    next_at: datetime | None = None
    renew_at: datetime | None = None
    push_after: datetime | None = None
    looks_per_run: int = 500


@dataclass(frozen=True, slots=True)
class Dirty:
    """Something may have changed: there, here, or in the settings. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class SyncNow:
    """A person waits."""

    calendar_link_id: UUID


@dataclass(frozen=True, slots=True)
class Synced:
    """How the calendar stands after that sync."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class PullChanges:
    """Read the calendar's list to its end; without `poll` only if somebody said that it may have changed there. `now`
    is the workflow's clock."""

    calendar_link_id: UUID
    now: datetime
    poll: bool = True


@dataclass(frozen=True, slots=True)
class ReconcileBatch:
    """Bring some pairs into agreement, after a list that was read or (`listed`) was not."""

    calendar_link_id: UUID
    now: datetime
    listed: bool = True


@dataclass(frozen=True, slots=True)
class CalendarPlan:
    """`more`: pairs are left. Else look again after `poll_seconds` (None: when somebody rings), and at the push channel
    at `renew_at` (None: there is no push). Where the list was not read (`listed`), the poll that is due stays due."""

    standing: Standing
    more: bool = False
    poll_seconds: float | None = None
    listed: bool = True
    renew_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RenewPush:
    """Have the provider tell us of changes, for longer than now."""

    calendar_link_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class PushRenewed:
    """When to do so again; None: there is no push."""

    renew_at: datetime | None


def aggregate(calendar_link_id: UUID) -> str:
    """The outbox aggregate of a calendar."""
    return f"{KIND}/{calendar_link_id}"


def bell_args(calendar_link_id: UUID, provider: str) -> Mapping[str, object]:
    """What an outbox row needs for `first_state`."""
    return {"calendar_link_id": str(calendar_link_id), "provider": provider}


def first_state(args: Mapping[str, object]) -> CalendarState:
    """What a new workflow starts with, from the outbox row's args."""
    link_id, provider = UUID(str(args["calendar_link_id"])), ProviderName(str(args["provider"]))
    return CalendarState(link_id, provider, looks_per_run=LOOKS_PER_RUN)
