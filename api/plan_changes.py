"""Another plan, now or at the end of the period, and an end that is planned or taken back (billing.md §4.7).

A larger plan begins at once and is charged at once: as of the moment of the preview, so that the invoice is the one
that was shown. A smaller one begins when what was paid for ends. Stripe does the arithmetic.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg

from api import billing, operations
from api.auth import Caller
from api.billing_services import Billing
from api.cursor import BadCursor
from api.identity import Client
from api.money import money
from api.schemas.billing_changes import ChangeIn
from api.services import Services
from core.errors import Conflict, FieldProblem, Invalid
from core.ids import new_id
from domain.billing.catalogue import Tier, rank
from domain.billing.standing import DORMANT, LIVE
from integrations.payments import requests
from integrations.payments.records import Preview, Schedule, Subscription
from integrations.payments.requests import Change, Step
from models.queries import billing_views
from models.queries.billing_operations import Intended

QUOTE_SECONDS: Final = 1800
"""How long the sum of a preview stands."""
_CHANGE: Final = "subchange"
Kind = Literal["upgrade", "downgrade", "undo"]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked of a subscription: `row` is the account as it was read, `price` the one that is wanted."""

    kind: Kind
    row: asyncpg.Record
    price: asyncpg.Record

    @property
    def plan(self) -> str:
        """By its lookup key."""
        return str(self.price["lookup_key"])

    @property
    def subscription_id(self) -> str:
        """Which subscription."""
        return str(self.row["subscription_id"])


async def preview(services: Services, payments: Billing, caller: Caller, plan: str) -> dict[str, Any]:
    """What the change would do and cost. Raises `NotSubscribed`, `Conflict`, `Invalid`, `PaymentsError`."""
    wish = await _wish(services, caller.user_id, plan)
    shown: dict[str, Any] = {"kind": wish.kind, "plan": plan, "at": None, "lines": [], "quote": None}
    shown |= dict.fromkeys(("total", "amount_due", "tax"))
    if wish.kind != "upgrade":
        return shown | {"at": wish.row["period_end"] if wish.kind == "downgrade" else None}
    async with billing.as_it_was_read(services, caller.user_id):
        found = await _previewed(services, payments, wish)
    sums = {name: money(getattr(found, name)) for name in ("total", "amount_due", "tax")}
    lines = [{"description": line.description, "amount": money(line.amount)} for line in found.lines]
    return shown | sums | {"lines": lines, "quote": _quote(services, caller, wish, found)}


async def change(
    services: Services,
    payments: Billing,
    client: Client,
    caller: Caller,
    body: ChangeIn,
    op_id: UUID,
) -> dict[str, Any]:
    """Have it done. Raises as `preview`; `Invalid` for a quote that stands no longer."""
    if await _was_done(services, payments, caller, body.plan, op_id):
        return await billing.shown(services, caller.user_id, lambda _: True)
    wish = await _wish(services, caller.user_id, body.plan)
    as_of = None if body.quote is None else _as_of(services, caller, wish, body.quote)
    async with billing.as_it_was_read(services, caller.user_id):
        if wish.kind == "upgrade":
            seen = await _upgrade(services, payments, wish, as_of, op_id)
        elif wish.kind == "downgrade":
            seen = await _downgrade(services, payments, wish, op_id)
        else:
            seen = await _release(services, payments, wish.row, op_id)
    return await billing.settled(services, client, caller, f"billing.{wish.kind}", seen, f"plan:{body.plan}")


async def cancel(services: Services, payments: Billing, client: Client, caller: Caller, op_id: UUID) -> dict[str, Any]:
    """End it when what is paid for ends, or now where nothing is; nothing is deleted then. Repeating it changes
    nothing. Raises as `preview`."""
    row = await _standing(services, caller.user_id, LIVE)
    async with billing.as_it_was_read(services, caller.user_id):
        if row["status"] in DORMANT:
            await _end(services, payments, row, op_id)
        elif row["scheduled_cancel_at"] is None:
            await _release(services, payments, row, op_id)
            await _update(services, payments, row, "cancel", requests.cancel_at_period_end(op_id), op_id)
    return await billing.settled(services, client, caller, "billing.cancel", _ends)


