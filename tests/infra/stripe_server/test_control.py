"""What tests and people ask of the server beside Stripe's own API."""

import httpx
import pytest

from infra.local.emulators.stripe_server.page import STEPS, WRONGS
from tests.stripe_servers import Receiver, Sandbox

DAY = 86_400


async def test_an_object_changes_silently(stripe_sandbox: Sandbox) -> None:
    box = stripe_sandbox
    customer = await box.v1.customers.create_async({"name": "Ada", "metadata": {"a": "1"}})
    events = len(box.account.objects.find("event"))
    await box.control(f"objects/{customer.id}", name="Grace", metadata={"b": "2"})
    found = await box.v1.customers.retrieve_async(customer.id)
    assert (found.name, found.metadata.to_dict()) == ("Grace", {"a": "1", "b": "2"})
    assert (await box.control(f"objects/{customer.id}", "GET"))["name"] == "Grace"
    await box.control(f"objects/{customer.id}", "DELETE")
    assert (await box.v1.customers.list_async()).data == []
    assert len(box.account.objects.find("event")) == events


async def test_a_reset_forgets_this_account_alone(stripe_sandbox: Sandbox) -> None:
    box = stripe_sandbox
    await box.v1.customers.create_async()
    other = box.server.accounts.of("sk_test_other")
    other.make("customer", "cus")
    await box.control("clock", advance=DAY)
    await box.control("reset")
    assert list(box.account.objects) == []
    assert len(list(other.objects)) == 1


async def test_an_account_that_was_forgotten_sends_nothing_any_more(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    about = {"url": "http://us.test/hook", "enabled_events": ["customer.created"]}
    await box.v1.webhook_endpoints.create_async(about)
    await box.control("webhooks", hold=True)
    await box.v1.customers.create_async()
    forgotten = box.account
    await box.control("reset")
    forgotten.webhooks.release()
    await forgotten.webhooks.settle()
    assert stripe_receiver.received == []


async def test_settings_are_changed_by_name(stripe_sandbox: Sandbox) -> None:
    changed = await stripe_sandbox.control("settings", after_retries="unpaid", retry_days=[1, 2])
    assert (changed["after_retries"], changed["retry_days"]) == ("unpaid", [1, 2])
    assert await stripe_sandbox.control("settings", "GET") == changed
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await stripe_sandbox.control("settings", colour="red")


@pytest.mark.parametrize(
    ("path", "status"),
    [("objects/cus_0", 404), ("webhooks/replay", 400), ("payment_methods/pm_0", 404), ("nothing", 404)],
)
async def test_what_there_is_not_is_refused(stripe_sandbox: Sandbox, path: str, status: int) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=str(status)):
        await stripe_sandbox.control(path)


async def test_the_page_shows_an_account_and_does_what_its_forms_say(
    stripe_sandbox: Sandbox, stripe_receiver: Receiver
) -> None:
    box = stripe_sandbox
    about = {"url": "http://us.test/hook", "enabled_events": ["customer.created"]}
    await box.v1.webhook_endpoints.create_async(about)
    customer = await box.v1.customers.create_async({"email": "<ada@example.com>"})
    method = await box.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
    await box.account.webhooks.settle()

    async def act(action: str, **fields: str) -> str:
        answer = await box.http.post("/", data={"account": box.key, "action": action, **fields}, follow_redirects=True)
        assert answer.status_code == 200
        return answer.text

    page = (await box.http.get("/", params={"account": box.key})).text
    for shown in (customer.id, "&lt;ada@example.com&gt;", "http://us.test/hook", "delivered", "card 4242"):
        assert shown in page
    before = box.account.now()
    assert "It is a week later." in await act("advance", step="a week")
    assert box.account.now() == before + STEPS["a week"]
    await act("bank", method=method.id, decline_code="lost_card")
    assert box.account.objects.get("payment_method", method.id)["_decline_code"] == "lost_card"
    await act("bank", method=method.id, decline_code="")
    assert box.account.objects.get("payment_method", method.id)["_decline_code"] is None
    for number, wrong in enumerate(WRONGS, 1):
        assert f"{number} waiting." in await act("break", wrong=wrong)
    assert "waiting." not in await act("mend")
    assert "Refused: " in await act("break", wrong="nothing of the kind")
    assert "Refused: No such payment_method" in await act("bank", method="pm_0")
    assert box.account.faults.listed() == []


async def test_a_page_of_an_account_that_nobody_used_is_empty(stripe_sandbox: Sandbox) -> None:
    page = await stripe_sandbox.http.get("/", params={"account": "sk_test_nobody"})
    assert "Nothing yet." in page.text


async def test_there_is_nothing_to_authenticate_for_what_is_no_intent(stripe_sandbox: Sandbox) -> None:
    customer = await stripe_sandbox.v1.customers.create_async()
    for which in (customer.id, "seti_0"):
        assert (await stripe_sandbox.http.get(f"/authenticate/{which}")).status_code == 404
        assert (await stripe_sandbox.http.post(f"/authenticate/{which}")).status_code == 404
