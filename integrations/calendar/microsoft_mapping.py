"""Graph's events and ours: a document is the event with its exceptions, as Graph gives a series that is asked for them.

Times are asked for in UTC and read on the clock of the event's own zone. A body that comes as HTML is read as text. An
exception that says what the series says is none: Graph keeps it as one for good.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.calendar import Capabilities, Event, Override, Point, Status, When
from domain.calendar_form import RuleUnreadable
from integrations.calendar import graph_recurrence
from integrations.calendar.errors import unsupported_recurrence
from integrations.calendar.html_text import text_of
from integrations.calendar.occurrences import assembled
from integrations.calendar.protocol import Marker, Misunderstood, RemoteEvent
from integrations.calendar.zones import iana, same_clock, wall

Document = Mapping[str, Any]

MICROSOFT: Final = Capabilities(
    alarms=1,
    title_length=255,
    notes_length=8_000,
    location_length=255,
    statuses=frozenset({Status.CONFIRMED, Status.TENTATIVE}),
    push=True,
)

_NAMESPACE: Final = "String {6f5b0d2e-3c1a-4c7e-9a52-8f3d7b1e4a60} Name"
NAME: Final = f"{_NAMESPACE} PetfolioId"
"""The extended property by which a create is found again."""
MARKER: Final = f"{_NAMESPACE} PetfolioMarker"
"""The one that holds our marker, and the zone in our own words: Windows has one name for many zones."""
_NOBODY: Final = "-"
PROPERTIES: Final = "singleValueExtendedProperties"
EXCEPTIONS, CANCELLED = "exceptionOccurrences", "cancelledOccurrences"
FIELDS: Final = (
    *("id", "type", "seriesMasterId", "transactionId", "lastModifiedDateTime", "subject", "body", "location"),
    *("start", "end", "isAllDay", "originalStart", "originalStartTimeZone", "recurrence", "isCancelled", "showAs"),
    *("isReminderOn", "reminderMinutesBeforeStart", EXCEPTIONS, CANCELLED),
)
"""What is read of an event; the exceptions come only when they are named."""


def document(item: Document) -> str:
    """What `read` reads again."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def parsed(raw: str) -> Document:
    """The event of a document."""
    found: Document = json.loads(raw)
    return found


def attempt_of(raw: str) -> str | None:
    """Which attempt of a create has made it, until our marker is written again."""
    found = _json(_properties(parsed(raw)).get(MARKER.lower())).get("attempt")
    return found if isinstance(found, str) else None


def etag_of(item: Document) -> str | None:
    """Of this item alone."""
    found = item.get("@odata.etag")
    return found if isinstance(found, str) else None


def read(raw: str) -> RemoteEvent:
    """As the port says."""
    try:
        return _remote(json.loads(raw), raw)
    except RuleUnreadable:
        raise unsupported_recurrence() from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Misunderstood("An event is of no known shape.") from None


def new(name: UUID, marker: Marker, event: Event, attempt: str) -> dict[str, Any]:
    """The document of a create, without the exceptions of a series. Raises `EventRejected` for what cannot be said."""
    noted = _marked(marker, event.when.tzid, attempt=attempt)
    return {
        "transactionId": str(name),
        "subject": event.title,
        "body": _body(event.notes),
        "location": {"displayName": event.location},
        **_schedule(event.when),
        **_reminder(event.alarms),
        **({"showAs": "tentative"} if event.status is Status.TENTATIVE else {}),
        PROPERTIES: [{"id": NAME, "value": str(name)}, noted],
    }


def patch(known: RemoteEvent, event: Event, *, marker: bool) -> dict[str, Any]:
    """What makes this event of the known one, exceptions aside: what stayed is not sent, what is not ours stays as it
    is. Raises `EventRejected` for what cannot be said."""
    before = known.event
    body = _words(before, event)
    if event.when != before.when:
        body |= _schedule(event.when)
        if before.when.rrule and not event.when.rrule:
            body["recurrence"] = None
    if event.alarms != before.alarms:
        body |= _reminder(event.alarms)
    if event.status != before.status:
        body["showAs"] = "tentative" if event.status is Status.TENTATIVE else "busy"
    if not marker:
        body[PROPERTIES] = [{"id": NAME, "value": _NOBODY}, _marked(None, event.when.tzid)]
    elif event.when.tzid != before.when.tzid:
        body[PROPERTIES] = [_marked(known.marker, event.when.tzid)]
    return body


