"""From the address that a person enters to where their calendars are (RFC 6764): asked once, when they connect."""

from datetime import UTC, datetime
from typing import Final
from urllib.parse import urljoin

from caldav.elements import cdav, dav

from core.errors import Invalid
from integrations.calendar.caldav_replies import refusal
from integrations.calendar.caldav_requests import WELL_KNOWN, collection, properties, url_in
from integrations.calendar.dav import MULTISTATUS, Dav, multistatus
from integrations.calendar.protocol import Misunderstood
from integrations.outbound import Outbound, Reply

_ASKED: Final = (dav.CurrentUserPrincipal(), cdav.CalendarHomeSet())
_MOST_STEPS: Final = 3


class NoCalendars(Invalid):
    """422: nothing at this address tells of calendars."""

    code = "calendar_not_found"


async def discover(outbound: Outbound, url: str, user: str, password: str) -> str:
    """The URL of the collection that holds the calendars of an account: what `CalDavCalendars` is made with.

    Raises `NeedsReauth` for a wrong password, `NoCalendars`, `SentElsewhere` where the server names a host of somebody
    else, what `Outbound` raises, and `RateLimited` and `UnknownOutcome`.
    """
    connection = Dav(outbound, user, password)
    try:
        for start in (url, urljoin(url, WELL_KNOWN)):
            if home := await _home(connection, start):
                return collection(home)
    finally:
        await connection.close()
    raise NoCalendars("there are no calendars at this address")


async def _home(connection: Dav, url: str) -> str | None:
    """The calendar home that is known here, or by the principal that is known here."""
    for _ in range(_MOST_STEPS):
        reply = await connection.request("PROPFIND", url, properties(*_ASKED), {"Depth": "0"})
        if reply.status != MULTISTATUS:
            _require_nothing(reply)
            return None
        base, found = reply.url, multistatus(reply).answers
        homes = [url_in(base, href) for each in found for href in each.hrefs(cdav.CalendarHomeSet.tag)]
        if known := next((each for each in homes if each), None):
            return known
        principals = [url_in(base, href) for each in found for href in each.hrefs(dav.CurrentUserPrincipal.tag)]
        following = next((each for each in principals if each), None)
        if following is None or following == url:
            return None
        url = following
    return None


def _require_nothing(reply: Reply) -> None:
    """No answer of the kind that was asked for. Raises where it says more than that there is nothing."""
    error = refusal(reply, datetime.now(UTC))
    if not isinstance(error, Misunderstood):
        raise error
