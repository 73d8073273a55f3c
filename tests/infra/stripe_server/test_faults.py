"""What goes wrong when it is asked to, and what has been done then."""

import time
from typing import Any

import httpx
import pytest
import stripe

from tests.stripe_servers import Sandbox

KEY: Any = {"idempotency_key": "pf:test:customer:7"}
POST = {"method": "POST", "path": "/v1/customers"}


def _number(box: Sandbox) -> int:
    return len(box.account.objects.find("customer"))


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        ({"status": 500}, stripe.APIError, 0),
        ({"status": 503}, stripe.APIError, 0),
        ({"status": 429}, stripe.RateLimitError, 0),
        ({"effect": "drop"}, stripe.APIConnectionError, 0),
        ({"status": 500, "when": "after"}, stripe.APIError, 1),
        ({"status": 503, "when": "after"}, stripe.APIError, 1),
        ({"effect": "drop", "when": "after"}, stripe.APIConnectionError, 1),
    ],
    ids=str,
)
async def test_a_request_goes_wrong_once_before_or_after_it_was_done(
    stripe_sandbox: Sandbox, fault: dict[str, Any], error: type[Exception], done: int
) -> None:
    await stripe_sandbox.control("faults", **POST, **fault)
    with pytest.raises(error):
        await stripe_sandbox.v1.customers.create_async()
    assert _number(stripe_sandbox) == done
    await stripe_sandbox.v1.customers.create_async()
    assert _number(stripe_sandbox) == done + 1


async def test_a_lost_answer_is_found_under_its_key(stripe_sandbox: Sandbox) -> None:
    await stripe_sandbox.control("faults", **POST, effect="drop", when="after")
    with pytest.raises(stripe.APIConnectionError):
        await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    found = await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    assert (found.name, _number(stripe_sandbox)) == ("Ada", 1)


async def test_an_answer_may_be_lost_more_than_once(stripe_sandbox: Sandbox) -> None:
    await stripe_sandbox.control("faults", **POST, effect="drop", when="after", times=2)
    for _ in range(2):
        with pytest.raises(stripe.APIConnectionError):
            await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    found = await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    assert (found.name, _number(stripe_sandbox), len(stripe_sandbox.account.log.entries)) == ("Ada", 1, 3)


@pytest.mark.parametrize(("saved", "later"), [(None, 500), (False, 200)])
async def test_a_500_after_it_was_done_stays_500_under_its_key(
    stripe_sandbox: Sandbox, saved: bool | None, later: int
) -> None:
    """Which is why an ambiguous 500 is resolved by looking, not by asking again."""
    await stripe_sandbox.control("faults", **POST, status=500, when="after", saved=saved)
    with pytest.raises(stripe.APIError):
        await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    if later == 200:
        await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    else:
        with pytest.raises(stripe.APIError):
            await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    assert _number(stripe_sandbox) == 1
    assert stripe_sandbox.account.log.entries[-1].replayed is True


async def test_one_that_came_before_anything_was_done_is_forgotten_by_its_key(stripe_sandbox: Sandbox) -> None:
    await stripe_sandbox.control("faults", **POST, status=500)
    with pytest.raises(stripe.APIError):
        await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    assert (await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)).name == "Ada"


async def test_one_that_its_key_remembers_is_answered_for_a_day_although_nothing_was_done(
    stripe_sandbox: Sandbox,
) -> None:
    await stripe_sandbox.control("faults", **POST, status=500, when="before", saved=True)
    for hours in (0, 12, 11):
        await stripe_sandbox.passes(hours * 3600)
        with pytest.raises(stripe.APIError):
            await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    assert _number(stripe_sandbox) == 0
    await stripe_sandbox.passes(2 * 3600)
    assert (await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)).name == "Ada"


async def test_the_third_one_goes_wrong_and_others_do_not(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    await stripe_sandbox.control("faults", **POST, skip=2, times=2, status=503)
    outcomes = []
    for _ in range(5):
        await v1.customers.list_async()
        try:
            await v1.customers.create_async()
            outcomes.append(200)
        except stripe.APIError as error:
            outcomes.append(error.http_status or 0)
    assert outcomes == [200, 200, 503, 503, 200]


async def test_an_outage_lasts_until_it_is_taken_back(stripe_sandbox: Sandbox) -> None:
    await stripe_sandbox.control("faults", status=503, times=None)
    for _ in range(3):
        with pytest.raises(stripe.APIError):
            await stripe_sandbox.v1.customers.list_async()
    await stripe_sandbox.control("faults", "DELETE")
    assert (await stripe_sandbox.v1.customers.list_async()).data == []


async def test_silence_comes_first_and_then_the_answer(stripe_sandbox: Sandbox) -> None:
    began = time.monotonic()
    await stripe_sandbox.control("faults", effect="hang", seconds=0.3)
    await stripe_sandbox.v1.customers.list_async()
    assert time.monotonic() - began >= 0.3


async def test_headers_travel_with_a_fault(stripe_sandbox: Sandbox) -> None:
    await stripe_sandbox.control("faults", status=429, headers={"Retry-After": "7", "Stripe-Should-Retry": "true"})
    with pytest.raises(stripe.RateLimitError) as refused:
        await stripe_sandbox.v1.customers.list_async()
    headers: Any = refused.value.headers
    assert (headers["retry-after"], headers["stripe-should-retry"]) == ("7", "true")


@pytest.mark.parametrize(
    "wrong", [{"when": "during"}, {"effect": "explode"}, {"status": 200}, {"seconds": 1_000}, {"what": "x"}], ids=str
)
async def test_a_fault_that_there_is_not_is_refused(stripe_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await stripe_sandbox.control("faults", **wrong)
    assert await stripe_sandbox.control("faults", "GET") == []
