"""Messages to an endpoint: signed, in any order, again until they are taken, and wrong when they are asked to be."""

import json
import time
from itertools import pairwise
from typing import Any

import pytest
import stripe

from infra.local.emulators.stripe_server.application import StripeServer
from infra.local.emulators.stripe_server.sdk import API_VERSION
from tests.stripe_servers import Receiver, Sandbox, opened

DAY = 86_400


async def _endpoint(box: Sandbox, *types: str, **given: Any) -> Any:
    about = {"url": "http://us.test/hook", "enabled_events": list(types or ("*",))}
    return await box.v1.webhook_endpoints.create_async(about | given)


async def _settled(box: Sandbox) -> None:
    await box.account.webhooks.settle()


async def test_a_message_is_signed_now_whatever_the_accounts_clock_says(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    endpoint = await _endpoint(box, "customer.created")
    await box.passes(400 * DAY)
    customer = await box.v1.customers.create_async({"email": "ada@example.com"})
    await _settled(box)
    (request,) = stripe_receiver.received
    event: Any = box.client.construct_event(request.content, request.headers["stripe-signature"], endpoint.secret)
    assert event.data.object.id == customer.id
    assert event.created == box.account.now() > time.time() + 399 * DAY
    assert event.api_version == API_VERSION
    with pytest.raises(stripe.SignatureVerificationError):
        box.client.construct_event(request.content, request.headers["stripe-signature"], "whsec_other")


async def test_an_endpoint_hears_of_its_types_while_it_is_on(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    endpoint = await _endpoint(box, "customer.created")
    customer = await box.v1.customers.create_async()
    await box.v1.customers.update_async(customer.id, {"name": "Ada"})
    await _settled(box)
    assert stripe_receiver.types == ["customer.created"]
    await box.v1.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
    await box.v1.customers.create_async()
    await _settled(box)
    assert len(stripe_receiver.received) == 1


async def test_both_secrets_sign_while_one_replaces_the_other(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    endpoint = await _endpoint(box, "customer.created")
    fresh = (await box.control("webhooks/rotate", endpoint=endpoint.id))["secret"]
    await box.v1.customers.create_async()
    await _settled(box)
    (request,) = stripe_receiver.received
    assert fresh != endpoint.secret
    for secret in (fresh, endpoint.secret):
        assert box.client.construct_event(request.content, request.headers["stripe-signature"], secret)


async def test_what_is_not_taken_comes_again_with_growing_gaps_for_three_days(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    await _endpoint(box, "customer.created")
    stripe_receiver.status = 500
    began = box.account.now()
    await box.v1.customers.create_async()
    await box.passes(4 * DAY)
    (delivery,) = await box.control("deliveries", "GET")
    times = [attempt["at"] - began for attempt in delivery["attempts"]]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert delivery["state"] == "failed"
    assert times[0] == 0
    assert gaps == sorted(gaps)
    assert 2 * DAY < times[-1] <= 3 * DAY
    (event,) = (await box.v1.events.list_async({"delivery_success": False})).data
    assert (event.type, event.pending_webhooks) == ("customer.created", 1)


async def test_a_retry_has_the_same_event_and_a_signature_of_its_own_time(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    endpoint = await _endpoint(box, "customer.created")
    stripe_receiver.status = 503
    await box.v1.customers.create_async()
    await _settled(box)
    stripe_receiver.status = 200
    await box.passes(60)
    first, second = stripe_receiver.received
    assert json.loads(first.content)["id"] == json.loads(second.content)["id"]
    assert box.client.construct_event(second.content, second.headers["stripe-signature"], endpoint.secret)
    assert (await box.v1.events.list_async({"delivery_success": False})).data == []
    assert (await box.v1.events.list_async({"delivery_success": True})).data[0].pending_webhooks == 0


async def test_messages_of_one_moment_are_scrambled_unless_asked_otherwise(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    await _endpoint(box)

    async def sent(**how: Any) -> list[str]:
        stripe_receiver.received.clear()
        await box.control("webhooks", hold=True, **how)
        for number in range(8):
            box.account.emit(f"test.{number}", {"id": "obj_1", "object": "customer"})
        await box.control("webhooks/release")
        await _settled(box)
        return [each.removeprefix("test.") for each in stripe_receiver.types]

    in_order = [str(number) for number in range(8)]
    scrambled = await sent()
    assert scrambled != in_order
    assert sorted(scrambled) == in_order
    assert await sent(order="emitted") == in_order
    assert await sent(order="reversed") == in_order[::-1]
    assert (await sent(order=["test.5", "test.3"]))[:2] == ["5", "3"]


async def test_messages_are_lost_doubled_and_late_when_they_are_asked_to_be(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    await _endpoint(box, "customer.created", "customer.updated")
    rules = [
        {"what": "drop", "types": "customer.created"},
        {"what": "duplicate", "types": "customer.updated"},
        {"what": "delay", "types": "customer.created", "seconds": 100},
    ]
    await box.control("webhooks", rules=rules)
    lost = await box.v1.customers.create_async()
    await _settled(box)
    assert stripe_receiver.types == []
    await box.v1.customers.update_async(lost.id, {"name": "Ada"})
    await _settled(box)
    assert stripe_receiver.types == ["customer.updated"] * 2
    await box.v1.customers.create_async()
    await box.passes(99)
    assert len(stripe_receiver.received) == 2
    await box.passes(1)
    assert stripe_receiver.types[2:] == ["customer.created"]
    (undelivered,) = (await box.v1.events.list_async({"delivery_success": False})).data
    assert undelivered.data.object.id == lost.id


async def test_what_was_held_goes_out_when_nothing_is_held_any_more(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    await _endpoint(box, "customer.created")
    await box.control("webhooks", hold=True)
    await box.v1.customers.create_async()
    await _settled(box)
    assert stripe_receiver.received == []
    await box.control("webhooks")
    await _settled(box)
    assert stripe_receiver.types == ["customer.created"]


async def test_an_endpoint_that_was_deleted_is_not_tried_again(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    endpoint = await _endpoint(box, "customer.created")
    stripe_receiver.status = 500
    await box.v1.customers.create_async()
    await _settled(box)
    await box.v1.webhook_endpoints.delete_async(endpoint.id)
    await box.passes(DAY)
    assert len(stripe_receiver.received) == 1


async def test_an_event_can_be_sent_again(stripe_sandbox: Sandbox, stripe_receiver: Receiver) -> None:
    box = stripe_sandbox
    await _endpoint(box, "customer.created")
    await box.v1.customers.create_async()
    (event,) = box.account.objects.find("event")
    assert await box.control("webhooks/replay", event=event["id"]) == {"sent": 1}
    await _settled(box)
    assert [json.loads(each.content)["id"] for each in stripe_receiver.received] == [event["id"]] * 2


async def test_thin_events_name_the_object_and_parse_with_the_sdk(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    endpoint = await _endpoint(box, "customer.created")
    await box.control("webhooks", format="both", order="emitted")
    customer = await box.v1.customers.create_async()
    await _settled(box)
    snapshot, thin = stripe_receiver.received
    header = thin.headers["stripe-signature"]
    notification: Any = box.client.parse_event_notification(thin.content, header, endpoint.secret)
    assert notification.type == "v1.customer.created"
    assert notification.related_object.id == customer.id
    assert notification.related_object.url == f"/v1/customers/{customer.id}"
    body = json.loads(thin.content)
    assert body["object"] == "v2.core.event"
    assert "data" not in body
    assert body["created"].endswith("Z")
    assert body["id"] != json.loads(snapshot.content)["id"]


async def test_a_payload_has_the_version_of_its_endpoint(stripe_sandbox: Sandbox, stripe_receiver: Receiver) -> None:
    box = stripe_sandbox
    await _endpoint(box, "customer.created", api_version="2025-03-31.basil")
    await box.v1.customers.create_async()
    await _settled(box)
    assert json.loads(stripe_receiver.received[0].content)["api_version"] == "2025-03-31.basil"


@pytest.mark.parametrize(("status", "taken"), [(200, 1), (500, 0)])
async def test_who_waits_for_a_delivery_is_told_once_it_was_taken(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver, status: int, taken: int
) -> None:
    box, told = stripe_sandbox, list[int]()
    await _endpoint(box, "customer.created")
    stripe_receiver.status = status
    began = box.account.now()
    box.account.emit(
        "customer.created", {"id": "cus_1", "object": "customer"}, delivered=lambda: told.append(box.account.now())
    )
    assert told == []
    await _settled(box)
    assert len(told) == taken
    stripe_receiver.status = 200
    await box.passes(DAY)
    assert told == [began if taken else began + 10]


async def test_where_nobody_listens_the_waiting_is_over_at_once(stripe_sandbox: Sandbox) -> None:
    told: list[str] = []
    customer = {"id": "cus_1", "object": "customer"}
    stripe_sandbox.account.emit("customer.created", customer, delivered=lambda: told.append("now"))
    assert told == ["now"]


async def test_without_a_transport_messages_reach_this_machine_alone() -> None:
    async with opened(StripeServer()) as box:
        await _endpoint(box, "customer.created", url="http://example.com/hook")
        await box.v1.customers.create_async()
        await _settled(box)
        (delivery,) = await box.control("deliveries", "GET")
    assert [each["status"] for each in delivery["attempts"]] == [None]
