"""People who pay in a running stack, and Stripe's side of it: a mix of everything that they do, by a seeded dice.

Whoever gets no answer asks again under the same key, as careful apps do; what has no key is left at that.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import httpx

from infra.local.launchers.stripe import KEY
from integrations.payments.client import PIN
from tests.person import Person
from tests.stack import Stack, until

GOOD, FAILING, DECLINED = "4242424242424242", "4000000000000341", "4000000000000002"
"""Pays; can be saved and is declined when it is charged; is declined at once."""
HOMES: Final = {"EUR": "DE", "USD": "US", "GBP": "GB", "CHF": "CH", "JPY": "JP"}
"""Currencies, and a country in which one pays in them."""
PLANS: Final = ("plus_month", "plus_year", "family_month")
DAY: Final = 86_400
_NOT_NOW: Final = frozenset({429, 503})
_TRIES: Final = 60
_SIGNED_IN: Final = 240.0
"""Seconds, within those that an access token holds."""


@dataclass(frozen=True, slots=True)
class Stripe:
    """The local Stripe server: its API, its pages, and its test clock, which everybody who comes is on."""

    http: httpx.AsyncClient
    clock_id: str

    async def now(self) -> int:
        """Unix seconds, on the test clock."""
        return int((await self._clock())["frozen_time"])

    async def pass_by(self, seconds: int) -> None:
        """So much later everything that was due has happened, and its webhooks were sent."""
        form = {"frozen_time": await self.now() + seconds}
        await self.post(f"/v1/test_helpers/test_clocks/{self.clock_id}/advance", form)

        async def there() -> bool:
            return bool((await self._clock())["status"] == "ready")

        await until(there, within=60, what="Stripe's clock is there")

    async def objects(self) -> list[dict[str, Any]]:
        """Everything that it has."""
        found: list[dict[str, Any]] = (await self.http.get("/_control/objects")).raise_for_status().json()
        return found

    async def ledger(self) -> list[dict[str, Any]]:
        """Every movement of money."""
        found: list[dict[str, Any]] = (await self.http.get("/_control/ledger")).raise_for_status().json()
        return found

    async def post(self, path: str, form: Mapping[str, Any]) -> httpx.Response:
        """What an operator does at the dashboard."""
        return await self.http.post(path, data=dict(form), headers={"Idempotency-Key": str(uuid4())})

    async def _clock(self) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/test_helpers/test_clocks/{self.clock_id}")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


@asynccontextmanager
async def stripe_of(stack: Stack) -> AsyncIterator[Stripe]:
    """That of a stack, with a test clock until the end."""
    url = (await stack.status())["services"]["stripe"]["url"]
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": PIN}
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as http:
        now = (await http.get("/_control/clock")).json()["now"]
        made = await http.post(
            "/v1/test_helpers/test_clocks", data={"frozen_time": now}, headers={"Idempotency-Key": str(uuid4())}
        )
        stripe = Stripe(http, made.raise_for_status().json()["id"])
        try:
            yield stripe
        finally:
            await http.delete(f"/v1/test_helpers/test_clocks/{stripe.clock_id}")


@dataclass(slots=True)
class Payer:
    """One of them; `answers` counts what they were told, of which route, and why not."""

    person: Person
    currency: str
    stripe: Stripe
    answers: Counter[tuple[int, str, str]]
    signed_in: float = field(default_factory=time.monotonic)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """One request; None: nobody answered, or not now."""
        try:
            if time.monotonic() - self.signed_in > _SIGNED_IN:
                await self.person.login()
                self.signed_in = time.monotonic()
            answer = await self.person.call(method, f"/billing{path}", **options)
        except (httpx.TransportError, AssertionError):
            return None
        code = answer.json().get("code", "") if answer.is_error else ""
        self.answers[answer.status_code, path, code] += 1
        return None if answer.status_code in _NOT_NOW else answer

    async def insist(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, under one key, until somebody answers."""
        headers = {"Idempotency-Key": str(uuid4())}
        for _ in range(_TRIES):
            if (answer := await self.ask(method, path, headers=headers, **options)) is not None:
                return answer
            await asyncio.sleep(1)  # people's patience
        raise AssertionError(f"{method} {path} is never answered")

    async def subscribe(self, plan: str, card: str) -> None:
        """From the app to the Checkout page, and back if that went well."""
        page = await self.ask("POST", "/checkout", json={"plan": plan, "currency": self.currency})
        if page is None or page.is_error:
            return
        form = {"action": "pay", "number": card, "country": HOMES[self.currency]}
        paid = await self.stripe.http.post(page.json()["url"], data=form)
        if paid.is_redirect:
            back = httpx.URL(paid.headers["location"])
            await self.ask("GET", "/return", params={"session_id": back.params["session_id"]})

    async def change(self, plan: str) -> None:
        """To another plan, for what the preview says."""
        preview = await self.ask("POST", "/plan-change/preview", json={"plan": plan})
        if preview is not None and preview.is_success:
            quote = preview.json()["quote"]
            await self.insist("POST", "/plan-change", json={"plan": plan} | ({"quote": quote} if quote else {}))

    async def cancel(self) -> None:
        """At the end of what was paid."""
        await self.insist("POST", "/cancel")

    async def resume(self) -> None:
        """After all."""
        await self.insist("POST", "/resume")

    async def use_card(self, number: str) -> None:
        """Another one, on the portal page."""
        page = await self.ask("POST", "/portal", json={})
        if page is not None and page.is_success:
            await self.stripe.http.post(page.json()["url"], data={"action": "method", "number": number})

    async def want_back(self, share: int, *, from_operator: bool) -> None:
        """A part of the newest payment: by the app, or by an operator at the dashboard."""
        listed = await self.ask("GET", "/invoices")
        if listed is None or listed.is_error:
            return
        payments = [each["payment"] for each in listed.json()["items"] if each["payment"]]
        if not payments or payments[0]["refundable"]["amount"] < share:
            return
        charge_id, rest = payments[0]["charge_id"], payments[0]["refundable"]
        amount = rest["amount"] // share
        if from_operator:
            await self.stripe.post("/v1/refunds", {"charge": charge_id, "amount": amount})
        else:
            part = {"amount": amount, "currency": rest["currency"]}
            await self.insist("POST", "/refunds", json={"charge_id": charge_id, "amount": part})


