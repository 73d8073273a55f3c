"""What the refusals of Google and Microsoft mean in the words of the port (calendar-sync.md §4.8, §5.1, §5.2).

The one place where statuses and reasons are read. Texts are constant: what a vendor says in its own words may quote an
event or an address. The adapters take status, reason and Retry-After out of their SDK's error; no SDK is known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarError,
    CalendarMissing,
    CursorExpired,
    EtagMismatch,
    EventGone,
    EventRejected,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    UnknownOutcome,
)

SCOPE_MISSING: Final = "calendar_scope_missing"
"""The code of a `NeedsReauth` whose token is good and whose consent does not reach as far."""
UNSUPPORTED_RECURRENCE: Final = "unsupported_recurrence"
"""The code of an `EventRejected` for a rule that the provider, or we, cannot hold."""

_GOOGLE_LIMITS: Final = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "limitExceeded"}
)
_GOOGLE_CONSENT: Final = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "authError"})
_GRAPH_CURSOR: Final = frozenset({"syncStateNotFound", "resyncRequired", "syncStateInvalid"})
_GRAPH_LIMITS: Final = frozenset({"ApplicationThrottled", "TooManyRequests", "ErrorServerBusy"})
_GRAPH_DUPLICATE: Final = frozenset({"ErrorDuplicateTransactionId", "ErrorFolderExists"})
_LONGEST_WAIT: Final = 24 * 3600


class Asked(StrEnum):
    """What was asked: the same status means different things."""

    ACCOUNT = "account"
    """Something that is about no calendar in particular: its calendars, its channels."""
    LIST = "list"
    READ = "read"
    CREATE = "create"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success. `reason` is the vendor's word for programs."""

    status: int
    reason: str | None = None
    retry_after: int | None = None


def google(refusal: Refusal, asked: Asked) -> CalendarError:
    """The error of an answer of Google's."""
    if refusal.status == 403:
        if refusal.reason in _GOOGLE_LIMITS:
            return _limited(refusal)
        if refusal.reason in _GOOGLE_CONSENT:
            return NeedsReauth("The consent does not cover this.", code=SCOPE_MISSING)
    return _common(refusal, asked)


def microsoft(refusal: Refusal, asked: Asked) -> CalendarError:
    """The error of an answer of Graph's."""
    if refusal.reason in _GRAPH_CURSOR and refusal.status < 500:
        return CursorExpired("The cursor is not known any more.")
    if refusal.reason in _GRAPH_LIMITS:
        return _limited(refusal)
    if refusal.reason in _GRAPH_DUPLICATE:
        return AlreadyExists("It exists already.")
    if refusal.status == 403 and refusal.reason == "ErrorAccessDenied" and asked is not Asked.CHANGE:
        return NeedsReauth("The consent does not cover this.", code=SCOPE_MISSING)
    return _common(refusal, asked)


def no_answer() -> CalendarError:
    """The error of a connection that broke or took too long."""
    return UnknownOutcome("The provider does not answer.")


def unreadable(asked: Asked) -> CalendarError:
    """The error of a success whose content nobody can read. A write may have happened."""
    if asked in (Asked.CREATE, Asked.CHANGE):
        return UnknownOutcome("The provider's answer cannot be read.")
    return Misunderstood("The provider's answer is of no known shape.")


def identifier(answer: Mapping[str, Any], asked: Asked) -> str:
    """The id in an answer. Raises what `unreadable` says where it has none."""
    found = answer.get("id")
    if not isinstance(found, str) or not found:
        raise unreadable(asked)
    return found


def unsupported_recurrence() -> CalendarError:
    """The error of a series that one of the two sides cannot hold."""
    return EventRejected("The recurrence cannot be held.", code=UNSUPPORTED_RECURRENCE)


def seconds(retry_after: str | None, now: datetime | None = None) -> int | None:
    """A Retry-After, in seconds or as a date (RFC 9110 §10.2.3); None for what is neither."""
    if not retry_after:
        return None
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return min(int(retry_after), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - (now or datetime.now(UTC))
    return min(max(0, round(wait.total_seconds())), _LONGEST_WAIT)


def _common(refusal: Refusal, asked: Asked) -> CalendarError:
    status = refusal.status
    if status == 429 or (status in (503, 504) and refusal.retry_after is not None):
        return _limited(refusal)
    if status >= 500 or status == 408:
        return UnknownOutcome("The provider failed.")
    if status == 401:
        return NeedsReauth("The provider refuses the credentials.")
    return {
        Asked.ACCOUNT: _of_account,
        Asked.LIST: _of_list,
        Asked.READ: _of_event,
        Asked.CREATE: _of_create,
        Asked.CHANGE: _of_event,
    }[asked](status)


def _limited(refusal: Refusal) -> CalendarError:
    return RateLimited("The provider asks for a pause.", retry_after=refusal.retry_after)


def _of_account(status: int) -> CalendarError:
    if status in (404, 410):
        return CalendarMissing("The calendar is gone.")
    if status == 409:
        return AlreadyExists("It exists already.")
    return CalendarError("The provider refuses.")


def _of_list(status: int) -> CalendarError:
    """A cursor that is refused as a bad request is one of another shape: a full list helps there, too."""
    if status == 404:
        return CalendarMissing("The calendar is gone.")
    if status in (400, 410, 412):
        return CursorExpired("The cursor is not known any more.")
    return CalendarError("The provider refuses the list.")


def _of_create(status: int) -> CalendarError:
    if status in (404, 410):
        return CalendarMissing("The calendar is gone.")
    if status in (409, 412):
        return AlreadyExists("It exists already.")
    return EventRejected("The provider refuses the event.")


def _of_event(status: int) -> CalendarError:
    if status in (404, 410):
        return EventGone("The event is gone.")
    if status in (409, 412):
        return EtagMismatch("The event was changed in between.")
    return EventRejected("The provider refuses the event.")
