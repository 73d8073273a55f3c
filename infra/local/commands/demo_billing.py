"""`petfolio demo billing`: a plan from its first payment to a refund, on Stripe's clock, narrated."""

import secrets
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Final

import httpx
from rich.console import Console

from domain.money import Money
from infra.local import stripe_seed
from infra.local.billing_demo import FAILING_CARD, GOOD_CARD, SECONDS, Clock, Payer, test_clock
from infra.local.commands.demo import sign_up, step
from infra.local.demo import Visitor, workflow_link
from infra.local.errors import StackError
from infra.local.launchers.stripe import KEY
from infra.local.state import StackState, State

_PLAN: Final = "plus_month"
_CURRENCY: Final = "EUR"
_AN_HOUR: Final = timedelta(hours=2)
"""And some more: for so long a renewal stays a draft before it is charged."""
_UNPAID: Final = "did not come through"
_REFUNDED: Final = "refund is on its way"


def run(stack: StackState) -> None:
    """Raises `StackError` where the platform does not do what is promised."""
    service = stack.services["stripe"]
    if service.state is State.EXTERNAL:
        raise StackError("This demo moves Stripe's time: it needs the local server, without PETFOLIO_STRIPE_API_KEY.")
    base = str(service.url)
    with ExitStack() as opened:
        api, inbox = (
            opened.enter_context(httpx.Client(base_url=stack.urls[name], timeout=20))
            for name in ("api_url", "inbox_url")
        )
        browser = opened.enter_context(httpx.Client(timeout=20))
        clock = opened.enter_context(test_clock(stripe_seed.client(KEY, base), base, f"demo-{secrets.token_hex(4)}"))
        _narrate(Console(highlight=False, soft_wrap=True), stack, Payer(Visitor(api, inbox), browser), clock)


def _narrate(console: Console, stack: StackState, payer: Payer, clock: Clock) -> None:
    console.print(f"[bold]Petfolio demo[/] · a plan and its payments, {payer.visitor.email}\n")
    sign_up(console, payer.visitor)
    _subscribe(console, payer)
    _renew(console, payer, clock)
    _fail(console, payer, clock)
    _dun(console, payer, clock)
    _replace(console, payer)
    _pay_back(console, payer)
    _links(console, stack, payer, clock)


def _subscribe(console: Console, payer: Payer) -> None:
    with step(console, "Looks at the plans"):
        plans = {each["tier"]: each for each in payer.visitor.call("GET", "/billing/plans")["items"]}
    for tier, plan in plans.items():
        console.print(f"      {tier:7} {plan['limits']['pets']:3} pets  {_price(plan)}", markup=False)
    with step(console, f"Subscribes to plus: pays on Stripe's page with {GOOD_CARD}, and comes back"):
        payer.subscribe(_PLAN, _CURRENCY, GOOD_CARD)
        payer.has(tier="plus", status="active", problem=None)


def _renew(console: Console, payer: Payer, clock: Clock) -> None:
    paid_until = payer.period_end()
    with step(console, f"A month passes at Stripe: it is {paid_until:%d %B %Y}, and the plan renews itself"):
        clock.move(paid_until + _AN_HOUR)
        payer.renewed(paid_until)


def _fail(console: Console, payer: Payer, clock: Clock) -> None:
    with step(console, f"Saves another card on the page for one's plan: {FAILING_CARD}, which has no luck"):
        payer.use_card(FAILING_CARD)
    paid_until = payer.period_end()
    with step(console, f"Another month passes: {paid_until:%d %B}. The payment fails; the plan stays for two weeks"):
        clock.move(paid_until + _AN_HOUR)
        payer.has(tier="plus", status="past_due")
    _mail(console, payer, _UNPAID, 1)


def _dun(console: Console, payer: Payer, clock: Clock) -> None:
    """On the days on which Stripe tries again by itself."""
    for number, days in ((2, 3), (3, 5)):
        later = clock.now + timedelta(days=days)
        with step(console, f"{days} days later, {later:%d %B}: tried again, and declined again"):
            clock.move(later)
        _mail(console, payer, _UNPAID, number)


def _replace(console: Console, payer: Payer) -> None:
    with step(console, f"Saves a card that works: {GOOD_CARD}"):
        payer.use_card(GOOD_CARD)
    with step(console, "  … which is charged by itself, once: the plan is in good standing"):
        payer.has(tier="plus", status="active", problem=None)


def _pay_back(console: Console, payer: Payer) -> None:
    newest, *_ = payments = payer.payments()
    if len(payments) != 3:
        raise StackError(f"Three payments came through, and the app shows {len(payments)}.")
    with step(console, f"Wants the last of {len(payments)} payments back: {_money(newest['refundable'])}"):
        payer.visitor.call("POST", "/billing/refunds", {"charge_id": newest["charge_id"]})
    with step(console, "  … with which the plan has ended"):
        payer.has(tier="free")
    _mail(console, payer, _REFUNDED, 1)
    rest = [_money(each["refundable"]) for each in payer.payments()]
    console.print(f"      can still be paid back: {', '.join(rest)}", markup=False)


def _mail(console: Console, payer: Payer, words: str, number: int) -> None:
    with step(console, "  … a mail arrives") as status:
        mail = payer.visitor.wait_for_mail(words, SECONDS, lambda: status.update("Waiting for the mail"), number=number)
    console.print(f"      {mail['subject']} · {_gist(mail['text'])}", markup=False)


def _gist(text: str) -> str:
    """The sentence that says how long the plan holds, or else the first."""
    sentences = [" ".join(each.split()).partition(". ")[0] for each in text.replace("\r\n", "\n").split("\n\n")]
    return next((each for each in sentences if "plan ends" in each), sentences[0])


def _price(plan: Any) -> str:
    wanted = [each for each in plan["prices"] if each["amount"]["currency"] == _CURRENCY]
    return ", ".join(f"{_money(each['amount'])} a {each['interval']}" for each in wanted) or "free"


def _money(amount: Any) -> str:
    return Money(amount["amount"], amount["currency"]).text


def _links(console: Console, stack: StackState, payer: Payer, clock: Clock) -> None:
    workflow_id = payer.plan()["workflow"].partition("/workflows/")[2]
    console.print(f"\nStripe's clock stands at {clock.now:%d %B %Y}, and goes on from there. Look around:")
    console.print(f"  Stripe    {stack.services['stripe'].url}", markup=False)
    console.print(f"  Workflow  {workflow_link(stack.urls['temporal_ui_url'], workflow_id)}", markup=False)
    console.print(f"  Inbox     {stack.urls['inbox_url']}", markup=False)
    console.print(f"  API       {stack.urls['api_url']}/docs#/billing", markup=False)
    console.print(f"  Log in as {payer.visitor.email} with {payer.visitor.password}", markup=False)
