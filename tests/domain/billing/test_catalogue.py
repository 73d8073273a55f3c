"""The plans, and how a price says which one it is."""

from itertools import pairwise

import pytest

from domain import money
from domain.billing import currency
from domain.billing.catalogue import CURRENCIES, INTERVALS, LIMITS, Tier, highest, limits_of, lookup_key, rank, tier_of
from domain.money import Money


def test_each_plan_includes_more_than_the_one_below() -> None:
    for lower, higher in pairwise(Tier):
        assert rank(lower) < rank(higher)
        assert LIMITS[lower].pets < LIMITS[higher].pets
        assert LIMITS[lower].sms_per_month < LIMITS[higher].sms_per_month
        assert LIMITS[lower].storage_bytes < LIMITS[higher].storage_bytes


@pytest.mark.parametrize(
    ("plan", "pets", "segments"), [("free", 2, 10), ("plus", 5, 100), ("family", 25, 300), ("unheard of", 2, 10)]
)
def test_a_plan_is_known_by_its_name_and_any_other_is_a_free_one(plan: str, pets: int, segments: int) -> None:
    assert (limits_of(plan).pets, limits_of(plan).sms_per_month) == (pets, segments)


def test_the_highest_of_nobodys_plans_is_the_free_one() -> None:
    assert highest() is Tier.FREE
    assert highest(Tier.PLUS, Tier.FREE, Tier.FAMILY) is Tier.FAMILY


@pytest.mark.parametrize("tier", [Tier.PLUS, Tier.FAMILY])
@pytest.mark.parametrize("interval", INTERVALS)
def test_a_price_on_sale_is_known_by_its_lookup_key(tier: Tier, interval: str) -> None:
    assert tier_of(lookup_key(tier, interval), {"tier": "other"}, {}) is tier


@pytest.mark.parametrize(
    ("key", "price", "product", "tier"),
    [
        (None, {"tier": "plus"}, {"tier": "family"}, Tier.PLUS),
        (None, {}, {"tier": "family"}, Tier.FAMILY),
        ("winter_offer", {"tier": "plus"}, {}, Tier.PLUS),
        ("winter_offer", {"tier": "gold"}, {"tier": "plus"}, Tier.PLUS),
        (None, {}, {}, None),
        ("free_month", {}, {}, None),
        ("plusultra", {}, {}, None),
    ],
)
def test_a_price_whose_key_was_taken_away_is_known_by_its_metadata(
    key: str | None, price: dict[str, str], product: dict[str, str], tier: Tier | None
) -> None:
    assert tier_of(key, price, product) is tier


def test_plans_are_sold_only_where_minor_units_mean_the_same_at_stripe() -> None:
    assert all(currency.agrees(code) for code in CURRENCIES)


def test_the_currencies_that_differ_at_stripe_are_those_we_know_of() -> None:
    """A list of ISO's that changed, or one of Stripe's, is looked at by somebody."""
    differ = {code for code in money.CURRENCIES if not currency.agrees(code)}
    assert differ == {"IQD", "ISK", "LYD", "MGA", "UGX", "UYI"} & (money.CURRENCIES)


def test_an_amount_of_stripes_is_money_of_ours() -> None:
    assert currency.of_stripe(1200, "jpy") == Money(1200, "JPY")
    assert currency.of_stripe(-499, "eur") == Money(-499, "EUR")


@pytest.mark.parametrize("code", ["isk", "mga", "qqq"])
def test_an_amount_that_would_be_off_by_a_hundred_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="minor units"):
        currency.of_stripe(500, code)
