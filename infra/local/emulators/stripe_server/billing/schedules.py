"""Subscription schedules: made from a subscription, given phases, released."""

from collections.abc import Sequence
from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import phases, renewals
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.periods import Interval
from infra.local.emulators.stripe_server.billing.prices import interval_of, price_of
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of, period_end, period_of
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid, missing_parameter, require_done
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND: Final = "subscription_schedule"
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_PHASE: Final = frozenset("items start_date end_date duration proration_behavior metadata currency".split())
_ITEM: Final = frozenset(("price", "quantity", "metadata"))
_OVER: Final = ("canceled", "completed", "released")
_NAMES: Final = ("application_fee_percent", "automatic_tax", "billing_thresholds", "collection_method", "description")


@operation("POST", "/v1/subscription_schedules", takes=("from_subscription", "metadata"))
def create(call: Call) -> Document:
    """A schedule whose only phase is the subscription as it is, to the end of its period; then it lets go."""
    account, given = call.account, call.params
    if "from_subscription" not in given:
        raise missing_parameter("from_subscription")
    subscription = account.objects.get("subscription", given["from_subscription"], "from_subscription")
    _check_schedulable(subscription)
    phase = _phase_of(subscription)
    schedule = made(
        account,
        _KIND,
        "sub_sched",
        billing_mode=dict(subscription["billing_mode"]),
        current_phase={"end_date": phase["end_date"], "start_date": phase["start_date"]},
        customer=subscription["customer"],
        default_settings=_default_settings(),
        end_behavior="release",
        metadata=dict(given.get("metadata") or {}),
        pause_schedules=[],
        phases=[phase],
        status="active",
        subscription=subscription["id"],
    )
    with account.changing(subscription, "customer.subscription.updated"):
        subscription |= {"schedule": schedule["id"], "_phase_ends": phase["end_date"]}
    account.emit("subscription_schedule.created", schedule)
    renewals.plan(account, subscription)
    return schedule


