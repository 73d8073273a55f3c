"""The page for people: an account's calendars at both vendors, whose events are made, changed and deleted by hand."""

from collections.abc import Iterable
from typing import Any, Final, cast
from urllib.parse import urlencode

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from infra.local.emulators.calendar.call import World
from infra.local.emulators.calendar.errors import Refused
from infra.local.emulators.calendar.person import Person
from infra.local.emulators.calendar.store import Calendar, Document, Provider, Row
from infra.local.emulators.sign_in import PAGES

_TITLES: Final = {"google": "Google Calendar", "microsoft": "Outlook"}
_TEXTS: Final = ("title", "notes", "location", "start", "end", "zone", "repeats")


class Page:
    """See the module."""

    def __init__(self, world: World, person: Person) -> None:
        self._world, self._person = world, person

    def rules(self) -> Iterable[Rule]:
        """The page, and what its forms send."""
        yield Rule("/", endpoint=self.show, methods=["GET"])
        yield Rule("/events", endpoint=self.save, methods=["POST"])

    def show(self, request: Request) -> Response:
        """Everything of an account, or the accounts that there are."""
        store = self._world.store
        account = request.args.get("account", "").strip().lower()
        shown = [self._calendar(each) for each in store.calendars(None, account or None)] if account else []
        accounts = sorted({(each.account, _TITLES[each.provider]) for each in store.calendars()})
        page = PAGES.get_template("calendars.html").render(
            account=account, accounts=accounts, calendars=shown, note=request.args.get("note"), titles=_TITLES
        )
        return Response(page, mimetype="text/html")

    def save(self, request: Request) -> Response:
        """A form: create, edit or delete. What the vendor refuses is shown on the page."""
        form = request.form.to_dict()
        account = form["account"].strip().lower()
        fields = {name: form[name] for name in _TEXTS if form.get(name)}
        if "title" in form:
            fields |= {"all_day": bool(form.get("all_day"))}  # type: ignore[dict-item]
        about = {"provider": form["provider"], "account": account, "calendar": form.get("calendar") or None}
        deed = about | {"action": form["action"], "event": form.get("event", ""), "fields": fields}
        try:
            self._person.does(deed)
            note = {"create": "Created.", "edit": "Changed.", "delete": "Deleted."}[form["action"]]
        except Refused as refusal:
            note = f"Refused: {cast(dict[str, Any], refusal.body)['error']['message']}"
        return Response(status=303, headers={"Location": f"/?{urlencode({'account': account, 'note': note})}"})

    def _calendar(self, calendar: Calendar) -> Document:
        rows = [row for row in self._world.store.all_events(calendar) if row.alive and row.master is None]
        events = sorted((_plain(calendar.provider, row) for row in rows), key=lambda each: each["start"])
        about = {"provider": calendar.provider, "vendor": _TITLES[calendar.provider], "id": calendar.calendar_id}
        return about | {"title": calendar.title, "events": events}


def _plain(provider: Provider, row: Row) -> Document:
    """An event in the words of the page."""
    body = row.body
    if provider == "google":
        start, end = (body[which].get("dateTime") or f"{body[which]['date']}T00:00" for which in ("start", "end"))
        zone, all_day = body["start"].get("timeZone", "UTC"), "date" in body["start"]
        texts = {"title": body.get("summary", ""), "notes": body.get("description", "")}
        location = body.get("location", "")
    else:
        start, end = body["start"]["dateTime"], body["end"]["dateTime"]
        zone, all_day = body["start"]["timeZone"], body["isAllDay"]
        texts = {"title": body["subject"], "notes": body["body"]["content"]}
        location = body["location"].get("displayName", "")
    about = {"id": row.event_id, "start": start[:16], "end": end[:16], "zone": zone, "all_day": all_day}
    return {**about, **texts, "location": location, "repeats": "recurrence" in body}
