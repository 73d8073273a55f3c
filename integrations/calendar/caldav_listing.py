"""What changed in a CalDAV calendar, for every kind of server: with sync tokens, with a ctag alone, with neither."""

from datetime import UTC, datetime
from typing import Final

from caldav.elements import dav
from caldav.elements.base import BaseElement

from integrations.calendar.caldav_replies import GONE, has_no_such_report, refusal, token_is_unknown
from integrations.calendar.caldav_requests import Ctag, changes_since, id_in, properties
from integrations.calendar.dav import MULTISTATUS, NOT_FOUND, Answer, Dav, MultiStatus, multistatus
from integrations.calendar.protocol import CalendarMissing, Change, CursorExpired, Misunderstood, Page

_TOKEN, _PAGE, _CTAG = "token ", "page ", "ctag "
_NONE: Final = "none"
"""The cursor of a server that has no kind of it: a full list follows each time."""
_TRUNCATED: Final = 507


async def changes(connection: Dav, calendar_id: str, cursor: str | None, page: str | None) -> Page:
    """See `CalendarProvider.list_changes`."""
    if page is not None:
        return await _since(connection, calendar_id, _without(_PAGE, page))
    if cursor is None:
        full = await _report(connection, calendar_id, "")
        return full or await _all(connection, calendar_id)
    if cursor.startswith(_CTAG):
        return await _unchanged(connection, calendar_id, cursor)
    return await _since(connection, calendar_id, _without(_TOKEN, cursor))


def _without(kind: str, cursor: str) -> str:
    if not cursor.startswith(kind) or not cursor.isprintable() or len(cursor) == len(kind):
        raise CursorExpired("this is no cursor")
    return cursor.removeprefix(kind)


async def _since(connection: Dav, calendar_id: str, token: str) -> Page:
    page = await _report(connection, calendar_id, token)
    if page is None:
        raise CursorExpired("the server has no sync tokens any more")
    return page


async def _report(connection: Dav, calendar_id: str, token: str) -> Page | None:
    """A sync-collection; None where the server has no such thing."""
    reply = await connection.request("REPORT", calendar_id, changes_since(token), {"Depth": "0"})
    if reply.status == MULTISTATUS:
        return _page(calendar_id, token, multistatus(reply))
    if reply.status in GONE:
        raise CalendarMissing("the calendar is gone")
    if token and token_is_unknown(reply):
        raise CursorExpired("the sync token is not known any more")
    if token_is_unknown(reply) or has_no_such_report(reply):
        return None
    raise refusal(reply, datetime.now(UTC))


def _page(calendar_id: str, token: str, said: MultiStatus) -> Page | None:
    _require_there(said)
    truncated = any(each.status == _TRUNCATED for each in said.answers)
    listed = [_change(calendar_id, each) for each in said.answers if _is_resource(calendar_id, each)]
    if not token:  # Radicale lists what was deleted long ago, too
        listed = [each for each in listed if not each.removed]
    if truncated and (not said.sync_token or said.sync_token == token):
        raise Misunderstood("a list without end")
    if not said.sync_token:
        return None
    if truncated:
        return Page(listed, next_page=f"{_PAGE}{said.sync_token}")
    return Page(listed, cursor=f"{_TOKEN}{said.sync_token}")


async def _all(connection: Dav, calendar_id: str) -> Page:
    """Every resource, by its etag. The calendar comes first in the answer, so its ctag is none of a later moment."""
    wanted = properties(dav.GetEtag(), dav.ResourceType(), Ctag())
    said = await _propfind(connection, calendar_id, wanted, depth=1)
    ctag = next((each.text(Ctag.tag) for each in said.answers if each.text(Ctag.tag)), "")
    listed = [_change(calendar_id, each) for each in said.answers if _is_resource(calendar_id, each)]
    return Page(listed, cursor=f"{_CTAG}{ctag}" if ctag else _NONE)


async def _unchanged(connection: Dav, calendar_id: str, cursor: str) -> Page:
    said = await _propfind(connection, calendar_id, properties(Ctag()), depth=0)
    if any(f"{_CTAG}{each.text(Ctag.tag)}" == cursor for each in said.answers):
        return Page([], cursor=cursor)
    raise CursorExpired("something has changed, and the server does not say what")


async def require_calendar(connection: Dav, calendar_id: str) -> None:
    """Ask whether the calendar is there. Raises `CalendarMissing`."""
    await _propfind(connection, calendar_id, properties(dav.ResourceType()), depth=0)


async def _propfind(connection: Dav, calendar_id: str, wanted: BaseElement, *, depth: int) -> MultiStatus:
    reply = await connection.request("PROPFIND", calendar_id, wanted, {"Depth": str(depth)})
    if reply.status in GONE:
        raise CalendarMissing("the calendar is gone")
    if reply.status != MULTISTATUS:
        raise refusal(reply, datetime.now(UTC))
    said = multistatus(reply)
    _require_there(said)
    return said


def _require_there(said: MultiStatus) -> None:
    """Some servers say inside a 207 that there is no calendar."""
    if len(said.answers) == 1 and said.answers[0].status == NOT_FOUND and said.answers[0].href.endswith("/"):
        raise CalendarMissing("the calendar is gone")


def _is_resource(calendar_id: str, answer: Answer) -> bool:
    """Whether it is about something in the calendar, and not about the calendar."""
    is_collection = answer.has(dav.ResourceType.tag, dav.Collection.tag) or answer.href.endswith("/")
    return not is_collection and answer.status != _TRUNCATED and bool(id_in(calendar_id, answer.href))


def _change(calendar_id: str, answer: Answer) -> Change:
    """What has neither an etag nor a 404 has to be fetched to be understood."""
    removed = answer.status == NOT_FOUND
    return Change(id_in(calendar_id, answer.href), etag=answer.text(dav.GetEtag.tag) or None, removed=removed)
