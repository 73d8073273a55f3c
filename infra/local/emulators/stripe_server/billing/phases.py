"""The phases of a subscription schedule: what the subscription's items are, from one instant to another."""

from typing import Any

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import statuses
from infra.local.emulators.stripe_server.billing.changes import Wanted, worked_out
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of, period_end, set_items
from infra.local.emulators.stripe_server.objects import Document


def begin_next(account: Account, subscription: Document) -> None:
    """The current phase is over: the next one begins, or the schedule is done."""
    schedule = account.objects.get("subscription_schedule", subscription["schedule"])
    following = [each for each in schedule["phases"] if each["start_date"] >= schedule["current_phase"]["end_date"]]
    if following:
        enter(account, subscription, schedule, following[0])
    elif schedule["end_behavior"] == "cancel":
        _finish(account, subscription, schedule, "completed", "completed_at")
        statuses.end(account, subscription, "cancellation_requested")
    else:
        release(account, subscription, schedule)


def enter(account: Account, subscription: Document, schedule: Document, phase: Document) -> None:
    """A phase begins. Where a period ends just now nothing is prorated."""
    at_boundary = period_end(subscription) <= account.now()
    prorates = phase["proration_behavior"] != "none" and not at_boundary
    wanted = Wanted(_as_wanted(subscription, phase), account.now(), prorates, restarts=False)
    change = worked_out(account, subscription, wanted)
    with account.changing(schedule, "subscription_schedule.updated"):
        schedule["current_phase"] = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["_phase_ends"] = phase["end_date"]
        subscription["metadata"] |= phase["metadata"] or {}
        if change.full:  # another interval is counted from where it begins
            subscription["billing_cycle_anchor"] = period_end(subscription) if at_boundary else change.anchor
        if at_boundary:
            set_items(account, subscription, _kept_periods(subscription, change.items))
        else:
            subscription["_prorations"] += change.lines
            set_items(account, subscription, change.items)


def release(account: Account, subscription: Document, schedule: Document) -> None:
    """The schedule lets go of the subscription, which stays as it is."""
    schedule |= {"released_subscription": subscription["id"], "subscription": None}
    _finish(account, subscription, schedule, "released", "released_at")


def _finish(account: Account, subscription: Document, schedule: Document, status: str, when: str) -> None:
    schedule |= {"status": status, when: account.now(), "current_phase": None}
    with account.changing(subscription, "customer.subscription.updated"):
        subscription |= {"schedule": None, "_phase_ends": None}
    account.emit(f"subscription_schedule.{status}", schedule)


def _as_wanted(subscription: Document, phase: Document) -> list[dict[str, Any]]:
    """A phase's items as a request would name them: in their order they take the place of the items that there are."""
    before = items_of(subscription)
    named: list[dict[str, Any]] = []
    for index, item in enumerate(phase["items"]):
        about = {"price": item["price"], "quantity": item["quantity"]}
        named.append({"id": before[index]["id"], **about} if index < len(before) else about)
    return named + [{"id": item["id"], "deleted": True} for item in before[len(phase["items"]) :]]


def _kept_periods(subscription: Document, items: list[Document]) -> list[Document]:
    """The renewal that follows at once begins the next period; it has to find the old one."""
    ends = {item["id"]: item for item in items_of(subscription)}
    names = ("current_period_start", "current_period_end")
    for item in items:
        if item["id"] in ends:
            item |= {name: ends[item["id"]][name] for name in names}
    return items
