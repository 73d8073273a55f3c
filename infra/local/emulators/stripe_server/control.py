"""`/_control/`: what tests and people at the page ask for (billing.md §6.4). Bodies and answers are JSON.

It is about the account whose key is the bearer token; `sk_test_local` without one.

| path | |
|---|---|
| POST `reset` | the account was never used |
| GET, POST `clock` | `advance` seconds, `set` an instant, `freeze`, `thaw` |
| GET, POST, DELETE `faults` | `faults.Fault` |
| GET, POST `webhooks` | `webhooks.Wire`: `order`, `hold`, `format`, `api_version`, `rules` (`webhooks.Rule`) |
| POST `webhooks/replay`, `webhooks/release` | an `event` again; what was held goes out |
| POST `webhooks/rotate` | a new secret of an `endpoint`; the old one signs too |
| POST `copies` | `copies` |
| POST `payment_methods/{id}` | `decline_code` from now on, null: it pays; `card`: its bank has sent a new one |
| GET, POST, DELETE `objects/{id}` | see it; change fields, or take it away, without an event |
| GET, POST `settings` | `settings.Settings` |
| GET, DELETE `requests` | every request, oldest first |
| GET `ledger`, `deliveries`, `objects` | every movement of money, every message, every object |
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.errors import StripeError, invalid, resource_missing
from infra.local.emulators.stripe_server.faults import Fault
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.webhooks import Rule, Wire

LOCAL_KEY: Final = "sk_test_local"
Deed = Callable[[Account, str, Document], object]
"""(account, the id in the path, the body) → the answer. Raises `StripeError`."""


class Control:
    """See the module. `deeds` are those of the resources, by path."""

    def __init__(self, accounts: Accounts, deeds: Iterable[tuple[str, Deed]] = ()) -> None:
        self._accounts, self._deeds = accounts, deeds

    def routes(self) -> Iterable[Route]:
        """The paths."""
        yield Route("/healthz", lambda _: JSONResponse({}))
        yield Route("/_control/reset", self._reset, methods=["POST"])
        yield Route("/_control/clock", self._clock, methods=["GET", "POST"])
        posted: dict[str, Deed] = {
            "faults": add_fault,
            "settings": change_settings,
            "webhooks": change_wire,
            "webhooks/replay": replay,
            "webhooks/release": release,
            "webhooks/rotate": rotate,
            "payment_methods/{id}": change_bank,
            "objects/{id}": change_silently,
            **dict(self._deeds),
        }
        seen: dict[str, Deed] = {
            "faults": lambda account, *_: account.faults.listed(),
            "settings": lambda account, *_: asdict(account.settings),
            "webhooks": lambda account, *_: asdict(account.webhooks.wire),
            "requests": lambda account, *_: [asdict(entry) for entry in account.log.entries],
            "ledger": lambda account, *_: [asdict(each) for each in account.ledger.movements],
            "deliveries": lambda account, *_: [each.about() for each in account.webhooks.log],
            "objects": lambda account, *_: [public(each) for each in account.objects],
            "objects/{id}": lambda account, object_id, _: public(_object(account, object_id)),
        }
        taken: dict[str, Deed] = {
            "faults": lambda account, *_: account.faults.clear(),
            "requests": lambda account, *_: account.log.entries.clear(),
            "objects/{id}": delete_silently,
        }
        for method, deeds in (("POST", posted), ("GET", seen), ("DELETE", taken)):
            for path, deed in deeds.items():
                yield Route(f"/_control/{path}", self._serving(deed), methods=[method])

    def _account(self, request: Request) -> Account:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self._accounts.of(key or LOCAL_KEY)

    def _serving(self, deed: Deed) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            account = self._account(request)
            try:
                found = deed(account, request.path_params.get("id", ""), await _body(request))
            except StripeError as error:
                return JSONResponse(error.body(), error.status)
            except (ValueError, TypeError, KeyError) as error:
                return JSONResponse(invalid(f"{type(error).__name__}: {error}").body(), 400)
            return JSONResponse({} if found is None else found)

        return serve

    async def _reset(self, request: Request) -> Response:
        self._accounts.forget(self._account(request).key)
        return JSONResponse({})

    async def _clock(self, request: Request) -> Response:
        """Moving answers once everything that is due on the way has happened and was delivered."""
        account, asked = self._account(request), await _body(request)
        if asked.get("freeze"):
            account.clock.freeze()
        if "set" in asked or "advance" in asked:
            await account.advance(int(asked.get("set", account.now())) + int(asked.get("advance", 0)))
        if asked.get("thaw"):
            account.clock.thaw()
        due = [{"at": timer.instant, "name": timer.name} for timer in account.clock.waiting()]
        return JSONResponse({"now": account.now(), "frozen": account.clock.is_frozen, "due": due})


async def _body(request: Request) -> Document:
    raw = await request.body()
    found: Document = json.loads(raw) if raw else {}
    return found


def add_fault(account: Account, _: str, asked: Document) -> object:
    """A request will go wrong."""
    account.faults.add(Fault(**asked))
    return account.faults.listed()


def change_settings(account: Account, _: str, asked: Document) -> object:
    """The account is set up otherwise."""
    account.settings.change(asked)
    return asdict(account.settings)


def change_wire(account: Account, _: str, asked: Document) -> object:
    """Messages travel otherwise; what is not named is as at first."""
    rules = [Rule(**each) for each in asked.pop("rules", ())]
    account.webhooks.rewire(Wire(**asked, rules=rules))
    return asdict(account.webhooks.wire)


def replay(account: Account, _: str, asked: Document) -> object:
    """An event is sent again."""
    return {"sent": account.webhooks.replay(account.objects.get("event", asked["event"]))}


def release(account: Account, _id: str, _asked: Document) -> None:
    """What was held goes out."""
    account.webhooks.release()


def rotate(account: Account, _: str, asked: Document) -> object:
    """A new secret of an endpoint; the old one signs too."""
    return {"secret": account.webhooks.rotate(account.objects.get("webhook_endpoint", asked["endpoint"]))}


def change_bank(account: Account, method_id: str, asked: Document) -> object:
    """A method is declined from now on, or pays; or its card was replaced, which Stripe hears of by itself."""
    method = account.objects.get("payment_method", method_id)
    if "decline_code" in asked:
        method["_decline_code"] = asked["decline_code"]
    with account.changing(method, "payment_method.automatically_updated"):
        method.get("card", {}).update(asked.get("card", {}))
    return public(method)


def change_silently(account: Account, object_id: str, asked: Document) -> object:
    """Some fields are different, and nobody is told: what drift looks like."""
    document = _object(account, object_id)
    _merge(document, asked)
    return public(document)


def delete_silently(account: Account, object_id: str, _: Document) -> None:
    """An object is gone, and nobody is told."""
    account.objects.delete(_object(account, object_id)["object"], object_id)


def _object(account: Account, object_id: str) -> Document:
    found = account.objects.maybe(object_id)
    if found is None:
        raise resource_missing("object", object_id)
    return found


def _merge(document: Document, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            _merge(document[name], value)
        else:
            document[name] = value
