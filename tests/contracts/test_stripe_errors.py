"""What Stripe's refusals become, and that nothing of their text is left."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
import stripe

from integrations.payments.client import PIN, Payments
from integrations.payments.errors import (
    Busy,
    Declined,
    KeyReused,
    NotThere,
    PaymentsError,
    PaymentsUnavailable,
    Refused,
)
from integrations.payments.factory import open_payments

CANARY = "somebody@example.test"
Handler = Callable[[httpx.Request], httpx.Response]


def payments(handler: Handler) -> Payments:
    return open_payments("sk_test_errors", "http://stripe.test", transport=httpx.MockTransport(handler))


def refused(status: int, **error: str) -> Handler:
    body = {"error": {"message": f"Nothing for {CANARY}", **error}}
    return lambda request: httpx.Response(status, json=body, headers={"Retry-After": "7"})


def test_the_pinned_version_is_the_one_the_sdk_was_made_for() -> None:
    assert stripe._api_version._ApiVersion.CURRENT == PIN


@pytest.mark.parametrize(
    ("handler", "kind", "stripe_code", "retryable"),
    [
        (refused(402, type="card_error", code="card_declined", decline_code="stolen_card"), Declined, "stolen_card", 0),
        (refused(402, type="card_error", code="expired_card"), Declined, "expired_card", 0),
        (refused(400, type="invalid_request_error", code="parameter_unknown"), Refused, "parameter_unknown", 0),
        (refused(404, type="invalid_request_error", code="resource_missing"), NotThere, "resource_missing", 0),
        (refused(400, type="invalid_request_error", code="resource_missing"), NotThere, "resource_missing", 0),
        (refused(401, type="invalid_request_error"), Refused, None, 0),
        (refused(403, type="invalid_request_error"), Refused, None, 0),
        (refused(400, type="idempotency_error"), KeyReused, None, 0),
        (refused(429, type="invalid_request_error"), Busy, None, 1),
        (refused(409, type="idempotency_error"), PaymentsUnavailable, None, 1),
        (refused(500, type="api_error"), PaymentsUnavailable, None, 1),
        (refused(503, type="api_error"), PaymentsUnavailable, None, 1),
    ],
)
async def test_each_refusal_has_one_meaning(
    handler: Handler, kind: type[PaymentsError], stripe_code: str | None, retryable: int
) -> None:
    with pytest.raises(PaymentsError) as failure:
        await payments(handler).create_customer({}, "pf:test:customer:1")
    assert type(failure.value) is kind
    assert failure.value.stripe_code == stripe_code
    assert failure.value.retryable is bool(retryable)
    assert CANARY not in str(failure.value.args)
    assert failure.value.__cause__ is None


async def test_a_pause_that_stripe_asks_for_is_known_in_seconds() -> None:
    with pytest.raises(Busy) as failure:
        await payments(refused(429)).subscription("sub_1")
    assert failure.value.retry_after == 7


async def test_no_answer_may_mean_that_it_was_done() -> None:
    def dropped(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    with pytest.raises(PaymentsUnavailable):
        await payments(dropped).subscription("sub_1")


async def test_workers_ask_once_and_leave_the_rest_to_temporal() -> None:
    asked = []

    def failing(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500, json={"error": {"type": "api_error"}})

    with pytest.raises(PaymentsUnavailable):
        await payments(failing).create_customer({}, "pf:test:customer:1")
    assert len(asked) == 1


async def test_each_write_goes_under_its_own_key_and_the_pinned_version() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"id": "cus_1", "object": "customer"})

    await payments(answer).create_customer({"metadata": {"account_id": "a"}}, "pf:test:customer:1")
    assert seen[0].headers["Idempotency-Key"] == "pf:test:customer:1"
    assert seen[0].headers["Stripe-Version"] == PIN


async def test_two_clients_live_in_two_loops() -> None:
    def customer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": "cus_1", "object": "customer", "deleted": True})

    async def read() -> bool:
        client = payments(customer)
        try:
            return (await client.customer("cus_1")).is_deleted
        finally:
            await client.close()

    assert await asyncio.to_thread(asyncio.run, read())
    assert await read()
