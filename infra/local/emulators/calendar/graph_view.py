"""How Graph shows an event to a caller: ids by preference, `$select`, `$expand`, and nothing of the rest unasked."""

import re
from typing import Final

from infra.local.emulators.calendar.call import Call
from infra.local.emulators.calendar.errors import graph
from infra.local.emulators.calendar.graph_documents import EXTENDED, shown
from infra.local.emulators.calendar.graph_events import Found, GraphEvents, mutable_id
from infra.local.emulators.calendar.store import Calendar, Document

_EXPAND: Final = re.compile(rf"{EXTENDED}\s*\(\s*\$filter\s*=\s*(.+)\)", re.IGNORECASE)
_BY_ID: Final = re.compile(r"id\s+eq\s+'([^']+)'", re.IGNORECASE)
_PARTS: Final = re.compile(r",(?![^(]*\))")


class View:
    """See the module."""

    def __init__(self, events: GraphEvents) -> None:
        self._events = events

    def id_of(self, call: Call, calendar: Calendar, event_id: str) -> str:
        """The id that stays where the caller prefers it, else the one that goes with the calendar."""
        return event_id if call.prefers("IdType") == "ImmutableId" else mutable_id(calendar, event_id)

    def item(self, call: Call, found: Found) -> Document:
        """All of it, as lists and deltas show it."""
        change_key = f"DwAAABYAAAB{found.etag:013d}AAA="
        about: Document = {
            "@odata.etag": f'W/"{change_key}"',
            "id": self.id_of(call, found.calendar, found.row.event_id),
            "changeKey": change_key,
            "type": found.kind,
            "seriesMasterId": None,
            "isCancelled": False,
            "isOrganizer": True,
            "organizer": {"emailAddress": {"name": found.calendar.account, "address": found.calendar.account}},
        }
        if found.master is not None:
            about["seriesMasterId"] = self.id_of(call, found.calendar, found.master.event_id)
        return {**about, "recurrence": None, **shown(found.body, call)}

    def one(self, call: Call, found: Found) -> Document:
        """As GET and writes show it: with what `$expand` asks for, only what `$select` names."""
        whole = self.item(call, found)
        selected = [name.strip() for name in call.request.args.get("$select", "").split(",") if name.strip()]
        expanded = self._expanded(call, found)
        if "cancelledOccurrences" in selected and found.kind == "seriesMaster":
            whole["cancelledOccurrences"] = self._events.exceptions(found.calendar, found.row)[1]
        if selected:
            kept = {"@odata.etag", "id", *selected}
            whole = {name: value for name, value in whole.items() if name in kept}
        return whole | expanded

    def _expanded(self, call: Call, found: Found) -> Document:
        more: Document = {}
        for part in _PARTS.split(call.request.args.get("$expand", "")):
            if asked := _EXPAND.fullmatch(part.strip()):
                names = {name.lower() for name in _BY_ID.findall(asked[1])}
                kept = [each for each in found.body.get(EXTENDED, []) if each["id"].lower() in names]
                more |= {EXTENDED: kept} if kept else {}
            elif part.strip().partition("(")[0] == "exceptionOccurrences":
                changed = self._events.exceptions(found.calendar, found.row)[0] if found.kind == "seriesMaster" else []
                more["exceptionOccurrences"] = [self.item(call, each) for each in changed]
            elif part.strip():
                raise graph(400, "ErrorInvalidUrlQuery", "Parsing OData Select and Expand failed.")
        return more
