"""How answers come: in pages, with what was asked to be expanded, with an event per change."""

from typing import Any

import pytest
import stripe

from tests.stripe_servers import Sandbox


async def _customers(box: Sandbox, number: int) -> list[str]:
    """Newest first, as lists have them."""
    return [(await box.v1.customers.create_async({"name": str(each)})).id for each in range(number)][::-1]


async def test_a_list_is_newest_first_in_pages(stripe_sandbox: Sandbox) -> None:
    ids = await _customers(stripe_sandbox, 12)
    first = await stripe_sandbox.v1.customers.list_async()
    assert ([each.id for each in first.data], first.has_more) == (ids[:10], True)
    rest = await stripe_sandbox.v1.customers.list_async({"starting_after": ids[9]})
    assert ([each.id for each in rest.data], rest.has_more) == (ids[10:], False)


@pytest.mark.parametrize("limit", [1, 3, 5, 100])
async def test_following_pages_meets_each_once(stripe_sandbox: Sandbox, limit: int) -> None:
    ids = await _customers(stripe_sandbox, 7)
    found = await stripe_sandbox.v1.customers.list_async({"limit": limit})
    assert [each.id async for each in found.auto_paging_iter()] == ids


async def test_the_page_before_is_the_one_right_before(stripe_sandbox: Sandbox) -> None:
    ids = await _customers(stripe_sandbox, 6)
    page = await stripe_sandbox.v1.customers.list_async({"ending_before": ids[4], "limit": 2})
    assert ([each.id for each in page.data], page.has_more) == (ids[2:4], True)
    page = await stripe_sandbox.v1.customers.list_async({"ending_before": ids[2], "limit": 2})
    assert ([each.id for each in page.data], page.has_more) == (ids[:2], False)


@pytest.mark.parametrize(
    ("given", "param"),
    [({"limit": 101}, "limit"), ({"limit": 0}, "limit"), ({"starting_after": "cus_0"}, "starting_after")],
)
async def test_a_page_that_there_is_not_is_refused(stripe_sandbox: Sandbox, given: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await stripe_sandbox.v1.customers.list_async(given)
    assert refused.value.param == param


async def test_a_list_knows_when_things_were_made(stripe_sandbox: Sandbox) -> None:
    began = stripe_sandbox.account.now()
    old = await _customers(stripe_sandbox, 1)
    await stripe_sandbox.passes(100)
    new = await _customers(stripe_sandbox, 1)

    async def found(**created: int) -> list[str]:
        return [each.id for each in (await stripe_sandbox.v1.customers.list_async({"created": created})).data]

    assert await found(gte=began + 100) == new
    assert await found(gt=began + 100) == []
    assert await found(lt=began + 100) == old
    assert await found(lte=began + 100, gte=began) == new + old
    exactly = await stripe_sandbox.v1.customers.list_async({"created": began})
    assert [each.id for each in exactly.data] == old


async def test_an_id_becomes_the_object(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    customer = await v1.customers.create_async({"email": "ada@example.com"})
    method = await v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id, "expand": ["customer"]})
    assert method.customer.email == "ada@example.com"
    default = {"default_payment_method": method.id}
    await v1.customers.update_async(customer.id, {"invoice_settings": default})
    deep = ["data.invoice_settings.default_payment_method.customer"]
    (listed,) = (await v1.customers.list_async({"expand": deep})).data
    assert listed.invoice_settings.default_payment_method.customer.id == customer.id
    plain = await v1.customers.retrieve_async(customer.id)
    assert plain.invoice_settings.default_payment_method == method.id


async def test_null_may_be_expanded_and_what_holds_no_object_may_not(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    given = {"email": "a@b.test", "expand": ["invoice_settings.default_payment_method", "test_clock"]}
    customer = await v1.customers.create_async(given)
    assert customer.test_clock is None
    for wrong in ("email", "nothing", "invoice_settings.footer", "email.domain", "data.id", "a.b.c.d.e"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await v1.customers.retrieve_async(customer.id, {"expand": [wrong]})
        assert refused.value.param == "expand"


async def test_some_fields_come_on_demand_alone(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    product = await v1.products.create_async({"name": "Plus"})
    options = {"usd": {"unit_amount": 599}}
    about = {"product": product.id, "currency": "eur", "unit_amount": 499, "currency_options": options}
    price = await v1.prices.create_async(about)
    assert "currency_options" not in price
    shown = await v1.prices.retrieve_async(price.id, {"expand": ["currency_options"]})
    assert {name: shown.currency_options[name].unit_amount for name in ("eur", "usd")} == {"eur": 499, "usd": 599}


async def test_every_change_is_one_event_with_what_was_before(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    customer = await v1.customers.create_async({"name": "Ada", "metadata": {"a": "1"}}, {"idempotency_key": "pf:t:1"})
    await v1.customers.update_async(customer.id, {"name": "Ada L", "metadata": {"a": "2", "b": "3"}})
    await v1.customers.update_async(customer.id, {"name": "Ada L"})
    await v1.customers.delete_async(customer.id)
    deleted, updated, created = (await v1.events.list_async({"type": "customer.*"})).data
    assert [each.type for each in (created, updated, deleted)] == [
        "customer.created",
        "customer.updated",
        "customer.deleted",
    ]
    assert updated.data.previous_attributes.to_dict() == {"name": "Ada", "metadata": {"a": "1", "b": None}}
    assert updated.data.object.name == "Ada L"
    assert created.data.object.name == "Ada"
    assert created.request.idempotency_key == "pf:t:1"
    assert created.request.id.startswith("req_")


async def test_a_deleted_customer_says_so_and_can_do_nothing(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    customer = await v1.customers.create_async()
    await v1.customers.delete_async(customer.id)
    assert (await v1.customers.retrieve_async(customer.id)).deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        await v1.customers.update_async(customer.id, {"name": "Ada"})
