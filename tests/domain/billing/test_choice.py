"""Which subscription counts, and which card is tried."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.catalogue import Tier
from domain.billing.choice import Candidate, Wallet, another_card, choose, surplus
from domain.billing.standing import LIVE, Status

DAY = timedelta(days=1)
MADE = datetime(2026, 11, 1, tzinfo=UTC)
candidates = st.lists(
    st.builds(
        Candidate,
        st.uuids().map(str),
        st.sampled_from([*Status, "hibernating"]),
        st.sampled_from([None, Tier.PLUS, Tier.FAMILY]),
        st.integers(0, 5).map(lambda days: MADE + days * DAY),
    ),
    max_size=6,
    unique_by=lambda each: each.id,
)


def one(name: str, status: Status, tier: Tier = Tier.PLUS, age: int = 0) -> Candidate:
    return Candidate(name, status, tier, MADE - age * DAY)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (one("a", Status.ACTIVE, age=9), one("b", Status.CANCELED, Tier.FAMILY)),
        (one("a", Status.ACTIVE, Tier.FAMILY, age=9), one("b", Status.ACTIVE)),
        (one("a", Status.ACTIVE), one("b", Status.ACTIVE, age=1)),
        (one("a", Status.ACTIVE), one("b", Status.PAST_DUE, Tier.FAMILY)),
        (one("a", Status.TRIALING, age=9), one("b", Status.INCOMPLETE)),
        (one("a", Status.PAST_DUE, age=9), one("b", Status.INCOMPLETE)),
        (one("a", Status.UNPAID, age=9), one("b", Status.CANCELED)),
    ],
)
def test_the_better_one_counts_in_whatever_order_they_come(better: Candidate, worse: Candidate) -> None:
    assert choose([better, worse]) is choose([worse, better]) is better


def test_without_subscriptions_none_counts() -> None:
    assert choose([]) is None
    assert surplus([]) == ()


def test_of_two_that_are_paid_the_other_is_one_too_many() -> None:
    assert surplus([one("plus", Status.ACTIVE), one("family", Status.ACTIVE, Tier.FAMILY, age=3)]) == ("plus",)


def test_what_ends_by_itself_is_not_one_too_many() -> None:
    ending = [one("b", Status.CANCELED), one("c", Status.INCOMPLETE), one("d", Status.INCOMPLETE_EXPIRED)]
    assert surplus([one("a", Status.ACTIVE), *ending]) == ()


@given(candidates)
def test_after_the_surplus_is_cancelled_the_same_one_counts_and_nothing_is_left_over(each: list[Candidate]) -> None:
    kept, too_many = choose(each), surplus(each)
    after = [Candidate(c.id, Status.CANCELED, c.tier, c.created) if c.id in too_many else c for c in each]
    assert surplus(after) == ()
    assert (choose(after) or kept) == kept or kept is None or kept.status not in LIVE
    assert kept is None or kept.id not in too_many


def wallet(
    refused: str | None = "pm_old",
    of_subscription: str | None = None,
    of_customer: str | None = None,
    *added: str,
    default_then: str | None = "pm_old",
) -> Wallet:
    known = [(method, MADE + DAY) for method in added]
    return Wallet(
        refused=refused,
        of_subscription=of_subscription,
        of_customer=of_customer,
        default_then=default_then,
        added=[*known, ("pm_old", MADE - DAY), ("pm_spare", MADE - DAY)],
    )


@pytest.mark.parametrize(
    ("cards", "tried"),
    [
        (wallet("pm_old", "pm_old", None), None),
        (wallet("pm_old", "pm_old", "pm_old"), None),
        (wallet("pm_old", "pm_new", None, "pm_new"), "pm_new"),
        (wallet("pm_old", "pm_old", "pm_new", "pm_new"), "pm_new"),
        (wallet("pm_old", "pm_old", "pm_spare"), "pm_spare"),
        (wallet("pm_old", "pm_old", "pm_spare", default_then="pm_spare"), None),
        (wallet("pm_old", None, "pm_spare"), "pm_spare"),
        (wallet("pm_old", None, "pm_old", "pm_newest", "pm_new"), "pm_newest"),
        (wallet("pm_old", "pm_gone", "pm_old"), None),
        (wallet(None, "pm_old", "pm_old"), None),
        (wallet(None, None, None, "pm_new", default_then=None), "pm_new"),
    ],
)
def test_only_a_card_that_was_chosen_since_is_tried(cards: Wallet, tried: str | None) -> None:
    assert another_card(cards, since=MADE) == tried
