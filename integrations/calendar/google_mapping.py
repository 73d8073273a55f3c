"""Google's events and ours: a document is the event with the exceptions of its series, as Google gave them.

Google keeps an exception as an event of its own, with the id `{series}_{original start}`; an occurrence that does not
take place is an EXDATE of the series (how we write it) or a cancelled exception (how Google's own pages do).
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.calendar import Capabilities, Event, Override, Point, Status, When
from domain.calendar_form import RuleUnreadable
from domain.recurrence import resolve
from integrations.calendar.errors import unsupported_recurrence
from integrations.calendar.html_text import as_html, is_html, text_of
from integrations.calendar.occurrences import among, assembled
from integrations.calendar.protocol import Marker, Misunderstood, RemoteEvent
from integrations.calendar.zones import iana, wall

Document = Mapping[str, Any]

GOOGLE: Final = Capabilities(
    alarms=5,
    title_length=1_000,
    notes_length=8_000,
    location_length=1_000,
    statuses=frozenset({Status.CONFIRMED, Status.TENTATIVE}),
    push=True,
)
_EARLIEST_ALARM: Final = 40_320
"""Minutes. One of more than four weeks does not exist there."""
_NAME: Final = re.compile(r"[0-9a-v]{26}")
_LOCAL_ID, _PART, _GENERATION = "petfolioId", "petfolioPart", "petfolioGeneration"
"""Google drops keys of more than 44 characters and cuts values at 1,024, both without a word."""
_LINE: Final = re.compile(r"(RRULE|EXDATE)((?:;[^:;]+)*):(.+)", re.IGNORECASE)


def event_id(name: UUID) -> str:
    """The id under which a create with this name is made: base32hex, which is Google's alphabet."""
    return base64.b32hexencode(name.bytes).decode().rstrip("=").lower()


def name_of(identifier: str) -> UUID | None:
    """The name that an id was made of; None for ids of other origin."""
    if not _NAME.fullmatch(identifier):
        return None
    try:
        found = UUID(bytes=base64.b32hexdecode(f"{identifier.upper()}======"))
    except binascii.Error:
        return None
    return found if event_id(found) == identifier else None


def instance_id(series_id: str, original: Point, tzid: str | None) -> str:
    """The id of an occurrence."""
    if not isinstance(original, datetime):
        return f"{series_id}_{original:%Y%m%d}"
    return f"{series_id}_{resolve(original, tzid or 'UTC'):%Y%m%dT%H%M%SZ}"


def document(event: Document, exceptions: Iterable[Document] = ()) -> str:
    """What `read` reads again."""
    ordered = sorted(exceptions, key=lambda each: str(each["id"]))
    return json.dumps({"event": event, "exceptions": ordered}, ensure_ascii=False, separators=(",", ":"))


def parts(raw: str) -> tuple[Document, Sequence[Document]]:
    """The event and the exceptions of a document."""
    found = json.loads(raw)
    return found["event"], found["exceptions"]


def read(raw: str) -> RemoteEvent:
    """As the port says."""
    try:
        return _remote(*parts(raw), raw)
    except RuleUnreadable:
        raise unsupported_recurrence() from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Misunderstood("An event is of no known shape.") from None


def new(name: UUID, marker: Marker, event: Event) -> dict[str, Any]:
    """The document of an insert."""
    return {
        "id": event_id(name),
        "status": str(event.status),
        "summary": event.title,
        "description": as_html(event.notes),
        "location": event.location,
        **_schedule(event.when, event.exdates),
        "reminders": _reminders(event.alarms, {}),
        "extendedProperties": {"private": _properties(marker)},
    }


