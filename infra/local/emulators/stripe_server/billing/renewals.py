"""What time does to a subscription: trials end, periods renew, what nobody paid for expires, a scheduled end comes.

One timer per subscription waits for the earliest of these. When it rings, everything that is due happens in a fixed
order: a phase begins before the period renews, and an end comes instead of a renewal.
"""

from collections.abc import Callable
from typing import Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, discounts, invoices, phases, statuses
from infra.local.emulators.stripe_server.billing.invoice_documents import Draft
from infra.local.emulators.stripe_server.billing.lines import Line
from infra.local.emulators.stripe_server.billing.periods import Period, period_at
from infra.local.emulators.stripe_server.billing.prices import interval_of
from infra.local.emulators.stripe_server.billing.subscription_documents import (
    LIVE,
    items_of,
    line_of,
    period_end,
    period_of,
)
from infra.local.emulators.stripe_server.objects import Document

FIRST_PAYMENT_WITHIN: Final = 23 * 3600
"""A subscription is incomplete so long, and a change waits so long for its payment."""
_TRIAL_WARNING: Final = 3 * 86_400
_LOOKS_AGAIN: Final = 86_400


def plan(account: Account, subscription: Document) -> None:
    """Set the timer for what comes next. Call after every change."""
    found = [due(subscription) for due, _ in _STEPS]
    instants = [each for each in found if each is not None]
    name = f"subscription:{subscription['id']}"
    account.clock.cancel(name)
    if instants:
        account.clock.at(min(instants), lambda: wake(account, subscription), name=name)


def wake(account: Account, subscription: Document) -> None:
    """Do what is due; nothing for one that was taken away meanwhile."""
    if not statuses.is_there(account, subscription):
        return
    for due, act in _STEPS:
        instant = due(subscription)
        if instant is not None and instant <= account.now():
            act(account, subscription)
    plan(account, subscription)


def bill_period(account: Account, subscription: Document, lines: list[Line], reason: str, closes: Period) -> Document:
    """The draft of a period's invoice, with what earlier changes have left to settle."""
    draft = draft_of(account, subscription, [*subscription["_prorations"], *lines], reason, closes)
    subscription["_prorations"] = []
    return _bill(account, subscription, draft)


def draft_of(
    account: Account, subscription: Document, lines: list[Line], reason: str, closes: Period, at: int | None = None
) -> Draft:
    """What an invoice of the subscription is made of."""
    customer = account.objects.get("customer", subscription["customer"])
    reductions = discounts.reductions(account, subscription["discounts"], account.now())
    return Draft(customer, subscription, lines, reductions, reason, closes, at)


def use_discounts(account: Account, subscription: Document) -> None:
    """An invoice has been made: a coupon for `once` is used up."""
    subscription["discounts"] = discounts.lasting(account, subscription["discounts"])


def _renew(account: Account, subscription: Document) -> None:
    """The next period of every item whose period is over, and their invoice. A trial that ends without a method may end
    the subscription, or pause it."""
    was_trial = subscription["status"] == "trialing"
    if was_trial and _ends_without_method(account, subscription):
        return
    due = [item for item in items_of(subscription) if item["current_period_end"] <= account.now()]
    closes = period_of(due[0])
    with account.changing(subscription, "customer.subscription.updated"):
        if was_trial:
            subscription |= {"status": "active", "billing_cycle_anchor": closes.end}
        for item in due:
            _next_period(item, subscription["billing_cycle_anchor"])
        lines = [line_of(account, item, subscription["currency"], period_of(item)) for item in due]
        bill_period(account, subscription, lines, "subscription_cycle", closes)


def _next_period(item: Document, anchor: int) -> None:
    following = period_at(anchor, interval_of(item["price"]), item["current_period_end"])
    item |= {"current_period_start": item["current_period_end"], "current_period_end": following.end}


