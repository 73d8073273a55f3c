"""An event as Google has it: what is refused, what is dropped silently, how a change is merged, how it is shown.

A stored body keeps `start`, `end` and `originalStartTime` as wall times with the offset of their own zone; they are
shown with the offset of the calendar's zone, beside the name of their own.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from infra.local.emulators.calendar.errors import google
from infra.local.emulators.calendar.series import Series, midnight, zone_of
from infra.local.emulators.calendar.store import Calendar, Document, Row

_ID: Final = re.compile(r"[a-v0-9]{5,1024}")
_TIMES: Final = ("start", "end", "originalStartTime")
_FIXED: Final = ("id", "iCalUID", "created", "recurringEventId", "originalStartTime", "etag", "kind", "htmlLink")
_SERVERS: Final = ("etag", "kind", "htmlLink", "updated", "creator", "organizer")
_MOST_KEY, _MOST_VALUE, _MOST_PROPERTIES = 44, 1_024, 300
_MOST_REMINDERS, _MOST_MINUTES = 5, 40_320


def fresh_id() -> str:
    """One that nobody chose."""
    return secrets.token_hex(13)


def check_id(event_id: str) -> None:
    """Raises the refusal of an id with other characters than base32hex has."""
    if not _ID.fullmatch(event_id):
        raise google(400, "invalid", "Invalid resource id value.")


def normal(body: Document, calendar: Calendar) -> Document:
    """The document as it is stored. Raises the refusal of what cannot be an event."""
    kept = {name: value for name, value in body.items() if name not in _SERVERS and value is not None}
    if "start" not in kept:
        raise google(400, "required", "Missing start time.")
    if "end" not in kept:
        raise google(400, "required", "Missing end time.")
    for name in _TIMES:
        if name in kept:
            kept[name] = _time(kept[name], calendar, recurring=bool(kept.get("recurrence")))
    if point(kept["end"]) < point(kept["start"]) or ("date" in kept["start"]) != ("date" in kept["end"]):
        raise google(400, "timeRangeEmpty", "The specified time range is empty.", "calendar")
    if "recurrence" in kept and not kept["recurrence"]:
        del kept["recurrence"]
    _check_recurrence(kept)
    kept["reminders"] = _reminders(kept.get("reminders", {"useDefault": True}))
    if "extendedProperties" in kept:
        kept["extendedProperties"] = _properties(kept["extendedProperties"])
    return {"status": "confirmed", "eventType": "default", **kept}


def patched(old: Document, change: Mapping[str, Any]) -> Document:
    """PATCH: objects are merged, null removes, everything else replaces."""
    merged = dict(old)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict) and name not in _TIMES:
            merged[name] = patched(merged[name], value)
        elif name in _TIMES and isinstance(merged.get(name), dict):
            merged[name] = _patched_time(merged[name], value)
        else:
            merged[name] = value
    return merged | {name: old[name] for name in _FIXED if name in old}


def replaced(old: Document, body: Mapping[str, Any]) -> Document:
    """PUT: what is not there is gone, except what nobody can change."""
    return {**body, **{name: old[name] for name in _FIXED if name in old}}


def without_reminders(body: Document) -> Document:
    """What `updated` is about."""
    return {name: value for name, value in body.items() if name not in ("reminders", "updated", "sequence")}


def series_of(body: Document) -> Series:
    """The recurrence of a master."""
    start = body["start"]
    if "date" in start:
        return Series(midnight(date.fromisoformat(start["date"])), None, tuple(body["recurrence"]))
    wall = datetime.fromisoformat(start["dateTime"]).replace(tzinfo=None)
    return Series(wall, zone_of(start["timeZone"]), tuple(body["recurrence"]))


def occurrence(master: Document, wall: datetime) -> Document:
    """The document of an occurrence that nobody has changed."""
    series = series_of(master)
    length = point(master["end"]) - point(master["start"])
    start = _written(wall, master["start"], series)
    end = _shifted(start, length, master["end"])
    kept = {name: value for name, value in master.items() if name != "recurrence"}
    name = f"{master['id']}_{series.name(wall)}"
    return {
        **kept,
        "id": name,
        "recurringEventId": master["id"],
        "originalStartTime": start,
        "start": start,
        "end": end,
    }


def shown(row: Row, zone: str) -> Document:
    """As an answer has it; of a tombstone and of a cancelled exception only what is guaranteed."""
    body, etag = row.body, quoted(row.etag)
    if not row.alive or body.get("status") == "cancelled":
        names = ("id", "recurringEventId", "originalStartTime")
        short = {name: body[name] for name in names if name in body}
        return _in_zone({"kind": "calendar#event", "etag": etag, **short, "status": "cancelled"}, zone)
    return _in_zone({"kind": "calendar#event", "etag": etag, **body}, zone)


def whole_tombstone(row: Row, zone: str) -> Document:
    """What GET says of a deleted event: all that was in it."""
    return _in_zone({"kind": "calendar#event", "etag": quoted(row.etag), **row.body, "status": "cancelled"}, zone)


def quoted(etag: int) -> str:
    """An entity tag as Google writes it."""
    return f'"{etag:013d}000"'


def point(time: Mapping[str, str]) -> datetime:
    """The instant of a stored time; whole days begin at midnight UTC."""
    if "date" in time:
        return midnight(date.fromisoformat(time["date"])).replace(tzinfo=UTC)
    return datetime.fromisoformat(time["dateTime"]).astimezone(UTC)


def _time(value: Any, calendar: Calendar, *, recurring: bool) -> dict[str, str]:
    try:
        if value.get("date"):
            return {"date": date.fromisoformat(value["date"]).isoformat()}
        moment, name = datetime.fromisoformat(value["dateTime"]), value.get("timeZone")
        if recurring and not name:
            raise google(400, "required", "Missing time zone definition for start time.")
        if moment.tzinfo is None and not name:
            raise google(400, "required", "Missing time zone definition for start time.")
        zone = zone_of(name or calendar.zone)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise google(400, "invalid", "Invalid value for: Invalid format") from None
    aware = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    return {"dateTime": aware.isoformat(timespec="seconds"), "timeZone": name or calendar.zone}


def _patched_time(old: Mapping[str, str], change: Mapping[str, str]) -> dict[str, str | None]:
    """A patch from a time to a whole day, or back, replaces the other kind."""
    other = {"date": ("dateTime", "timeZone"), "dateTime": ("date",)}
    gone = {name for given, names in other.items() if change.get(given) for name in names}
    return {name: value for name, value in {**old, **change}.items() if value is not None and (name not in gone)}


def _check_recurrence(body: Document) -> None:
    lines = body.get("recurrence")
    if lines is None:
        return
    if any(str(line).upper().startswith(("DTSTART", "DTEND")) for line in lines):
        raise google(400, "invalid", "Invalid recurrence rule.")
    try:
        series_of(body).check()
    except (ValueError, TypeError, AttributeError):
        raise google(400, "invalid", "Invalid recurrence rule.") from None


def _reminders(given: Any) -> Document:
    overrides = given.get("overrides") or []
    if given.get("useDefault") and overrides:
        text = "Cannot specify both default reminders and overrides at the same time."
        raise google(400, "cannotUseDefaultRemindersAndSpecifyOverride", text, "calendar")
    fits = all(
        each.get("method") in ("email", "popup") and 0 <= int(each.get("minutes", -1)) <= _MOST_MINUTES
        for each in overrides
    )
    if len(overrides) > _MOST_REMINDERS or not fits:
        raise google(400, "invalid", "Invalid reminders.")
    return {"useDefault": bool(given.get("useDefault")), **({"overrides": overrides} if overrides else {})}


def _properties(given: Any) -> Document:
    """Too long a key is dropped, too long a value cut, both without a word."""
    found: Document = {}
    for kind in ("private", "shared"):
        pairs = given.get(kind) or {}
        if len(pairs) > _MOST_PROPERTIES:
            raise google(400, "invalid", "Too many extended properties.")
        kept = {key: str(value)[:_MOST_VALUE] for key, value in pairs.items() if len(key) <= _MOST_KEY}
        if kept:
            found[kind] = kept
    return found


def _written(wall: datetime, like: Mapping[str, str], series: Series) -> dict[str, str]:
    if series.zone is None:
        return {"date": wall.date().isoformat()}
    aware = wall.replace(tzinfo=series.zone)
    return {"dateTime": aware.isoformat(timespec="seconds"), "timeZone": like["timeZone"]}


def _shifted(start: Mapping[str, str], length: timedelta, like: Mapping[str, str]) -> dict[str, str]:
    moment = point(start) + length
    if "date" in start:
        return {"date": moment.date().isoformat()}
    aware = moment.astimezone(zone_of(like["timeZone"]))
    return {"dateTime": aware.isoformat(timespec="seconds"), "timeZone": like["timeZone"]}


def _in_zone(body: Document, zone: str) -> Document:
    clock = zone_of(zone)
    return body | {name: _on(clock, body[name]) for name in _TIMES if name in body}


def _on(clock: ZoneInfo, time: Mapping[str, str]) -> dict[str, str]:
    if "date" in time:
        return dict(time)
    moment = datetime.fromisoformat(time["dateTime"]).astimezone(clock)
    return {**time, "dateTime": moment.isoformat(timespec="seconds").replace("+00:00", "Z")}