def patch(known: RemoteEvent, event: Event) -> dict[str, Any]:
    """What makes this event of the known one: what stayed is not sent, what is not ours stays as it is."""
    old, exceptions = parts(known.raw)
    before = known.event
    body: dict[str, Any] = {}
    if event.title != before.title:
        body["summary"] = event.title
    if event.notes != before.notes:
        body["description"] = as_html(event.notes)
    if event.location != before.location:
        body["location"] = event.location
    if event.status != before.status:
        body["status"] = str(event.status)
    if event.alarms != before.alarms:
        body["reminders"] = _reminders(event.alarms, old.get("reminders", {}))
    if event.when != before.when:
        body |= _rescheduled(event.when, event.exdates, old)
    elif event.exdates != before.exdates:
        apart = {original(each, before.when.tzid) for each in exceptions}  # these are cancelled one by one
        lines = _lines(event.when, [each for each in event.exdates if each not in apart])
        if lines != _lines(before.when, [each for each in before.exdates if each not in apart]):
            body["recurrence"] = lines
    return body


def without_marker() -> dict[str, Any]:
    """The part of a patch that takes our marker off."""
    return {"extendedProperties": {"private": dict.fromkeys((_LOCAL_ID, _PART, _GENERATION))}}


def occurrence(override: Override, tzid: str | None) -> dict[str, Any]:
    """The document that makes an occurrence what the override says, whatever it was."""
    return {
        "status": str(Status.CONFIRMED),
        "summary": override.title,
        "description": as_html(override.notes),
        "location": override.location,
        "start": _time(override.start, tzid),
        "end": _time(override.end, tzid),
    }


def is_cancelled(item: Document) -> bool:
    """An event that was deleted; of a series, an occurrence that does not take place."""
    return item.get("status") == "cancelled"


def original(exception: Document, tzid: str | None) -> Point:
    """Where the rule puts the occurrence, on the clock of the series."""
    return _point(exception["originalStartTime"], tzid)


def override(item: Document, when: When) -> Override:
    """An exception on the clock of its series. Raises `EventRejected` where it is of the other kind of time."""
    start, end = _point(item["start"], when.tzid), _point(item["end"], when.tzid)
    if isinstance(start, datetime) is when.all_day:
        raise unsupported_recurrence()  # a whole day among times, or a time among whole days
    title, location = str(item.get("summary", "")), str(item.get("location", ""))
    return Override(original(item, when.tzid), start, end, title, _notes(item), location)


def _remote(item: Document, exceptions: Sequence[Document], raw: str) -> RemoteEvent:
    when, left_out = _when(item)
    plain = Event(
        title=str(item.get("summary", "")),
        when=when,
        notes=_notes(item),
        location=str(item.get("location", "")),
        alarms=_alarms(item.get("reminders", {})),
        status=Status.TENTATIVE if item.get("status") == "tentative" else Status.CONFIRMED,
    )
    cancelled = among([original(each, when.tzid) for each in exceptions if is_cancelled(each)], when)
    overrides = [override(each, when) for each in exceptions if not is_cancelled(each)]
    return RemoteEvent(
        remote_id=str(item["id"]),
        etag=_etag(item, exceptions),
        event=assembled(plain, (*left_out, *cancelled), overrides),
        updated_at=datetime.fromisoformat(item["updated"]) if "updated" in item else None,
        marker=_marker(item.get("extendedProperties", {}).get("private", {})),
        ident=name_of(str(item["id"])),
        raw=raw,
    )


def _etag(item: Document, exceptions: Iterable[Document]) -> str:
    """One for the series and its exceptions."""
    others = {str(each["id"]): each.get("etag") for each in exceptions}
    return json.dumps([item.get("etag"), others], separators=(",", ":"), sort_keys=True)


def _when(item: Document) -> tuple[When, list[Point]]:
    """The schedule, and the occurrences that its own lines leave out."""
    start, lines = item["start"], item.get("recurrence", ())
    tzid = None if "date" in start else iana(start.get("timeZone"))
    if tzid is None and "date" not in start:
        if lines:
            raise unsupported_recurrence()  # on a clock that we do not have
        tzid = "UTC"
    first, rules, left_out = _point(start, tzid), [], []
    for line in lines:
        found = _LINE.fullmatch(str(line).strip())
        if found is None:
            raise unsupported_recurrence()  # RDATE, EXRULE
        if found[1].upper() == "RRULE":
            rules.append(found[3])
        else:
            left_out += [_listed(each, found[2], first, tzid) for each in found[3].split(",")]
    if len(rules) > 1 or (lines and not rules):
        raise unsupported_recurrence()
    return When(first, _point(item["end"], tzid), tzid, rules[0] if rules else None), left_out


