"""What people do in the calendars' own pages, at each vendor: the same verbs, under the vendor's own rules.

`body` is the vendor's JSON. An occurrence is named by its original start: `20260301T080000Z`, or `20260301`.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Protocol

from infra.local.emulators.calendar import google_documents, graph_recurrence
from infra.local.emulators.calendar.google_events import GoogleEvents
from infra.local.emulators.calendar.graph_documents import timed
from infra.local.emulators.calendar.graph_events import Found, GraphEvents, immutable_id
from infra.local.emulators.calendar.series import shortened
from infra.local.emulators.calendar.store import Calendar, Document

_GOOGLE_OWN = ("id", "iCalUID", "created", "updated", "etag", "sequence", "creator", "organizer")
_GRAPH_OWN = ("transactionId", "iCalUId", "createdDateTime", "lastModifiedDateTime")


class Hand(Protocol):
    """The verbs. Each answers the id of the event that it made or changed; refusals are the vendor's."""

    def plain(self, fields: Mapping[str, Any]) -> Document:
        """The vendor's JSON of a title, notes, a location, times and how it repeats."""

    def create(self, calendar: Calendar, body: Document) -> str:
        """A new event."""

    def edit(self, calendar: Calendar, event: str, occurrence: str | None, body: Document) -> str:
        """A change of an event, or of one occurrence."""

    def delete(self, calendar: Calendar, event: str, occurrence: str | None) -> str:
        """Without an event, or without one occurrence."""

    def move(self, calendar: Calendar, event: str, to: Calendar) -> str:
        """Into another calendar."""

    def copy(self, calendar: Calendar, event: str, to: Calendar) -> str:
        """The same once more, with everything that applications have left on it."""

    def split(self, calendar: Calendar, event: str, occurrence: str, body: Document) -> str:
        """This and all following occurrences become a series of their own."""


class GoogleHand(Hand):
    """Google Calendar's pages."""

    def __init__(self, events: GoogleEvents) -> None:
        self._events = events

    def plain(self, fields: Mapping[str, Any]) -> Document:
        names = {"title": "summary", "notes": "description", "location": "location"}
        body: Document = {name: fields[key] for key, name in names.items() if key in fields}
        for which in ("start", "end"):
            if which in fields and fields.get("all_day"):
                body[which] = {"date": fields[which][:10], "dateTime": None, "timeZone": None}
            elif which in fields:
                zone = fields.get("zone") or "UTC"
                body[which] = {"dateTime": _seconds(fields[which]), "timeZone": zone, "date": None}
        if fields.get("repeats"):
            body["recurrence"] = [f"RRULE:FREQ={fields['repeats'].upper()}"]
        return body

    def create(self, calendar: Calendar, body: Document) -> str:
        return self._events.insert(calendar, body).event_id

    def edit(self, calendar: Calendar, event: str, occurrence: str | None, body: Document) -> str:
        row = self._events.find(calendar, _instance(event, occurrence))
        return self._events.patch(calendar, row, body).event_id

    def delete(self, calendar: Calendar, event: str, occurrence: str | None) -> str:
        row = self._events.find(calendar, _instance(event, occurrence))
        return self._events.delete(calendar, row).event_id

    def move(self, calendar: Calendar, event: str, to: Calendar) -> str:
        return self._events.move(calendar, self._events.find(calendar, event), to).event_id

    def copy(self, calendar: Calendar, event: str, to: Calendar) -> str:
        body = self._events.find(calendar, event).body
        return self.create(to, {name: value for name, value in body.items() if name not in _GOOGLE_OWN})

    def split(self, calendar: Calendar, event: str, occurrence: str, body: Document) -> str:
        master, first = self._events.find(calendar, event), self._events.find(calendar, _instance(event, occurrence))
        series = google_documents.series_of(master.body)
        wall = series.at(occurrence)
        if wall is None:
            raise KeyError(occurrence)
        rest = {name: value for name, value in master.body.items() if name not in _GOOGLE_OWN}
        rest |= {name: first.body[name] for name in ("start", "end")} | body
        lines = list(shortened(series.lines, series, wall))
        self._events.patch(calendar, master, {"recurrence": lines})
        return self.create(calendar, rest)