def _ends(row: asyncpg.Record) -> bool:
    return row["scheduled_cancel_at"] is not None or row["status"] not in LIVE


async def resume(services: Services, payments: Billing, client: Client, caller: Caller, op_id: UUID) -> dict[str, Any]:
    """Go on after all. Repeating it changes nothing. Raises as `preview`."""
    row = await _standing(services, caller.user_id, LIVE - DORMANT)
    async with billing.as_it_was_read(services, caller.user_id):
        await _update(services, payments, row, "resume", requests.resume(op_id), op_id)
    return await billing.settled(
        services, client, caller, "billing.resume", lambda now: now["scheduled_cancel_at"] is None
    )


async def _wish(services: Services, account_id: UUID, plan: str) -> _Wish:
    row = await billing.subscribed(services.db, account_id)
    price = await billing_views.price(services.db.reads, plan, row["currency"])
    if price is None:
        detail = f"no plan that is sold in {row['currency']}: another currency takes another subscription"
        raise Invalid(detail, errors=(FieldProblem("/plan", "not_sold", detail),))
    return _Wish(_kind(row, price), row, price)


def _kind(row: asyncpg.Record, price: asyncpg.Record) -> Kind:
    """A larger plan, or a longer period of the same one, begins now; a smaller one, or a shorter period, later."""
    if price["price_id"] == row["price_id"]:
        if row["next_price_id"] is None:
            raise Conflict("This is your plan.", code="same_plan")
        return "undo"
    before, after = rank(Tier(row["price_tier"])) if row["price_tier"] else 0, rank(Tier(price["tier"]))
    is_longer = (row["interval"], price["interval"]) == ("month", "year")
    return "upgrade" if (after, is_longer) > (before, False) else "downgrade"


async def _was_done(services: Services, payments: Billing, caller: Caller, plan: str, op_id: UUID) -> bool:
    """Whether this very request was carried out before. Raises `Invalid` where its key was used for another one."""
    known = await operations.done_before(services.db, payments, caller.user_id, f"{_CHANGE}:{op_id}")
    if known is None:
        return False
    items = known["items"] if "items" in known else known["phases"][-1]["items"]
    row = await billing.standing(services.db, caller.user_id)
    price = await billing_views.price(services.db.reads, plan, row["currency"] or "")
    if price is None or items[0]["price"] != price["price_id"]:
        raise operations.reused()
    return True


async def _standing(services: Services, account_id: UUID, statuses: Collection[str]) -> asyncpg.Record:
    """The account, if its subscription stands so. Raises `NotSubscribed`, and `Conflict` where a payment is owed."""
    row = await billing.standing(services.db, account_id)
    return row if row["status"] in statuses else await billing.subscribed(services.db, account_id)


async def _previewed(services: Services, payments: Billing, wish: _Wish) -> Preview:
    found = await payments.client.subscription(wish.subscription_id)
    params = requests.preview(str(wish.row["stripe_customer_id"]), _change(wish, found, None))
    op_id = new_id()
    intended = Intended(
        account_id=wish.row["account_id"], kind="preview", key=f"preview:{op_id}", params=params, op_id=op_id
    )
    return await operations.perform_without_object(services.db, payments, intended, payments.client.preview)


def _change(wish: _Wish, found: Subscription, as_of: int | None) -> Change:
    if found.item_id is None:
        raise billing.NotSubscribed("The subscription has no price any more.")
    return Change(
        subscription_id=found.id, item_id=found.item_id, price_id=wish.price["price_id"], proration_date=as_of
    )


def _quote(services: Services, caller: Caller, wish: _Wish, found: Preview) -> str | None:
    """What binds the change to its preview: the moment from which Stripe prorates. Nobody else can name one, because a
    later moment would cost less."""
    if found.prorated_at is None:
        return None
    moment = [str(int(found.prorated_at.timestamp())), str(int(time.time()))]
    return services.cursors.seal(moment, _binding(caller, wish))