def _bill(account: Account, subscription: Document, draft: Draft) -> Document:
    """The invoice of a period, as far as it goes while the account or the customer have stopped paying."""
    pause = subscription["pause_collection"]
    invoice = collection.bill_later(account, draft)
    subscription["latest_invoice"] = invoice["id"]
    use_discounts(account, subscription)
    if subscription["status"] == "unpaid" or (pause and pause["behavior"] == "keep_as_draft"):
        collection.hold(account, invoice)
    elif pause:
        collection.hold(account, invoice)
        invoices.finalize(account, invoice)
        if invoice["status"] == "open":
            {"void": invoices.void, "mark_uncollectible": invoices.mark_uncollectible}[pause["behavior"]](
                account, invoice
            )
    return invoice


def _ends_without_method(account: Account, subscription: Document) -> bool:
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behavior == "create_invoice" or statuses.method_of(account, subscription) is not None:
        return False
    if behavior == "cancel":
        statuses.end(account, subscription, "cancellation_requested")
    else:
        pause(account, subscription)
    return True


def pause(account: Account, subscription: Document) -> None:
    """A trial has ended, and nothing is there to pay with."""
    paused = {"subscription": {"type": "trial_end_without_payment_method"}, "transitioned_at": account.now()}
    with account.changing(subscription, "customer.subscription.updated"):
        subscription |= {"status": "paused", "status_details": {"paused": paused | {"type": "subscription"}}}
    account.emit("customer.subscription.paused", subscription)


def _expire(account: Account, subscription: Document) -> None:
    """A bank that has not answered yet is waited for."""
    if invoices.is_processing(account, account.objects.maybe(subscription["latest_invoice"])):
        subscription["_expires"] = account.now() + _LOOKS_AGAIN
    else:
        statuses.expire(account, subscription)


def _warn(account: Account, subscription: Document) -> None:
    subscription["_warned"] = subscription["trial_end"]
    account.emit("customer.subscription.trial_will_end", subscription)


def _end(account: Account, subscription: Document) -> None:
    """What changes have left to settle is billed in the end."""
    if subscription["_prorations"]:
        bill_period(account, subscription, [], "subscription_cycle", period_of(items_of(subscription)[0]))
    statuses.end(account, subscription, "cancellation_requested")


def _collect_again(account: Account, subscription: Document) -> None:
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["pause_collection"] = None


def _stay_paused(account: Account, subscription: Document) -> None:
    """Nobody has paid to resume it."""
    invoice = account.objects.get("invoice", subscription["latest_invoice"])
    subscription["_resumes_until"] = None
    if invoice["status"] == "open":
        invoices.void(account, invoice)


def _expires(subscription: Document) -> int | None:
    return subscription["_expires"] if subscription["status"] == "incomplete" else None


def _update_expires(subscription: Document) -> int | None:
    return (subscription["pending_update"] or {}).get("expires_at")


def _warns(subscription: Document) -> int | None:
    end = subscription["trial_end"]
    if subscription["status"] != "trialing" or subscription.get("_warned") == end:
        return None
    return end - _TRIAL_WARNING if end else None


def _phase_ends(subscription: Document) -> int | None:
    return subscription.get("_phase_ends") if subscription["status"] in LIVE else None


def _cancels(subscription: Document) -> int | None:
    return subscription["cancel_at"] if subscription["status"] in (*LIVE, "paused") else None


def _collects(subscription: Document) -> int | None:
    return (subscription["pause_collection"] or {}).get("resumes_at")


def _resumption_ends(subscription: Document) -> int | None:
    return subscription.get("_resumes_until") if subscription["status"] == "paused" else None


def _renews(subscription: Document) -> int | None:
    return period_end(subscription) if subscription["status"] in LIVE else None


_STEPS: Final[tuple[tuple[Callable[[Document], int | None], Callable[[Account, Document], None]], ...]] = (
    (_expires, _expire),
    (_update_expires, statuses.drop_update),
    (_resumption_ends, _stay_paused),
    (_warns, _warn),
    (_phase_ends, phases.begin_next),
    (_cancels, _end),
    (_collects, _collect_again),
    (_renews, _renew),
)
