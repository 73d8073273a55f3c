"""Somebody's plan as the billing demo sees it: Stripe's pages filled in as a browser does, and Stripe's test clock.

Time passes at Stripe alone, by its own mechanism (<https://docs.stripe.com/billing/testing/test-clocks>): whoever signs
up while there is a test clock is on it, and is read as of what it shows.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import stripe

from infra.local.demo import Visitor, wait_until
from infra.local.errors import StackError

GOOD_CARD: Final = "4242424242424242"
FAILING_CARD: Final = "4000000000000341"
"""It can be saved, and is declined whenever it is charged."""
SERVICE: Final = "worker-billing"
SECONDS: Final = 30.0
"""For what takes two, on a machine with nothing else to do."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Stripe's time for everybody who is on this test clock."""

    account: stripe.StripeClient
    id: str

    @property
    def now(self) -> datetime:
        """What it shows."""
        return datetime.fromtimestamp(self._read().frozen_time, UTC)

    def move(self, to: datetime) -> None:
        """Everything that is due until then has happened, and its webhooks were sent. Raises `StackError`."""
        moved: Any = {"frozen_time": int(to.timestamp())}
        key: Any = {"idempotency_key": f"pf:demo:clock:{self.id}:{moved['frozen_time']}"}
        self.account.v1.test_helpers.test_clocks.advance(self.id, moved, key)
        wait_until(lambda: self._read().status == "ready", SECONDS, "Stripe's clock is there", "stripe")

    def _read(self) -> Any:
        return self.account.v1.test_helpers.test_clocks.retrieve(self.id)


@contextmanager
def test_clock(account: stripe.StripeClient, base: str, name: str) -> Iterator[Clock]:
    """One that shows the account's time, until it is deleted; the account goes on from where it stands then."""
    now = httpx.get(f"{base}/_control/clock").raise_for_status().json()["now"]
    made = account.v1.test_helpers.test_clocks.create(
        {"frozen_time": now, "name": name}, {"idempotency_key": f"pf:demo:clock:{name}"}
    )
    try:
        yield Clock(account, made.id)
    finally:
        account.v1.test_helpers.test_clocks.delete(made.id)


@dataclass(frozen=True, slots=True)
class Payer:
    """Somebody who subscribes: `visitor` has the app, `browser` opens the pages of Stripe's."""

    visitor: Visitor
    browser: httpx.Client

    def subscribe(self, plan: str, currency: str, card: str) -> None:
        """From the app to the Checkout page, and back with a plan. Raises `StackError`."""
        page = self.visitor.call("POST", "/billing/checkout", {"plan": plan, "currency": currency})["url"]
        paid = self._submit(page, action="pay", number=card, country="DE")
        back = httpx.URL(paid.headers["location"])
        self.browser.get(back)
        settled = self.visitor.call("GET", f"/billing/return?session_id={back.params['session_id']}")
        if settled["state"] != "done":
            raise StackError(f"Paid, and yet: {settled}. `petfolio logs {SERVICE}` may say why.")

    def use_card(self, number: str) -> None:
        """On the page for one's plan: the card that is charged from now on. Raises `StackError`."""
        self._submit(self.visitor.call("POST", "/billing/portal", {})["url"], action="method", number=number)

    def has(self, **expected: Any) -> None:
        """The app shows this of the plan, soon. Raises `StackError`."""
        wait_until(lambda: expected.items() <= self.plan().items(), SECONDS, f"the plan has {expected}", SERVICE)

    def plan(self) -> Mapping[str, Any]:
        """As the app shows it."""
        found: Mapping[str, Any] = self.visitor.call("GET", "/billing/subscription")
        return found

    def period_end(self) -> datetime:
        """Until when it is paid."""
        return datetime.fromisoformat(self.plan()["period_end"])

    def renewed(self, after: datetime) -> None:
        """The app shows another period. Raises `StackError`."""
        wait_until(lambda: self.period_end() > after + timedelta(days=1), SECONDS, "another period", SERVICE)

    def payments(self) -> list[Mapping[str, Any]]:
        """Those that came through, newest first, with what of each can be paid back."""
        invoices = self.visitor.call("GET", "/billing/invoices")["items"]
        return [each["payment"] for each in invoices if each["payment"] is not None]

    def _submit(self, page: str, **form: str) -> httpx.Response:
        """Open a page, fill its form in and send it."""
        self.browser.get(page).raise_for_status()
        answer = self.browser.post(page, data=form)
        if not answer.is_redirect:
            raise StackError(f"Stripe's page was sent {form['action']!r}, and answered {answer.status_code}.")
        return answer