def _as_of(services: Services, caller: Caller, wish: _Wish, quote: str) -> int:
    try:
        as_of, made_at = services.cursors.open(quote, _binding(caller, wish))
    except BadCursor:
        raise _no_quote("This is no quote for this change.") from None
    if time.time() - int(made_at) > QUOTE_SECONDS:
        raise _no_quote("The quote is too old: ask for a new preview.")
    return int(as_of)


def _no_quote(detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem("/quote", "no_such_quote", detail),))


def _binding(caller: Caller, wish: _Wish) -> str:
    return f"plan-change:{caller.user_id}:{wish.subscription_id}:{wish.price['price_id']}"


Seen = Callable[[asyncpg.Record], bool]


async def _upgrade(services: Services, payments: Billing, wish: _Wish, as_of: int | None, op_id: UUID) -> Seen:
    await _release(services, payments, wish.row, op_id)
    found = await payments.client.subscription(wish.subscription_id)
    await _update(services, payments, wish.row, _CHANGE, requests.upgrade(_change(wish, found, as_of), op_id), op_id)
    wanted = wish.price["price_id"]
    return lambda row: row["price_id"] == wanted or row["pending_update_expires_at"] is not None


async def _downgrade(services: Services, payments: Billing, wish: _Wish, op_id: UUID) -> Seen:
    if wish.row["scheduled_cancel_at"] is not None:
        raise Conflict("Your subscription is to end: resume it first.", code="cancel_planned")
    schedule = await _schedule(services, payments, wish.row, op_id)
    current, wanted = schedule.current, wish.price
    if current is None:
        raise billing.SubscriptionChanged("Another change of your subscription is planned: look at it again.")
    step = Step(
        start=current.start,
        end=int(wish.row["period_end"].timestamp()) if current.end is None else current.end,
        price_id=str(wish.row["price_id"]),
        next_price_id=wanted["price_id"],
        next_interval=wanted["interval"],
    )
    intended = _intended(wish.row, "downgrade", _CHANGE, requests.downgrade(step, op_id), op_id)
    await operations.perform(
        services.db,
        payments,
        intended,
        lambda params, key: payments.client.update_schedule(schedule.id, params, key),
        by_person=True,
    )
    return lambda row: row["next_price_id"] == wanted["price_id"]


async def _schedule(services: Services, payments: Billing, row: asyncpg.Record, op_id: UUID) -> Schedule:
    """That of the subscription: the one it has, or a new one that begins with it as it is."""
    if row["schedule_id"] is not None:
        return await payments.client.schedule(row["schedule_id"])
    intended = _intended(row, "schedule", "schedule", requests.schedule(row["subscription_id"]), new_id(), of=op_id)
    return await operations.perform(services.db, payments, intended, payments.client.create_schedule)


async def _release(services: Services, payments: Billing, row: asyncpg.Record, op_id: UUID) -> Seen:
    """A change that is planned is not made."""
    if row["schedule_id"] is not None:
        intended = _intended(row, "release", "release", {}, new_id(), of=op_id)
        await operations.perform(
            services.db,
            payments,
            intended,
            lambda _, key: payments.client.release_schedule(row["schedule_id"], key),
        )
    return lambda now: now["next_price_id"] is None


async def _update(
    services: Services,
    payments: Billing,
    row: asyncpg.Record,
    kind: str,
    params: Mapping[str, Any],
    op_id: UUID,
) -> Subscription:
    intended = _intended(row, kind, kind, params, op_id)
    return await operations.perform(
        services.db,
        payments,
        intended,
        lambda stored, key: payments.client.update_subscription(row["subscription_id"], stored, key),
        by_person=True,
    )


async def _end(services: Services, payments: Billing, row: asyncpg.Record, op_id: UUID) -> None:
    intended = _intended(row, "end", "end", {}, op_id)
    await operations.perform(
        services.db, payments, intended, lambda _, __: payments.client.cancel_now(row["subscription_id"])
    )


def _intended(
    row: asyncpg.Record, kind: str, name: str, params: Mapping[str, Any], op_id: UUID, *, of: UUID | None = None
) -> Intended:
    """An operation of this account. `of`: the business operation that it is a step of."""
    return Intended(account_id=row["account_id"], kind=kind, key=f"{name}:{of or op_id}", params=params, op_id=op_id)
