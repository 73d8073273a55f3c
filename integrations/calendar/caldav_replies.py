"""What a CalDAV server's answer means, by the element that says why; the status alone says little (calendar-sync.md
§5.3): a 412 is a changed event, a taken name or another event with the same UID.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from caldav.elements import dav

from integrations.calendar.dav import preconditions
from integrations.calendar.protocol import (
    CalendarError,
    EventRejected,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    UnknownOutcome,
)
from integrations.outbound import Reply

_CALDAV: Final = "{urn:ietf:params:xml:ns:caldav}"
UID_CONFLICT: Final = f"{_CALDAV}no-uid-conflict"
_REFUSES_EVENT: Final = frozenset(
    f"{_CALDAV}{name}"
    for name in (
        "valid-calendar-data",
        "valid-calendar-object-resource",
        "supported-calendar-data",
        "supported-calendar-component",
        "max-resource-size",
        "min-date-time",
        "max-date-time",
        "max-instances",
        "max-attendees-per-instance",
    )
)
_NO_REPORT: Final = frozenset({dav.SupportedReport.tag, "{DAV:}number-of-matches-within-limits"})
_NO_REPORT_STATUSES: Final = frozenset({400, 405, 415, 501, 507})
_LONGEST_PAUSE: Final = 24 * 3600
GONE: Final = frozenset({404, 410})
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
CONFLICT: Final = 409
PRECONDITION_FAILED: Final = 412
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
_STORAGE_FULL: Final = 507


def succeeded(reply: Reply) -> bool:
    """Whether it was done."""
    return 200 <= reply.status < 300


def refusal(reply: Reply, now: datetime) -> CalendarError:
    """What an answer to a read means that is neither what was asked for nor that there is nothing."""
    pause = retry_after(reply, now)
    if reply.status == TOO_MANY or (pause is not None and reply.status in (FORBIDDEN, UNAVAILABLE)):
        return RateLimited("too many calls", retry_after=pause)
    if reply.status in (UNAUTHORIZED, FORBIDDEN):
        return NeedsReauth("the credentials are refused")
    if reply.status >= 500:
        return UnknownOutcome("the server failed")
    return Misunderstood("an answer that means nothing here")


def write_refusal(reply: Reply, now: datetime) -> CalendarError:
    """The same of a write, where what is refused may be this one event: then the others go on."""
    said = preconditions(reply)
    if said & _REFUSES_EVENT or reply.status == _STORAGE_FULL:
        return EventRejected("the server refuses this event")
    general = refusal(reply, now)
    if reply.status == FORBIDDEN and isinstance(general, NeedsReauth) and "{DAV:}need-privileges" not in said:
        # Servers say so, too, of an event that they do not like. Without any rights the next list is refused.
        return EventRejected("the server refuses this event")
    return EventRejected("the server refuses this event") if isinstance(general, Misunderstood) else general


def precondition_failed(reply: Reply) -> bool:
    """Whether a write was refused because of its If-Match or If-None-Match."""
    return reply.status == PRECONDITION_FAILED and not preconditions(reply) & {*_REFUSES_EVENT, UID_CONFLICT}


def token_is_unknown(reply: Reply) -> bool:
    """Whether a sync-collection failed because its token is not known any more."""
    return dav.ValidSyncToken.tag in preconditions(reply)


def has_no_such_report(reply: Reply) -> bool:
    """Whether the server cannot answer this kind of report."""
    return reply.status in _NO_REPORT_STATUSES or bool(preconditions(reply) & _NO_REPORT)


def retry_after(reply: Reply, now: datetime) -> int | None:
    """Seconds until the server wants to be asked again, if it says so: a number or a date (RFC 9110 §10.2.3)."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return min(int(said[:9]), _LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(int(seconds), 0), _LONGEST_PAUSE)
