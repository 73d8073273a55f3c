"""Prices, coupons and promotion codes: what may be made, changed and found."""

from typing import Any

import pytest
import stripe

from infra.local.emulators.stripe_server import coupons, prices
from infra.local.emulators.stripe_server.errors import StripeError
from tests.stripe_servers import Sandbox


async def _price(box: Sandbox, **given: Any) -> Any:
    product = await box.v1.products.create_async({"name": "Plus"})
    about = {"product": product.id, "currency": "eur", "unit_amount": 499, "recurring": {"interval": "month"}}
    return await box.v1.prices.create_async(about | given)


async def test_a_product_keeps_a_name_and_its_lists_may_be_emptied(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    product = await v1.products.create_async({"name": "Plus", "images": ["http://us.test/plus.png"]})
    for wrong in (v1.products.create_async({"name": ""}), v1.products.update_async(product.id, {"name": ""})):
        with pytest.raises(stripe.InvalidRequestError, match="cannot be unset"):
            await wrong
    emptied = await v1.products.update_async(product.id, {"images": "", "marketing_features": ""})
    assert (emptied.name, emptied.images, emptied.marketing_features) == ("Plus", [], [])


async def test_a_lookup_key_belongs_to_one_price_and_can_be_taken_over(stripe_sandbox: Sandbox) -> None:
    box, key = stripe_sandbox, "plus_month"
    old = await _price(box, lookup_key=key)
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        await _price(box, lookup_key=key, unit_amount=599)
    new = await _price(box, lookup_key=key, unit_amount=599, transfer_lookup_key=True)
    assert [each.id for each in (await box.v1.prices.list_async({"lookup_keys": [key]})).data] == [new.id]
    assert (await box.v1.prices.retrieve_async(old.id)).lookup_key is None
    (event,) = (await box.v1.events.list_async({"type": "price.updated"})).data
    assert event.data.previous_attributes.to_dict() == {"lookup_key": key}
    back = await box.v1.prices.update_async(old.id, {"lookup_key": key, "transfer_lookup_key": True})
    assert back.lookup_key == key
    assert (await box.v1.prices.update_async(old.id, {"lookup_key": key})).lookup_key == key


async def test_a_refused_price_leaves_the_lookup_key_where_it_is(stripe_sandbox: Sandbox) -> None:
    box, key = stripe_sandbox, "plus_month"
    old = await _price(box, lookup_key=key)
    wrong: dict[str, Any] = {"currency_options": {"usd": {"tax_behavior": "inclusive"}}}
    with pytest.raises(stripe.InvalidRequestError):
        await _price(box, lookup_key=key, transfer_lookup_key=True, **wrong)
    with pytest.raises(stripe.InvalidRequestError):
        await box.v1.prices.update_async(old.id, {"nickname": "New", **wrong})
    found = await box.v1.prices.retrieve_async(old.id)
    assert (found.lookup_key, found.nickname) == (key, None)


async def test_a_price_is_found_by_what_it_is(stripe_sandbox: Sandbox) -> None:
    box = stripe_sandbox
    month = await _price(box)
    year = await _price(box, recurring={"interval": "year"})
    once = await _price(box, recurring=None, currency="usd")
    await box.v1.prices.update_async(month.id, {"active": False})

    async def found(**filters: Any) -> list[str]:
        return [each.id for each in (await box.v1.prices.list_async(filters)).data]

    assert await found() == [once.id, year.id, month.id]
    assert await found(active=True) == [once.id, year.id]
    assert await found(type="one_time") == [once.id]
    assert await found(currency="usd") == [once.id]
    assert await found(recurring={"interval": "year"}) == [year.id]
    assert await found(product=month.product) == [month.id]
    assert await found(lookup_keys=["nothing"]) == []


@pytest.mark.parametrize(
    ("given", "whole", "exact"),
    [
        ({"unit_amount": 499}, 499, "499"),
        ({"unit_amount_decimal": "1000"}, 1000, "1000"),
        ({"unit_amount": 0}, 0, "0"),
    ],
)
async def test_an_amount_has_both_forms(stripe_sandbox: Sandbox, given: dict[str, Any], whole: int, exact: str) -> None:
    price = await _price(stripe_sandbox, **({"unit_amount": None} | given))
    assert (price.unit_amount, f"{price.unit_amount_decimal:f}") == (whole, exact)


@pytest.mark.parametrize(
    "wrong",
    [
        {"unit_amount": -1},
        {"unit_amount": None},
        {"unit_amount": None, "unit_amount_decimal": "499.5"},
        {"lookup_key": "x" * 201},
        {"recurring": {"interval": "year", "interval_count": 4}},
        {"recurring": {"interval": "month", "interval_count": 0}},
        {"recurring": {"interval": "fortnight"}},
        {"currency_options": {"usd": {"tax_behavior": "inclusive"}}},
        {"product": "prod_0"},
    ],
    ids=str,
)
async def test_a_price_that_cannot_be_is_refused(stripe_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await _price(stripe_sandbox, **wrong)
    assert stripe_sandbox.account.objects.find("price") == []


async def test_an_amount_never_changes_and_the_tax_behaviour_once(stripe_sandbox: Sandbox) -> None:
    box, price = stripe_sandbox, await _price(stripe_sandbox)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await box.v1.prices.update_async(price.id, {"unit_amount": 1})
    assert refused.value.code == "parameter_unknown"
    assert (await box.v1.prices.update_async(price.id, {"tax_behavior": "inclusive"})).tax_behavior == "inclusive"
    with pytest.raises(stripe.InvalidRequestError, match="cannot be changed"):
        await box.v1.prices.update_async(price.id, {"tax_behavior": "exclusive"})


async def test_a_price_costs_what_its_option_says_in_a_currency(stripe_sandbox: Sandbox) -> None:
    made = await _price(stripe_sandbox, currency_options={"jpy": {"unit_amount": 800}})
    price = stripe_sandbox.account.objects.get("price", made.id)
    assert (prices.unit_amount(price, "eur"), prices.unit_amount(price, "jpy")) == (499, 800)
    with pytest.raises(StripeError, match="only supports"):
        prices.unit_amount(price, "usd")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"percent_off": 10, "amount_off": 100, "currency": "eur"},
        {"amount_off": 100},
        {"percent_off": 10, "duration": "repeating"},
        {"percent_off": 10, "duration": "once", "duration_in_months": 3},
        {"percent_off": "a lot"},
    ],
    ids=str,
)
async def test_a_coupon_that_cannot_be_is_refused(stripe_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await stripe_sandbox.v1.coupons.create_async(wrong)


async def test_a_code_is_typed_in_any_case_and_taken_once(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    coupon = await v1.coupons.create_async({"percent_off": 20})
    promotion = {"type": "coupon", "coupon": coupon.id}
    code = await v1.promotion_codes.create_async({"promotion": promotion, "code": "Spring20"})
    (found,) = (await v1.promotion_codes.list_async({"code": "SPRING20", "active": True})).data
    assert found.id == code.id
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        await v1.promotion_codes.create_async({"promotion": promotion, "code": "spring20"})
    await v1.promotion_codes.update_async(code.id, {"active": False})
    assert (await v1.promotion_codes.create_async({"promotion": promotion, "code": "spring20"})).active


@pytest.mark.parametrize(
    ("on_coupon", "on_code", "seconds", "refused"),
    [
        ({}, {}, 0, None),
        ({"max_redemptions": 1}, {}, 0, "coupon_expired"),
        ({"redeem_by": 100}, {}, 100, "coupon_expired"),
        ({}, {"max_redemptions": 1}, 0, "promotion_code_expired"),
        ({}, {"expires_at": 100}, 100, "promotion_code_expired"),
    ],
)
async def test_what_is_used_up_or_late_is_not_redeemed_again(
    stripe_sandbox: Sandbox, on_coupon: dict[str, int], on_code: dict[str, int], seconds: int, refused: str | None
) -> None:
    """Instants are seconds from now."""
    box, now = stripe_sandbox, stripe_sandbox.account.now()
    on_coupon, on_code = (
        {name: value + (now if name in ("redeem_by", "expires_at") else 0) for name, value in terms.items()}
        for terms in (on_coupon, on_code)
    )
    coupon = await box.v1.coupons.create_async({"percent_off": 20, **on_coupon})
    promotion = {"type": "coupon", "coupon": coupon.id}
    code = await box.v1.promotion_codes.create_async({"promotion": promotion, **on_code})
    assert coupons.redeem(box.account, coupon.id, code.id)["times_redeemed"] == 1
    await box.passes(seconds)
    if refused is None:
        assert coupons.redeem(box.account, coupon.id, code.id)["times_redeemed"] == 2
        return
    with pytest.raises(StripeError) as error:
        coupons.redeem(box.account, coupon.id, code.id)
    assert error.value.code == refused
    assert (await box.v1.promotion_codes.retrieve_async(code.id)).times_redeemed == 1
    assert (await box.v1.coupons.retrieve_async(coupon.id)).valid is (refused != "coupon_expired")