@operation("GET", "/v1/subscription_schedules/{schedule}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_KIND, call.id)


@operation("GET", "/v1/subscription_schedules", takes=("customer", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    customer = call.params.get("customer")
    return page(call, call.account.objects.find(_KIND, lambda each: customer in (None, each["customer"])))


@operation(
    *("POST", "/v1/subscription_schedules/{schedule}"),
    takes=("phases", "end_behavior", "metadata", "proration_behavior"),
)
def change(call: Call) -> Document:
    """Other phases: the first is the current one, with its start. Raises `StripeError` for gaps."""
    account, given = call.account, call.params
    schedule = account.objects.get(_KIND, call.id)
    _check_going(schedule)
    subscription = account.objects.get("subscription", schedule["subscription"])
    with account.changing(schedule, "subscription_schedule.updated"):
        if "phases" in given:
            schedule["phases"] = _phases(account, subscription, schedule, given["phases"])
            schedule["current_phase"]["end_date"] = schedule["phases"][0]["end_date"]
            subscription["_phase_ends"] = schedule["phases"][0]["end_date"]
        update(schedule, given, "end_behavior")
    renewals.plan(account, subscription)
    return schedule


@operation("POST", "/v1/subscription_schedules/{schedule}/release")
def release(call: Call) -> Document:
    """The subscription goes on as it is, and no phase follows."""
    schedule = call.account.objects.get(_KIND, call.id)
    _check_going(schedule)
    subscription = call.account.objects.get("subscription", schedule["subscription"])
    phases.release(call.account, subscription, schedule)
    renewals.plan(call.account, subscription)
    return schedule


def _check_schedulable(subscription: Document) -> None:
    if subscription["schedule"]:
        message = f"This subscription is already attached to a schedule: `{subscription['schedule']}`."
        raise invalid(message, "from_subscription")
    if subscription["status"] in ("canceled", "incomplete", "incomplete_expired"):
        raise invalid("You cannot make a schedule from a subscription that does not go on.", "from_subscription")
    if subscription["cancel_at"] is not None:
        raise invalid("You cannot make a schedule from a subscription that is set to cancel.", "from_subscription")


def _check_going(schedule: Document) -> None:
    if schedule["status"] in _OVER:
        message = f"You cannot change a subscription schedule that is in the `{schedule['status']}` status."
        raise invalid(message)


def _phase_of(subscription: Document) -> Document:
    """The current phase: as the subscription is, in its current period."""
    items = [_phase_item(item["price"], item["quantity"], item["metadata"]) for item in items_of(subscription)]
    start = min(period_of(item).start for item in items_of(subscription))
    return _phase(items, start, period_end(subscription), subscription["currency"], "create_prorations")


def _phases(
    account: Account, subscription: Document, schedule: Document, given: Sequence[dict[str, Any]]
) -> list[Document]:
    """As they are asked for: each begins where the one before ends."""
    current, found = schedule["current_phase"], []
    starts = given[0].get("start_date") if given else None
    if starts not in (current["start_date"], "now"):
        raise invalid("The first phase is the current one, and keeps its start_date.", "phases[0][start_date]")
    start = int(current["start_date"])
    for index, each in enumerate(given):
        _check_known(each, index)
        if index and each.get("start_date", start) != start:
            raise invalid("A phase begins where the one before it ends.", f"phases[{index}][start_date]")
        items = [_asked_item(account, item) for item in each["items"]]
        end = _end(account, each, items, start, index)
        behavior = each.get("proration_behavior", "create_prorations")
        found.append(_phase(items, start, end, subscription["currency"], behavior, each.get("metadata")))
        start = end
    return found


def _check_known(given: dict[str, Any], index: int) -> None:
    require_done(given, _PHASE, f"phases[{index}]")
    for place, item in enumerate(given["items"]):
        require_done(item, _ITEM, f"phases[{index}][items][{place}]")


def _end(account: Account, given: dict[str, Any], items: Sequence[Document], start: int, index: int) -> int:
    """Given, or so long after the start; without either one period of its price."""
    if "end_date" in given:
        end = account.now() if given["end_date"] == "now" else int(given["end_date"])
    elif duration := given.get("duration"):
        end = Interval(duration["interval"], duration.get("interval_count", 1)).after(start, 1)
    else:
        end = interval_of(account.objects.get("price", items[0]["price"])).after(start, 1)
    if end <= start:
        raise invalid("A phase ends after its start.", f"phases[{index}][end_date]")
    return end


def _asked_item(account: Account, given: dict[str, Any]) -> Document:
    if "price" not in given:
        raise missing_parameter("phases[0][items][0][price]")
    return _phase_item(price_of(account, given["price"]), given.get("quantity", 1), given.get("metadata"))


def _phase_item(price: Document, quantity: int, metadata: Document | None) -> Document:
    names = {"plan": price["id"], "price": price["id"], "quantity": quantity}
    return names | {"billing_thresholds": None, "discounts": [], "metadata": metadata or {}, "tax_rates": []}


def _phase(
    items: list[Document], start: int, end: int, currency: str, behavior: str, metadata: Document | None = None
) -> Document:
    nothing = dict.fromkeys((*_NAMES, "billing_cycle_anchor", "default_payment_method", "invoice_settings"))
    nothing |= dict.fromkeys(("on_behalf_of", "transfer_data", "trial_end"))
    about = {"add_invoice_items": [], "currency": currency, "default_tax_rates": [], "discounts": [], "items": items}
    dates = {"end_date": end, "start_date": start}
    return nothing | about | dates | {"metadata": metadata or {}, "proration_behavior": behavior}


def _default_settings() -> Document:
    nothing = dict.fromkeys((*_NAMES, "default_payment_method", "on_behalf_of", "transfer_data"))
    invoice = dict.fromkeys(("account_tax_ids", "days_until_due")) | {"issuer": {"type": "self"}}
    return nothing | {
        "billing_cycle_anchor": "automatic",
        "collection_method": "charge_automatically",
        "invoice_settings": invoice,
    }
