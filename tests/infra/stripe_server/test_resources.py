"""What the resources answer: the official client drives every operation, and each answer is what the SDK promises."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from infra.local.emulators.stripe_server import resources
from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.operations import Operations
from tests.infra.stripe_server.shapes import problems
from tests.stripe_servers import Sandbox

VISA = "pm_card_visa"
Drive = Callable[["World"], Awaitable[Any]]


class World:
    """An account with one object of each kind, made when it is first asked for."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.v1 = box, box.v1
        self._made: dict[str, Any] = {}

    async def the(self, name: str) -> Any:
        """The object that this operation's entry in `MAKES` makes."""
        if name not in self._made:
            self._made[name] = await MAKES[name](self)
        return self._made[name]

    async def id(self, name: str) -> str:
        """Its id."""
        return str((await self.the(name)).id)


async def _customer(world: World) -> Any:
    return await world.v1.customers.create_async({"email": "ada@example.com", "metadata": {"account_id": "7"}})


async def _price(world: World) -> Any:
    given = {"currency": "eur", "unit_amount": 499, "recurring": {"interval": "month"}, "lookup_key": "plus_month"}
    options = {"usd": {"unit_amount": 599}, "jpy": {"unit_amount": 800}}
    return await world.v1.prices.create_async(
        {**given, "product": await world.id("product"), "currency_options": options, "expand": ["currency_options"]}
    )


async def _method(world: World) -> Any:
    return await world.v1.payment_methods.attach_async(VISA, {"customer": await world.id("customer")})


async def _intent(world: World) -> Any:
    customer = await world.id("customer")
    return await world.v1.setup_intents.create_async({"customer": customer, "payment_method": VISA})


async def _code(world: World) -> Any:
    promotion = {"type": "coupon", "coupon": await world.id("coupon")}
    return await world.v1.promotion_codes.create_async({"promotion": promotion, "code": "SPRING20"})


async def _event(world: World) -> Any:
    await world.the("customer")
    return (await world.v1.events.list_async()).data[0]


async def _clock(world: World) -> Any:
    return await world.v1.test_helpers.test_clocks.create_async({"frozen_time": world.box.account.now(), "name": "may"})


MAKES: dict[str, Drive] = {
    "customer": _customer,
    "product": lambda world: world.v1.products.create_async({"name": "Plus", "metadata": {"tier": "plus"}}),
    "price": _price,
    "method": _method,
    "intent": _intent,
    "coupon": lambda world: world.v1.coupons.create_async({"percent_off": 20.5, "id": "SPRING", "duration": "once"}),
    "code": _code,
    "endpoint": lambda world: world.v1.webhook_endpoints.create_async(
        {"url": "http://us.test/hook", "enabled_events": ["*"], "api_version": "2026-10-28.endive"}
    ),
    "clock": _clock,
    "event": _event,
}


def on(name: str, call: Callable[[Any, str], Awaitable[Any]]) -> Drive:
    """An operation on the id of an object that is there."""

    async def drive(world: World) -> Any:
        return await call(world.v1, await world.id(name))

    return drive


async def _sepa(world: World) -> Any:
    given = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89 3704 0044 0532 0130 00"}}
    return await world.v1.payment_methods.create_async(
        given | {"billing_details": {"name": "Ada", "email": "a@b.test"}}
    )


async def _retrieve_of_customer(world: World) -> Any:
    method = await world.the("method")
    return await world.v1.customers.payment_methods.retrieve_async(method.customer, method.id)


async def _advance(world: World) -> Any:
    later = {"frozen_time": world.box.account.now() + 3600}
    return await world.v1.test_helpers.test_clocks.advance_async(await world.id("clock"), later)


