"""Access that ends by itself: how long it may last, what it is now, and what its workflow has to do next.

Who may see or do something is never decided here but in the query, by its own clock (`models/queries/access.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from core.errors import Conflict, FieldProblem, Invalid
from domain.recurrence import resolve

SITTER_LONGEST: Final = timedelta(days=180)
VET_LONGEST: Final = timedelta(days=90)
VET_USUAL: Final = timedelta(days=7)
"""Of a link for which nobody says how long."""
FARTHEST: Final = timedelta(days=366)
"""How long before it begins one may be made."""
MOST: Final = 50
"""Grants of a household that are not over."""
SUMMARY_AT: Final = time(21)
"""When owners are told what the sitter did that day, on their own clock."""
_DAY: Final = timedelta(days=1)


class GrantState(StrEnum):
    """`offered`: the sitter has not answered and has no access. `coming`: accepted, and not begun. `over`: its time has
    passed. `revoked`: ended early by an owner; `declined`: by the sitter."""

    OFFERED = "offered"
    COMING = "coming"
    ACTIVE = "active"
    OVER = "over"
    REVOKED = "revoked"
    DECLINED = "declined"


OPEN: Final = frozenset({GrantState.OFFERED, GrantState.COMING, GrantState.ACTIVE})


class Step(StrEnum):
    """What is to be done about a sitter's grant."""

    MAIL = "mail"
    START = "start"
    SUMMARISE = "summarise"
    END = "end"


class GrantClosed(Conflict):
    """409: it is over, or was ended: make a new one."""

    code = "grant_closed"


@dataclass(frozen=True, slots=True)
class Standing:
    """A grant, and what was done about it: the columns of its row. `accepted` is true of a vet's link."""

    accepted: bool
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None = None
    declined: bool = False
    mailed: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    summarised_at: datetime | None = None

    def state(self, now: datetime) -> GrantState:
        """What it is now."""
        if self.revoked_at is not None:
            return GrantState.DECLINED if self.declined else GrantState.REVOKED
        if self.valid_until <= now:
            return GrantState.OVER
        if not self.accepted:
            return GrantState.OFFERED
        return GrantState.COMING if now < self.valid_from else GrantState.ACTIVE

    def gave_access(self, now: datetime) -> bool:
        """Whether the sitter could do anything with it, ever."""
        return self.accepted and self.valid_from < self.ends_at(now)

    def ends_at(self, now: datetime) -> datetime:
        """Up to when it gave access; `now` while it does."""
        return min(now, self.valid_until, self.revoked_at or now)


@dataclass(frozen=True, slots=True)
class Todo:
    """The next step, or to look again at `until`; neither: nothing is left to do."""

    step: Step | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Start inclusive, end exclusive."""

    start: datetime
    end: datetime


def todo(grant: Standing, zones: Iterable[str], now: datetime) -> Todo:
    """What a sitter's grant needs now; `zones` are those of the people who get its summaries."""
    state = grant.state(now)
    if not grant.mailed and state in OPEN:
        return Todo(Step.MAIL)
    match state:
        case GrantState.OFFERED:
            return Todo(until=grant.valid_until)
        case GrantState.COMING:
            return Todo(until=grant.valid_from)
        case GrantState.ACTIVE if grant.started_at is None:
            return Todo(Step.START)
        case GrantState.ACTIVE:
            told = grant.summarised_at or grant.valid_from
            moment = min((next_summary(zone, told) for zone in zones), default=grant.valid_until)
            return Todo(Step.SUMMARISE) if moment <= now else Todo(until=min(moment, grant.valid_until))
        case _:
            return Todo(Step.END) if grant.ended_at is None else Todo()


def next_summary(zone: str, after: datetime) -> datetime:
    """The first moment of summaries on this clock that is later than `after`."""
    return next(moment for moment in _moments(zone, after) if moment > after)


def last_summary(zone: str, now: datetime) -> datetime:
    """The last one that is not later than `now`."""
    return next(moment for moment in reversed(_moments(zone, now)) if moment <= now)


def summary_span(grant: Standing, zone: str, now: datetime) -> Span | None:
    """What somebody on this clock has not been told yet; None: nothing, because their evening has not come.

    Evenings that nobody could tell of are told at once. A grant that has ended is told of up to its end.
    """
    told = grant.summarised_at
    start = grant.valid_from if told is None else max(grant.valid_from, last_summary(zone, told))
    end = last_summary(zone, now) if grant.state(now) is GrantState.ACTIVE else grant.ends_at(now)
    return Span(start, end) if start < end else None


def check_begin(valid_from: datetime, now: datetime) -> None:
    """Raises `Invalid` for a beginning that is too far away."""
    if valid_from - now > FARTHEST:
        raise _invalid("valid_from", "too_far", f"at most {FARTHEST.days} days ahead")


def check_span(valid_from: datetime, valid_until: datetime, longest: timedelta, now: datetime) -> None:
    """Raises `Invalid` for an end that has passed or lies before the beginning, and for one too far away."""
    if valid_until <= max(valid_from, now):
        raise _invalid("valid_until", "span_invalid", "it ends after it begins, and in the future")
    if valid_until - valid_from > longest:
        raise _invalid("valid_until", "too_long", f"at most {longest.days} days")


def check_open(grant: Standing, now: datetime) -> None:
    """Raises `GrantClosed`."""
    if grant.state(now) not in OPEN:
        raise GrantClosed("It has ended: make a new one.")


def _moments(zone: str, around: datetime) -> list[datetime]:
    """Those of the days around an instant, in order. Clocks change by less than a day."""
    today = around.astimezone(ZoneInfo(zone)).date()
    return [resolve(datetime.combine(today + n * _DAY, SUMMARY_AT), zone) for n in (-1, 0, 1)]


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