def _listed(text: str, parameters: str, start: Point, tzid: str | None) -> Point:
    """A value of an EXDATE. On the clock of the series unless it says otherwise; a date among times is a whole day."""
    day = datetime.strptime(text[:8], "%Y%m%d")  # noqa: DTZ007 - wall times, here and below
    if not isinstance(start, datetime) or tzid is None:
        return day.date()
    if "T" not in text:
        return datetime.combine(day, start.time())
    moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    named = re.search(r"TZID=\"?([^;:\"]+)", parameters, re.IGNORECASE)
    zone = "UTC" if text.endswith("Z") else (iana(named[1]) if named else None) or tzid
    return wall(moment.replace(tzinfo=ZoneInfo(zone)), tzid)


def _point(time: Document, tzid: str | None) -> Point:
    if "date" in time:
        return date.fromisoformat(time["date"])
    moment = datetime.fromisoformat(time["dateTime"])
    if moment.tzinfo is None:
        moment = resolve(moment, iana(time.get("timeZone")) or "UTC")
    return wall(moment, tzid) if tzid else moment.astimezone(UTC).date()


def _time(point: Point, tzid: str | None) -> dict[str, Any]:
    if isinstance(point, datetime):
        return {"dateTime": point.isoformat(timespec="seconds"), "timeZone": tzid}
    return {"date": point.isoformat()}


def _schedule(when: When, exdates: Iterable[Point]) -> dict[str, Any]:
    times = {"start": _time(when.start, when.tzid), "end": _time(when.end, when.tzid)}
    return {**times, "recurrence": _lines(when, exdates)} if when.rrule else times


def _rescheduled(when: When, exdates: Iterable[Point], old: Document) -> dict[str, Any]:
    """A patch merges times: what the other kind of time has must be taken away."""
    body = _schedule(when, exdates)
    for name in ("start", "end"):
        body[name] = dict.fromkeys(set(old.get(name, {})) - set(body[name])) | body[name]
    return body if when.rrule or "recurrence" not in old else {**body, "recurrence": None}


def _lines(when: When, exdates: Iterable[Point]) -> list[str]:
    return [f"RRULE:{when.rrule}", *(_exdate(each, when.tzid) for each in exdates)]


def _exdate(point: Point, tzid: str | None) -> str:
    if isinstance(point, datetime):
        return f"EXDATE;TZID={tzid}:{point:%Y%m%dT%H%M%S}"
    return f"EXDATE;VALUE=DATE:{point:%Y%m%d}"


def _notes(item: Document) -> str:
    said = str(item.get("description", ""))
    return text_of(said, preformatted=True) if is_html(said) else said


def _alarms(reminders: Document) -> tuple[int, ...]:
    return tuple(sorted({int(each["minutes"]) for each in reminders.get("overrides", ())}))


def _reminders(alarms: Sequence[int], old: Document) -> dict[str, Any]:
    """Those that are mails stay mails."""
    kept = [each for each in old.get("overrides", ()) if each["minutes"] in alarms]
    fresh = [each for each in alarms if each not in {one["minutes"] for one in kept} and 0 <= each <= _EARLIEST_ALARM]
    wanted = [*kept, *({"method": "popup", "minutes": each} for each in fresh)]
    return {"useDefault": False, "overrides": wanted[: GOOGLE.alarms]}


def _properties(marker: Marker) -> dict[str, str]:
    return {_LOCAL_ID: str(marker.local_id), _PART: marker.part, _GENERATION: str(marker.generation)}


def _marker(private: Document) -> Marker | None:
    """What somebody else wrote under our keys is no marker."""
    try:
        return Marker(UUID(private[_LOCAL_ID]), str(private.get(_PART, "")), int(private.get(_GENERATION, 0)))
    except (KeyError, ValueError):
        return None