def occurrence(seen: Override, wanted: Override, tzid: str | None) -> dict[str, Any]:
    """What makes an occurrence what is wanted, of what is seen."""
    body = _words(seen, wanted)
    if (seen.start, seen.end) != (wanted.start, wanted.end):
        body |= {"start": _time(wanted.start, tzid), "end": _time(wanted.end, tzid)}
    return body


def exceptions(item: Document, when: When) -> dict[Point, Document]:
    """The exceptions of a series that take place, by original start."""
    return {original(each, when): each for each in item.get(EXCEPTIONS) or ()}


def override(item: Document, when: When) -> Override:
    """An exception on the clock of its series. Raises `EventRejected` where it is of the other kind of time."""
    if bool(item.get("isAllDay")) is not when.all_day:
        raise unsupported_recurrence()
    start, end = _point(item["start"], when.tzid), _point(item["end"], when.tzid)
    title, location = str(item.get("subject") or ""), str((item.get("location") or {}).get("displayName") or "")
    return Override(original(item, when), start, end, title, _notes(item), location)


def original(item: Document, when: When) -> Point:
    """Where the rule puts an occurrence. Of whole days Graph tells the instant on a clock that nobody knows."""
    if isinstance(when.start, datetime) and item.get("originalStart"):
        return wall(datetime.fromisoformat(item["originalStart"]), when.tzid or "UTC")
    if item.get("occurrenceId"):
        return _named(item["occurrenceId"], when)
    if item.get("originalStart"):
        return datetime.fromisoformat(item["originalStart"]).date()
    return _point(item["start"], when.tzid)  # an occurrence that nobody has changed


def _remote(item: Document, raw: str) -> RemoteEvent:
    ours = _properties(item)
    noted = _json(ours.get(MARKER.lower()))
    when = _when(item, noted.get("zone"))
    plain = Event(
        title=str(item.get("subject") or ""),
        when=when,
        notes=_notes(item),
        location=str((item.get("location") or {}).get("displayName") or ""),
        alarms=(int(item["reminderMinutesBeforeStart"]),) if item.get("isReminderOn") else (),
        status=Status.TENTATIVE if item.get("showAs") == "tentative" else Status.CONFIRMED,
    )
    left_out = [_named(each, when) for each in item.get(CANCELLED) or ()]
    overrides = [override(each, when) for each in item.get(EXCEPTIONS) or ()]
    changed = item.get("lastModifiedDateTime")
    return RemoteEvent(
        remote_id=str(item["id"]),
        etag=_etag(item),
        event=assembled(plain, left_out, overrides),
        updated_at=datetime.fromisoformat(changed) if changed else None,
        marker=_marker(noted),
        ident=_uuid(item.get("transactionId")),
        raw=raw,
    )


def _etag(item: Document) -> str:
    """One for the series and its exceptions."""
    others = {str(each["id"]): etag_of(each) for each in item.get(EXCEPTIONS) or ()}
    parts = [etag_of(item), others, sorted(item.get(CANCELLED) or ())]
    return json.dumps(parts, separators=(",", ":"), sort_keys=True)


def _when(item: Document, noted: str | None) -> When:
    said = item.get("recurrence")
    named = ((said or {}).get("range") or {}).get("recurrenceTimeZone") or item.get("originalStartTimeZone")
    if item.get("isAllDay"):
        start, end = (_day(item[name], iana(named)) for name in ("start", "end"))
        return When(start, end, None, graph_recurrence.rrule(said, start) if said else None)
    tzid = iana(named)
    if tzid is None:
        if said:
            raise unsupported_recurrence()  # on a clock that we do not have
        tzid = "UTC"
    tzid = _in_our_words(tzid, noted, int(item["start"]["dateTime"][:4]))
    begins = _point(item["start"], tzid)
    return When(begins, _point(item["end"], tzid), tzid, graph_recurrence.rrule(said, begins) if said else None)


