"""A change of a subscription's items, worked out without making it: the items afterwards, and what is to be settled.

The preview of a change and the change itself both come from `worked_out`, at the same `proration_date`.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.lines import Line
from infra.local.emulators.stripe_server.billing.periods import Period, period_at
from infra.local.emulators.stripe_server.billing.prices import interval_of, price_of
from infra.local.emulators.stripe_server.billing.proration import credit, debit, remaining
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of, line_of, new_item, period_of
from infra.local.emulators.stripe_server.errors import invalid, require_done, resource_missing
from infra.local.emulators.stripe_server.objects import Document

_MOST_ITEMS = 20
_OF_ITEM = ("id", "price", "quantity", "deleted", "metadata")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `at`: until when the old items are paid for; `prorates`: whether the difference is settled;
    `restarts`: whether periods begin anew now."""

    items: Sequence[Document]
    at: int
    prorates: bool = True
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The items afterwards; `prorations` settle the current period, `full` are periods that begin with the change."""

    items: list[Document]
    prorations: list[Line]
    full: list[Line]
    anchor: int

    @property
    def lines(self) -> list[Line]:
        """Everything that it costs."""
        return [*self.prorations, *self.full]


def worked_out(account: Account, subscription: Document, wanted: Wanted) -> Change:
    """The change. Raises `StripeError` for items that there are not, and for an instant outside of the period."""
    before, is_trial = items_of(subscription), subscription["status"] == "trialing"
    after = _items(account, subscription, wanted.items)
    restarts = wanted.restarts or _other_interval(before, after)
    if is_trial and not restarts:
        return Change(after, [], [], subscription["billing_cycle_anchor"])
    touched = before if restarts else [item for item in before if not _is_same(item, after)]
    added = after if restarts else [item for item in after if not _is_same(item, before)]
    prorations: list[Line] = []
    if wanted.prorates and not is_trial:
        prorations = [_unused(account, subscription, item, wanted.at) for item in touched]
        prorations += [] if restarts else [_remaining(account, subscription, item, wanted.at) for item in added]
    full = _restarted(account, subscription, after) if restarts else []
    return Change(after, prorations, full, account.now() if restarts else subscription["billing_cycle_anchor"])


def check_instant(subscription: Document, at: int) -> None:
    """A `proration_date` lies in the current period. Raises `StripeError`."""
    for item in items_of(subscription):
        if not item["current_period_start"] <= at <= item["current_period_end"]:
            raise invalid("Invalid proration_date: it must lie in the current period.", "proration_date")


def _items(account: Account, subscription: Document, given: Sequence[Document]) -> list[Document]:
    """The items afterwards; those that are not named stay."""
    found = {item["id"]: deepcopy(item) for item in items_of(subscription)}
    for place, each in enumerate(given):
        require_done(each, _OF_ITEM, f"items[{place}]")
        item_id = each.get("id")
        if item_id is not None and item_id not in found:
            raise resource_missing("subscription_item", item_id, "items[0][id]")
        if each.get("deleted"):
            del found[item_id or ""]
        elif item_id is None:
            item = _added(account, subscription, each)
            found[item["id"]] = item
        else:
            _revise(account, subscription, found[item_id], each)
    if not 1 <= len(found) <= _MOST_ITEMS:
        raise invalid(f"A subscription must have 1 to {_MOST_ITEMS} items.", "items")
    return list(found.values())


def _revise(account: Account, subscription: Document, item: Document, given: Document) -> None:
    """A new price comes with a quantity of 1 unless one is given."""
    same = given.get("price", item["price"]["id"]) == item["price"]["id"]
    price = item["price"] if same else price_of(account, given["price"])
    unless_given: int = item["quantity"] if same else 1
    fresh = new_item(account, price, given.get("quantity", unless_given), period_of(item), subscription["id"])
    item |= {name: fresh[name] for name in ("price", "plan", "quantity")}
    if "metadata" in given:
        item["metadata"] = dict(given["metadata"] or {})
    line_of(account, item, subscription["currency"], period_of(item))  # refuses a price in another currency


def _added(account: Account, subscription: Document, given: Document) -> Document:
    price = price_of(account, given["price"])
    if any(item["price"]["id"] == price["id"] for item in items_of(subscription)):
        raise invalid(f"There is already an existing Subscription Item using the price {price['id']}.", "items")
    period = period_at(subscription["billing_cycle_anchor"], interval_of(price), account.now())
    item = new_item(account, price, given.get("quantity", 1), period, subscription["id"])
    line_of(account, item, subscription["currency"], period)
    return item


def _is_same(item: Document, others: Sequence[Document]) -> bool:
    """Whether the item is among the others, and costs the same."""
    about = (item["id"], item["price"]["id"], item["quantity"])
    return any((each["id"], each["price"]["id"], each["quantity"]) == about for each in others)


def _other_interval(before: Sequence[Document], after: Sequence[Document]) -> bool:
    """Whether an item that stays is billed at another interval."""
    intervals = {item["id"]: interval_of(item["price"]) for item in before}
    return any(item["id"] in intervals and interval_of(item["price"]) != intervals[item["id"]] for item in after)


def _unused(account: Account, subscription: Document, item: Document, at: int) -> Line:
    """The credit for the time that is left of an item."""
    period = period_of(item)
    line = line_of(account, item, subscription["currency"], Period(at, period.end))
    return replace(
        line,
        amount=credit(line.amount, remaining(period, at)),
        description=f"Unused time on {line.description} after {_date(at)}",
        is_proration=True,
        credited=_paid_with(account, item, at),
    )


def _remaining(account: Account, subscription: Document, item: Document, at: int) -> Line:
    """The debit for the time that is left of an item's period."""
    period = period_of(item)
    line = line_of(account, item, subscription["currency"], Period(at, period.end))
    text = f"Remaining time on {line.description} after {_date(at)}"
    return replace(line, amount=debit(line.amount, remaining(period, at)), description=text, is_proration=True)


def _restarted(account: Account, subscription: Document, items: Sequence[Document]) -> list[Line]:
    """Every item begins a period now."""
    now = account.now()
    for item in items:
        item |= {"current_period_start": now, "current_period_end": interval_of(item["price"]).after(now, 1)}
    return [line_of(account, item, subscription["currency"], period_of(item)) for item in items]


def _paid_with(account: Account, item: Document, at: int) -> tuple[str, tuple[str, ...]] | None:
    """The invoice and its lines that the item was paid with for this time."""

    def covers(line: Document) -> bool:
        of = line["parent"]["subscription_item_details"]["subscription_item"]
        return bool(of == item["id"] and line["amount"] > 0 and line["period"]["start"] <= at <= line["period"]["end"])

    for invoice in account.objects.find("invoice", lambda each: each["status"] == "paid"):
        if lines := tuple(line["id"] for line in invoice["lines"]["data"] if covers(line)):
            return invoice["id"], lines
    return None


def _date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y")
