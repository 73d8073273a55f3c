"""The ASGI application: who asks, what was answered under the same key, what goes wrong, and the operation itself."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from infra.local.emulators.stripe_server import resources
from infra.local.emulators.stripe_server.account import Account, Accounts, RequestInfo
from infra.local.emulators.stripe_server.control import Control
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.expansion import Expansion
from infra.local.emulators.stripe_server.faults import Fault
from infra.local.emulators.stripe_server.form import Nested, unflatten
from infra.local.emulators.stripe_server.log import SHOWN, Entry
from infra.local.emulators.stripe_server.operations import Operation, Operations
from infra.local.emulators.stripe_server.sdk import API_VERSION, routes

_KEY: Final = re.compile(r"(?:sk|rk)_test_\w+")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_TICK_SECONDS: Final = 0.1
_POST_SECONDS: Final = 10
_log: Final = logging.getLogger(__name__)


class Dropped(Exception):
    """The connection is to end without an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to `/v1/` as far as it was read."""

    method: str
    path: str
    form: str
    version: str | None
    idempotency_key: str | None
    id: str

    @property
    def fingerprint(self) -> object:
        """What has to be equal for a replay."""
        return self.method, self.path, self.form


class Api:
    """Serves `/v1/`."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._operations, self._expansion = Operations(resources.MODULES), Expansion(resources.ON_DEMAND)

    async def answer(self, request: Request) -> Response:
        """One request."""
        try:
            account = self._account(request)
        except StripeError as error:
            return _response(Answer(error.status, error.body(), {}), "req_unauthorized")
        account.tick()
        asked = await _read(request, account)
        entry = _entry(request, asked, account)
        account.log.note(entry)
        try:
            answer = await self._answered(account, asked, entry)
        except Dropped:
            return NoAnswer()
        entry.status, entry.replayed = answer.status, "Idempotent-Replayed" in answer.headers
        return _response(answer, asked.id, asked.idempotency_key)

    def _account(self, request: Request) -> Account:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not _KEY.fullmatch(given):
            raise StripeError(401, "invalid_request_error", None, "Invalid API Key provided.")
        return self.accounts.of(given)

    async def _answered(self, account: Account, asked: Asked, entry: Entry) -> Answer:
        try:
            if asked.version != API_VERSION:
                raise StripeError(400, "invalid_request_error", None, f"Invalid Stripe API version: {asked.version}")
            operation, given = self._operation(asked, entry), unflatten(asked.form)
            with account.replays.turn(asked.idempotency_key):
                return await self._once(account, asked, operation, given)
        except StripeError as error:
            return Answer(error.status, error.body(), {})

    async def _once(self, account: Account, asked: Asked, operation: Operation, given: Nested) -> Answer:
        """The saved answer of this key; or this one, which is saved unless nothing was done."""
        key = asked.idempotency_key
        fault = account.faults.met(asked.method, asked.path)
        if fault and fault.when == "before" and (answer := await _meets(fault)):
            return answer
        if key and (saved := account.replays.saved(key, asked.fingerprint)):
            answer = Answer(saved.status, saved.body, {"Idempotent-Replayed": "true"})
        else:
            answer = self._executed(account, asked, operation, given)
            kept = (fault.status, fault.body()) if fault and fault.is_saved else (answer.status, answer.body)
            account.replays.save(key, asked.fingerprint, *kept)
        return (fault and fault.when == "after" and await _meets(fault)) or answer

    def _executed(self, account: Account, asked: Asked, operation: Operation, given: Nested) -> Answer:
        """Raises `StripeError` for a request that is not valid; a refusal after that is an answer."""
        call = operation.call(account, asked.path, given)
        account.request = RequestInfo(asked.id, asked.idempotency_key)
        try:
            return Answer(200, self._expansion.expanded(account, operation(call), call.expand), {})
        except StripeError as error:
            return Answer(error.status, error.body(), {})
        finally:
            account.request = None

    def _operation(self, asked: Asked, entry: Entry) -> Operation:
        if found := self._operations.find(asked.method, asked.path):
            return found
        entry.handled = False
        message = f"Unrecognized request URL ({asked.method}: {asked.path})."
        if any(_fits(template, asked.path) and method == asked.method for method, template in routes()):
            message += " Stripe knows it; this server does not do it yet."
        raise StripeError(404, "invalid_request_error", None, message)


async def _read(request: Request, account: Account) -> Asked:
    body = (await request.body()).decode("utf-8", "replace")
    form = "&".join(part for part in (request.url.query, body) if part)
    headers = request.headers
    key = headers.get("Idempotency-Key") if request.method != "GET" else None
    version, request_id = headers.get("Stripe-Version"), account.new_id("req")
    return Asked(request.method, request.url.path, form, version, key or None, request_id)


def _entry(request: Request, asked: Asked, account: Account) -> Entry:
    headers = {name: request.headers[name] for name in SHOWN if name in request.headers}
    body = asked.form if asked.method == "POST" else ""
    return Entry(account.now(), asked.method, asked.path, request.url.query, body, headers, asked.id)


async def _meets(fault: Fault) -> Answer | None:
    """What a fault makes of an answer; None when all is well. Raises `Dropped`."""
    if fault.effect == "drop":
        raise Dropped
    if fault.effect == "hang":
        await asyncio.sleep(fault.seconds)
        return None
    return Answer(fault.status, fault.body(), fault.headers)


def _fits(template: str, path: str) -> bool:
    return bool(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path))


def _response(answer: Answer, request_id: str, key: str | None = None) -> Response:
    headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION, **answer.headers}
    headers |= {"Idempotency-Key": key} if key else {}
    if answer.status == 409:
        headers.setdefault("Stripe-Should-Retry", "true")
    elif 400 <= answer.status < 500 and answer.status != 429:
        headers.setdefault("Stripe-Should-Retry", "false")
    return Response(json.dumps(answer.body, indent=2), answer.status, headers, media_type="application/json")


class NoAnswer(Response):
    """Promises a body and ends without it, which makes the server close the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


class StripeServer:
    """See the module. `transport` replaces the network that webhooks go out through, which otherwise reach this machine
    alone; `seed` is what the secrets of endpoints are made from.

    Clocks tick with every request of their account, and by themselves where the server runs the lifespan.
    """

    def __init__(
        self,
        origin: str = "http://stripe.test",
        transport: httpx.AsyncBaseTransport | None = None,
        seed: str = "",
    ) -> None:
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self.accounts = Accounts(origin, self._post, seed)
        routes = [
            Route("/v1/{path:path}", Api(self.accounts).answer, methods=["GET", "POST", "DELETE"]),
            *Control(self.accounts, resources.DEEDS.items()).routes(),
            *(route for page in resources.PAGES for route in page(self.accounts)),
        ]
        self._app = Starlette(routes=routes, lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._app(scope, receive, send)

    async def close(self) -> None:
        """Nothing is posted any more."""
        for account in self.accounts:
            account.close()
        if self._http:
            await self._http.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            await self.close()

    async def _tick(self) -> None:
        while True:
            for account in self.accounts:
                try:
                    account.tick()
                except Exception:
                    _log.exception("a timer of %s failed", account.key)  # the clocks of the others go on
            await asyncio.sleep(_TICK_SECONDS)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int | None:
        if self._transport is None and urlsplit(url).hostname not in _LOOPBACK:
            return None
        if self._http is None:
            self._http = httpx.AsyncClient(transport=self._transport, timeout=_POST_SECONDS, trust_env=False)
        try:
            return (await self._http.post(url, content=body, headers=headers)).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
