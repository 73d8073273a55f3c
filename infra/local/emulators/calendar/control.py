"""`/_control/`: what tests ask for (calendar-sync.md §7.3). Bodies and answers are JSON.

| path | |
|---|---|
| POST `reset` | forget everything, the real time again |
| GET, DELETE `log` | every request to a vendor's path, oldest first |
| GET `state` | calendars with their events, channels, subscriptions, rules, and what was pushed |
| POST `calendar` | a calendar of an account: `provider`, `account`, `title`, `app` |
| POST `remote` | something a person does (`person.Deed`); answers the id of the event |
| POST `drop` | a calendar is deleted with everything in it: `provider`, `account`, `calendar` |
| POST `expire` | `what` sync: the cursors of an account or a calendar, in a `form`; `what` access: the access tokens |
| POST `push` | `emitter.PushRule` |
| POST `forge`, `lifecycle`, `end` | false messages, Graph's lifecycle items, the end of a channel |
| POST, DELETE `fault`, `throttle`, `race`, `shape` | rules (`knobs`) |
| POST `grant` | `provider`, `account`, `state`: ok, invalid_grant, revoked |
| POST `token` | tokens for an account without a consent page |
| POST `clock` | `advance` seconds, `set` an instant, `reset` to the real time |
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from werkzeug.routing import Rule as Route
from werkzeug.wrappers import Request, Response

from infra.local.emulators.calendar.call import World, fresh_calendar_id
from infra.local.emulators.calendar.emitter import PushRule
from infra.local.emulators.calendar.errors import answer
from infra.local.emulators.calendar.google_channels import GoogleChannels
from infra.local.emulators.calendar.graph_subscriptions import GraphSubscriptions
from infra.local.emulators.calendar.knobs import Fault, Race, Rule, Shape, Throttle
from infra.local.emulators.calendar.log import Log
from infra.local.emulators.calendar.oauth import DEFAULT_SCOPES
from infra.local.emulators.calendar.person import Person
from infra.local.emulators.calendar.store import Calendar, Document, Row

_RULES: Final[dict[str, type[Rule]]] = {"fault": Fault, "throttle": Throttle, "race": Race, "shape": Shape}
Asked = dict[str, Any]


class Control:
    """See the module. Every endpoint runs in a transaction."""

    def __init__(
        self, world: World, person: Person, log: Log, channels: GoogleChannels, subscriptions: GraphSubscriptions
    ) -> None:
        self._world, self._person, self._log = world, person, log
        self._channels, self._subscriptions = channels, subscriptions

    def rules(self) -> Iterable[Route]:
        """The paths."""
        verbs: dict[str, Callable[[Asked], object]] = {
            "reset": self.reset,
            "calendar": self.calendar,
            "remote": self.remote,
            "drop": self.drop,
            "expire": self.expire,
            "push": self.push,
            "forge": self.forge,
            "lifecycle": self.lifecycle,
            "end": self.end,
            "grant": self.grant,
            "token": self.token,
            "clock": self.clock,
        }
        yield Route("/healthz", endpoint=lambda _: answer({}), methods=["GET"])
        yield Route("/_control/log", endpoint=self.log, methods=["GET", "DELETE"])
        yield Route("/_control/state", endpoint=self.state, methods=["GET"])
        for name, verb in verbs.items():
            yield Route(f"/_control/{name}", endpoint=_asked(verb), methods=["POST"])
        for name, kind in _RULES.items():
            yield Route(f"/_control/{name}", endpoint=_asked(self._adding(kind)), methods=["POST"])
            yield Route(f"/_control/{name}", endpoint=self.forget_rules, methods=["DELETE"])

    def reset(self, _: Asked) -> object:
        """Nobody was ever here."""
        self._world.store.clear()
        self._world.knobs.clear()
        self._world.emitter.clear()
        self._world.clock.reset()
        self._log.clear()
        return {}

    def log(self, request: Request) -> Response:
        """The requests, oldest first; DELETE forgets them."""
        if request.method == "DELETE":
            self._log.clear()
        return answer(self._log.entries())

    def state(self, _: Request) -> Response:
        """All that is known, without tokens."""
        store = self._world.store
        calendars = [_about(each, store.all_events(each)) for each in store.calendars()]
        watches = {f"{kind}s": store.documents(kind) for kind in ("channel", "subscription")}
        more = {"rules": self._world.knobs.listed(), "pushed": list(self._world.emitter.sent)}
        return answer({"calendars": calendars, **watches, **more})

    def calendar(self, asked: Asked) -> object:
        """A calendar, made by a person or (`app`) as by an application."""
        provider, account = asked["provider"], asked["account"]
        made = fresh_calendar_id()
        calendar_id = f"c_{made[4:].lower()}@group.calendar.google.com" if provider == "google" else made
        self._world.primary(provider, account)
        self._world.store.add_calendar(
            *(provider, account, calendar_id, asked["title"], "UTC"), is_primary=False, app=bool(asked.get("app"))
        )
        return {"id": calendar_id}

    def remote(self, asked: Asked) -> object:
        """Something a person does."""
        return {"id": self._person.does(asked)}

    def drop(self, asked: Asked) -> object:
        """A person deletes a calendar."""
        self._world.store.drop_calendar(self._named(asked))
        return {}

    def expire(self, asked: Asked) -> object:
        """Cursors or access tokens end now."""
        if asked.get("what", "sync") == "access":
            return {"ended": self._world.oauth.end_access(asked.get("provider"), asked.get("account"))}
        known = self._world.store.calendars(asked.get("provider"), asked.get("account"))
        found = [each for each in known if asked.get("calendar") in (None, each.calendar_id)]
        for each in found:
            self._world.store.expire(each, asked.get("form", ""))
        return {"expired": len(found)}

    def push(self, asked: Asked) -> object:
        """The next messages go wrong."""
        self._world.emitter.add(PushRule(**asked))
        return {}

    def forge(self, asked: Asked) -> object:
        """A false message: of a `channel` (`token`, `channel_id`, `bytes` of body) or a `subscription` (`state`,
        `count` items)."""
        if "channel" in asked:
            body = b"x" * int(asked.get("bytes", 0))
            self._channels.forge(
                asked["channel"], token=asked.get("token"), channel_id=asked.get("channel_id"), body=body
            )
        else:
            self._subscriptions.forge(asked["subscription"], state=asked["state"], count=int(asked.get("count", 1)))
        return {}

    def lifecycle(self, asked: Asked) -> object:
        """`subscription`, `event`."""
        self._subscriptions.lifecycle(asked["subscription"], asked["event"])
        return {}

    def end(self, asked: Asked) -> object:
        """A `channel` ends without a word, or a `subscription`."""
        self._channels.end(asked.get("channel", ""))
        self._world.store.forget("subscription", asked.get("subscription", ""))
        return {}

    def grant(self, asked: Asked) -> object:
        """What becomes of an account's consent."""
        if asked["state"] not in ("ok", "invalid_grant", "revoked"):
            raise ValueError("state is ok, invalid_grant or revoked")
        self._world.oauth.set_state(asked["provider"], asked["account"], asked["state"])
        return {}

    def token(self, asked: Asked) -> object:
        """Tokens of an account, with an access and a refresh token."""
        provider, account = asked["provider"], asked["account"].lower()
        self._world.primary(provider, account)
        scopes = asked.get("scopes") or DEFAULT_SCOPES[provider]
        return self._world.oauth.mint(provider, account, scopes, refresh=True)

    def clock(self, asked: Asked) -> object:
        """Another time."""
        if asked.get("reset"):
            self._world.clock.reset()
        if "set" in asked:
            self._world.clock.set(datetime.fromisoformat(asked["set"]))
        self._world.clock.advance(float(asked.get("advance", 0)))
        return {"now": self._world.clock.now().isoformat()}

    def forget_rules(self, _: Request) -> Response:
        """Nothing goes wrong any more, of whatever kind."""
        self._world.knobs.clear()
        return answer({})

    def _adding(self, kind: type[Rule]) -> Callable[[Asked], object]:
        def add(asked: Asked) -> object:
            self._world.knobs.add(kind(**asked))
            return {}

        return add

    def _named(self, asked: Asked) -> Calendar:
        return self._person.calendar(asked["provider"], asked["account"], asked["calendar"])


def _asked(verb: Callable[[Asked], object]) -> Callable[[Request], Response]:
    return lambda request: answer(verb(request.get_json(force=True) if request.get_data() else {}))


def _about(calendar: Calendar, rows: list[Row]) -> Document:
    events = [
        {"id": row.event_id, "master": row.master, "original": row.original, "alive": row.alive, "body": row.body}
        for row in rows
    ]
    about = {"provider": calendar.provider, "account": calendar.account, "id": calendar.calendar_id}
    return about | {"title": calendar.title, "primary": calendar.is_primary, "events": events}
