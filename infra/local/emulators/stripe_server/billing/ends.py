"""The end of a subscription: at once, or at an instant that is set before, and taken back by an empty word."""

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import statuses
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of, period_end
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import exclusive_parameters, invalid, not_done
from infra.local.emulators.stripe_server.objects import Document


def schedule(account: Account, subscription: Document, given: Document) -> None:
    """Set or take back the end as `cancel_at` and `cancel_at_period_end` say. Raises `StripeError`; tells nobody.

    A period's end is an instant like any other once it is set: only `cancel_at_period_end` shows as itself.
    """
    check(account, given, subscription)
    update(subscription["cancellation_details"], given.get("cancellation_details", {}), "comment", "feedback")
    if "cancel_at" not in given and "cancel_at_period_end" not in given:
        return
    if given.get("cancel_at_period_end") is False and subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = None
    if "cancel_at_period_end" in given:
        subscription["cancel_at_period_end"] = given["cancel_at_period_end"]
    if given.get("cancel_at_period_end"):
        subscription["cancel_at"] = period_end(subscription)
    if "cancel_at" in given:
        subscription["cancel_at"] = _instant(subscription, given["cancel_at"])
    _note(account, subscription)


def check(account: Account, given: Document, subscription: Document | None = None) -> None:
    """Raises `StripeError` for an end that cannot be set; for an existing subscription also where a schedule does."""
    at = given.get("cancel_at")
    if at and given.get("cancel_at_period_end"):
        raise exclusive_parameters("cancel_at", "cancel_at_period_end")
    if isinstance(at, int) and at <= account.now():
        raise invalid("`cancel_at` must be a timestamp in the future.", "cancel_at")
    if at == "max_billed_until":
        raise not_done("cancel_at")
    if subscription and given.keys() & {"cancel_at", "cancel_at_period_end"}:
        check_unscheduled(subscription)


def end(account: Account, subscription: Document) -> None:
    """Over at once, its schedule with it."""
    if schedule_id := subscription["schedule"]:
        plan = account.objects.get("subscription_schedule", schedule_id)
        plan |= {"status": "canceled", "canceled_at": account.now(), "current_phase": None}
        account.emit("subscription_schedule.canceled", plan)
    statuses.end(account, subscription, "cancellation_requested")


def end_all(account: Account, customer_id: str) -> None:
    """The customer is deleted: whatever they have is over."""
    over = ("canceled", "incomplete_expired")

    def is_live(each: Document) -> bool:
        return each["customer"] == customer_id and each["status"] not in over

    for subscription in account.objects.find("subscription", is_live):
        end(account, subscription)


def check_unscheduled(subscription: Document) -> None:
    """Raises `StripeError` for one whose end is a schedule's business."""
    if subscription["schedule"]:
        message = (
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
        raise invalid(message)


def _instant(subscription: Document, given: int | str) -> int | None:
    if given == "min_period_end":
        return period_end(subscription)
    if given == "max_period_end":
        return max(int(item["current_period_end"]) for item in items_of(subscription))
    return int(given) if given else None


def _note(account: Account, subscription: Document) -> None:
    is_set = subscription["cancel_at"] is not None
    subscription["canceled_at"] = (subscription["canceled_at"] or account.now()) if is_set else None
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if is_set else None