def _in_our_words(tzid: str, noted: str | None, year: int) -> str:
    """The zone that we wrote, while what Graph says shows the same clock."""
    ours = iana(noted) if isinstance(noted, str) else None
    return ours if ours and ours != tzid and same_clock(ours, tzid, year) else tzid


def _point(time: Document, tzid: str | None) -> Point:
    if tzid is None:
        return _day(time, None)
    zone = ZoneInfo(iana(time.get("timeZone")) or "UTC")
    return wall(datetime.fromisoformat(time["dateTime"][:19]).replace(tzinfo=zone), tzid)


def _day(time: Document, tzid: str | None) -> date:
    """Whole days begin at midnight, as Graph writes them; elsewhere at one of the event's own zone."""
    at = datetime.fromisoformat(time["dateTime"][:19])
    if at.time() == datetime.min.time() or tzid is None:
        return at.date()
    return wall(at.replace(tzinfo=ZoneInfo(iana(time.get("timeZone")) or "UTC")), tzid).date()


def _named(occurrence_id: str, when: When) -> Point:
    """The occurrence of `OID.{series}.{day}`."""
    day = date.fromisoformat(occurrence_id.rpartition(".")[2])
    return datetime.combine(day, when.start.time()) if isinstance(when.start, datetime) else day


def _words(before: Event | Override, after: Event | Override) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if after.title != before.title:
        body["subject"] = after.title
    if after.notes != before.notes:
        body["body"] = _body(after.notes)
    if after.location != before.location:
        body["location"] = {"displayName": after.location}
    return body


def _body(notes: str) -> dict[str, str]:
    return {"contentType": "text", "content": notes}


def _notes(item: Document) -> str:
    body = item.get("body") or {}
    content = str(body.get("content") or "")
    return text_of(content) if str(body.get("contentType", "")).lower() == "html" else content


def _schedule(when: When) -> dict[str, Any]:
    times = {"start": _time(when.start, when.tzid), "end": _time(when.end, when.tzid), "isAllDay": when.all_day}
    return {**times, "recurrence": graph_recurrence.recurrence(when)} if when.rrule else times


def _time(point: Point, tzid: str | None) -> dict[str, str]:
    if isinstance(point, datetime):
        return {"dateTime": point.isoformat(timespec="seconds"), "timeZone": tzid or "UTC"}
    return {"dateTime": f"{point.isoformat()}T00:00:00", "timeZone": "UTC"}


def _reminder(alarms: Sequence[int]) -> dict[str, Any]:
    if not alarms:
        return {"isReminderOn": False}
    return {"isReminderOn": True, "reminderMinutesBeforeStart": alarms[0]}


def _marked(marker: Marker | None, tzid: str | None, **more: str) -> dict[str, str]:
    note: dict[str, Any] = more if tzid is None else {"zone": tzid, **more}
    if marker is not None:
        note |= {"id": str(marker.local_id), "part": marker.part, "generation": marker.generation}
    return {"id": MARKER, "value": json.dumps(note, separators=(",", ":"))}


def _properties(item: Document) -> dict[str, Any]:
    """By id, in lower case: Graph writes the id in its own way."""
    return {str(each["id"]).lower(): each.get("value") for each in item.get(PROPERTIES) or ()}


def _marker(note: Document) -> Marker | None:
    """What somebody else wrote under our name is no marker."""
    local_id = _uuid(note.get("id"))
    part, generation = note.get("part", ""), note.get("generation", 0)
    if local_id is None or not isinstance(part, str) or not isinstance(generation, int):
        return None
    return Marker(local_id, part, generation)


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _json(text: object) -> Document:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
