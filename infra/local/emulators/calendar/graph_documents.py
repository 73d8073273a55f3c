"""An event as Graph has it: what is refused, how a change is merged, how it is shown to whom prefers what.

A stored body keeps `start` and `end` on the clock of the zone they came in; they are shown in UTC or in the zone of
`Prefer: outlook.timezone`. A body of text is kept as it came and shown as HTML unless text is preferred.
"""

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, Final

from infra.local.emulators.calendar import graph_recurrence
from infra.local.emulators.calendar.call import Call
from infra.local.emulators.calendar.errors import graph
from infra.local.emulators.calendar.series import zone_of
from infra.local.emulators.calendar.store import Document

EXTENDED: Final = "singleValueExtendedProperties"
_SERVERS: Final = frozenset(
    {"id", "changeKey", "createdDateTime", "lastModifiedDateTime", "iCalUId", "type", "seriesMasterId", "webLink"}
    | {"originalStart", "occurrenceId", "bodyPreview", "exceptionOccurrences", "cancelledOccurrences", "organizer"}
    | {"isOrganizer", "isCancelled", "originalStartTimeZone", "originalEndTimeZone"}
)
_MOST_SUBJECT: Final = 255
_DEFAULTS: Final[Document] = {
    "subject": "",
    "body": {"contentType": "html", "content": ""},
    "isAllDay": False,
    "isReminderOn": True,
    "reminderMinutesBeforeStart": 15,
    "showAs": "busy",
    "sensitivity": "normal",
    "importance": "normal",
    "categories": [],
    "location": {"displayName": ""},
}
_DATE_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?")
_PROPERTY: Final = re.compile(r"\w+ \{[0-9a-fA-F-]{36}\} (?:Name|Id) .+")


def created(body: Mapping[str, Any]) -> Document:
    """The document of a new event. Raises the refusal of what cannot be one."""
    return normal({**_DEFAULTS, **body})


def normal(body: Mapping[str, Any]) -> Document:
    """The document as it is stored."""
    kept = {name: value for name, value in body.items() if name not in _SERVERS and not name.startswith("@")}
    if "start" not in kept or "end" not in kept:
        raise graph(400, "ErrorPropertyValidationFailure", "At least one property failed validation: start, end.")
    kept["start"], kept["end"] = _time(kept["start"]), _time(kept["end"])
    if kept.get("recurrence") is None:
        kept.pop("recurrence", None)
    else:
        graph_recurrence.check(kept)
    _check_times(kept)
    if len(kept.get("subject") or "") > _MOST_SUBJECT:
        raise graph(400, "ErrorInvalidProperty", "Subject is too long.")
    if EXTENDED in kept:
        kept[EXTENDED] = _extended(kept[EXTENDED])
    return kept


def patched(old: Mapping[str, Any], change: Mapping[str, Any]) -> Document:
    """PATCH: each property that is given replaces the one that was; extended properties are merged by id."""
    given = {name: value for name, value in change.items() if name not in _SERVERS and not name.startswith("@")}
    if EXTENDED in given:
        before = {each["id"].lower(): each for each in old.get(EXTENDED, [])}
        given[EXTENDED] = list({**before, **{each["id"].lower(): each for each in given[EXTENDED]}}.values())
    given.pop("transactionId", None)  # cannot change later
    return {**old, **given}


def point(body: Mapping[str, Any], which: str) -> datetime:
    """The instant of `start` or `end`; whole days begin at midnight UTC."""
    wall = datetime.fromisoformat(body[which]["dateTime"])
    zone = UTC if body.get("isAllDay") else zone_of(body[which]["timeZone"])
    return wall.replace(tzinfo=zone).astimezone(UTC)


def length(body: Mapping[str, Any]) -> timedelta:
    """From start to end."""
    return point(body, "end") - point(body, "start")


