"""`/v1/`: who asks, what was answered under the same key, what goes wrong, and the operation itself."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.local.emulators.stripe_server import resources
from infra.local.emulators.stripe_server.account import Account, Accounts, RequestInfo
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.expansion import Expansion
from infra.local.emulators.stripe_server.faults import Fault
from infra.local.emulators.stripe_server.form import Nested, unflatten
from infra.local.emulators.stripe_server.log import SHOWN, Entry
from infra.local.emulators.stripe_server.operations import Operation, Operations
from infra.local.emulators.stripe_server.sdk import API_VERSION, routes

_KEY: Final = re.compile(r"(?:sk|rk)_test_\w+")


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
            if fault.is_saved:
                account.replays.save(key, asked.fingerprint, answer.status, answer.body)
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
