"""What a request must be: typed as the pinned SDK says, of the pinned version, with a key; and how it is refused."""

from typing import Any

import httpx
import pytest
import stripe

from infra.local import stripe_seed
from infra.local.emulators.stripe_server import resources, sdk
from infra.local.emulators.stripe_server.operations import Operation, Operations, operation
from tests.stripe_servers import Sandbox, client_of


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"emial": "ada@example.com"}, "parameter_unknown", "emial"),
        ({"address": {"streat": "x"}}, "parameter_unknown", "address[streat]"),
        ({"balance": "4.5"}, "parameter_invalid_integer", "balance"),
        ({"balance": {"a": "1"}}, "parameter_invalid_integer", "balance"),
        ({"tax_exempt": "nobody"}, None, "tax_exempt"),
        ({"preferred_locales": "de"}, None, "preferred_locales"),
        ({"address": "Berlin"}, None, "address"),
        ({"invoice_settings": {"default_payment_method": "pm_0"}}, "resource_missing", None),
    ],
)
async def test_a_typo_or_a_wrong_type_is_refused_by_name(
    stripe_sandbox: Sandbox, given: dict[str, Any], code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await stripe_sandbox.v1.customers.create_async(given)
    assert refused.value.code == code
    assert param in (None, refused.value.param)
    assert list(stripe_sandbox.account.objects) == []


async def test_what_is_required_in_practice_is_asked_for(stripe_sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await stripe_sandbox.v1.prices.create_async({"currency": "eur", "unit_amount": 1})
    assert (refused.value.code, refused.value.param) == ("parameter_missing", "product")


async def test_one_of_two_that_exclude_each_other_is_refused(stripe_sandbox: Sandbox) -> None:
    product = await stripe_sandbox.v1.products.create_async({"name": "Plus"})
    both = {"unit_amount": 1, "unit_amount_decimal": "1", "currency": "eur", "product": product.id}
    with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
        await stripe_sandbox.v1.prices.create_async(both)


async def test_what_stripe_knows_and_the_server_does_not_do_is_refused_not_ignored(stripe_sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not do it yet") as refused:
        await stripe_sandbox.v1.products.create_async({"name": "Plus", "default_price_data": {"currency": "eur"}})
    assert refused.value.param == "default_price_data"


async def test_an_unknown_id_is_missing_and_named(stripe_sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_0'") as refused:
        await stripe_sandbox.v1.customers.retrieve_async("cus_0")
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (404, "resource_missing", "id")


async def test_an_unknown_route_is_404_and_noted(stripe_sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not do it yet") as refused:
        await stripe_sandbox.v1.payouts.list_async()
    assert refused.value.http_status == 404
    answer = await stripe_sandbox.http.get("/v1/customer", headers={"Stripe-Version": sdk.API_VERSION})
    assert answer.status_code == 404
    assert "yet" not in answer.json()["error"]["message"]
    assert [entry.handled for entry in stripe_sandbox.account.log.entries] == [False, False]


@pytest.mark.parametrize("version", [None, "2025-03-31.basil"])
async def test_another_version_than_the_pinned_one_is_refused(stripe_sandbox: Sandbox, version: str | None) -> None:
    headers = {"Stripe-Version": version} if version else {}
    answer = await stripe_sandbox.http.get("/v1/customers", headers=headers)
    assert answer.status_code == 400
    assert "version" in answer.json()["error"]["message"]


@pytest.mark.parametrize("key", ["sk_live_1", "pk_test_1", "nonsense"])
async def test_nobody_is_let_in_with_another_kind_of_key(stripe_sandbox: Sandbox, key: str) -> None:
    transport = httpx.ASGITransport(app=stripe_sandbox.server)
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(stripe.AuthenticationError):
            await client_of(http, key).v1.customers.list_async()


async def test_accounts_share_nothing(stripe_sandbox: Sandbox) -> None:
    made = await stripe_sandbox.v1.customers.create_async({"email": "ada@example.com"})
    transport = httpx.ASGITransport(app=stripe_sandbox.server)
    async with httpx.AsyncClient(transport=transport) as http:
        other = client_of(http, "sk_test_other").v1
        assert (await other.customers.list_async()).data == []
        with pytest.raises(stripe.InvalidRequestError):
            await other.customers.retrieve_async(made.id)


async def test_an_operation_that_the_sdk_does_not_have_cannot_be_written() -> None:
    with pytest.raises(LookupError, match="/v1/invoices/upcoming"):
        operation("GET", "/v1/invoices/upcoming")


def test_every_parameter_type_of_the_sdk_can_be_read() -> None:
    """A new release of the SDK with a form of type that `params` does not know would fail one day in one request."""
    kinds = [route.kind for route in sdk.routes().values()]
    assert len(kinds) > 500
    assert sum(len(sdk.parameters(kind)) for kind in kinds if kind) > 2_900


def test_the_version_is_the_one_that_is_pinned_everywhere() -> None:
    """A bump of the SDK that brings another version of the API shows here first."""
    assert sdk.API_VERSION == stripe_seed.PIN == "2026-10-28.endive"


@pytest.mark.parametrize(
    "served", Operations(resources.MODULES), ids=lambda each: f"{each.route.method} {each.route.path}"
)
def test_every_parameter_that_an_operation_names_is_one_of_the_sdks(served: Operation) -> None:
    """A release of the SDK that takes one away would leave code that nobody can reach."""
    named = {*served.required, *(served.takes or ()), *(name for names in served.exclusive for name in names)}
    assert named <= set(sdk.parameters(served.route.kind))


async def test_the_log_has_the_raw_form_and_no_key(stripe_sandbox: Sandbox) -> None:
    given = {"email": "ada@example.com", "metadata": {"account_id": "7"}}
    await stripe_sandbox.v1.customers.create_async(given, {"idempotency_key": "pf:test:customer:7"})
    (entry,) = await stripe_sandbox.control("requests", "GET")
    assert entry["body"] == "email=ada%40example.com&metadata[account_id]=7"
    assert entry["headers"]["idempotency-key"] == "pf:test:customer:7"
    assert entry["headers"]["stripe-version"] == sdk.API_VERSION
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/customers", 200)
    assert stripe_sandbox.key not in str(entry)


@pytest.mark.parametrize("digits", ["0", "7", "10"])
async def test_a_map_may_have_digits_as_keys(stripe_sandbox: Sandbox, digits: str) -> None:
    made = await stripe_sandbox.v1.customers.create_async({"metadata": {digits: "x", "b": "y"}})
    assert made.metadata.to_dict() == {digits: "x", "b": "y"}


async def test_metadata_is_merged_and_taken_away(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    made = await v1.customers.create_async({"metadata": {"a": "1", "b": "2"}})
    changed = await v1.customers.update_async(made.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    assert (await v1.customers.update_async(made.id, {"metadata": ""})).metadata.to_dict() == {}
