"""The calendars of Microsoft Graph v1.0: paths, scopes, conditions."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from infra.local.emulators.calendar.call import Call, World, fresh_calendar_id, matches
from infra.local.emulators.calendar.errors import answer, graph
from infra.local.emulators.calendar.graph_delta import OPTIONS, GraphDelta
from infra.local.emulators.calendar.graph_documents import EXTENDED
from infra.local.emulators.calendar.graph_events import NOT_FOUND, Found, GraphEvents
from infra.local.emulators.calendar.graph_subscriptions import GraphSubscriptions
from infra.local.emulators.calendar.graph_view import View
from infra.local.emulators.calendar.store import Calendar, Document

Endpoint = Callable[..., Response]
_ROOT: Final = "/v1.0"
_READ: Final = frozenset({"Calendars.Read", "Calendars.ReadBasic", "Calendars.ReadWrite"})
_WRITE: Final = frozenset({"Calendars.ReadWrite"})
_PROFILE: Final = frozenset({"User.Read", "User.ReadWrite", "User.ReadBasic.All"})
_PREFIX: Final = "https://graph.microsoft.com/"
_FILTER: Final = re.compile(
    rf"{EXTENDED}/any\(\s*ep\s*:\s*ep/id eq '(?P<id>[^']+)' and ep/value eq '(?P<value>[^']*)'\s*\)", re.IGNORECASE
)
_SHOWN: Final = frozenset({"$select", "$expand"})
_LISTED: Final = _SHOWN | {"$filter", "$top", "$skip"}
_INSTANCES: Final = _SHOWN | {"startDateTime", "endDateTime", "$top", "$skip"}
_NONE: Final[frozenset[str]] = frozenset()
_PAGE, _MOST = 10, 1_000


class Graph:
    """The API. Endpoints run in one transaction each, except those of `outside`."""

    def __init__(self, world: World) -> None:
        self._world, self._store = world, world.store
        self.events = GraphEvents(world.store, world.clock, world.knobs)
        self.subscriptions = GraphSubscriptions(world)
        self._view = View(self.events)
        self._delta = GraphDelta(world, self.events, self._view)
        self.outside: set[Endpoint] = set()

    def rules(self) -> Iterator[Rule]:
        """The paths, below `/me` and below `/users/<user>`."""
        for prefix in (f"{_ROOT}/me", f"{_ROOT}/users/<user>"):
            yield self._rule("GET", prefix, self.me, _PROFILE)
            yield from self._mailbox(prefix)
            for events in (f"{prefix}/events", f"{prefix}/calendars/<calendar_id>/events"):
                yield from self._event(events)
        yield from self._watches()

    def _mailbox(self, prefix: str) -> Iterator[Rule]:
        calendar = f"{prefix}/calendars/<calendar_id>"
        yield self._rule("GET", f"{prefix}/calendars", self.list_calendars, _READ, frozenset({"$top"}))
        yield self._rule("POST", f"{prefix}/calendars", self.create_calendar, _WRITE)
        yield self._rule("GET", calendar, self.get_calendar, _READ)
        yield self._rule("DELETE", calendar, self.delete_calendar, _WRITE)
        for delta in ("delta", "delta()"):
            yield self._rule("GET", f"{calendar}/calendarView/{delta}", self.view_delta, _READ, OPTIONS)
            yield self._rule("GET", f"{calendar}/events/{delta}", self.events_delta, _READ, OPTIONS)

    def _event(self, events: str) -> Iterator[Rule]:
        yield self._rule("GET", events, self.list_events, _READ, _LISTED)
        yield self._rule("POST", events, self.create_event, _WRITE, _SHOWN)
        yield self._rule("GET", f"{events}/<event_id>", self.get_event, _READ, _SHOWN)
        yield self._rule("PATCH", f"{events}/<event_id>", self.patch_event, _WRITE, _SHOWN)
        yield self._rule("DELETE", f"{events}/<event_id>", self.delete_event, _WRITE)
        yield self._rule("GET", f"{events}/<event_id>/instances", self.instances, _READ, _INSTANCES)

    def _watches(self) -> Iterator[Rule]:
        every, one = f"{_ROOT}/subscriptions", f"{_ROOT}/subscriptions/<subscription>"
        watches = self.subscriptions
        created = self._rule("POST", every, watches.create, _READ)
        self.outside.add(created.endpoint)
        yield created
        yield self._rule("GET", every, watches.list, _READ)
        yield self._rule("GET", one, watches.get, _READ)
        yield self._rule("PATCH", one, watches.renew, _READ)
        yield self._rule("DELETE", one, watches.delete, _READ)
        yield self._rule("POST", f"{one}/reauthorize", watches.reauthorise, _READ)

    def me(self, call: Call) -> Response:
        """Who it is."""
        account = call.account
        about = {"userPrincipalName": account, "mail": account, "displayName": account.partition("@")[0]}
        return answer({"id": user_id(account), **about})

    def list_calendars(self, call: Call) -> Response:
        """All, on one page."""
        self._world.primary("microsoft", call.account)
        return answer({"value": [_about(each) for each in self._store.calendars("microsoft", call.account)]})

    def create_calendar(self, call: Call) -> Response:
        """A secondary one; its name must not be taken."""
        name = call.body.get("name")
        self._world.primary("microsoft", call.account)
        if not name:
            raise graph(400, "ErrorInvalidRequest", "The calendar needs a name.")
        if any(each.title == name for each in self._store.calendars("microsoft", call.account)):
            raise graph(409, "ErrorFolderExists", "A folder with the specified name already exists.")
        made = self._store.add_calendar(
            "microsoft", call.account, fresh_calendar_id(), name, "UTC", is_primary=False, app=True
        )
        return answer(_about(made), 201)

    def get_calendar(self, call: Call, calendar_id: str) -> Response:
        """One."""
        return answer(_about(self._calendar(call, calendar_id)))

    def delete_calendar(self, call: Call, calendar_id: str) -> Response:
        """With its events; not the default one."""
        calendar = self._calendar(call, calendar_id)
        if calendar.is_primary:
            raise graph(400, "ErrorCannotDeleteObject", "The default calendar cannot be deleted.")
        self._store.drop_calendar(calendar)
        return Response(status=204)

    def view_delta(self, call: Call, calendar_id: str) -> Response:
        """calendarView/delta."""
        return answer(self._delta.page(call, self._calendar(call, calendar_id), stubs=False))

    def events_delta(self, call: Call, calendar_id: str) -> Response:
        """events/delta, where it is not switched off."""
        calendar = self._calendar(call, calendar_id)
        if self._world.knobs.takes("no_events_delta", calendar_id):
            raise graph(400, "ErrorInvalidRequest", "Change tracking is not supported against 'events'.")
        return answer(self._delta.page(call, calendar, stubs=True))

    def list_events(self, call: Call, calendar_id: str | None = None) -> Response:
        """Events and masters, a page of `$top`; `$filter` by one extended property."""
        query = call.request.args
        calendars = self._scope(call, calendar_id)[:1]
        size, skip = min(int(query.get("$top", _PAGE)), _MOST), int(query.get("$skip", 0))
        found = list(islice(self._listed(calendars[0], query.get("$filter")), skip, skip + size + 1))
        more = {}
        if len(found) > size:
            again = {**query.to_dict(), "$skip": str(skip + size)}
            more = {"@odata.nextLink": f"{call.request.base_url}?{urlencode(again)}"}
        return answer({"value": [self._view.one(call, each) for each in found[:size]], **more})

    def create_event(self, call: Call, calendar_id: str | None = None) -> Response:
        """201, also for a transactionId that made the event earlier."""
        calendar = self._scope(call, calendar_id)[0]
        self._reject(call, calendar, None)
        found, _ = self.events.insert(calendar, self._body(call, calendar))
        return answer(self._view.one(call, found), 201)

    def get_event(self, call: Call, event_id: str, calendar_id: str | None = None) -> Response:
        """An event, a master, or an occurrence."""
        found = self._found(call, calendar_id, event_id)
        if (
            found.row.seq
            and found.master is None
            and self._world.knobs.takes("etag_on_get", found.calendar.calendar_id, found.row.event_id)
        ):
            found = self.events.retag(found)
        return answer(self._view.one(call, found))

    def patch_event(self, call: Call, event_id: str, calendar_id: str | None = None) -> Response:
        """A change of an event, or of one occurrence."""
        found = self._matching(call, calendar_id, event_id)
        self._reject(call, found.calendar, found.row.event_id)
        return answer(self._view.one(call, self.events.patch(found, self._body(call, found.calendar))))

    def delete_event(self, call: Call, event_id: str, calendar_id: str | None = None) -> Response:
        """An event with all its occurrences, or one of them."""
        self.events.delete(self._matching(call, calendar_id, event_id))
        return Response(status=204)

    def instances(self, call: Call, event_id: str, calendar_id: str | None = None) -> Response:
        """The occurrences of a series in a window, exceptions in their places."""
        found = self._found(call, calendar_id, event_id)
        if found.kind != "seriesMaster":
            raise graph(400, "ErrorInvalidRequest", "The event is not the master of a series.")
        begin, end = (_instant(call.request.args.get(name)) for name in ("startDateTime", "endDateTime"))
        size = min(int(call.request.args.get("$top", _PAGE)), _MOST)
        skip = int(call.request.args.get("$skip", 0))
        inside = self._delta.inside(found, begin, end)
        shown = list(islice(inside, skip, skip + size + 1))
        again = {**call.request.args.to_dict(), "$skip": str(skip + size)}
        more = {"@odata.nextLink": f"{call.request.base_url}?{urlencode(again)}"} if len(shown) > size else {}
        return answer({"value": [self._view.one(call, each) for each in shown[:size]], **more})

    def _rule(
        self, method: str, path: str, endpoint: Endpoint, scopes: frozenset[str], query: frozenset[str] = _NONE
    ) -> Rule:
        def checked(call: Call, user: str | None = None, **values: str) -> Response:
            if call.bearer is None or call.bearer.provider != "microsoft":
                raise graph(401, "InvalidAuthenticationToken", "Access token is empty, has expired or is not valid.")
            if not {scope.removeprefix(_PREFIX) for scope in call.bearer.scopes} & scopes:
                raise graph(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
            if user is not None and user.lower() not in (call.account, user_id(call.account)):
                raise graph(404, "ErrorInvalidUser", "The requested user is invalid.")
            if unknown := sorted(set(call.request.args) - query):
                raise graph(400, "ErrorInvalidUrlQuery", f"The emulator does not know: {', '.join(unknown)}")
            return endpoint(call, **values)

        return Rule(path, endpoint=checked, methods=[method])

    def _calendar(self, call: Call, calendar_id: str) -> Calendar:
        self._world.primary("microsoft", call.account)
        if (found := self._store.calendar("microsoft", call.account, calendar_id)) is None:
            raise NOT_FOUND
        return found

    def _scope(self, call: Call, calendar_id: str | None) -> list[Calendar]:
        """The calendar that is named, or all of the mailbox, the default one first."""
        if calendar_id is not None:
            return [self._calendar(call, calendar_id)]
        self._world.primary("microsoft", call.account)
        known = self._store.calendars("microsoft", call.account)
        return sorted(known, key=lambda each: not each.is_primary)

    def _found(self, call: Call, calendar_id: str | None, event_id: str) -> Found:
        return self.events.find(self._scope(call, calendar_id), event_id)

    def _matching(self, call: Call, calendar_id: str | None, event_id: str) -> Found:
        found = self._found(call, calendar_id, event_id)
        given = call.request.headers.getlist("If-Match")
        if given and not matches(self._view.item(call, found)["@odata.etag"], given):
            text = "The send or update operation could not be performed because the change key does not match."
            raise graph(412, "ErrorIrresolvableConflict", text)
        return found

    def _listed(self, calendar: Calendar, wanted: str | None) -> Iterable[Found]:
        asked = _FILTER.fullmatch(wanted.strip()) if wanted else None
        if wanted and asked is None:
            raise graph(400, "ErrorInvalidUrlQueryFilter", "The query filter contains invalid nodes.")
        for row in self._store.all_events(calendar):
            found = self.events.as_found(calendar, row) if row.master is None else None
            if found is not None and (asked is None or _has(found.body, asked["id"], asked["value"])):
                yield found

    def _body(self, call: Call, calendar: Calendar) -> dict[str, Any]:
        return self._world.knobs.normalised(call.body, calendar.calendar_id)

    def _reject(self, call: Call, calendar: Calendar, event_id: str | None) -> None:
        if self._world.knobs.takes("reject", calendar.calendar_id, event_id, call.body.get("subject")):
            raise graph(400, "ErrorInvalidRequest", "Your request can't be completed.")


def user_id(account: str) -> str:
    """The id of a person; the same for ever."""
    raw = hashlib.sha256(account.lower().encode()).hexdigest()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:32]}"


def _has(body: Document, name: str, value: str) -> bool:
    return any(each["id"].lower() == name.lower() and each["value"] == value for each in body.get(EXTENDED, []))


def _instant(text: str | None) -> datetime:
    if text is None:
        raise graph(400, "ErrorInvalidParameter", "This request requires a time window.")
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _about(calendar: Calendar) -> Document:
    return {
        "id": calendar.calendar_id,
        "name": calendar.title,
        "color": "auto",
        "changeKey": f"{calendar.key}",
        "canEdit": True,
        "canShare": calendar.is_primary,
        "isDefaultCalendar": calendar.is_primary,
        "isRemovable": not calendar.is_primary,
        "owner": {"name": calendar.account, "address": calendar.account},
    }