DRIVES: dict[str, Drive] = {
    "POST /v1/customers": MAKES["customer"],
    "GET /v1/customers": on("customer", lambda v1, _: v1.customers.list_async({"email": "ada@example.com"})),
    "GET /v1/customers/{customer}": on(
        "customer", lambda v1, id: v1.customers.retrieve_async(id, {"expand": ["tax", "subscriptions"]})
    ),
    "POST /v1/customers/{customer}": on("customer", lambda v1, id: v1.customers.update_async(id, {"name": "Ada"})),
    "DELETE /v1/customers/{customer}": on("customer", lambda v1, id: v1.customers.delete_async(id)),
    "GET /v1/customers/{customer}/payment_methods": on(
        "customer", lambda v1, id: v1.customers.payment_methods.list_async(id)
    ),
    "GET /v1/customers/{customer}/payment_methods/{payment_method}": _retrieve_of_customer,
    "POST /v1/payment_methods": _sepa,
    "GET /v1/payment_methods": on("customer", lambda v1, id: v1.payment_methods.list_async({"customer": id})),
    "GET /v1/payment_methods/{payment_method}": on("method", lambda v1, id: v1.payment_methods.retrieve_async(id)),
    "POST /v1/payment_methods/{payment_method}/attach": MAKES["method"],
    "POST /v1/payment_methods/{payment_method}/detach": on(
        "method", lambda v1, id: v1.payment_methods.detach_async(id)
    ),
    "POST /v1/setup_intents": MAKES["intent"],
    "GET /v1/setup_intents": on("intent", lambda v1, _: v1.setup_intents.list_async()),
    "GET /v1/setup_intents/{intent}": on("intent", lambda v1, id: v1.setup_intents.retrieve_async(id)),
    "POST /v1/setup_intents/{intent}/confirm": on("intent", lambda v1, id: v1.setup_intents.confirm_async(id)),
    "POST /v1/products": MAKES["product"],
    "GET /v1/products": on("product", lambda v1, id: v1.products.list_async({"ids": [id]})),
    "GET /v1/products/{id}": on("product", lambda v1, id: v1.products.retrieve_async(id)),
    "POST /v1/products/{id}": on("product", lambda v1, id: v1.products.update_async(id, {"description": "More"})),
    "POST /v1/prices": MAKES["price"],
    "GET /v1/prices": on("price", lambda v1, _: v1.prices.list_async({"lookup_keys": ["plus_month"]})),
    "GET /v1/prices/{price}": on("price", lambda v1, id: v1.prices.retrieve_async(id, {"expand": ["product"]})),
    "POST /v1/prices/{price}": on("price", lambda v1, id: v1.prices.update_async(id, {"nickname": "Monthly"})),
    "POST /v1/coupons": MAKES["coupon"],
    "GET /v1/coupons": on("coupon", lambda v1, _: v1.coupons.list_async()),
    "GET /v1/coupons/{coupon}": on("coupon", lambda v1, id: v1.coupons.retrieve_async(id)),
    "DELETE /v1/coupons/{coupon}": on("coupon", lambda v1, id: v1.coupons.delete_async(id)),
    "POST /v1/promotion_codes": MAKES["code"],
    "GET /v1/promotion_codes": on("code", lambda v1, _: v1.promotion_codes.list_async({"code": "spring20"})),
    "GET /v1/promotion_codes/{promotion_code}": on("code", lambda v1, id: v1.promotion_codes.retrieve_async(id)),
    "POST /v1/promotion_codes/{promotion_code}": on(
        "code", lambda v1, id: v1.promotion_codes.update_async(id, {"active": False})
    ),
    "POST /v1/webhook_endpoints": MAKES["endpoint"],
    "GET /v1/webhook_endpoints": on("endpoint", lambda v1, _: v1.webhook_endpoints.list_async()),
    "GET /v1/webhook_endpoints/{webhook_endpoint}": on(
        "endpoint", lambda v1, id: v1.webhook_endpoints.retrieve_async(id)
    ),
    "POST /v1/webhook_endpoints/{webhook_endpoint}": on(
        "endpoint", lambda v1, id: v1.webhook_endpoints.update_async(id, {"disabled": True})
    ),
    "DELETE /v1/webhook_endpoints/{webhook_endpoint}": on(
        "endpoint", lambda v1, id: v1.webhook_endpoints.delete_async(id)
    ),
    "GET /v1/events": on("event", lambda v1, _: v1.events.list_async({"types": ["customer.created"]})),
    "GET /v1/events/{id}": on("event", lambda v1, id: v1.events.retrieve_async(id)),
    "POST /v1/test_helpers/test_clocks": MAKES["clock"],
    "GET /v1/test_helpers/test_clocks": on("clock", lambda v1, _: v1.test_helpers.test_clocks.list_async()),
    "GET /v1/test_helpers/test_clocks/{test_clock}": on(
        "clock", lambda v1, id: v1.test_helpers.test_clocks.retrieve_async(id)
    ),
    "POST /v1/test_helpers/test_clocks/{test_clock}/advance": _advance,
    "DELETE /v1/test_helpers/test_clocks/{test_clock}": on(
        "clock", lambda v1, id: v1.test_helpers.test_clocks.delete_async(id)
    ),
}
MODULES = "coupons customers payment_methods prices products setup_intents test_clocks webhook_endpoints".split()


def test_every_operation_of_these_resources_is_driven() -> None:
    mine = [module for module in resources.MODULES if module.__name__.rpartition(".")[2] in MODULES]
    assert {f"{each.route.method} {each.route.path}" for each in Operations(mine)} == set(DRIVES)


@pytest.mark.parametrize("operation", DRIVES)
async def test_an_answer_has_what_the_sdk_promises_and_nothing_else(operation: str, stripe_sandbox: Sandbox) -> None:
    method, path = operation.split()
    found = await DRIVES[operation](World(stripe_sandbox))
    assert problems(found.to_dict()) == []
    asked = [each for each in stripe_sandbox.account.log.entries if each.method == method and each.status == 200]
    assert any(len(each.path.split("/")) == len(path.split("/")) for each in asked)
    assert all(problems(public(each)) == [] for each in stripe_sandbox.account.objects.find("event"))
