"""What each status of Stripe's entitles to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.catalogue import GRACE, Tier
from domain.billing.standing import Alert, Entitlement, Facts, Status, household_tier, judge, tier_at

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LAST = Entitlement(Tier.FAMILY)
TABLE = {
    Status.TRIALING: Tier.PLUS,
    Status.ACTIVE: Tier.PLUS,
    Status.PAST_DUE: Tier.PLUS,
    Status.UNPAID: Tier.FREE,
    Status.PAUSED: Tier.FREE,
    Status.CANCELED: Tier.FREE,
    Status.INCOMPLETE: Tier.FREE,
    Status.INCOMPLETE_EXPIRED: Tier.FREE,
}
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
entitlements = st.builds(Entitlement, st.sampled_from(Tier), st.none() | moments)


def test_the_table_has_every_status_of_stripes() -> None:
    assert set(TABLE) == set(Status)


@pytest.mark.parametrize("status", Status)
def test_each_status_gives_its_tier(status: Status) -> None:
    verdict = judge(Facts(status, Tier.PLUS), LAST, NOW)
    assert tier_at(verdict.entitlement, NOW) is TABLE[status]
    assert verdict.alert is None


def test_without_a_subscription_an_account_is_free() -> None:
    assert judge(None, LAST, NOW) == judge(Facts(Status.CANCELED, Tier.PLUS), LAST, NOW)
    assert judge(None, LAST, NOW).entitlement == Entitlement()


@pytest.mark.parametrize(
    ("since", "tier"),
    [
        (timedelta(), Tier.PLUS),
        (GRACE - timedelta(seconds=1), Tier.PLUS),
        (GRACE, Tier.FREE),
        (GRACE + timedelta(days=300), Tier.FREE),
    ],
)
def test_a_plan_outlives_a_failed_payment_by_its_grace(since: timedelta, tier: Tier) -> None:
    verdict = judge(Facts(Status.PAST_DUE, Tier.PLUS, NOW - since), LAST, NOW)
    assert tier_at(verdict.entitlement, NOW) is tier


def test_a_grace_ends_without_anybody_reading_stripe_again() -> None:
    granted = judge(Facts(Status.PAST_DUE, Tier.PLUS, NOW), LAST, NOW).entitlement
    assert tier_at(granted, NOW + GRACE - timedelta(seconds=1)) is Tier.PLUS
    assert tier_at(granted, NOW + GRACE) is Tier.FREE


def test_a_debit_in_processing_has_no_grace_to_run_out() -> None:
    assert judge(Facts(Status.PAST_DUE, Tier.PLUS, None), LAST, NOW).entitlement == Entitlement(Tier.PLUS)


def test_a_status_that_nobody_knows_changes_nothing_and_alerts() -> None:
    verdict = judge(Facts("hibernating", Tier.PLUS), LAST, NOW)
    assert (verdict.entitlement, verdict.alert) == (LAST, Alert.UNKNOWN_STATUS)


@pytest.mark.parametrize("status", [Status.TRIALING, Status.ACTIVE, Status.PAST_DUE])
def test_a_price_that_nobody_knows_changes_nothing_and_alerts(status: Status) -> None:
    verdict = judge(Facts(status, None), LAST, NOW)
    assert (verdict.entitlement, verdict.alert) == (LAST, Alert.UNKNOWN_PRICE)


@pytest.mark.parametrize("status", [status for status, tier in TABLE.items() if tier is Tier.FREE])
def test_what_has_ended_has_ended_at_any_price(status: Status) -> None:
    assert judge(Facts(status, None), LAST, NOW).entitlement == Entitlement()


@given(entitlements, moments, moments)
def test_time_alone_never_gives_anybody_more(entitlement: Entitlement, one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert tier_at(entitlement, later) in (tier_at(entitlement, earlier), Tier.FREE)


@given(st.lists(entitlements), entitlements, moments)
def test_another_owner_never_makes_a_household_poorer(
    owners: list[Entitlement], joining: Entitlement, now: datetime
) -> None:
    tiers = list(Tier)
    before, after = household_tier(owners, now), household_tier([*owners, joining], now)
    assert tiers.index(after) == max(tiers.index(before), tiers.index(tier_at(joining, now)))


@given(
    st.sampled_from([*Status, "hibernating"]),
    st.sampled_from([None, *Tier]),
    st.none() | moments,
    entitlements,
    moments,
)
def test_a_verdict_judged_again_at_the_same_moment_is_the_same(
    status: str, price: Tier | None, since: datetime | None, last: Entitlement, now: datetime
) -> None:
    facts = Facts(status, price, since)
    first = judge(facts, last, now)
    assert judge(facts, first.entitlement, now) == first