@dataclass(slots=True)
class Load:
    """What all of them do, and how time passes meanwhile."""

    stripe: Stripe
    payers: Sequence[Payer]
    dice: random.Random

    async def run(self, over: asyncio.Event) -> None:
        """Each of them does one thing after the other, and a clock moves, until it is over."""
        async with asyncio.TaskGroup() as group:
            for payer in self.payers:
                group.create_task(self._repeated(over, lambda payer=payer: self._something(payer)))  # type: ignore[misc]
            group.create_task(self._repeated(over, self._time))

    async def _repeated(self, over: asyncio.Event, deed: Callable[[], Awaitable[None]]) -> None:
        while not over.is_set():
            await deed()
            await asyncio.sleep(self.dice.uniform(0.2, 1.0))  # any moment is meant

    async def _something(self, payer: Payer) -> None:
        plan, card = self.dice.choice(PLANS), self.dice.choice((GOOD, GOOD, FAILING))
        deeds: dict[str, Callable[[], Awaitable[None]]] = {
            "subscribe": lambda: payer.subscribe(plan, self.dice.choice((GOOD, GOOD, GOOD, DECLINED))),
            "change": lambda: payer.change(plan),
            "cancel": payer.cancel,
            "resume": payer.resume,
            "card": lambda: payer.use_card(card),
            "refund": lambda: payer.want_back(self.dice.choice((1, 2, 3)), from_operator=False),
            "dashboard": lambda: payer.want_back(4, from_operator=True),
        }
        chances = {"subscribe": 6, "change": 4, "cancel": 1, "resume": 2, "card": 4, "refund": 2, "dashboard": 1}
        (name,) = self.dice.choices(list(chances), list(chances.values()))
        await deeds[name]()

    async def _time(self) -> None:
        await self.stripe.pass_by(self.dice.choice((DAY // 24, DAY, 4 * DAY, 15 * DAY)))
