"""Google Calendar v3: its paths, scopes and conditions."""

import secrets
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from infra.local.emulators.calendar import discovery
from infra.local.emulators.calendar.call import Call, World, matches
from infra.local.emulators.calendar.discovery import SCOPES
from infra.local.emulators.calendar.errors import answer, google
from infra.local.emulators.calendar.google_channels import GoogleChannels
from infra.local.emulators.calendar.google_documents import point, quoted, shown, whole_tombstone
from infra.local.emulators.calendar.google_events import NOT_FOUND, GoogleEvents
from infra.local.emulators.calendar.google_list import GoogleList
from infra.local.emulators.calendar.store import Calendar, Document, Row

Endpoint = Callable[..., Response]
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
_ROOT: Final = "/calendar/v3"
_APP_CREATED: Final = f"{SCOPES}calendar.app.created"


class Google:
    """The API. Each endpoint runs in one transaction."""

    def __init__(self, world: World) -> None:
        self._world, self._store = world, world.store
        self.events = GoogleEvents(world.store, world.clock)
        self._lists = GoogleList(world.store, world.clock, world.knobs)
        self.channels = GoogleChannels(world)

    def rules(self) -> Iterable[Rule]:
        """The paths, each with the id by which the discovery document knows it."""
        event = f"{_ROOT}/calendars/<calendar_id>/events/<event_id>"
        listed = f"{_ROOT}/calendars/<calendar_id>/events"
        return (
            self._rule("GET", f"{_ROOT}/users/me/calendarList", "calendarList.list", self.list_calendars),
            self._rule("GET", f"{_ROOT}/users/me/calendarList/<calendar_id>", "calendarList.get", self.list_entry),
            self._rule("POST", f"{_ROOT}/calendars", "calendars.insert", self.insert_calendar),
            self._rule("GET", f"{_ROOT}/calendars/<calendar_id>", "calendars.get", self.get_calendar),
            self._rule("DELETE", f"{_ROOT}/calendars/<calendar_id>", "calendars.delete", self.delete_calendar),
            self._rule("GET", listed, "events.list", self.list_events),
            self._rule("POST", listed, "events.insert", self.insert_event),
            self._rule("POST", f"{listed}/watch", "events.watch", self.watch),
            self._rule("GET", event, "events.get", self.get_event),
            self._rule("PATCH", event, "events.patch", self.patch_event),
            self._rule("PUT", event, "events.update", self.put_event),
            self._rule("DELETE", event, "events.delete", self.delete_event),
            self._rule("POST", f"{event}/move", "events.move", self.move_event),
            self._rule("GET", f"{event}/instances", "events.instances", self.instances),
            self._rule("POST", f"{_ROOT}/channels/stop", "channels.stop", self.stop_channel),
        )

    def list_calendars(self, call: Call) -> Response:
        """calendarList.list; one page holds them all."""
        self._world.primary("google", call.account)
        entries = [_entry(each) for each in self._store.calendars("google", call.account)]
        return answer({"kind": "calendar#calendarList", "etag": quoted(self._store.now()), "items": entries})

    def list_entry(self, call: Call, calendar_id: str) -> Response:
        """calendarList.get."""
        return answer(_entry(self._calendar(call, calendar_id)))

    def insert_calendar(self, call: Call) -> Response:
        """calendars.insert: a secondary calendar of the application's."""
        title = call.body.get("summary")
        if not title:
            raise google(400, "required", "Missing title.")
        made = f"c_{secrets.token_hex(32)}@group.calendar.google.com"
        zone = call.body.get("timeZone") or "UTC"
        return answer(
            _about(self._store.add_calendar("google", call.account, made, title, zone, is_primary=False, app=True))
        )

    def get_calendar(self, call: Call, calendar_id: str) -> Response:
        """calendars.get; the id of `primary` is the account's address."""
        return answer(_about(self._calendar(call, calendar_id)))

    def delete_calendar(self, call: Call, calendar_id: str) -> Response:
        """calendars.delete."""
        calendar = self._writable(call, calendar_id)
        if calendar.is_primary:
            raise google(400, "cannotDeletePrimaryCalendar", "Cannot delete a primary calendar.", "calendar")
        self._store.drop_calendar(calendar)
        return Response(status=204)

    def list_events(self, call: Call, calendar_id: str) -> Response:
        """events.list."""
        return answer(self._lists.page(self._writable(call, calendar_id), call.request.args))

    def insert_event(self, call: Call, calendar_id: str) -> Response:
        """events.insert."""
        calendar = self._writable(call, calendar_id)
        self._reject(call, calendar, call.body.get("id"))
        return self._answer(call, calendar, self.events.insert(calendar, self._body(call, calendar)))

    def get_event(self, call: Call, calendar_id: str, event_id: str) -> Response:
        """events.get; a deleted event is still told, as cancelled."""
        calendar, row = self._found(call, calendar_id, event_id)
        if row.seq and self._world.knobs.takes("etag_on_get", calendar.calendar_id, event_id):
            row = self._store.retag(calendar, row)
        if (given := call.request.headers.getlist("If-None-Match")) and matches(quoted(row.etag), given):
            return Response(status=304)
        if row.alive:
            return self._answer(call, calendar, row)
        return answer(whole_tombstone(row, calendar.zone))

    def patch_event(self, call: Call, calendar_id: str, event_id: str) -> Response:
        """events.patch."""
        calendar, row = self._matching(call, calendar_id, event_id)
        return self._answer(call, calendar, self.events.patch(calendar, row, self._body(call, calendar)))

    def put_event(self, call: Call, calendar_id: str, event_id: str) -> Response:
        """events.update."""
        calendar, row = self._matching(call, calendar_id, event_id)
        return self._answer(call, calendar, self.events.put(calendar, row, self._body(call, calendar)))

    def delete_event(self, call: Call, calendar_id: str, event_id: str) -> Response:
        """events.delete."""
        calendar, row = self._found(call, calendar_id, event_id)
        if row.alive:
            self._check_condition(call, row)
        self.events.delete(calendar, row)
        return Response(status=204)

    def move_event(self, call: Call, calendar_id: str, event_id: str) -> Response:
        """events.move."""
        calendar, row = self._found(call, calendar_id, event_id)
        to = self._writable(call, call.request.args.get("destination", ""))
        return self._answer(call, to, self.events.move(calendar, row, to))

    def instances(self, call: Call, calendar_id: str, event_id: str) -> Response:
        """events.instances, on one page, which holds 2,500 at most."""
        calendar, master = self._found(call, calendar_id, event_id)
        if "recurrence" not in master.body:
            raise google(400, "invalid", "The event is not recurring.")
        query = call.request.args
        if "pageToken" in query:
            raise google(400, "invalid", "Invalid page token value.")
        rows = (row for _, row in self.events.occurrences(calendar, master) if _is_wanted(row, query))
        items = [shown(row, calendar.zone) for row in islice(rows, int(query.get("maxResults", 2_500)))]
        about = {"kind": "calendar#events", "summary": calendar.title, "timeZone": calendar.zone}
        return answer({**about, "items": items})

    def watch(self, call: Call, calendar_id: str) -> Response:
        """events.watch."""
        return answer(self.channels.open(self._writable(call, calendar_id), call.body))

    def stop_channel(self, call: Call) -> Response:
        """channels.stop."""
        self.channels.stop(call.account, call.body)
        return Response(status=204)

    def _rule(self, method: str, path: str, name: str, endpoint: Endpoint) -> Rule:
        def checked(call: Call, **values: str) -> Response:
            self._authorise(call, f"calendar.{name}")
            return endpoint(call, **{key: unquote(value) for key, value in values.items()})

        return Rule(path, endpoint=checked, methods=[method])

    def _authorise(self, call: Call, method: str) -> None:
        if call.bearer is None or call.bearer.provider != "google":
            raise google(401, "authError", "Invalid Credentials", headers=_CHALLENGE)

        about = discovery.methods()[method]
        if not about.scopes & call.bearer.scopes:
            text = "Request had insufficient authentication scopes."
            raise google(403, "insufficientPermissions", text)
        if unknown := sorted(set(call.request.args) - about.parameters):
            raise google(400, "invalidParameter", f"Unknown name: {', '.join(unknown)}")

    def _calendar(self, call: Call, calendar_id: str) -> Calendar:
        own = self._world.primary("google", call.account)
        found = own if calendar_id == "primary" else self._store.calendar("google", call.account, calendar_id)
        if found is None:
            raise NOT_FOUND
        return found

    def _writable(self, call: Call, calendar_id: str) -> Calendar:
        """A calendar whose content the token reaches: `calendar.app.created` ends at what an application made."""
        calendar = self._calendar(call, calendar_id)
        scopes = call.bearer.scopes if call.bearer else frozenset()
        if not calendar.made_by_app and not any(scope.startswith(SCOPES) and scope != _APP_CREATED for scope in scopes):
            raise google(403, "insufficientPermissions", "The calendar was not created by this application.")
        return calendar

    def _found(self, call: Call, calendar_id: str, event_id: str) -> tuple[Calendar, Row]:
        calendar = self._writable(call, calendar_id)
        return calendar, self.events.find(calendar, event_id)

    def _matching(self, call: Call, calendar_id: str, event_id: str) -> tuple[Calendar, Row]:
        calendar, row = self._found(call, calendar_id, event_id)
        self._check_condition(call, row)
        self._reject(call, calendar, event_id)
        return calendar, row

    def _check_condition(self, call: Call, row: Row) -> None:
        given = call.request.headers.getlist("If-Match")
        if given and not matches(quoted(row.etag), given):
            raise google(412, "conditionNotMet", "Precondition Failed")

    def _reject(self, call: Call, calendar: Calendar, event_id: str | None) -> None:
        if self._world.knobs.takes("reject", calendar.calendar_id, event_id, call.body.get("summary")):
            raise google(400, "invalid", "Invalid Value")

    def _body(self, call: Call, calendar: Calendar) -> dict[str, Any]:
        return self._world.knobs.normalised(call.body, calendar.calendar_id)

    def _answer(self, call: Call, calendar: Calendar, row: Row) -> Response:
        zone = call.request.args.get("timeZone", calendar.zone)
        return answer(shown(row, zone), headers={"ETag": quoted(row.etag)})


def _is_wanted(row: Row, query: Any) -> bool:
    """Whether the window and `showDeleted` of `instances` let an occurrence pass."""
    body: Document = row.body
    if body.get("status") == "cancelled" and query.get("showDeleted") != "true":
        return False
    if "timeMax" in query and point(body["start"]) >= point({"dateTime": query["timeMax"]}):
        return False
    return "timeMin" not in query or point(body["end"]) > point({"dateTime": query["timeMin"]})


def _about(calendar: Calendar) -> Document:
    return {
        "kind": "calendar#calendar",
        "etag": quoted(calendar.key),
        "id": calendar.calendar_id,
        "summary": calendar.title,
        "timeZone": calendar.zone,
        "dataOwner": calendar.account,
    }


def _entry(calendar: Calendar) -> Document:
    about = _about(calendar) | {"kind": "calendar#calendarListEntry", "accessRole": "owner", "selected": True}
    return about | ({"primary": True} if calendar.is_primary else {})
