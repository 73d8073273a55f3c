"""Test clocks. An account has one clock, so a test clock is a handle on that: it stops it, moves it and lets it go.

So whoever comes while there is one is on it, named (`customers.create`) or not, with all that they subscribe to; when
it is deleted they go on without it, where Stripe would delete them.
"""

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND = "test_helpers.test_clock"
_DELETED_AFTER = 30 * 24 * 3600
_PAGED = ("limit", "starting_after", "ending_before")


@operation("POST", "/v1/test_helpers/test_clocks", takes=("frozen_time", "name"))
def create(call: Call) -> Document:
    """The account's clock stands still at `frozen_time`. Raises `StripeError` for an instant that has passed."""
    instant = call.params["frozen_time"]
    _require_later(call.account, instant)
    call.account.clock.freeze()
    call.account.clock.move(instant)
    clock = call.account.make(
        _KIND,
        "clock",
        deletes_after=instant + _DELETED_AFTER,
        frozen_time=instant,
        name=None,
        status="ready",
        status_details={},
    )
    del clock["metadata"]
    update(clock, call.params, "name")
    call.account.emit("test_helpers.test_clock.created", clock)
    return clock


@operation("GET", "/v1/test_helpers/test_clocks/{test_clock}")
def retrieve(call: Call) -> Document:
    """One of them; `ready` once everything that is due has happened."""
    return call.account.objects.get(_KIND, call.id)


@operation("POST", "/v1/test_helpers/test_clocks/{test_clock}/advance", takes=("frozen_time",))
def advance(call: Call) -> Document:
    """Move forward: `advancing` until everything that is due on the way has happened."""
    account, clock, instant = call.account, call.account.objects.get(_KIND, call.id), call.params["frozen_time"]
    if clock["status"] != "ready":
        raise invalid("The test clock is still advancing.", code="test_clock_advancing")
    _require_later(account, instant)
    with account.changing(clock, "test_helpers.test_clock.advancing"):
        clock["status"] = "advancing"
        clock["status_details"] = {"advancing": {"target_frozen_time": instant}}
    account.background(_advance(account, clock, instant))
    return clock


@operation("DELETE", "/v1/test_helpers/test_clocks/{test_clock}")
def delete(call: Call) -> Document:
    """The account's clock goes on from where it stands."""
    account, clock = call.account, call.account.objects.delete(_KIND, call.id)
    for each in account.objects:
        if each.get("test_clock") == call.id:
            each["test_clock"] = None
    account.clock.thaw()
    account.emit("test_helpers.test_clock.deleted", clock)
    return {"id": call.id, "object": _KIND, "deleted": True}


@operation("GET", "/v1/test_helpers/test_clocks", takes=_PAGED)
def index(call: Call) -> Document:
    """Newest first."""
    return page(call, call.account.objects.find(_KIND))


def of_newcomer(account: Account, given: str | None) -> str | None:
    """The test clock that a new customer is on; None: the account's time is everybody's. Raises `resource_missing`."""
    if given is not None:
        return str(account.objects.get(_KIND, given, "test_clock")["id"])
    return next((str(clock["id"]) for clock in account.objects.find(_KIND)), None)


async def _advance(account: Account, clock: Document, instant: int) -> None:
    await account.advance(instant)
    with account.changing(clock, "test_helpers.test_clock.ready"):
        clock |= {"status": "ready", "status_details": {}, "frozen_time": instant}


def _require_later(account: Account, instant: int) -> None:
    if instant < account.now():
        raise invalid("You cannot move a clock back.", "frozen_time")
