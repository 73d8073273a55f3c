"""The account's time: what is due happens in order, at its own instant."""

import asyncio
import time
from collections.abc import Callable

import pytest
import stripe

from infra.local.emulators.stripe_server.clock import Clock
from tests.infra.stripe_server.shops import DAY, opened
from tests.stripe_servers import Receiver, Sandbox


def test_what_is_due_happens_in_order_and_at_its_instant() -> None:
    clock = Clock()
    clock.freeze()
    began, seen = clock.now(), list[tuple[str, int]]()

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, clock.now() - began))

    clock.at(began + 20, note("second"))
    clock.at(began + 10, lambda: clock.at(began + 15, note("planned on the way")))
    clock.at(began + 20, note("third"))
    clock.at(began + 31, note("never"))
    clock.move(began + 30)
    assert seen == [("planned on the way", 15), ("second", 20), ("third", 20)]
    assert clock.now() == began + 30


def test_a_name_waits_once_and_can_be_cancelled() -> None:
    clock = Clock()
    clock.freeze()
    began, seen = clock.now(), list[str]()
    clock.at(began + 1, lambda: seen.append("replaced"), "renewal")
    clock.at(began + 2, lambda: seen.append("renewal"), "renewal")
    clock.at(began + 2, lambda: seen.append("cancelled"), "retry")
    clock.at(began + 2, lambda: seen.append("cancelled too")).cancel()
    clock.cancel("retry")
    assert [timer.name for timer in clock.waiting()] == ["renewal"]
    clock.move(began + 5)
    assert seen == ["renewal"]


def test_what_was_due_in_the_past_happens_with_the_next_look() -> None:
    clock, seen = Clock(), list[str]()
    clock.at(clock.now() - 100, lambda: seen.append("late"))
    clock.move(clock.now())
    assert seen == ["late"]


def test_looking_at_a_clock_does_not_slow_it() -> None:
    clock, began = Clock(), time.time()
    clock.move(clock.now() + DAY)
    while time.time() - began < 1.2:
        clock.move(clock.now())
    assert clock.now() >= int(began) + DAY + 1


def test_it_is_never_moved_back() -> None:
    clock = Clock()
    clock.freeze()
    before = clock.now()
    clock.move(before - 10)
    assert clock.now() == before


async def test_a_test_clock_is_advancing_until_everything_that_is_due_was_delivered(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box, clocks = stripe_sandbox, stripe_sandbox.v1.test_helpers.test_clocks
    await box.v1.webhook_endpoints.create_async({"url": "http://us.test/", "enabled_events": ["customer.created"]})
    made = await clocks.create_async({"frozen_time": box.account.now() + DAY})
    customer = {"id": "cus_1", "object": "customer"}
    box.account.clock.at(made.frozen_time + DAY, lambda: box.account.emit("customer.created", customer))
    advanced = await clocks.advance_async(made.id, {"frozen_time": made.frozen_time + 2 * DAY})
    assert advanced.status == "advancing"
    assert advanced.status_details.advancing.target_frozen_time == made.frozen_time + 2 * DAY
    while (found := await clocks.retrieve_async(made.id)).status == "advancing":
        await asyncio.sleep(0)
    assert (found.status, found.frozen_time) == ("ready", made.frozen_time + 2 * DAY)
    assert stripe_receiver.types == ["customer.created"]
    assert box.account.now() == found.frozen_time
    with pytest.raises(stripe.InvalidRequestError, match="back"):
        await clocks.advance_async(made.id, {"frozen_time": made.frozen_time})
    kinds = {each.type for each in (await box.v1.events.list_async({"type": "test_helpers.*"})).data}
    assert kinds == {f"test_helpers.test_clock.{what}" for what in ("created", "advancing", "ready")}


async def test_a_test_clock_in_the_past_is_refused_and_stops_nothing(stripe_sandbox: Sandbox) -> None:
    box = stripe_sandbox
    await box.control("clock", thaw=True)
    with pytest.raises(stripe.InvalidRequestError, match="back"):
        await box.v1.test_helpers.test_clocks.create_async({"frozen_time": 1})
    assert not box.account.clock.is_frozen


async def test_the_control_plane_moves_stops_and_frees_the_clock(stripe_sandbox: Sandbox) -> None:
    box = stripe_sandbox
    before = (await box.control("clock", "GET"))["now"]
    assert (await box.control("clock", advance=DAY))["now"] == before + DAY
    assert (await box.control("clock", set=before + 3 * DAY))["now"] == before + 3 * DAY
    assert (await box.control("clock", freeze=True))["frozen"] is True
    assert (await box.control("clock", thaw=True))["frozen"] is False


async def test_who_comes_while_there_is_a_test_clock_is_on_it_until_it_is_deleted(stripe_sandbox: Sandbox) -> None:
    shop = await opened(stripe_sandbox)
    clocks, before = shop.v1.test_helpers.test_clocks, shop.account.now()
    early = await shop.customer()
    clock = await clocks.create_async({"frozen_time": before + DAY})
    late = await shop.customer()
    assert [(await shop.subscribe(each)).test_clock for each in (early, late)] == [None, clock.id]
    (whole,) = (await shop.v1.subscriptions.list_async({"customer": late, "expand": ["data.test_clock"]})).data
    assert (whole.test_clock.frozen_time, whole.test_clock.status) == (before + DAY, "ready")
    with pytest.raises(stripe.InvalidRequestError, match="clock_none"):
        await shop.customer(test_clock="clock_none")
    await clocks.delete_async(clock.id)
    assert (await shop.v1.customers.retrieve_async(late)).test_clock is None
    assert not shop.account.clock.is_frozen