def timed(wall: datetime, body: Mapping[str, Any]) -> Document:
    """`start` and `end` of an occurrence that begins at a wall time."""
    zone, name = zone_of(body["start"]["timeZone"]), body["start"]["timeZone"]
    if body.get("isAllDay"):
        end = wall + length(body)
    else:
        end = (wall.replace(tzinfo=zone).astimezone(UTC) + length(body)).astimezone(zone).replace(tzinfo=None)
    return {"start": {"dateTime": written(wall), "timeZone": name}, "end": {"dateTime": written(end), "timeZone": name}}


def shown(body: Document, call: Call) -> Document:
    """Times, body and text as the caller prefers them; without extended properties."""
    zone = call.prefers("outlook.timezone") or "UTC"
    times: Document = {which: in_zone(body, which, zone) for which in ("start", "end") if which in body}
    names = {f"original{which.title()}TimeZone": body[which]["timeZone"] for which in times}
    kept = {name: value for name, value in body.items() if name != EXTENDED}
    if "body" in body:
        kept["body"] = _content(body["body"], call.prefers("outlook.body-content-type") or "html")
        kept["bodyPreview"] = _text(body["body"])[:255]
    return {**kept, **names, **times}


def in_zone(body: Mapping[str, Any], which: str, name: str) -> Document:
    """A time on another clock; whole days stay on their days."""
    if body.get("isAllDay"):
        return {"dateTime": body[which]["dateTime"], "timeZone": name}
    try:
        zone = zone_of(name)
    except ValueError:
        raise graph(400, "ErrorInvalidTimeZone", "The time zone is not known.") from None
    return {"dateTime": written(point(body, which).astimezone(zone).replace(tzinfo=None)), "timeZone": name}


def written(wall: datetime) -> str:
    """With the seven digits that Graph writes."""
    return f"{wall.isoformat(timespec='seconds')}.0000000"


def _time(value: Any) -> Document:
    try:
        found = _DATE_TIME.fullmatch(value["dateTime"].removesuffix("Z"))
        if found is None:
            raise ValueError("no date and time")
        wall = datetime.fromisoformat(found[1])
        zone = value.get("timeZone") or "UTC"
        zone_of(zone)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise graph(400, "ErrorPropertyValidationFailure", "At least one property failed validation: start.") from None
    return {"dateTime": written(wall), "timeZone": zone}


def _check_times(body: Mapping[str, Any]) -> None:
    if point(body, "end") < point(body, "start"):
        raise graph(400, "ErrorPropertyValidationFailure", "The end time is before the start time.")
    if not body.get("isAllDay"):
        return
    walls = [body[which]["dateTime"][11:19] for which in ("start", "end")]
    same_zone = body["start"]["timeZone"] == body["end"]["timeZone"]
    if walls != ["00:00:00", "00:00:00"] or not same_zone or not length(body):
        text = "The Event.Start or Event.End property is invalid for an all-day event: midnight in the same time zone."
        raise graph(400, "ErrorInvalidRequest", text)


def _extended(given: Any) -> list[Document]:
    if any(not _PROPERTY.fullmatch(each.get("id", "")) for each in given):
        raise graph(400, "ErrorInvalidProperty", "The extended property's id is not valid.")
    return [{"id": each["id"], "value": each["value"]} for each in given if each.get("value") is not None]


def _content(body: Mapping[str, str], wanted: str) -> Document:
    kind, content = body.get("contentType", "text"), body.get("content") or ""
    if kind == wanted:
        return {"contentType": kind, "content": content}
    if wanted == "text":
        return {"contentType": "text", "content": _text(body)}
    lines = html.escape(content, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    head = '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>\r\n'
    return {"contentType": "html", "content": f'{head}<div class="PlainText">{lines}</div>\r\n</body></html>\r\n'}


class _Words(HTMLParser):
    """The text of a page: line breaks where elements end lines."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "div", "li", "tr"):
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        self.found.append(data.replace("\r\n", " ").replace("\n", " ") if data.strip() else "")


def _text(body: Mapping[str, str]) -> str:
    content = body.get("content") or ""
    if body.get("contentType", "text").lower() == "text":
        return content
    words = _Words()
    words.feed(content)
    return "".join(words.found).strip().replace("\n", "\r\n")
