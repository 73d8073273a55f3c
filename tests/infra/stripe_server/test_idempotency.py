"""What a key remembers, for how long, and what it does not."""

import asyncio
from typing import Any

import pytest
import stripe

from tests.stripe_servers import Sandbox

DAY = 86_400
KEY: Any = {"idempotency_key": "pf:test:customer:7"}


async def test_the_same_request_is_answered_again_and_done_once(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    first = await v1.customers.create_async({"name": "Ada"}, KEY)
    again = await v1.customers.create_async({"name": "Ada"}, KEY)
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.last_response.headers
    assert len(stripe_sandbox.account.objects.find("customer")) == 1
    assert len(stripe_sandbox.account.objects.find("event")) == 1


@pytest.mark.parametrize(
    ("seconds", "number"), [(0, 1), (DAY - 1, 1), (DAY, 2)], ids=["at once", "within a day", "after a day"]
)
async def test_a_key_is_kept_for_a_day_on_the_accounts_clock(
    stripe_sandbox: Sandbox, seconds: int, number: int
) -> None:
    await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    await stripe_sandbox.passes(seconds)
    await stripe_sandbox.v1.customers.create_async({"name": "Ada"}, KEY)
    assert len(stripe_sandbox.account.objects.find("customer")) == number


async def test_a_key_for_something_else_is_refused(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    made = await v1.customers.create_async({"name": "Ada"}, KEY)
    with pytest.raises(stripe.IdempotencyError):
        await v1.customers.create_async({"name": "Grace"}, KEY)
    with pytest.raises(stripe.IdempotencyError):
        await v1.customers.update_async(made.id, {"name": "Ada"}, KEY)
    assert stripe_sandbox.account.objects.get("customer", made.id)["name"] == "Ada"


async def test_a_refusal_is_replayed_though_the_reason_is_gone(stripe_sandbox: Sandbox) -> None:
    """A new decision is a new operation id: the old key stays with the old answer."""
    v1 = stripe_sandbox.v1
    customer = await v1.customers.create_async()
    given = {"type": "card", "card": {"number": "4000000000000002", "exp_month": 1, "exp_year": 2040}}
    method = await v1.payment_methods.create_async(given)
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            await v1.payment_methods.attach_async(method.id, {"customer": customer.id}, KEY)
        assert (declined.value.code, declined.value.error.decline_code) == ("card_declined", "generic_decline")
        await stripe_sandbox.control(f"payment_methods/{method.id}", decline_code=None)
    fresh: Any = {"idempotency_key": "pf:test:attach:2"}
    assert (await v1.payment_methods.attach_async(method.id, {"customer": customer.id}, fresh)).customer == customer.id


async def test_what_was_not_valid_is_not_remembered(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    with pytest.raises(stripe.InvalidRequestError):
        await v1.customers.create_async({"nmae": "Ada"}, KEY)
    assert (await v1.customers.create_async({"name": "Ada"}, KEY)).name == "Ada"


async def test_a_second_request_while_the_first_is_being_done_is_409(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    await stripe_sandbox.control("faults", effect="hang", seconds=1, method="POST")
    slow = asyncio.create_task(v1.customers.create_async({"name": "Ada"}, KEY))
    while not stripe_sandbox.account.log.entries:
        await asyncio.sleep(0)
    with pytest.raises(stripe.APIError) as refused:
        await v1.customers.create_async({"name": "Ada"}, KEY)
    assert (refused.value.http_status, refused.value.error.code) == (409, "idempotency_key_in_use")
    made = await slow
    assert (await v1.customers.create_async({"name": "Ada"}, KEY)).id == made.id


async def test_a_key_longer_than_255_is_refused(stripe_sandbox: Sandbox) -> None:
    longest: Any = {"idempotency_key": "k" * 255}
    await stripe_sandbox.v1.customers.create_async({}, longest)
    longer: Any = {"idempotency_key": "k" * 256}
    with pytest.raises(stripe.InvalidRequestError):
        await stripe_sandbox.v1.customers.create_async({}, longer)


async def test_reading_ignores_keys(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    assert (await v1.customers.list_async({}, KEY)).data == []
    await v1.customers.create_async({"name": "Ada"})
    assert len((await v1.customers.list_async({}, KEY)).data) == 1


async def test_a_delete_with_a_key_is_replayed(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    customer = await v1.customers.create_async()
    for _ in range(2):
        assert (await v1.customers.delete_async(customer.id, None, KEY)).deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        await v1.customers.delete_async(customer.id)