class GraphHand(Hand):
    """Outlook."""

    def __init__(self, events: GraphEvents) -> None:
        self._events = events

    def plain(self, fields: Mapping[str, Any]) -> Document:
        body: Document = {}
        if "title" in fields:
            body["subject"] = fields["title"]
        if "notes" in fields:
            body["body"] = {"contentType": "text", "content": fields["notes"]}
        if "location" in fields:
            body["location"] = {"displayName": fields["location"]}
        for which in ("start", "end"):
            if which in fields:
                text = f"{fields[which][:10]}T00:00:00" if fields.get("all_day") else _seconds(fields[which])
                body[which] = {"dateTime": text, "timeZone": fields.get("zone") or "UTC"}
        if "all_day" in fields:
            body["isAllDay"] = bool(fields["all_day"])
        if fields.get("repeats"):
            body["recurrence"] = _repeated(fields["repeats"], date.fromisoformat(fields["start"][:10]))
        return body

    def create(self, calendar: Calendar, body: Document) -> str:
        return self._events.insert(calendar, body)[0].row.event_id

    def edit(self, calendar: Calendar, event: str, occurrence: str | None, body: Document) -> str:
        return self._events.patch(self._find(calendar, event, occurrence), body).row.event_id

    def delete(self, calendar: Calendar, event: str, occurrence: str | None) -> str:
        found = self._find(calendar, event, occurrence)
        self._events.delete(found)
        return found.row.event_id

    def move(self, calendar: Calendar, event: str, to: Calendar) -> str:
        return self._events.move(self._find(calendar, event, None), to).row.event_id

    def copy(self, calendar: Calendar, event: str, to: Calendar) -> str:
        body = self._find(calendar, event, None).row.body
        return self.create(to, {name: value for name, value in body.items() if name not in _GRAPH_OWN})

    def split(self, calendar: Calendar, event: str, occurrence: str, body: Document) -> str:
        master, first = self._find(calendar, event, None), self._find(calendar, event, occurrence)
        if first.wall is None:
            raise KeyError(occurrence)
        day, whole = first.wall.date(), master.row.body
        rest = {name: value for name, value in whole.items() if name not in _GRAPH_OWN}
        rest |= {**timed(first.wall, whole), "recurrence": graph_recurrence.begun(whole["recurrence"], day), **body}
        self._events.patch(master, {"recurrence": graph_recurrence.ended(whole["recurrence"], day)})
        return self.create(calendar, rest)

    def _find(self, calendar: Calendar, event: str, occurrence: str | None) -> Found:
        immutable = immutable_id(calendar, event) or event
        return self._events.find([calendar], f"{immutable}~{occurrence}" if occurrence else immutable)


def _seconds(text: str) -> str:
    """Browsers leave them out."""
    return datetime.fromisoformat(text).isoformat(timespec="seconds")


def _instance(event: str, occurrence: str | None) -> str:
    return f"{event}_{occurrence}" if occurrence else event


def _repeated(how: str, start: date) -> Document:
    day = start.strftime("%A").lower()
    patterns: dict[str, Document] = {
        "daily": {"type": "daily"},
        "weekly": {"type": "weekly", "daysOfWeek": [day], "firstDayOfWeek": "monday"},
        "monthly": {"type": "absoluteMonthly", "dayOfMonth": start.day},
        "yearly": {"type": "absoluteYearly", "dayOfMonth": start.day, "month": start.month},
    }
    pattern = {"interval": 1, **patterns[how]}
    return {"pattern": pattern, "range": {"type": "noEnd", "startDate": start.isoformat()}}
